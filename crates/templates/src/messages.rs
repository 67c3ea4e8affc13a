//! `messages/LOCALE.toml`: ICU messages, where the words depend on a number or a choice: `{{t "items" n=count}}`.
//!
//! The parser and the formatter are `formatjs_icu_messageformat`, a young crate: it is pinned, what it writes is
//! kept in the tests below, and what would overflow its recursion is refused before.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use formatjs_icu_messageformat::{IcuMessageFormat, MessageFormatElement, Options, Value as Argument};
use serde_json::Value;
use stentor_domain::Locale;
use toml::Spanned;

use crate::{
    error::{LoadError, Place},
    finding::Code,
    front_matter::toml_error,
    limits,
};

/// The messages of a template.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    by_locale: BTreeMap<Locale, BTreeMap<String, Message>>,
    default: Option<Locale>,
}

/// One message, compiled.
pub(crate) struct Message {
    format: IcuMessageFormat,
    arguments: BTreeSet<String>,
    place: Place,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Messages {
    /// Reads the messages of one language, adding what is wrong to `errors`.
    pub(crate) fn read(&mut self, locale: Locale, file: &Arc<str>, text: &str, errors: &mut Vec<LoadError>) {
        let written: BTreeMap<String, Spanned<String>> = match toml::from_str(text) {
            Ok(written) => written,
            Err(e) => return errors.push(toml_error(file, text, 0, &e)),
        };
        let of_locale = self.by_locale.entry(locale).or_default();
        for (key, message) in written {
            let place = Place::of_byte(file, text, message.span().start);
            match Message::compile(message.get_ref(), place.clone()) {
                Ok(message) => _ = of_locale.insert(key, message),
                Err(what) => {
                    let mend = "Write it as ICU does: {n, plural, one {# item} other {# items}}";
                    errors.push(LoadError::new(
                        place,
                        Code::BadMessage,
                        format!("the message `{key}` cannot be read: {what}"),
                        mend,
                    ));
                }
            }
        }
    }

    /// Names the language whose messages stand in for those that another lacks.
    pub(crate) fn set_default(&mut self, locale: &Locale) {
        self.default = Some(locale.clone());
    }

    /// The message `key` in `locale` or its more general forms.
    pub(crate) fn find(&self, locale: &Locale, key: &str) -> Option<&Message> {
        let of = |tag: &str| self.by_locale.iter().find(|(known, _)| known.as_str() == tag)?.1.get(key);
        locale.with_fallbacks().find_map(of)
    }

    /// The same, or the message of the default language.
    pub(crate) fn find_or_default(&self, locale: &Locale, key: &str) -> Option<&Message> {
        self.find(locale, key).or_else(|| self.find(self.default.as_ref()?, key))
    }

    /// Where each message stands, and its key.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&Place, &str)> {
        self.by_locale.values().flatten().map(|(key, message)| (&message.place, key.as_str()))
    }
}

impl Message {
    fn compile(text: &str, place: Place) -> Result<Self, String> {
        let mut depth = 0_usize;
        for c in text.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > limits::MESSAGE_DEPTH {
                return Err(format!("more than {} braces inside one another", limits::MESSAGE_DEPTH));
            }
        }
        let mut options = Options::default();
        options.parser.ignore_tag = true; // `<b>` is text, as everywhere in a template
        let format = IcuMessageFormat::try_new_with_options(text, options).map_err(|e| first_line(&e.to_string()))?;
        let mut arguments = BTreeSet::new();
        collect_arguments(format.get_ast(), &mut arguments);
        Ok(Self { format, arguments, place })
    }

    /// The values that it needs.
    pub(crate) fn arguments(&self) -> &BTreeSet<String> {
        &self.arguments
    }

    /// Writes it; an error names what is missing or of the wrong kind and repeats no value.
    pub(crate) fn format<'a>(
        &self,
        locale: &Locale,
        values: impl Iterator<Item = (&'a str, &'a Value)>,
    ) -> Result<String, String> {
        let values: HashMap<String, Argument> =
            values.map(|(name, value)| Ok((name.to_owned(), argument(name, value)?))).collect::<Result<_, String>>()?;
        if let Some(missing) = self.arguments.iter().find(|name| !values.contains_key(*name)) {
            return Err(format!("the message needs `{missing}`"));
        }
        self.format.format_to_string(locale.as_str(), &values).map_err(|_| "the message wants values of another kind".to_owned())
    }
}

fn argument(name: &str, value: &Value) -> Result<Argument, String> {
    match value {
        Value::String(text) => Ok(Argument::String(text.clone())),
        Value::Bool(truth) => Ok(Argument::Boolean(*truth)),
        Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(n), ..) => Ok(Argument::Integer(n)),
            (_, Some(n), _) => Ok(Argument::Unsigned(n)),
            (.., Some(n)) => Ok(Argument::Number(n)),
            _ => Err(format!("`{name}` is no number that can be written")),
        },
        _ => Err(format!("`{name}` must be a text, a number or a truth value")),
    }
}

