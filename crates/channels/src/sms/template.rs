//! One piece of a request, with the message's values in it, each escaped for where it stands.

use std::collections::BTreeMap;

use handlebars::{Context, Handlebars, RenderErrorReason};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use stentor_domain::{Timestamp, sms::is_gsm7};

use super::helpers;
use crate::{PartEscape, SentTemplate};

/// What the templates know.
pub(super) struct Values(Map<String, Value>);

/// What is known of one message.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    pub to: &'a str,
    pub text: &'a str,
    pub id: &'a str,
    pub now: Timestamp,
    /// Told apart by it, a request is not taken for a repeat.
    pub nonce: &'a str,
    /// The template that the text was written by.
    pub template: Option<&'a SentTemplate>,
}

impl Values {
    /// The values of one message; `known` are those that are the same for all of a gateway's.
    pub(super) fn new(known: &Map<String, Value>, message: &Message<'_>) -> Self {
        let mut values = known.clone();
        let time = message.now.to_string();
        let day = time.get(..10).unwrap_or_default().to_owned();
        let second = time.get(..19).unwrap_or_default().to_owned() + "Z";
        let now = message.now.as_millis().div_euclid(1_000);
        let own = json!({
            "to": message.to, "text": message.text, "id": message.id, "ucs2": !is_gsm7(message.text),
            "now": now, "time": second, "date": day, "nonce": message.nonce, "parts": {},
            "data": message.template.map(|template| template.data.clone()).unwrap_or_default(),
        });
        if let Value::Object(own) = own {
            values.extend(own);
        }
        Self(values)
    }

    /// From now on they know `name` as well.
    pub(super) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// From now on `values` has these as well.
    pub(super) fn set_own(&mut self, own: &BTreeMap<String, String>) {
        if let Some(Value::Object(values)) = self.0.get_mut("values") {
            values.extend(own.iter().map(|(name, value)| (name.clone(), value.clone().into())));
        }
    }

    /// A value of the operator's.
    pub(super) fn own(&self, name: &str) -> Option<&str> {
        self.0.get("values")?.get(name)?.as_str()
    }

    /// From now on there is a part of that name.
    pub(super) fn set_part(&mut self, name: &str, text: String) {
        if let Some(Value::Object(parts)) = self.0.get_mut("parts") {
            parts.insert(name.to_owned(), text.into());
        }
    }
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
    /// As an operator says it of a part.
    pub(super) fn of_part(escape: PartEscape) -> Self {
        match escape {
            PartEscape::None => Self::None,
            PartEscape::Url => Self::Url,
            PartEscape::Form => Self::Form,
            PartEscape::Json => Self::Json,
            PartEscape::Xml => Self::Xml,
        }
    }

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
        helpers::register(&mut registry);
        registry.register_template_string(NAME, text).map_err(|e| format!("is no template: {}", e.reason()))?;
        Ok(Self(registry))
    }

    /// The error is a sentence for the operator and holds no value.
    pub(super) fn render(&self, values: &Values) -> Result<String, String> {
        let context = Context::from(Value::Object(values.0.clone()));
        self.0.render_with_context(NAME, &context).map_err(|error| match error.reason() {
            RenderErrorReason::MissingVariable(Some(name)) => missing(name),
            RenderErrorReason::HelperNotFound(name) => format!("knows no helper {name}"),
            RenderErrorReason::Other(problem) => problem.clone(),
            _ => "cannot be rendered".into(),
        })
    }
}

fn missing(name: &str) -> String {
    match name {
        "from" | "username" | "password" => format!("uses {{{{{name}}}}}, but `{name}` is not set"),
        "callback" => "uses {{callback}}, but `callback_url` is not set".into(),
        _ if name.starts_with("values.") => format!("uses {{{{{name}}}}}, but `{name}` is not set"),
        _ => format!(
            "knows to, text, from, id, ucs2, username, password, values.*, data.*, callback, host, now, time, date, nonce and body, but not {name}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nasty() -> Values {
        let message = Message {
            to: "+491701234567",
            text: "a\"}&b=<c>\r\n'é+%",
            id: "00000000-0000-0000-0000-000000000000",
            now: "2026-12-01T09:00:00.123Z".parse().unwrap(),
            nonce: "n",
            template: None,
        };
        let mut values = Values::new(&Map::new(), &message);
        values.set_part("made", "<&>".into());
        values
    }

    fn render(text: &str, escape: Escape) -> String {
        Template::new(text, escape).unwrap().render(&nasty()).unwrap()
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
    fn times_and_parts() {
        assert_eq!(render("{{now}} {{time}} {{date}}", Escape::None), "1796115600 2026-12-01T09:00:00Z 2026-12-01");
        assert_eq!(render(r#"{{part "made"}} {{url (part "made")}}"#, Escape::Xml), "<&> %3C%26%3E");
        assert_eq!(render("{{#if from}}x{{/if}}{{#if ucs2}}2{{/if}}", Escape::None), "", "é is in GSM-7");
    }

    #[test]
    fn digests_are_those_of_their_standards() {
        // RFC 4231 section 4.3, RFC 2202 section 3 (case 2), RFC 1321 section A.5.
        let hmac =
            |options: &str| render(&format!(r#"{{{{hmac "Jefe" "what do ya want for nothing?" {options}}}}}"#), Escape::None);
        assert_eq!(hmac(""), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(hmac(r#"with="sha1""#), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(hmac(r#"with="sha1" as="base64""#), "7/zfauXrL6LSdBbV8YTfnCWafHk=");
        assert_eq!(
            render(r#"{{hmac "4a656665" "what do ya want for nothing?" with="md5" key="hex"}}"#, Escape::Url),
            "750c783e6ab0b503eaa86e310a5db738"
        );
        assert_eq!(render(r#"{{hash "abc" with="md5"}}"#, Escape::None), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(render(r#"{{base64 "a:b"}}"#, Escape::None), "YTpi");
    }

    #[test]
    fn mistakes_are_named() {
        let problem = |text: &str| Template::new(text, Escape::Json).and_then(|t| t.render(&nasty())).unwrap_err();
        assert!(problem("{{message}}").ends_with(", but not message"));
        assert_eq!(problem("{{from}}"), "uses {{from}}, but `from` is not set");
        assert_eq!(problem("{{values.sign_name}}"), "uses {{values.sign_name}}, but `values.sign_name` is not set");
        assert_eq!(problem(r#"{{part "x"}}"#), "there is no part \"x\" before it");
        assert!(problem(r#"{{hash "x" with="crc"}}"#).ends_with("but not crc"));
        assert!(problem("{{{text}}}").contains("two braces"));
        assert!(problem("{{text").starts_with("is no template"));
        assert!(Template::new("{{log text}}", Escape::Json).unwrap().render(&nasty()).is_err());
    }
}
