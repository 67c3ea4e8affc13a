//! Finding things in a gateway's answer, whatever it is written in.

use regex::Regex;
use serde_json::Value;

use crate::{Condition, Finder};

/// The longest text that is found, in characters.
const MAX: usize = 128;

/// The body of an answer, read as whatever a rule takes it for.
pub(super) struct Body<'a> {
    pub text: &'a str,
    json: Option<Value>,
}

impl<'a> Body<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, json: serde_json::from_str(text).ok() }
    }

    pub(super) fn pointer(&self, pointer: &str) -> Option<String> {
        self.json.as_ref()?.pointer(pointer).and_then(plain)
    }

    /// The text of the first element, or the attribute, at a path of local names: `/answer/message/@code`.
    fn xml(&self, path: &str) -> Option<String> {
        // Without a document type: entities cannot be made to swell.
        let document = roxmltree::Document::parse(self.text).ok()?;
        let mut node = document.root();
        for step in path.split('/').skip(1) {
            match step.strip_prefix('@') {
                Some(name) => return node.attributes().find(|a| a.name() == name).map(|a| a.value().trim().to_owned()),
                None => node = node.children().find(|child| child.is_element() && child.tag_name().name() == step)?,
            }
        }
        Some(node.text().unwrap_or_default().trim().to_owned())
    }
}

/// A compiled [`Finder`].
pub(super) enum Find {
    Pointer(String),
    Xml(String),
    Matches(Regex),
}

impl Find {
    /// The error is a sentence for the operator.
    pub(super) fn new(finder: &Finder) -> Result<Self, String> {
        Ok(match finder {
            Finder::Pointer(pointer) => Self::Pointer(checked_pointer(pointer)?),
            Finder::Xml { xml } => Self::Xml(checked_path(xml)?),
            Finder::Regex { regex } => Self::Matches(compile(regex)?),
        })
    }

    /// What stands there, if it is one short line.
    pub(super) fn find(&self, body: &Body<'_>) -> Option<String> {
        let found = match self {
            Self::Pointer(pointer) => body.pointer(pointer)?,
            Self::Xml(path) => body.xml(path)?,
            Self::Matches(regex) => {
                let found = regex.captures(body.text)?;
                found.get(1).or_else(|| found.get(0))?.as_str().to_owned()
            }
        };
        let fits = !found.is_empty() && found.chars().count() <= MAX && !found.chars().any(char::is_control);
        fits.then_some(found)
    }
}

/// A compiled [`Condition`].
pub(super) struct Fits {
    status: Option<Vec<u16>>,
    equals: Option<(Find, Vec<String>)>,
    matches: Option<Regex>,
}

/// Whether a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    /// It does not; what stands where something else should, if anything does.
    Fails(Option<String>),
    /// The body is not what the condition is about.
    Unreadable,
}

const FORM: &str = r#"must be { pointer = "/status", equals = "0" }, { xml = "/answer/status", equals = "0" } or { regex = "^OK" }, with a status = [200] if need be"#;

impl Fits {
    /// The error is a sentence for the operator.
    pub(super) fn new(condition: &Condition) -> Result<Self, String> {
        let Condition { status, pointer, xml, equals, regex } = condition;
        let find = match (pointer, xml) {
            (Some(pointer), None) => Some(Find::Pointer(checked_pointer(pointer)?)),
            (None, Some(xml)) => Some(Find::Xml(checked_path(xml)?)),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(FORM.into()),
        };
        let equals = match (find, equals) {
            (Some(find), Some(value)) => Some((find, words(value)?)),
            (None, None) => None,
            _ => return Err(FORM.into()),
        };
        if status.is_none() && equals.is_none() && regex.is_none() {
            return Err(FORM.into());
        }
        Ok(Self { status: status.clone(), equals, matches: regex.as_deref().map(compile).transpose()? })
    }

    pub(super) fn judge(&self, status: u16, body: &Body<'_>) -> Verdict {
        if self.status.as_ref().is_some_and(|statuses| !statuses.contains(&status)) {
            return Verdict::Fails(None);
        }
        if let Some((find, words)) = &self.equals {
            let readable = match find {
                Find::Pointer(_) => body.json.is_some(),
                Find::Xml(_) => roxmltree::Document::parse(body.text).is_ok(),
                Find::Matches(_) => true,
            };
            if !readable {
                return Verdict::Unreadable;
            }
            match find.find(body) {
                Some(found) if words.contains(&found) => {}
                other => return Verdict::Fails(other),
            }
        }
        if self.matches.as_ref().is_some_and(|regex| !regex.is_match(body.text)) {
            return Verdict::Fails(None);
        }
        Verdict::Holds
    }

    /// Whether it looks at more than the status.
    pub(super) fn reads_the_body(&self) -> bool {
        self.equals.is_some() || self.matches.is_some()
    }
}

fn words(value: &Value) -> Result<Vec<String>, String> {
    let wrong = || "equals must be text, a number, true or false, or a list of such".to_owned();
    match value {
        Value::Array(list) => list.iter().map(|value| plain(value).ok_or_else(wrong)).collect(),
        one => plain(one).map(|word| vec![word]).ok_or_else(wrong),
    }
}

fn checked_pointer(pointer: &str) -> Result<String, String> {
    if pointer.starts_with('/') { Ok(pointer.to_owned()) } else { Err("a JSON pointer starts with a slash: /message/id".into()) }
}

fn checked_path(path: &str) -> Result<String, String> {
    let fits = path.len() > 1 && path.starts_with('/') && !path.contains("//");
    if fits { Ok(path.to_owned()) } else { Err("a path into XML looks like /answer/message/id or /answer/@code".into()) }
}

fn compile(regex: &str) -> Result<Regex, String> {
    Regex::new(regex).map_err(|_| "is not a regular expression (syntax of the Rust crate regex)".into())
}

/// A simple value as text, so that `0` and `"0"` are the same; nothing for `null`, lists and objects.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(finder: &str, body: &str) -> Option<String> {
        Find::new(&serde_json::from_str(finder).unwrap()).unwrap().find(&Body::new(body))
    }

    #[test]
    fn an_id_in_json_xml_and_words() {
        assert_eq!(find(r#""/a/0/id""#, r#"{"a":[{"id":7}]}"#).as_deref(), Some("7"));
        let xml = "<r xmlns='urn:x'><m code='0'><id> ab </id></m><m><id>cd</id></m></r>";
        assert_eq!(find(r#"{"xml":"/r/m/id"}"#, xml).as_deref(), Some("ab"));
        assert_eq!(find(r#"{"xml":"/r/m/@code"}"#, xml).as_deref(), Some("0"));
        assert_eq!(find(r#"{"xml":"/r/x/id"}"#, xml), None);
        assert_eq!(find(r#"{"regex":"id=(\\w+)"}"#, "OK id=ab1 x").as_deref(), Some("ab1"));
        assert_eq!(find(r#""/id""#, &format!(r#"{{"id":"{}"}}"#, "x".repeat(129))), None, "no id is so long");
    }

    #[test]
    fn xml_with_entities_that_swell_is_not_read() {
        let bomb = "<!DOCTYPE r [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><r>&b;</r>";
        assert_eq!(find(r#"{"xml":"/r"}"#, bomb), None);
    }
}
