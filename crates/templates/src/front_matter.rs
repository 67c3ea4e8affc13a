//! `content.md`: TOML between `+++` lines, then Markdown.

use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::{
    engine::Source,
    error::{LoadError, Place},
    finding::Code,
    limits,
};

/// The fields between the `+++` lines. Each is a text with `{{tags}}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields {
    pub title: Spanned<String>,
    pub summary: Option<Spanned<String>>,
    pub link: Option<Spanned<String>>,
    pub image: Option<ImageFields>,
    #[serde(default)]
    pub actions: Vec<ActionFields>,
    #[serde(default)]
    pub articles: Vec<ArticleFields>,
}

/// An article, or with `each` one for every element of a list, which its texts call `article`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArticleFields {
    pub each: Option<Spanned<String>>,
    pub title: Spanned<String>,
    pub summary: Option<Spanned<String>>,
    pub link: Option<Spanned<String>>,
    pub image: Option<ImageFields>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageFields {
    pub url: Spanned<String>,
    /// Mandatory: who cannot see the picture must be told what it shows.
    pub alt: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionFields {
    pub label: Spanned<String>,
    pub url: Spanned<String>,
}

/// A `content.md`, taken apart.
pub(crate) struct ContentFile<'a> {
    file: &'a Arc<str>,
    toml: &'a str,
    pub fields: Fields,
    body: &'a str,
    body_line: usize,
}

impl<'a> ContentFile<'a> {
    /// Takes `text`, the contents of `file`, apart.
    pub(crate) fn read(file: &'a Arc<str>, text: &'a str, errors: &mut Vec<LoadError>) -> Option<Self> {
        let at = |line, column| Place { file: file.clone(), line, column };
        let Some(rest) = text.strip_prefix("+++\n") else {
            let mend = "Begin the file with a line `+++`, then `title = \"…\"`, then a line `+++`, then the text";
            errors.push(LoadError::new(at(1, 1), Code::BadField, "the front matter is missing", mend));
            return None;
        };
        let Some(end) = rest.find("\n+++").filter(|end| matches!(rest.as_bytes().get(end + 4), None | Some(b'\n'))) else {
            let mend = "Put a line `+++` after its last field";
            errors.push(LoadError::new(at(1, 1), Code::BadField, "the front matter is never closed", mend));
            return None;
        };
        let toml = &rest[..=end];
        let body = rest.get(end + 5..).unwrap_or_default();
        let fields: Fields = match toml::from_str(toml) {
            Ok(fields) => fields,
            Err(e) => {
                errors.push(toml_error(file, toml, 1, &e));
                return None;
            }
        };
        if fields.actions.len() > limits::ACTIONS {
            let what = format!("there are more than {} actions", limits::ACTIONS);
            errors.push(LoadError::new(at(1, 0), Code::TooComplex, what, "Leave the most useful ones"));
        }
        if fields.articles.len() > limits::ARTICLES {
            let what = format!("there are more than {} articles", limits::ARTICLES);
            errors.push(LoadError::new(at(1, 0), Code::TooComplex, what, "Leave the most useful ones"));
        }
        Some(Self { file, toml, fields, body, body_line: 3 + toml.matches('\n').count() })
    }

    /// The Markdown body.
    pub(crate) fn body(&self) -> Source<'a> {
        Source { file: self.file, first_line: self.body_line, indent: 0, text: self.body }
    }

    /// The text of a field, with the place where it stands.
    pub(crate) fn source<'b>(&'b self, field: &'b Spanned<String>) -> Source<'b> {
        let start = field.span().start;
        let place = Place::of_byte(self.file, self.toml, start);
        let written = self.toml.get(start..).unwrap_or_default();
        let multiline = written.starts_with("\"\"\"") || written.starts_with("'''");
        let quotes = if multiline { 3 } else { 1 };
        let on_next_line = multiline && written[quotes..].starts_with('\n');
        let (line, indent) = if on_next_line { (1, 0) } else { (0, place.column - 1 + quotes) };
        Source { file: self.file, first_line: 1 + place.line + line, indent, text: field.get_ref() }
    }
}

/// What is wrong with TOML that begins after `lines_before` lines of `file`.
pub(crate) fn toml_error(file: &Arc<str>, toml: &str, lines_before: usize, error: &toml::de::Error) -> LoadError {
    let mut place = error.span().map_or_else(|| Place::of_byte(file, toml, 0), |span| Place::of_byte(file, toml, span.start));
    place.line += lines_before;
    let what = error.message().lines().next().unwrap_or("this is not TOML").to_owned();
    LoadError::new(place, Code::BadField, what, "See https://toml.io: a field is written `name = \"text\"`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Fields, String, usize), LoadError> {
        let (file, mut errors) = ("t/en/content.md".into(), Vec::new());
        let read = ContentFile::read(&file, text, &mut errors).map(|c| {
            let (body, line) = (c.body.to_owned(), c.body_line);
            (c.fields, body, line)
        });
        read.ok_or_else(|| errors.remove(0))
    }

    #[test]
    fn fields_and_body_are_told_apart() {
        let (fields, body, line) = read("+++\ntitle = \"a\"\nlink = \"https://x\"\n+++\n\n# b\n+++\n").unwrap();
        assert_eq!((fields.title.get_ref().as_str(), body.as_str(), line), ("a", "\n# b\n+++\n", 5));
        assert!(read("+++\ntitle = \"a\"\n+++").unwrap().1.is_empty());
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, line, what) in [
            ("# Title", 1, "front matter is missing"),
            ("+++\ntitle = \"a\"\n", 1, "never closed"),
            ("+++\ntitle = \"a\"\nsubtitle = \"b\"\n+++\n", 3, "unknown field `subtitle`"),
            ("+++\nsummary = \"a\"\n+++\n", 2, "missing field `title`"),
            ("+++\ntitle = a\n+++\n", 2, "string values must be quoted"),
            ("+++\ntitle = \"a\"\nimage = {url = \"x\"}\n+++\n", 3, "missing field `alt`"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.at.line, line, "{error}");
            assert!(error.what.contains(what), "{error}");
        }
    }

    #[test]
    fn a_field_knows_where_its_text_begins() {
        let (file, mut errors) = ("f".into(), Vec::new());
        let text = "+++\ntitle = \"ab\"\nsummary = \"\"\"\nc\"\"\"\n+++\n";
        let content = ContentFile::read(&file, text, &mut errors).unwrap();
        let title = content.source(&content.fields.title);
        assert_eq!((title.first_line, title.indent), (2, 9));
        let summary = content.source(content.fields.summary.as_ref().unwrap());
        assert_eq!((summary.first_line, summary.indent, summary.text), (4, 0, "c"));
    }
}
