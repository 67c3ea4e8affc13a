//! The fields that a schema describes, looked up by the paths that templates use.

use serde_json::{Value, json};

use crate::syntax::Step;

/// What a schema says of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// It is described; `optional` is the number of steps to the first field that may be absent.
    Field { kinds: Vec<&'a str>, optional: Vec<usize> },
    /// The step of this number leads nowhere; `known` are the fields that are there instead.
    Nothing { step: usize, known: Vec<&'a str> },
    /// The step of this number is taken from a value that has no fields, or no elements.
    NotThat { step: usize, kind: &'a str },
}

/// A schema with what Stentor adds to the data.
pub(super) struct Fields {
    root: Value,
}

/// How many subschemas a value may have; references that lead back to themselves are not loaded.
const PARTS: usize = 200;

impl Fields {
    /// The fields of `schema`, and those that every template finds beside its data. `mail` tells of files that know `mail.*`.
    pub(super) fn of(schema: &Value, mail: bool, article_list: Option<&[Step]>) -> Self {
        let text = json!({ "type": "string" });
        let object = |fields: Value| {
            let required: Vec<&String> = fields.as_object().into_iter().flatten().map(|(name, _)| name).collect();
            json!({ "type": "object", "additionalProperties": false, "required": required, "properties": fields })
        };
        let mut added = vec![
            ("app", object(json!({ "name": text }))),
            ("recipient", object(json!({ "id": text, "attributes": { "type": "object", "additionalProperties": {} } }))),
        ];
        if mail {
            added.push(("mail", mail_fields(&text, object)));
        }
        let mut root = schema.clone();
        if let Some(list) = article_list {
            let own = Self { root: root.clone() };
            let elements: Vec<Value> = own.parts(list).into_iter().cloned().collect();
            added.push(("article", json!({ "anyOf": elements })));
        }
        for (name, fields) in added {
            root["properties"][name] = fields;
            match root["required"].as_array_mut() {
                Some(required) => required.push(name.into()),
                None => root["required"] = json!([name]),
            }
        }
        Self { root }
    }

    /// What the schema says of `path`.
    pub(super) fn find(&self, path: &[Step]) -> Found<'_> {
        let mut here = self.flatten(vec![&self.root]);
        let mut optional = Vec::new();
        for (i, step) in path.iter().enumerate() {
            let next = match step {
                Step::Field(name) => {
                    if !here.iter().any(|part| requires(part, name)) {
                        optional.push(i + 1);
                    }
                    fields(&here, name)
                }
                Step::Each => elements(&here),
            };
            if next.is_empty() {
                if is_free(&here, step) {
                    return Found::Field { kinds: Vec::new(), optional };
                }
                if let Some(kind) = other_kind(&here, step) {
                    return Found::NotThat { step: i, kind };
                }
                let mut known: Vec<&str> = here.iter().flat_map(|p| names(p)).collect();
                known.sort_unstable();
                known.dedup();
                return Found::Nothing { step: i, known };
            }
            here = self.flatten(next);
        }
        Found::Field { kinds: kinds(&here), optional }
    }

    /// The subschemas of the value at `path`.
    fn parts(&self, path: &[Step]) -> Vec<&Value> {
        path.iter().fold(self.flatten(vec![&self.root]), |here, step| {
            self.flatten(match step {
                Step::Field(name) => fields(&here, name),
                Step::Each => elements(&here),
            })
        })
    }

    /// Each field that is described, with its path; parents come before their children.
    pub(super) fn all(schema: &Value) -> Vec<Vec<Step>> {
        let of = Self { root: schema.clone() };
        let mut found = Vec::new();
        let mut waiting = vec![Vec::new()];
        while let Some(path) = waiting.pop() {
            let parts = of.parts(&path);
            let mut children: Vec<&str> = parts.iter().flat_map(|p| names(p)).collect();
            children.sort_unstable();
            children.dedup();
            let has_elements = !elements(&parts).is_empty() && parts.iter().any(|p| p.get("items").is_some());
            let steps = children.into_iter().map(|name| Step::Field(name.to_owned())).chain(has_elements.then_some(Step::Each));
            for step in steps {
                let inner: Vec<Step> = path.iter().cloned().chain([step]).collect();
                if inner.len() <= 8 && found.len() < PARTS {
                    waiting.push(inner.clone());
                    found.push(inner);
                }
            }
        }
        found
    }

    /// `schemas`, what they refer to, and what they are put together from.
    fn flatten<'a>(&'a self, schemas: Vec<&'a Value>) -> Vec<&'a Value> {
        let (mut flat, mut waiting) = (Vec::new(), schemas);
        while let Some(schema) = waiting.pop().filter(|_| flat.len() < PARTS) {
            if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
                waiting.extend(target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)));
            }
            for word in ["allOf", "anyOf", "oneOf"] {
                waiting.extend(schema.get(word).and_then(Value::as_array).into_iter().flatten());
            }
            for word in ["if", "then", "else"] {
                waiting.extend(schema.get(word));
            }
            flat.push(schema);
        }
        flat
    }
}

