//! The names in a parsed template: helpers that exist, variables that it uses, loops that must be counted.

use std::collections::BTreeSet;

use handlebars::{
    Template,
    template::{HelperTemplate, Parameter, TemplateElement},
};

use crate::finding::Code;

/// Blocks that a template may open.
const BLOCKS: &[&str] = &["if", "unless", "each", "with"];
/// Helpers that give a value.
const HELPERS: &[&str] = &[
    "money", "number", "date", "relative", "phone", "t", "lookup", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not",
    "len",
];
/// The helper that [`meter_loops`] puts into loops; its name cannot be written in a file by mistake.
pub(crate) const STEP: &str = "§step";

/// A fault with the line and column (both from 1) at which the parser saw it.
#[derive(Debug)]
pub(crate) struct NameFault {
    pub line: usize,
    pub column: usize,
    pub code: Code,
    pub what: String,
    pub mend: String,
}

/// What is found in a template.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub faults: Vec<NameFault>,
    /// Whether it speaks of the recipient.
    pub personal: bool,
    /// The helpers that it calls.
    pub helpers: BTreeSet<&'static str>,
}

impl Names {
    /// Walks `template`. `raw` names the variables that may stand in three braces.
    pub(crate) fn of(template: &Template, raw: &[String]) -> Self {
        let mut walk = Walk { names: Self::default(), raw, place: (1, 1) };
        walk.template(template);
        walk.names
    }
}

struct Walk<'a> {
    names: Names,
    raw: &'a [String],
    place: (usize, usize),
}

impl Walk<'_> {
    fn fault(&mut self, code: Code, what: impl Into<String>, mend: impl Into<String>) {
        let (line, column) = self.place;
        self.names.faults.push(NameFault { line, column, code, what: what.into(), mend: mend.into() });
    }

    /// The depth is bounded by [`super::check_tags`], which every text passes first.
    fn template(&mut self, template: &Template) {
        for (i, element) in template.elements.iter().enumerate() {
            if let Some(mapping) = template.mapping.get(i) {
                self.place = (mapping.0, mapping.1);
            }
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(expression) => self.expression(expression),
                TemplateElement::HtmlExpression(expression) => {
                    let name = expression.name.as_name().unwrap_or_default();
                    if self.raw.iter().any(|allowed| allowed == name) {
                        self.value(&expression.name);
                    } else {
                        let what = format!("`{{{{{{{name}}}}}}}` would let data write HTML");
                        let mend = "Use two braces, or allow it in template.toml, where it is sanitised: raw = [\"field\"]";
                        self.fault(Code::RawOutput, what, mend);
                    }
                }
                TemplateElement::HelperBlock(block) => self.block(block),
                _ => {
                    self.fault(Code::Syntax, "partials and decorators are not supported", "Write the text out");
                }
            }
        }
    }

    fn block(&mut self, block: &HelperTemplate) {
        let name = block.name.as_name().unwrap_or_default();
        if !BLOCKS.contains(&name) {
            let mend = format!("Use `{{{{#if {name}}}}}` for a condition or `{{{{#each {name}}}}}` for a list");
            self.fault(Code::UnknownHelper, format!("there is no block `{name}`"), mend);
        } else if block.params.len() != 1 {
            self.fault(Code::Syntax, format!("`{{{{#{name}}}}}` takes one value"), format!("Write `{{{{#{name} value}}}}`"));
        }
        self.values(block);
        for inner in [&block.template, &block.inverse].into_iter().flatten() {
            self.template(inner);
        }
    }

    fn expression(&mut self, expression: &HelperTemplate) {
        let name = expression.name.as_name().unwrap_or_default();
        self.names.helpers.extend(HELPERS.iter().filter(|known| **known == name));
        let takes_values = !expression.params.is_empty() || !expression.hash.is_empty();
        if takes_values && !HELPERS.contains(&name) {
            self.fault(
                Code::UnknownHelper,
                format!("there is no helper `{name}`"),
                format!("The helpers are {}", HELPERS.join(", ")),
            );
        } else if !takes_values && (HELPERS.contains(&name) || BLOCKS.contains(&name)) {
            let mend = format!("Give it a value, or write `{{{{this.{name}}}}}` for the variable");
            self.fault(Code::Syntax, format!("`{name}` is a helper and has no value here"), mend);
        } else if !takes_values {
            self.value(&expression.name);
        }
        self.values(expression);
    }

    fn values(&mut self, of: &HelperTemplate) {
        for value in of.params.iter().chain(of.hash.values()) {
            self.value(value);
        }
    }

    fn value(&mut self, value: &Parameter) {
        match value {
            Parameter::Name(name) => self.mention(name),
            Parameter::Path(_) => self.mention(value.as_name().unwrap_or_default()),
            Parameter::Literal(literal) => self.mention(literal.as_str().unwrap_or_default()),
            Parameter::Subexpression(inner) => {
                if let TemplateElement::Expression(inner) = inner.as_element() {
                    self.expression(inner);
                }
            }
            _ => self.fault(Code::Syntax, "this kind of value is not supported", "Use a name, a string or a number"),
        }
    }

    /// `recipient` is given to a template only if it says the word, so a way around this check would find nothing.
    fn mention(&mut self, path: &str) {
        self.names.personal |= path.split(['.', '/']).any(|step| step == "recipient");
    }
}

