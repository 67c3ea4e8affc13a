//! One text with `{{tags}}`.

use std::{fmt::Write as _, sync::LazyLock};

use handlebars::{
    Context, Handlebars, RenderContext, RenderError as EngineError, RenderErrorReason, Renderable, Template, TemplateErrorReason,
    html_escape, no_escape, template::TemplateElement,
};
use stentor_domain::{Locale, Timestamp};

use super::{
    budget::{Budget, LimitedOutput},
    helpers::{Compare, HelperError, Named, Raw, Step, VALUE_HELPERS, ValueHelper},
    source::{Expanded, Rules, Source, SourceMap},
};
use crate::{
    error::{LoadError, Place, RenderError},
    finding::Code,
    limits, markdown,
    messages::Messages,
    syntax::{NameFault, Names, RAW, STEP, Uses, check_tags, meter_loops, parts, sanitise_raw},
};

/// What becomes of the data's values when they enter a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Nothing: titles, subjects, SMS, plain-text mail.
    None,
    /// HTML entities.
    Html,
    /// They pass Markdown unread: see [`crate::markdown`].
    Markdown,
    /// Percent-encoding: they are part of a URL that the template begins.
    Url,
}

/// What a layout may write in three braces: it has been sanitised.
pub(crate) const SANITISED: &str = "mail.body";

/// For whom a text is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub locale: &'a Locale,
    pub timezone: Option<&'a str>,
    pub now: Timestamp,
    pub messages: Option<&'a Messages>,
    /// What all texts of the message may still spend.
    pub budget: &'a Budget,
}

/// A compiled text.
#[derive(Debug)]
pub(crate) struct Text {
    template: Template,
    escape: Escape,
    /// What it says whatever the data, if it has no tags.
    constant: Option<String>,
    /// How many parts writing it visits, those of loops left out.
    parts: usize,
    /// What it calls: a rendering is given these helpers and no others, since to give them takes longer than a short text.
    helpers: Vec<Named>,
    /// Whether it has loops or raw output, for which there are helpers as well.
    has_more: bool,
    map: SourceMap,
    /// False if lines no longer match the file (a mail compiled from MJML).
    has_lines: bool,
    /// Whether it speaks of the recipient.
    pub personal: bool,
}

impl Text {
    /// Checks and compiles `source`, adding what is wrong to `errors`.
    pub(crate) fn compile(source: &Source<'_>, escape: Escape, rules: Rules<'_>, errors: &mut Vec<LoadError>) -> Option<Self> {
        Self::of_expanded(&Expanded::of(source, rules, errors)?, escape, rules, errors)
    }

    /// Checks and compiles a text with its partials in it.
    pub(crate) fn of_expanded(
        expanded: &Expanded,
        escape: Escape,
        rules: Rules<'_>,
        errors: &mut Vec<LoadError>,
    ) -> Option<Self> {
        let before = errors.len();
        for fault in check_tags(&expanded.text, limits::FILE_BYTES) {
            errors.push(LoadError::new(expanded.place_of_byte(fault.at), fault.code, fault.what, fault.mend));
        }
        if errors.len() > before {
            return None;
        }
        let template = match Template::compile(&expanded.text) {
            Ok(template) => template,
            Err(error) => {
                errors.push(syntax_error(expanded, &error));
                return None;
            }
        };
        let mut names = Names::of(&template, rules.raw);
        for NameFault { line, column, code, what, mend } in std::mem::take(&mut names.faults) {
            errors.push(LoadError::new(expanded.map.place(line, column), code, what, mend));
        }
        (errors.len() == before).then(|| Self::assemble(template, escape, &expanded.map, true, &names))
    }

    /// Compiles what mrml made of a mail. Its source has passed [`Text::of_expanded`], which says what is wrong and where.
    pub(crate) fn of_mail(map: &SourceMap, html: &str, errors: &mut Vec<LoadError>) -> Option<Self> {
        let fault = check_tags(html, limits::OUTPUT_BYTES).into_iter().next().map(|fault| fault.what);
        let compiled = fault.map_or_else(|| Template::compile(html).map_err(|e| e.reason().to_string()), Err);
        match compiled {
            Ok(template) => {
                let names = Names::of(&template, &[]);
                Some(Self::assemble(template, Escape::Html, map, false, &names))
            }
            Err(what) => {
                let mend = "Put `{{#if}}`, `{{#each}}` and their ends in <mj-raw> of their own, each pair at one level";
                let what = format!("the mail made from this MJML: {what}");
                errors.push(LoadError::new(Place::file(&map.file()), Code::BadMjml, what, mend));
                None
            }
        }
    }

