//! Variables against the schema, and messages against the files that hold them.
//!
//! Handlebars in strict mode refuses what is missing only where it is written, and only when it is written: a
//! misspelt name in `{{#if}}` is false for ever. So every name is looked up in the schema before.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;
use stentor_domain::Locale;

use super::{
    Files, Report,
    fields::{Fields, Found},
};
use crate::{
    engine::Text,
    error::Place,
    finding::Code,
    syntax::{MessageUse, Role, Step, Use, Written},
    template::{LocaleVersion, Template},
};

pub(super) fn check(template: &Template, files: &Files<'_>, report: &mut Report) {
    let mut walk = Walk { template, report, used: BTreeSet::new(), whole: BTreeSet::new(), messages: BTreeSet::new() };
    let schema = template.schema.source();
    let plain = Fields::of(schema, false, None);
    let mail = Fields::of(schema, true, None);
    for (locale, version) in &template.versions {
        for text in version.words.texts().chain(&version.sms) {
            walk.text(text, &plain, locale);
        }
        for articles in version.words.articles() {
            let fields = match articles.list() {
                None => Fields::of(schema, false, None),
                Some(list) => {
                    let mut path: Vec<Step> = list.split('.').map(|name| Step::Field(name.to_owned())).collect();
                    walk.list_of_articles(&path, articles.place(), &plain);
                    path.push(Step::Each);
                    Fields::of(schema, false, Some(&path))
                }
            };
            for text in articles.texts() {
                walk.article(text, &fields, locale, articles.list());
            }
        }
        let own_mail = version.mail.iter().map(crate::layout::MailLayout::source);
        for text in own_mail.chain(&version.mail_text) {
            walk.text(text, &mail, locale);
        }
    }
    walk.unused_fields(files);
    walk.unused_messages();
}

/// The attributes of the recipient that `template` speaks of.
pub(super) fn attributes(template: &Template) -> BTreeSet<String> {
    let texts = template.versions.values().flat_map(|version: &LocaleVersion| {
        let articles = version.words.articles().flat_map(crate::words::ArticleWords::texts);
        let mail = version.mail.iter().map(crate::layout::MailLayout::source);
        version.words.texts().chain(&version.sms).chain(articles).chain(mail).chain(&version.mail_text)
    });
    let of = |text: &Text| {
        text.uses().variables.into_iter().filter_map(|u| match u.path.as_slice() {
            [Step::Field(r), Step::Field(a), Step::Field(name), ..] if r == "recipient" && a == "attributes" => {
                Some(name.clone())
            }
            _ => None,
        })
    };
    texts.flat_map(of).collect()
}

struct Walk<'a> {
    template: &'a Template,
    report: &'a mut Report,
    /// The ways that texts name.
    used: BTreeSet<Vec<Step>>,
    /// Those of them that stand for all that they hold: they are written or given to a helper, and not only entered.
    whole: BTreeSet<Vec<Step>>,
    messages: BTreeSet<String>,
}