/// The helper that [`sanitise_raw`] puts into raw output.
pub(crate) const RAW: &str = "§raw";

/// Makes of each `{{{value}}}` but `trusted` a call of [`RAW`], which lets only safe HTML through; true if there is any. Nothing
/// is trusted within `each` and `with`: there the same name may mean a field of the data.
pub(crate) fn sanitise_raw(template: &mut Template, trusted: Option<&str>) -> bool {
    let mut found = false;
    for element in &mut template.elements {
        match element {
            TemplateElement::HtmlExpression(expression) if trusted.is_none() || expression.name.as_name() != trusted => {
                let value = std::mem::replace(&mut expression.name, Parameter::Name(RAW.to_owned()));
                expression.params.push(value);
                found = true;
            }
            TemplateElement::HelperBlock(block) => {
                let trusted = trusted.filter(|_| !matches!(block.name.as_name(), Some("each" | "with")));
                for inner in [&mut block.template, &mut block.inverse].into_iter().flatten() {
                    found |= sanitise_raw(inner, trusted);
                }
            }
            _ => {}
        }
    }
    found
}

/// Puts at the head of each loop's body a call of [`STEP`] with the number of parts of the body, so that a
/// rendering can count what its loops cost; true if there is any.
pub(crate) fn meter_loops(template: &mut Template) -> bool {
    let mut found = false;
    for element in &mut template.elements {
        let TemplateElement::HelperBlock(block) = element else { continue };
        for inner in [&mut block.template, &mut block.inverse].into_iter().flatten() {
            found |= meter_loops(inner);
        }
        let is_loop = block.name.as_name() == Some("each");
        if let (true, Some(body)) = (is_loop, &mut block.template)
            // Three braces: what it writes is nothing at all, not an empty value that is kept apart from what follows.
            && let Ok(step) = Template::compile(&format!("{{{{{{{STEP} {}}}}}}}", parts(body)))
        {
            body.elements.splice(0..0, step.elements);
            body.mapping.splice(0..0, step.mapping);
            found = true;
        }
    }
    found
}

/// How many elements one pass over `template` may visit, those of loops within it left out: they count themselves.
pub(crate) fn parts(template: &Template) -> usize {
    let of = |element: &TemplateElement| match element {
        TemplateElement::HelperBlock(block) if block.name.as_name() != Some("each") => {
            1 + [&block.template, &block.inverse].into_iter().flatten().map(parts).sum::<usize>()
        }
        _ => 1,
    };
    template.elements.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Names {
        Names::of(&Template::compile(text).unwrap(), &["mail.body".to_owned()])
    }

    #[test]
    fn unknown_helpers_and_blocks_are_named_with_their_place() {
        let found = names("a\n  {{shout name}}").faults;
        assert_eq!((found[0].line, found[0].column, found[0].what.as_str()), (2, 3, "there is no helper `shout`"));
        assert_eq!(names("{{#items}}x{{/items}}").faults[0].what, "there is no block `items`");
        assert_eq!(names("{{date}}").faults[0].what, "`date` is a helper and has no value here");
        assert_eq!(names("{{#if (shout a)}}x{{/if}}").faults[0].what, "there is no helper `shout`");
        assert!(names("{{this.date}} {{money a}} {{#if (eq a 1)}}{{b}}{{/if}}").faults.is_empty());
    }

    #[test]
    fn raw_output_is_refused_but_for_what_is_sanitised() {
        assert!(names("{{{mail.body}}}").faults.is_empty());
        assert!(names("{{{x}}}").faults[0].what.contains("write HTML"));
        assert!(names("{{&x}}").faults[0].what.contains("write HTML"));
    }

    #[test]
    fn a_template_that_mentions_the_recipient_is_personal() {
        for personal in [
            "{{recipient.id}}",
            "{{#if recipient.attributes.vip}}x{{/if}}",
            "{{#each a}}{{../recipient.id}}{{/each}}",
            "{{@root.recipient.id}}",
            "{{lookup this \"recipient\"}}",
            "{{money (lookup recipient \"x\")}}",
        ] {
            assert!(names(personal).personal, "{personal}");
        }
        assert!(!names("{{recipients}} {{this}} recipient").personal);
    }

    #[test]
    fn loops_are_metered_with_the_parts_of_their_body() {
        let mut template = Template::compile("{{#each a}}{{x}}{{#if y}}1{{else}}2{{/if}}{{/each}}").unwrap();
        meter_loops(&mut template);
        let TemplateElement::HelperBlock(each) = &template.elements[0] else { panic!("a block") };
        let body = each.template.as_ref().unwrap();
        assert_eq!(body.elements.len(), body.mapping.len());
        let TemplateElement::HtmlExpression(step) = &body.elements[0] else { panic!("a step") };
        assert_eq!((step.name.as_name(), &step.params[0]), (Some(STEP), &Parameter::Literal(4.into())));
    }
}