    fn assemble(mut template: Template, escape: Escape, map: &SourceMap, has_lines: bool, names: &Names) -> Self {
        let has_more = sanitise_raw(&mut template, Some(SANITISED)) | meter_loops(&mut template);
        let helpers = VALUE_HELPERS.into_iter().filter(|(name, ..)| names.helpers.contains(name)).collect();
        let (constant, parts) = (constant(&template), parts(&template));
        let (map, personal) = (map.clone(), names.personal);
        Self { template, escape, constant, parts, helpers, has_more, map, has_lines, personal }
    }

    /// Where the text stands.
    pub(crate) fn place(&self) -> Place {
        if self.has_lines { self.map.start() } else { Place::file(&self.map.file()) }
    }

    /// A place in it as the parser tells it; both numbers from 1.
    pub(crate) fn place_at(&self, line: usize, column: usize) -> Place {
        if self.has_lines { self.map.place(line, column) } else { self.place() }
    }

    /// The variables and messages that it uses.
    pub(crate) fn uses(&self) -> Uses {
        Uses::of(&self.template)
    }

    /// Writes the text with the values of `context`.
    pub(crate) fn render(&self, context: &Context, scope: &Scope<'_>) -> Result<String, RenderError> {
        if let Some(constant) = &self.constant {
            return Ok(constant.clone());
        }
        scope.budget.work(self.parts).map_err(|_| RenderError::TooSlow { at: self.place() })?;
        let mut rc = RenderContext::new(None);
        for &(name, compute, parts) in &self.helpers {
            rc.register_local_helper(name, Box::new(ValueHelper { scope, compute, parts }));
        }
        if self.has_more {
            rc.register_local_helper(RAW, Box::new(Raw { escape: self.escape, budget: scope.budget }));
            rc.register_local_helper(STEP, Box::new(Step(scope.budget)));
        }
        let mut out = LimitedOutput::default();
        self.template.render(engine(self.escape), context, &mut rc, &mut out).map_err(|e| self.failure(e))?;
        Ok(out.0)
    }

    fn failure(&self, error: EngineError) -> RenderError {
        let at = match (error.line_no, error.column_no) {
            (Some(line), Some(column)) => self.place_at(line, column),
            _ => self.place(),
        };
        match error.reason() {
            RenderErrorReason::MissingVariable(name) => {
                RenderError::MissingVariable { name: name.clone().unwrap_or_else(|| "lookup".to_owned()), at }
            }
            RenderErrorReason::IOError(_) => {
                RenderError::TooLarge { what: "bytes of rendered text", limit: limits::OUTPUT_BYTES, at }
            }
            RenderErrorReason::NestedError(cause) => match cause.downcast_ref::<HelperError>() {
                Some(HelperError::TooManySteps) => {
                    RenderError::TooLarge { what: "rounds of loops", limit: limits::LOOP_STEPS, at }
                }
                Some(HelperError::TooSlow) => RenderError::TooSlow { at },
                Some(HelperError::BadValue(message)) => RenderError::BadValue { message: message.clone(), at },
                None => RenderError::Engine { at, source: Box::new(error) },
            },
            // Comparisons say so of what is absent.
            RenderErrorReason::ParamNotFoundForIndex(helper, _) | RenderErrorReason::ParamNotFoundForName(helper, _) => {
                RenderError::MissingVariable { name: format!("({helper} …)"), at }
            }
            _ => RenderError::Engine { at, source: Box::new(error) },
        }
    }
}

/// What a text without tags says.
fn constant(template: &Template) -> Option<String> {
    let word = |element: &TemplateElement| match element {
        TemplateElement::RawString(text) => Some(text.clone()),
        TemplateElement::Comment(_) => Some(String::new()),
        _ => None,
    };
    template.elements.iter().map(word).collect()
}

fn syntax_error(expanded: &Expanded, error: &handlebars::TemplateError) -> LoadError {
    let (line, column) = error.pos().unwrap_or((1, 1));
    let what = match error.reason() {
        TemplateErrorReason::InvalidSyntax(_) => "the tag cannot be read".to_owned(),
        reason => reason.to_string(),
    };
    let mend = "A tag is `{{name}}`, `{{helper name}}`, or opens or closes a block";
    LoadError::new(expanded.map.place(line, column.max(1)), Code::Syntax, what, mend)
}

/// The engine whose output is escaped for one target.
fn engine(escape: Escape) -> &'static Handlebars<'static> {
    static NONE: LazyLock<Handlebars<'static>> = LazyLock::new(|| strict(no_escape));
    static HTML: LazyLock<Handlebars<'static>> = LazyLock::new(|| strict(html_escape));
    static MARKDOWN: LazyLock<Handlebars<'static>> = LazyLock::new(|| strict(markdown::shield));
    static URL: LazyLock<Handlebars<'static>> = LazyLock::new(|| strict(percent_encode));
    match escape {
        Escape::None => &NONE,
        Escape::Html => &HTML,
        Escape::Markdown => &MARKDOWN,
        Escape::Url => &URL,
    }
}