impl Walk<'_> {
    fn text(&mut self, text: &Text, fields: &Fields, locale: &Locale) {
        self.article(text, fields, locale, None);
    }

    /// A text that may speak of `article`, which stands for each element of `list`.
    fn article(&mut self, text: &Text, fields: &Fields, locale: &Locale, list: Option<&str>) {
        let uses = text.uses();
        for of in uses.variables {
            self.variable(text.place_at(of.line, of.column), &of, fields);
            let mut path = of.path;
            if let (Some(list), Some(Step::Field(first))) = (list, path.first())
                && first == "article"
            {
                let whole = list.split('.').map(|name| Step::Field(name.to_owned())).chain([Step::Each]);
                path = whole.chain(path.drain(1..)).collect();
            }
            self.use_of(path, of.role);
        }
        for of in uses.messages {
            self.message(text.place_at(of.line, of.column), &of, locale);
        }
    }

    fn list_of_articles(&mut self, path: &[Step], at: Place, fields: &Fields) {
        let of = Use { line: 0, column: 0, path: path.to_vec(), role: Role::List, asked: path.len(), has_else: true };
        self.variable(at, &of, fields);
        self.use_of(of.path, of.role);
    }

    fn use_of(&mut self, path: Vec<Step>, role: Role) {
        if matches!(role, Role::Text | Role::Value) {
            self.whole.insert(path.clone());
        }
        self.used.insert(path);
    }

    fn variable(&mut self, at: Place, of: &Use, fields: &Fields) {
        if self.report.is_full() {
            return;
        }
        match fields.find(&of.path) {
            Found::Nothing { step, known } => {
                let name = Written(&of.path[..=step]).to_string();
                let last = match &of.path[step] {
                    Step::Field(name) => name.as_str(),
                    Step::Each => "",
                };
                let what = format!("schema.json knows no variable `{name}`");
                let mend = match nearest(last, &known) {
                    Some(meant) => format!("Did you mean `{meant}`? Correct the name, or describe the field in schema.json"),
                    None => "Describe the field in schema.json, or correct the name".to_owned(),
                };
                self.report.add(at, Code::UnknownVariable, what, mend);
            }
            Found::NotThat { step, kind } => {
                let name = Written(&of.path[..step]).to_string();
                let (what, mend) = match of.path[step] {
                    Step::Each => {
                        (format!("`{name}` is of type {kind}, not a list"), "Write `{{#if}}` to ask whether it is there")
                    }
                    Step::Field(_) => (format!("`{name}` is of type {kind} and has no fields"), "Write the name alone"),
                };
                self.report.add(at, Code::WrongType, what, mend);
            }
            Found::Field { kinds, optional } => {
                let absent = optional.into_iter().find(|steps| *steps > of.asked);
                let asks = of.role == Role::Condition || of.has_else;
                if let Some(steps) = absent.filter(|steps| !(asks && *steps == of.path.len())) {
                    // `#if a.b` is false if `a` is absent; only what is written fails.
                    if of.role != Role::Condition {
                        let name = Written(&of.path[..steps]).to_string();
                        let what = format!("`{name}` may be absent, and the message could then not be written");
                        let mend = format!("Put it into `{{{{#if {name}}}}}`, or let schema.json require it");
                        self.report.add(at, Code::OptionalVariable, what, mend);
                        return;
                    }
                }
                self.kind(at, of, &kinds);
            }
        }
    }

    fn kind(&mut self, at: Place, of: &Use, kinds: &[&str]) {
        let name = Written(&of.path).to_string();
        let only = |unfit: &[&str]| !kinds.is_empty() && kinds.iter().all(|kind| unfit.contains(kind));
        let (what, mend) = match of.role {
            Role::Text if only(&["object", "array"]) => {
                (format!("`{name}` is no text"), format!("Name a field of it, or go through it with `{{{{#each {name}}}}}`"))
            }
            Role::List if only(&["string", "number", "integer", "boolean", "null"]) => {
                (format!("`{name}` is not a list"), format!("Write `{{{{#if {name}}}}}` to ask whether it is there"))
            }
            Role::Object if only(&["string", "number", "integer", "boolean", "null", "array"]) => {
                (format!("`{name}` has no fields"), format!("Write `{{{{#if {name}}}}}` to ask whether it is there"))
            }
            _ => return,
        };
        self.report.add(at, Code::WrongType, what, mend);
    }

    fn message(&mut self, at: Place, of: &MessageUse, locale: &Locale) {
        self.messages.insert(of.key.clone());
        let file = format!("messages/{locale}.toml");
        match self.template.messages.find(locale, &of.key) {
            None => {
                let what = format!("there is no message `{}` for {locale}", of.key);
                self.report.add(at, Code::UnknownMessage, what, format!("Write it into {file}: {} = \"…\"", of.key));
            }
            Some(message) => {
                for missing in message.arguments().iter().filter(|name| !of.arguments.contains(name)) {
                    let what = format!("the message `{}` needs `{missing}`", of.key);
                    let mend = format!("Write `{{{{t \"{}\" {missing}=…}}}}`", of.key);
                    self.report.add(at.clone(), Code::UnknownMessage, what, mend);
                }
            }
        }
    }

    fn unused_messages(&mut self) {
        for (place, key) in self.template.messages.places() {
            if !self.messages.contains(key) {
                let what = format!("no text uses the message `{key}`");
                self.report.add(place.clone(), Code::UnusedMessage, what, "Remove it, or check the spelling where it is used");
            }
        }
    }

    fn unused_fields(&mut self, files: &Files<'_>) {
        let text = files.find("schema.json").unwrap_or_default();
        let path: Arc<str> = files.place("schema.json").file;
        let mut told: BTreeSet<Vec<Step>> = BTreeSet::new();
        // Looked up in sorted sets: a schema may have thousands of fields, and texts a hundred thousand uses.
        let holds_a_part_of = |set: &BTreeSet<Vec<Step>>, field: &[Step]| (0..=field.len()).any(|n| set.contains(&field[..n]));
        for field in Fields::all(self.template.schema.source()) {
            let entered = self.used.range(field.clone()..).next().is_some_and(|used| used.starts_with(&field));
            let used = entered || holds_a_part_of(&self.whole, &field);
            if used || field.last() == Some(&Step::Each) || holds_a_part_of(&told, &field) {
                continue;
            }
            let what = format!("no text uses the field `{}`", Written(&field));
            let at = place_in_schema(&path, &text, &field);
            self.report.add(at, Code::UnusedField, what, "Use it, or remove it from schema.json");
            told.insert(field);
        }
    }
}

/// The place at which `schema.json` describes `field`, as far as the names lead.
fn place_in_schema(path: &Arc<str>, text: &str, field: &[Step]) -> Place {
    let mut at = 0;
    for step in field {
        let Step::Field(name) = step else { continue };
        let quoted = Value::String(name.clone()).to_string();
        let followed_by_colon = |from: &usize| text[from + quoted.len()..].trim_start().starts_with(':');
        let found = text[at..].match_indices(&quoted).map(|(n, _)| n + at).find(followed_by_colon);
        at = found.unwrap_or(at);
    }
    Place::of_byte(path, text, at)
}

/// The known name that was probably meant.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|k| (strsim::damerau_levenshtein(name, k), *k));
    scored.min().filter(|(distance, _)| *distance <= 2.max(name.len() / 4)).map(|(_, k)| k)
}
