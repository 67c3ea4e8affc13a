//! One piece of a request, with the message's values in it, each escaped for where it stands.

use handlebars::{Context, Handlebars, Helper, HelperDef, RenderContext, RenderErrorReason, ScopedJson};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

/// What the templates know. `from` is absent if it is not configured, so that a template that needs it is refused.
#[derive(Serialize)]
pub(super) struct Values<'a> {
    pub to: &'a str,
    pub text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<&'a str>,
    pub id: &'a str,
}

/// How a value is made to stay a value where it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// In a URL: all but unreserved characters (RFC 3986 section 2.3) percent-encoded.
    Url,
    /// In a form body.
    Form,
    /// Within the quotes of a JSON string.
    Json,
    /// In XML text or an attribute.
    Xml,
    /// In plain text or a header, which refuses line breaks by itself.
    None,
}

impl Escape {
    /// By a body's content type; `None` for one that is not known.
    pub(super) fn by_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next()?.trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Some(Self::Form),
            "text/plain" => Some(Self::None),
            "application/xml" | "text/xml" => Some(Self::Xml),
            "application/json" => Some(Self::Json),
            other if other.ends_with("+json") => Some(Self::Json),
            other if other.ends_with("+xml") => Some(Self::Xml),
            _ => None,
        }
    }

    pub(super) fn apply(self, value: &str) -> String {
        const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
        match self {
            Self::Url => utf8_percent_encode(value, RESERVED).to_string(),
            Self::Form => url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Self::Xml => xml(value),
            Self::None => value.to_owned(),
        }
    }
}

fn xml(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // Line breaks would become spaces in an attribute.
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            c => out.push(c),
        }
    }
    out
}

/// A compiled template.
pub(super) struct Template(Handlebars<'static>);

const NAME: &str = "piece";

impl Template {
    /// The error is a sentence for the operator.
    pub(super) fn new(text: &str, escape: Escape) -> Result<Self, String> {
        if text.contains("{{{") || text.contains("{{&") {
            return Err("must not switch the escaping off: write {{text}} with two braces".into());
        }
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(move |value| escape.apply(value));
        registry.register_helper("digits", Box::new(Digits));
        registry.unregister_helper("log"); // what it is given are addresses and texts
        registry.register_template_string(NAME, text).map_err(|e| format!("is no template: {}", e.reason()))?;
        Ok(Self(registry))
    }

    /// The error is a sentence for the operator and holds no value.
    pub(super) fn render(&self, values: &Values<'_>) -> Result<String, String> {
        self.0.render(NAME, values).map_err(|error| match error.reason() {
            RenderErrorReason::MissingVariable(Some(name)) if name == "from" => "uses {{from}}, but `from` is not set".into(),
            RenderErrorReason::MissingVariable(Some(name)) => format!("knows to, text, from and id, but not {name}"),
            RenderErrorReason::HelperNotFound(name) => format!("knows no helper {name}"),
            _ => "cannot be rendered".into(),
        })
    }
}

/// `{{digits to}}`: the digits of a value, for gateways that want a number without its plus sign.
struct Digits;

impl HelperDef for Digits {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, handlebars::RenderError> {
        let value = helper.param(0).and_then(|param| param.value().as_str());
        let value = value.ok_or(RenderErrorReason::ParamNotFoundForIndex("digits", 0))?;
        Ok(ScopedJson::Derived(value.chars().filter(char::is_ascii_digit).collect::<String>().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: Values<'_> =
        Values { to: "+491701234567", text: "a\"}&b=<c>\r\n'é+%", from: None, id: "00000000-0000-0000-0000-000000000000" };

    fn render(text: &str, escape: Escape) -> String {
        Template::new(text, escape).unwrap().render(&NASTY).unwrap()
    }

    #[test]
    fn no_value_leaves_its_place() {
        assert_eq!(render("t={{text}}", Escape::Url), "t=a%22%7D%26b%3D%3Cc%3E%0D%0A%27%C3%A9%2B%25");
        assert_eq!(render("t={{text}}", Escape::Form), "t=a%22%7D%26b%3D%3Cc%3E%0D%0A%27%C3%A9%2B%25");
        assert_eq!(render(r#"{"t":{"x":"{{text}}"}}"#, Escape::Json), r#"{"t":{"x":"a\"}&b=<c>\r\n'é+%"}}"#);
        assert_eq!(render("<t>{{text}}</t>", Escape::Xml), "<t>a&quot;}&amp;b=&lt;c&gt;&#13;&#10;&apos;é+%</t>");
    }

    #[test]
    fn digits_leave_out_the_plus_sign() {
        assert_eq!(render("{{digits to}}", Escape::Url), "491701234567");
        assert_eq!(render("{{to}}", Escape::Url), "%2B491701234567");
    }

    #[test]
    fn mistakes_are_named() {
        let problem = |text: &str| Template::new(text, Escape::Json).and_then(|t| t.render(&NASTY)).unwrap_err();
        assert_eq!(problem("{{body}}"), "knows to, text, from and id, but not body");
        assert_eq!(problem("{{from}}"), "uses {{from}}, but `from` is not set");
        assert!(problem("{{{text}}}").contains("two braces"));
        assert!(problem("{{text").starts_with("is no template"));
        assert!(Template::new("{{log text}}", Escape::Json).unwrap().render(&NASTY).is_err());
    }
}
