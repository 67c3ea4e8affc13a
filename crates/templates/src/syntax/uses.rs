//! The variables that a parsed template uses, each by its way from the root of the data.
//!
//! Scopes are followed as Handlebars does: `#each` and `#with` make a new one, `../` leaves it, block parameters
//! (`as |item i|`) and `@root` are seen from everywhere. What a condition has asked for is known to be there inside it.

use std::fmt;

use handlebars::{
    Template,
    template::{BlockParam, HelperTemplate, Parameter, TemplateElement},
};
use serde_json::Value;

use super::{RAW, STEP};

/// One step on the way from the root of the data to a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Field(String),
    /// Any element of a list, or any field of an object.
    Each,
}

/// What a template does with a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Writes it: it must be a text, a number or a truth value.
    Text,
    /// Gives it to a helper.
    Value,
    /// Asks whether it is there.
    Condition,
    /// Goes through it.
    List,
    /// Enters it.
    Object,
}

/// One use of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// Line and column (both from 1) of its tag.
    pub line: usize,
    pub column: usize,
    pub path: Vec<Step>,
    pub role: Role,
    /// How many steps of the path are known to be there, since a condition around asked for them.
    pub asked: usize,
    /// Whether it is answered too if it is absent: by `{{else}}`.
    pub has_else: bool,
}

/// A `{{t "key" …}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageUse {
    pub line: usize,
    pub column: usize,
    pub key: String,
    pub arguments: Vec<String>,
}

/// What a template uses.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    pub variables: Vec<Use>,
    pub messages: Vec<MessageUse>,
}

impl Uses {
    /// Walks `template`, whose depth [`super::check_tags`] has bounded.
    pub(crate) fn of(template: &Template) -> Self {
        let root = Scope { base: Some(Vec::new()), names: Vec::new() };
        let mut walk = Walk { found: Self::default(), scopes: vec![root], known: Vec::new(), place: (1, 1) };
        walk.template(template);
        walk.found
    }
}

/// Where names are looked up: `None` for what no path leads to (the result of a helper).
struct Scope {
    base: Option<Vec<Step>>,
    /// Block parameters; `None` for a key or index.
    names: Vec<(String, Option<Vec<Step>>)>,
}

struct Walk {
    found: Uses,
    scopes: Vec<Scope>,
    /// Paths of which the conditions around say that they are there.
    known: Vec<Vec<Step>>,
    place: (usize, usize),
}

impl Walk {
    fn template(&mut self, template: &Template) {
        for (i, element) in template.elements.iter().enumerate() {
            if let Some(mapping) = template.mapping.get(i) {
                self.place = (mapping.0, mapping.1);
            }
            match element {
                TemplateElement::Expression(e) | TemplateElement::HtmlExpression(e) => self.expression(e),
                TemplateElement::HelperBlock(block) => self.block(block),
                _ => {}
            }
        }
    }

    fn block(&mut self, block: &HelperTemplate) {
        let place = self.place;
        let name = block.name.as_name().unwrap_or_default();
        let has_else = block.inverse.is_some();
        let param = block.params.first();
        match name {
            "each" | "with" => {
                let role = if name == "each" { Role::List } else { Role::Object };
                let path = param.and_then(|p| self.value(p, role, has_else));
                let inner = path.clone().map(|mut path| {
                    if role == Role::List {
                        path.push(Step::Each);
                    }
                    path
                });
                let names = names(block.block_param.as_ref(), inner.as_deref());
                let before = self.known.len();
                self.known.extend(path);
                self.known.extend(inner.clone());
                self.scopes.push(Scope { base: inner, names });
                self.inside(block.template.as_ref());
                self.scopes.pop();
                self.known.truncate(before);
                self.place = place;
                self.inside(block.inverse.as_ref());
            }
            _ => {
                let (mut there, mut absent) = (Vec::new(), Vec::new());
                if let Some(param) = param {
                    self.value(param, Role::Condition, true);
                    self.implied(param, true, &mut there);
                    self.implied(param, false, &mut absent);
                }
                if name == "unless" {
                    std::mem::swap(&mut there, &mut absent);
                }
                for (body, implied) in [(&block.template, there), (&block.inverse, absent)] {
                    let before = self.known.len();
                    self.known.extend(implied);
                    self.inside(body.as_ref());
                    self.known.truncate(before);
                    self.place = place;
                }
            }
        }
    }

    fn inside(&mut self, template: Option<&Template>) {
        if let Some(template) = template {
            self.template(template);
        }
    }