/// The depth is bounded by [`limits::MESSAGE_DEPTH`].
#[expect(clippy::match_same_arms, reason = "each kind is a type of its own")]
fn collect_arguments(elements: &[MessageFormatElement], into: &mut BTreeSet<String>) {
    for element in elements {
        match element {
            MessageFormatElement::Literal(_) | MessageFormatElement::Pound(_) => {}
            MessageFormatElement::Argument(e) => _ = into.insert(e.value.clone()),
            MessageFormatElement::Number(e) => _ = into.insert(e.value.clone()),
            MessageFormatElement::Date(e) => _ = into.insert(e.value.clone()),
            MessageFormatElement::Time(e) => _ = into.insert(e.value.clone()),
            MessageFormatElement::Select(e) => {
                into.insert(e.value.clone());
                e.options.values().for_each(|option| collect_arguments(&option.value, into));
            }
            MessageFormatElement::Plural(e) => {
                into.insert(e.value.clone());
                e.options.values().for_each(|option| collect_arguments(&option.value, into));
            }
            MessageFormatElement::Tag(e) => collect_arguments(&e.children, into),
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn write(message: &str, locale: &str, values: &Value) -> Result<String, String> {
        let message = Message::compile(message, Place::file("m"))?;
        let values = values.as_object().unwrap();
        message.format(&locale.parse().unwrap(), values.iter().map(|(k, v)| (k.as_str(), v)))
    }

    #[test]
    fn each_language_counts_its_own_way() {
        let arabic = "{n, plural, zero {لا رسائل} one {رسالة واحدة} two {رسالتان} few {# رسائل} many {# رسالة} other {# رسالة}}";
        let polish = "{n, plural, one {# plik} few {# pliki} many {# plików} other {# pliku}}";
        for (locale, message, counts) in [
            (
                "en",
                "{n, plural, =0 {nothing} one {# item} other {# items}}",
                vec![(0, "nothing"), (1, "1 item"), (1234, "1,234 items")],
            ),
            ("de", "{n, plural, one {# Datei} other {# Dateien}}", vec![(1, "1 Datei"), (1234, "1.234 Dateien")]),
            ("zh-CN", "{n, plural, other {# 条消息}}", vec![(1, "1 条消息"), (5, "5 条消息")]),
            ("pl", polish, vec![(1, "1 plik"), (3, "3 pliki"), (5, "5 plików"), (22, "22 pliki")]),
            ("fr", "{n, plural, one {# jour} other {# jours}}", vec![(0, "0 jour"), (2, "2 jours")]),
        ] {
            for (n, written) in counts {
                assert_eq!(write(message, locale, &json!({ "n": n })).as_deref(), Ok(written), "{locale}");
            }
        }
        for (n, written) in
            [(0, "لا رسائل"), (1, "رسالة واحدة"), (2, "رسالتان"), (3, "3 رسائل"), (11, "11 رسالة"), (100, "100 رسالة")]
        {
            let western = write(arabic, "ar", &json!({ "n": n })).map(|t| t.replace(|c| ('٠'..='٩').contains(&c), "#"));
            let expected = written.replace(|c: char| c.is_ascii_digit(), "#");
            assert_eq!(western.map(|t| t.replace(|c: char| c.is_ascii_digit(), "#")), Ok(expected), "{n}");
        }
    }

    #[test]
    fn choices_numbers_and_ordinals_are_written() {
        for (message, locale, values, written) in [
            (
                "{g, select, f {She} m {He} other {They}} wrote to {name}.",
                "en",
                json!({"g": "f", "name": "<Bo>"}),
                "She wrote to <Bo>.",
            ),
            ("{n, selectordinal, one {#st} two {#nd} few {#rd} other {#th}} place", "en", json!({"n": 22}), "22nd place"),
            ("{n, number}", "de", json!({"n": 1234.5}), "1.234,5"),
            ("{n, number, ::percent}", "en", json!({"n": 0.25}), "25%"),
            ("a '{'b'}' it''s <b>", "en", json!({}), "a {b} it's <b>"),
        ] {
            assert_eq!(write(message, locale, &values).as_deref(), Ok(written), "{message}");
        }
    }

    #[test]
    fn what_cannot_be_read_or_written_is_an_answer() {
        assert!(write("{n, plural, one {x}}", "en", &json!({"n": 1})).is_err(), "`other` is mandatory");
        assert!(write("{n", "en", &json!({})).is_err());
        assert!(write(&"{n, plural, other {".repeat(3_000), "en", &json!({"n": 1})).unwrap_err().contains("braces"));
        assert_eq!(write("{n} {m}", "en", &json!({"n": 1})), Err("the message needs `m`".into()));
        assert!(write("{n}", "en", &json!({"n": [1]})).is_err() && write("{n}", "en", &json!({"n": null})).is_err());
        assert!(write("{n, plural, other {#}}", "en", &json!({"n": "many"})).is_err());
    }
}