/// What a mail knows as `mail.*`: see [`crate::layout`].
fn mail_fields(text: &Value, object: impl Fn(Value) -> Value) -> Value {
    let image = object(json!({ "url": text, "alt": text }));
    let action = object(json!({ "label": text, "url": text, "primary": { "type": "boolean" } }));
    let mut article = object(json!({ "title": text, "summary": text, "link": text, "image": image }));
    article["required"] = json!(["title"]);
    let mut mail = object(json!({
        "subject": text, "title": text, "preheader": text, "body": text, "text": text, "image": image, "link": text,
        "actions": { "type": "array", "items": action }, "articles": { "type": "array", "items": article },
        "lang": text, "dir": text, "start": text, "unsubscribe": object(json!({ "url": text, "label": text })),
    }));
    mail["required"] = json!(["subject", "title", "preheader", "body", "text", "actions", "articles", "lang", "dir", "start"]);
    mail
}

fn names(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str())
}

fn requires(schema: &Value, name: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|all| all.iter().any(|r| r == name))
}

/// What `here` says of its field `name`.
fn fields<'a>(here: &[&'a Value], name: &str) -> Vec<&'a Value> {
    let named: Vec<_> = here.iter().filter_map(|s| s.get("properties")?.get(name)).collect();
    if !named.is_empty() {
        return named;
    }
    here.iter().filter_map(|s| s.get("additionalProperties")).filter(|s| s.is_object() || **s == Value::Bool(true)).collect()
}

/// What `here` says of its elements; of its fields, if it is an object.
fn elements<'a>(here: &[&'a Value]) -> Vec<&'a Value> {
    let listed = here.iter().flat_map(|s| {
        let first = s.get("prefixItems").and_then(Value::as_array).into_iter().flatten();
        first.chain(s.get("items").filter(|items| !items.is_boolean()))
    });
    let fields = here.iter().flat_map(|s| {
        let named = s.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(_, field)| field);
        named.chain(s.get("additionalProperties").filter(|more| more.is_object()))
    });
    listed.chain(fields).collect()
}

fn kinds<'a>(here: &[&'a Value]) -> Vec<&'a str> {
    let of = |schema: &&'a Value| match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    here.iter().flat_map(of).collect()
}

/// Whether nothing is said of what such a value has inside, so that anything may be there.
fn is_free(here: &[&Value], step: &Step) -> bool {
    let kinds = kinds(here);
    let (kind, words): (_, &[&str]) = match step {
        Step::Field(_) => ("object", &["properties", "additionalProperties", "patternProperties"]),
        Step::Each => ("array", &["items", "prefixItems"]),
    };
    let may_be = kinds.is_empty() || kinds.contains(&kind) || (*step == Step::Each && kinds.contains(&"object"));
    let pattern = here.iter().any(|s| s.get("patternProperties").is_some());
    may_be && (pattern || !here.iter().any(|s| words.iter().any(|word| s.get(word).is_some())))
}

/// The kind of the value, if it has no fields or no elements at all.
fn other_kind<'a>(here: &[&'a Value], step: &Step) -> Option<&'a str> {
    let kinds = kinds(here);
    let fitting: &[&str] = if *step == Step::Each { &["array", "object"] } else { &["object"] };
    kinds.first().copied().filter(|_| !kinds.iter().any(|kind| fitting.contains(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(written: &str) -> Vec<Step> {
        let step = |s: &str| if s == "*" { Step::Each } else { Step::Field(s.to_owned()) };
        written.split('.').map(step).collect()
    }

    #[test]
    fn paths_are_found_through_references_and_choices() {
        let schema = json!({
            "type": "object", "required": ["a", "list"],
            "properties": {
                "a": {"$ref": "#/$defs/a"}, "list": {"type": "array", "items": {"allOf": [{"$ref": "#/$defs/a"}]}},
                "free": {"type": "object"}, "open": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "$defs": {"a": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}, "y": {"type": "number"}}}},
        });
        let fields = Fields::of(&schema, false, None);
        let found = |written: &str| match fields.find(&path(written)) {
            Found::Field { kinds, optional } => format!("{kinds:?} {optional:?}"),
            Found::Nothing { step, known } => format!("nothing at {step}: {known:?}"),
            Found::NotThat { step, kind } => format!("{kind} at {step}"),
        };
        for (written, expected) in [
            ("a.x", "[\"string\"] []"),
            ("a.y", "[\"number\"] [2]"),
            ("list.*.x", "[\"string\"] []"),
            ("free", "[\"object\"] [1]"),
            ("free.any.thing", "[] [1, 2]"),
            ("open.any", "[\"string\"] [1, 2]"),
            ("a.z", "nothing at 1: [\"x\", \"y\"]"),
            ("a.x.z", "string at 2"),
            ("a.x.*", "string at 2"),
            ("app.name", "[\"string\"] []"),
            ("recipient.attributes.vip", "[] [3]"),
        ] {
            assert_eq!(found(written), expected, "{written}");
        }
        assert!(found("b").starts_with("nothing at 0"), "{}", found("b"));
    }
}