    fn expression(&mut self, expression: &HelperTemplate) {
        let name = expression.name.as_name().unwrap_or_default();
        if expression.params.is_empty() && expression.hash.is_empty() {
            self.value(&expression.name, Role::Text, false);
            return;
        }
        match (name, expression.params.first()) {
            (STEP, _) => {}
            (RAW, Some(value)) => _ = self.value(value, Role::Text, false),
            ("t", Some(Parameter::Literal(Value::String(key)))) => {
                let (line, column) = self.place;
                let arguments = expression.hash.keys().cloned().collect();
                self.found.messages.push(MessageUse { line, column, key: key.clone(), arguments });
                self.values(expression);
            }
            ("lookup", _) => _ = self.lookup(expression),
            // They take what is absent for false.
            ("and" | "or", _) => expression.params.iter().for_each(|p| _ = self.value(p, Role::Condition, true)),
            _ => self.values(expression),
        }
    }

    fn values(&mut self, of: &HelperTemplate) {
        for value in of.params.iter().chain(of.hash.values()) {
            self.value(value, Role::Value, false);
        }
    }

    /// `lookup list 0`, `lookup object "field"`: the path of what is found, if the key is written out.
    fn lookup(&mut self, lookup: &HelperTemplate) -> Option<Vec<Step>> {
        let [of, key] = lookup.params.as_slice() else { return None };
        if let Parameter::Literal(Value::String(field)) = key {
            let mut path = self.resolve(of)?;
            path.push(Step::Field(field.clone()));
            self.add(path.clone(), Role::Value, false);
            return Some(path);
        }
        let mut path = self.value(of, Role::Value, false)?;
        self.value(key, Role::Value, false);
        path.push(Step::Each);
        Some(path)
    }

    /// Takes note of a use; the path of the value, if one leads to it.
    fn value(&mut self, value: &Parameter, role: Role, has_else: bool) -> Option<Vec<Step>> {
        if let Parameter::Subexpression(inner) = value {
            let TemplateElement::Expression(inner) = inner.as_element() else { return None };
            if inner.name.as_name() == Some("lookup") {
                return self.lookup(inner);
            }
            self.expression(inner);
            return None;
        }
        let path = self.resolve(value)?;
        self.add(path.clone(), role, has_else);
        Some(path)
    }

    fn add(&mut self, path: Vec<Step>, role: Role, has_else: bool) {
        let common = |known: &Vec<Step>| known.iter().zip(&path).take_while(|(a, b)| a == b).count();
        let asked = self.known.iter().map(common).max().unwrap_or_default();
        let (line, column) = self.place;
        self.found.variables.push(Use { line, column, path, role, asked, has_else });
    }

    /// The paths that are there if `condition` is `outcome`.
    fn implied(&self, condition: &Parameter, outcome: bool, into: &mut Vec<Vec<Step>>) {
        let Parameter::Subexpression(inner) = condition else {
            into.extend(self.resolve(condition).filter(|_| outcome));
            return;
        };
        match (inner.name(), outcome) {
            ("and", true) | ("or", false) => {
                inner.params().into_iter().flatten().for_each(|p| self.implied(p, outcome, into));
            }
            ("not", _) => inner.params().into_iter().flatten().for_each(|p| self.implied(p, !outcome, into)),
            // Comparisons and `len` refuse to be asked about what is absent.
            ("eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "len", _) => {
                into.extend(inner.params().into_iter().flatten().filter_map(|p| self.resolve(p)));
            }
            _ => {}
        }
    }

    /// The path of a name; `None` for what is no data of the template.
    fn resolve(&self, value: &Parameter) -> Option<Vec<Step>> {
        let written = value.as_name()?;
        if let Some(local) = written.strip_prefix('@') {
            let rest = local.strip_prefix("root")?;
            return Some(steps(rest.trim_start_matches(['.', '/'])));
        }
        let (mut rest, mut up) = (written, 0);
        loop {
            if let Some(outer) = rest.strip_prefix("../") {
                (rest, up) = (outer, up + 1);
            } else if rest == ".." {
                (rest, up) = ("", up + 1);
            } else if let Some(same) = rest.strip_prefix("./") {
                rest = same;
            } else {
                break;
            }
        }
        if rest.starts_with('@') {
            return None;
        }
        let mut way = steps(rest);
        if let Some(Step::Field(first)) = way.first()
            && let Some((_, path)) = self.scopes.iter().rev().flat_map(|s| &s.names).find(|(name, _)| name == first)
        {
            let mut path = path.clone()?;
            path.extend(way.drain(1..));
            return Some(path);
        }
        // Handlebars ends at the outermost scope however many `../` there are.
        let scope = self.scopes.len().saturating_sub(1 + up);
        let mut path = self.scopes.get(scope)?.base.clone()?;
        path.append(&mut way);
        Some(path)
    }
}

