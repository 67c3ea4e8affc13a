//! The JSON Schema of a template's data.

use std::{collections::HashMap, sync::Arc};

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};
use stentor_domain::{Violation, violation::pointer_step};

use crate::{
    error::{LoadError, Place},
    finding::Code,
};

/// Names that a template finds beside its data, and that data must therefore not use.
const TAKEN: [&str; 4] = ["app", "article", "mail", "recipient"];
/// Violations that are told at once.
const MOST: usize = 50;
/// Parts of the schema times parts of the data, beyond which they are not compared: each part of the data may have to be held
/// against each of the schema.
const MOST_WORK: usize = 5_000_000;
/// The same, beyond which only the first violation is told: the validator makes all of them before it gives one.
const MOST_TOLD: usize = 200_000;
/// Bytes that one pattern may take once it is compiled: every character of a text may cost that much time.
const PATTERN_BYTES: usize = 256 * 1024;
/// Patterns in a schema.
const PATTERNS: usize = 100;

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
    source: Value,
    /// How many parts it has, those that it refers to counted wherever it does.
    parts: usize,
}

impl Schema {
    /// Reads `schema.json`.
    pub(crate) fn compile(file: &Arc<str>, text: &str, errors: &mut Vec<LoadError>) -> Option<Self> {
        let mut error = |line, column, what: String, mend: &str| {
            errors.push(LoadError::new(Place { file: file.clone(), line, column }, Code::BadSchema, what, mend));
        };
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(e) => {
                error(e.line(), e.column(), "this is not JSON".to_owned(), "Check commas and quotes around this place");
                return None;
            }
        };
        if value.get("type").and_then(Value::as_str) != Some("object") {
            error(0, 0, "the schema does not describe an object".to_owned(), "Begin it with \"type\": \"object\"");
            return None;
        }
        if let Some(name) = TAKEN.into_iter().find(|name| value["properties"].get(name).is_some()) {
            let what = format!("the field `{name}` hides what Stentor gives every template by that name");
            error(0, 0, what, "Give the field another name");
        }
        let Some(parts) = unfolded(&value) else {
            let what = "a \"$ref\" leads back to itself, out of this file or to far too many places".to_owned();
            error(0, 0, what, "Refer to \"#/$defs/name\", and let no definition contain itself");
            return None;
        };
        let patterns = patterns(&value);
        if patterns > PATTERNS {
            let what = format!("there are {patterns} patterns");
            error(0, 0, what, "Keep within 100: a \"format\" or an \"enum\" often says it as well");
            return None;
        }
        // The `regex` engine runs in linear time, whatever the pattern and the data.
        let engine = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
        let options = jsonschema::options().should_validate_formats(true).with_pattern_options(engine);
        match options.build(&value) {
            Ok(validator) => Some(Self { validator, source: value, parts }),
            Err(e) => {
                let what = format!("the schema is wrong at {}: {}", pointer(e.instance_path().as_str()), e.masked());
                error(0, 0, what, "See https://json-schema.org/understanding-json-schema");
                None
            }
        }
    }

    /// The schema as it is written.
    pub(crate) fn source(&self) -> &Value {
        &self.source
    }

    /// What of `data` does not fit; the pointers begin with `at`.
    pub(crate) fn check(&self, data: &Map<String, Value>, at: &str) -> Vec<Violation> {
        let value = Value::Object(data.clone());
        let work = self.parts.saturating_mul(weight(&value));
        if work > MOST_WORK {
            let message = "is too much to be held against the template's schema: send less of it, or simplify schema.json";
            return vec![Violation::new(at, "schema_too_complex", message)];
        }
        if self.validator.is_valid(&value) {
            return Vec::new();
        }
        if work > MOST_TOLD {
            return self
                .validator
                .validate(&value)
                .err()
                .into_iter()
                .flat_map(|error| violations(&error, at))
                .take(MOST)
                .collect();
        }
        self.validator.iter_errors(&value).flat_map(|error| violations(&error, at)).take(MOST).collect()
    }
}

/// A missing or unknown field is pointed at itself, anything else at the value.
fn violations(error: &ValidationError<'_>, at: &str) -> Vec<Violation> {
    let parent = format!("{at}{}", error.instance_path().as_str());
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Violation::new(
                format!("{parent}/{}", pointer_step(name)),
                "schema",
                "is missing: the template needs this field",
            )]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let unknown = |name: &String| {
                Violation::new(format!("{parent}/{}", pointer_step(name)), "schema", "is unknown: the template has no such field")
            };
            unexpected.iter().map(unknown).collect()
        }
        _ => vec![Violation::new(parent, "schema", error.masked().to_string())],
    }
}

fn pointer(path: &str) -> &str {
    if path.is_empty() { "its root" } else { path }
}

/// How many parts references may unfold to.
const UNFOLDED: usize = 100_000;

/// How many parts a schema has with all that it refers to; `None` if references could send the validator round in circles, out
/// of the file, or to the same places so often that it never ends (a definition that twice refers to one that twice refers to …).
///
/// Only `#/$defs/NAME` (and `#/definitions/NAME`) is let through. The walk has a stack of its own.
fn unfolded(root: &Value) -> Option<usize> {
    let mut unfolded: HashMap<&str, usize> = HashMap::new();
    let mut open: Vec<&str> = Vec::new();
    let mut waiting = vec![(None, false)];
    while let Some((target, leaving)) = waiting.pop() {
        let mut inner = Vec::new();
        let part = target.map_or(Some(root), |target| definition(root, target))?;
        if !references(part, &mut inner) {
            return None;
        }
        // The definitions lie within the root, but count where they are referred to.
        let name = target.unwrap_or_default();
        if leaving {
            let size =
                inner.iter().map(|to| unfolded.get(to).copied().unwrap_or(UNFOLDED)).fold(parts(part), usize::saturating_add);
            if size > UNFOLDED {
                return None;
            }
            unfolded.insert(name, size);
            open.pop();
        } else if open.contains(&name) {
            return None;
        } else if !unfolded.contains_key(name) {
            open.push(name);
            waiting.push((target, true));
            waiting.extend(inner.into_iter().map(|to| (Some(to), false)));
        }
    }
    unfolded.get("").copied()
}

