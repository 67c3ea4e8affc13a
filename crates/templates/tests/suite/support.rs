//! Small libraries made of strings.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};
use stentor_domain::Timestamp;
use stentor_templates::{Input, Library, LoadErrors, Template};

/// The files of a template `t` in English, with the given ones added or replaced.
pub(crate) fn files(own: &[(&str, &str)]) -> BTreeMap<String, String> {
    let usual = [
        ("t/template.toml", "title = \"T\"\ndefault_locale = \"en\"\n"),
        ("t/schema.json", "{\"type\": \"object\"}"),
        ("t/en/content.md", "+++\ntitle = \"Title\"\n+++\nBody\n"),
    ];
    usual.iter().chain(own).map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

pub(crate) fn load(own: &[(&str, &str)]) -> Result<Library, LoadErrors> {
    Library::of_files(&files(own))
}

pub(crate) fn library(own: &[(&str, &str)]) -> Library {
    load(own).unwrap_or_else(|e| panic!("{e}"))
}

/// The template `t` whose English content is `front` and `body`.
pub(crate) fn template(front: &str, body: &str) -> Arc<Template> {
    library(&[("t/en/content.md", &format!("+++\n{front}\n+++\n{body}"))]).find("t").unwrap()
}

pub(crate) fn input(data: &Map<String, Value>) -> Input<'_> {
    Input {
        data,
        locale: None,
        timezone: None,
        recipient: None,
        app_name: "Example Bank",
        now: Timestamp::UNIX_EPOCH,
        unsubscribe: None,
    }
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}