/// `a.b/c`; `this` stands for no step.
fn steps(written: &str) -> Vec<Step> {
    let named = written.split(['.', '/']).filter(|part| !part.is_empty() && *part != "this");
    named.map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { Step::Each } else { Step::Field(part.to_owned()) }).collect()
}

/// What block parameters stand for: the first for the value, the second for its key.
fn names(params: Option<&BlockParam>, value: Option<&[Step]>) -> Vec<(String, Option<Vec<Step>>)> {
    let name = |p: &Parameter| p.as_name().unwrap_or_default().to_owned();
    match params {
        Some(BlockParam::Single(item)) => vec![(name(item), value.map(<[Step]>::to_vec))],
        Some(BlockParam::Pair((item, key))) => vec![(name(item), value.map(<[Step]>::to_vec)), (name(key), None)],
        _ => Vec::new(),
    }
}

/// A path as an author would write it: `stories.*.link`.
pub(crate) struct Written<'a>(pub &'a [Step]);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            match step {
                Step::Field(name) => f.write_str(name)?,
                Step::Each => f.write_str("*")?,
            }
        }
        if self.0.is_empty() { f.write_str("this") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(text: &str) -> Vec<String> {
        let found = Uses::of(&Template::compile(text).unwrap()).variables;
        found.iter().map(|u| format!("{} {:?} {}", Written(&u.path), u.role, u.asked)).collect()
    }

    #[test]
    fn paths_lead_from_the_root_whatever_the_scope() {
        for (text, expected) in [
            ("{{a.b}} {{./c}} {{this.d}}", vec!["a.b Text 0", "c Text 0", "d Text 0"]),
            (
                "{{#each a}}{{x}}{{../y}}{{@root.z}}{{@index}}{{this}}{{/each}}",
                vec!["a List 0", "a.*.x Text 2", "y Text 0", "z Text 0", "a.* Text 2"],
            ),
            (
                "{{#each a as |v k|}}{{v.x}}{{k}}{{#each v.b}}{{v.y}}{{../z}}{{/each}}{{/each}}",
                vec!["a List 0", "a.*.x Text 2", "a.*.b List 2", "a.*.y Text 2", "a.*.z Text 2"],
            ),
            ("{{#with a.b}}{{c}}{{else}}{{d}}{{/with}}", vec!["a.b Object 0", "a.b.c Text 2", "d Text 0"]),
            (
                "{{lookup a \"b\"}}{{lookup a c}}{{#each (lookup a \"l\")}}{{x}}{{/each}}",
                vec!["a.b Value 0", "a Value 0", "c Value 0", "a.l Value 0", "a.l.*.x Text 3"],
            ),
            ("{{#each (len a)}}{{x}}{{/each}}", vec!["a Value 0"]),
            ("{{t \"k\" n=a.b}}{{money c}}", vec!["a.b Value 0", "c Value 0"]),
        ] {
            assert_eq!(uses(text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_condition_asked_for_is_there_inside_it() {
        for (text, expected) in [
            ("{{#if a}}{{a}}{{else}}{{a}}{{/if}}", vec!["a Condition 0", "a Text 1", "a Text 0"]),
            ("{{#unless a}}{{a}}{{else}}{{a.b}}{{/unless}}", vec!["a Condition 0", "a Text 0", "a.b Text 1"]),
            (
                "{{#if (and a b)}}{{a}}{{b}}{{c}}{{/if}}",
                vec!["a Condition 0", "b Condition 0", "a Text 1", "b Text 1", "c Text 0"],
            ),
            ("{{#if (not a)}}1{{else}}{{a}}{{/if}}", vec!["a Value 0", "a Text 1"]),
            ("{{#if (or a b)}}{{a}}{{/if}}", vec!["a Condition 0", "b Condition 0", "a Text 0"]),
            ("{{#if a}}1{{else if b}}{{b}}{{/if}}", vec!["a Condition 0", "b Condition 0", "b Text 1"]),
        ] {
            assert_eq!(uses(text), expected, "{text}");
        }
    }
}