/// The values within a value, itself included. JSON that was read is at most 128 deep.
fn parts(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(parts).sum::<usize>(),
        Value::Array(list) => 1 + list.iter().map(parts).sum::<usize>(),
        _ => 1,
    }
}

/// The same of data, whose texts count by their length: a pattern may read all of it.
fn weight(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.iter().map(|(name, value)| name.len() / 64 + weight(value)).sum::<usize>(),
        Value::Array(list) => 1 + list.iter().map(weight).sum::<usize>(),
        Value::String(text) => 1 + text.len() / 64,
        _ => 1,
    }
}

/// How many regular expressions a schema has.
fn patterns(value: &Value) -> usize {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let own = match (key.as_str(), value) {
                    ("pattern", Value::String(_)) => 1,
                    ("patternProperties", Value::Object(patterns)) => patterns.len(),
                    _ => 0,
                };
                own + patterns(value)
            })
            .sum(),
        Value::Array(list) => list.iter().map(patterns).sum(),
        _ => 0,
    }
}

fn definition<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    let pointer = target.strip_prefix('#')?;
    if !pointer.starts_with("/$defs/") && !pointer.starts_with("/definitions/") {
        return None;
    }
    root.pointer(pointer)
}

/// Collects the references within `value`; false if it refers in a way that is not followed here.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) -> bool {
    match value {
        Value::Object(map) => map.iter().all(|(key, value)| match (key.as_str(), value.as_str()) {
            ("$ref", Some(target)) => {
                found.push(target);
                true
            }
            ("$dynamicRef" | "$recursiveRef" | "$id" | "$anchor" | "$dynamicAnchor", Some(_)) => false,
            _ => references(value, found),
        }),
        Value::Array(list) => list.iter().all(|value| references(value, found)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(schema: &Value) -> Result<Schema, Vec<LoadError>> {
        let mut errors = Vec::new();
        let schema = Schema::compile(&"t/schema.json".into(), &schema.to_string(), &mut errors);
        schema.filter(|_| errors.is_empty()).ok_or(errors)
    }

    #[test]
    fn each_violation_points_at_what_it_means() {
        let schema = compile(&json!({
            "type": "object", "required": ["amount"], "additionalProperties": false,
            "properties": {
                "amount": {"$ref": "#/$defs/amount"}, "due": {"type": "string", "format": "date"},
                "a/b": {"type": "array", "items": {"type": "number"}},
            },
            "$defs": {"amount": {"type": "object", "required": ["value"], "properties": {"value": {"type": "string"}}}},
        }))
        .unwrap();
        let check = |data: Value| -> Vec<(String, String)> {
            let mut found: Vec<_> =
                schema.check(data.as_object().unwrap(), "/data").into_iter().map(|v| (v.pointer, v.code)).collect();
            found.sort();
            found
        };
        let pair = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
        assert_eq!(check(json!({"amount": {"value": "1"}, "due": "2026-12-24"})), []);
        assert_eq!(check(json!({})), [pair("/data/amount", "schema")]);
        assert_eq!(
            check(json!({"amount": {}, "x~y": 1, "due": "24.12.2026", "a/b": [1, "2"]})),
            [
                pair("/data/amount/value", "schema"),
                pair("/data/a~1b/1", "schema"),
                pair("/data/due", "schema"),
                pair("/data/x~0y", "schema"),
            ]
        );
        let told = schema.check(json!({"amount": "secret"}).as_object().unwrap(), "/data");
        assert!(!told[0].message.contains("secret"), "a value is not repeated: {}", told[0].message);
    }

    #[test]
    fn schemas_that_could_hang_or_reach_out_are_refused() {
        let twice = |i: usize| json!({"allOf": [{"$ref": format!("#/$defs/{}", i + 1)}, {"$ref": format!("#/$defs/{}", i + 1)}]});
        let mut bomb = json!({"type": "object", "$ref": "#/$defs/0", "$defs": {"40": {"type": "object"}}});
        for i in 0..40 {
            bomb["$defs"][i.to_string()] = twice(i);
        }
        for bad in [
            json!({"type": "object", "properties": {"a": {"$ref": "#"}}}),
            json!({"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}),
            json!({"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            bomb,
            json!({"type": "object", "$ref": "https://example.com/schema"}),
            json!({"type": "object", "$ref": "file:///etc/passwd"}),
            json!({"type": "object", "properties": {"a": {"type": "strin"}}}),
            json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
            json!({"type": "object", "properties": {"recipient": {"type": "string"}}}),
            json!(["not an object"]),
        ] {
            assert!(compile(&bad).is_err(), "{bad}");
        }
        let twice = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "string"}}});
        assert!(compile(&twice).is_ok());
    }

    #[test]
    fn a_pattern_cannot_be_made_to_run_long() {
        let schema = compile(&json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}})).unwrap();
        let data = json!({"a": "a".repeat(50_000) + "!"});
        assert_eq!(schema.check(data.as_object().unwrap(), "/data").len(), 1);
    }
}