fn strict(escape: fn(&str) -> String) -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(escape);
    engine.unregister_helper("log"); // data must not reach a log
    for (name, equal) in [("eq", true), ("ne", false)] {
        engine.register_helper(name, Box::new(Compare { name, equal }));
    }
    engine
}

/// `value` as a part of a URL that it cannot leave: only unreserved characters stay (RFC 3986 section 2.3).
pub(crate) fn percent_encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // a String takes every write
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::Partials;

    fn compile(text: &str, escape: Escape) -> Result<Text, Vec<LoadError>> {
        let (file, mut errors) = ("t/en/content.md".into(), Vec::new());
        let rules = Rules { partials: &Partials::default(), locale: None, raw: &[] };
        Text::compile(&Source { file: &file, first_line: 10, indent: 0, text }, escape, rules, &mut errors).ok_or(errors)
    }

    fn render(text: &str, data: serde_json::Value) -> Result<String, RenderError> {
        let locale = "en".parse().unwrap();
        let budget = Budget::new();
        let scope = Scope { locale: &locale, timezone: None, now: Timestamp::UNIX_EPOCH, messages: None, budget: &budget };
        compile(text, Escape::None).unwrap().render(&Context::from(data), &scope)
    }

    #[test]
    fn errors_stand_where_the_file_has_them() {
        let error = &compile("ok\n  {{shout x}}", Escape::None).unwrap_err()[0];
        assert_eq!(error.to_string().split(". ").next(), Some("t/en/content.md:11:3: there is no helper `shout`"));
        let error = &compile("ok\n  {{x y z=}}", Escape::None).unwrap_err()[0];
        assert_eq!(error.at.line, 11, "{error}");
        let Err(RenderError::MissingVariable { name, at }) = render("a\n{{b.c}}", json!({"b": {}})) else { panic!() };
        assert_eq!((name.as_str(), at.line), ("b.c", 11));
    }

    #[test]
    fn a_missing_variable_is_named_wherever_it_is_used_as_a_value() {
        for text in [
            "{{x}}",
            "{{money x}}",
            "{{money 1 x}}",
            "{{number x}}",
            "{{date x}}",
            "{{#each x}}{{/each}}",
            "{{x.y}}",
            "{{#with x}}{{/with}}",
        ] {
            let result = render(text, json!({"y": 1}));
            assert!(
                matches!(&result, Err(RenderError::MissingVariable { name, .. }) if name.starts_with('x')),
                "{text}: {result:?}"
            );
        }
        assert_eq!(render("{{#if x}}1{{else}}2{{/if}}", json!({})).unwrap(), "2", "a condition may ask for what is absent");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_by_the_helper_and_not_repeated() {
        for text in
            ["{{money v}}", "{{number v}}", "{{date v}}", "{{money v \"CNY\"}}", "{{money 1 v}}", "{{date \"2026-12-24\" v}}"]
        {
            let error = render(text, json!({"v": {"value": "secret", "currency": 3}})).unwrap_err();
            assert!(matches!(error, RenderError::BadValue { .. }), "{text}: {error:?}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn helpers_write_for_the_locale() {
        let data = json!({"amount": {"value": "1234.50", "currency": "CNY"}, "due": "2026-12-24", "n": 12345});
        let text = "{{money amount}} {{money n \"USD\"}} {{date due}} {{date due \"short\"}} {{number n}}";
        assert_eq!(render(text, data).unwrap(), "CN¥1,234.50 $12,345.00 December 24, 2026 12/24/26 12,345");
    }

    #[test]
    fn loops_end_and_output_is_bounded() {
        let many: Vec<u32> = (0..100).collect();
        let nested = "{{#each a}}{{#each ../a}}{{#each ../../a}}{{#each ../../../a}}{{/each}}{{/each}}{{/each}}{{/each}}";
        let result = render(nested, json!({"a": many}));
        assert!(matches!(result, Err(RenderError::TooLarge { what: "rounds of loops", .. })), "{result:?}");
        let wide = format!("{{{{#each a}}}}{}{{{{/each}}}}", "{{../e}}".repeat(1_000));
        let result = render(&wide, json!({"a": vec![0; 9_000], "e": ""}));
        assert!(matches!(result, Err(RenderError::TooLarge { .. })), "{result:?}");
        let result = render("{{#each a}}{{../b}}{{/each}}", json!({"a": many, "b": "x".repeat(10_000)}));
        assert!(matches!(result, Err(RenderError::TooLarge { what: "bytes of rendered text", .. })), "{result:?}");
        assert_eq!(render("{{#each a}}{{this}},{{/each}}", json!({"a": [1, 2]})).unwrap(), "1,2,");
    }

    #[test]
    fn values_within_a_url_cannot_leave_their_place() {
        assert_eq!(percent_encode("a b&c=d/é#"), "a%20b%26c%3Dd%2F%C3%A9%23");
    }
}
