//! What comes out when each sample is written in each language.

use std::time::Duration;

use serde_json::{Map, Value};
use stentor_domain::{Locale, RecipientId, Timestamp};

use super::Report;
use crate::{
    engine::Clock,
    error::{Place, RenderError},
    finding::Code,
    message::{Input, RecipientFields, RenderedInbox},
    template::{LocaleVersion, Template},
    words::ArticleWords,
};

/// Characters of a subject that a phone shows.
const SUBJECT_CHARS: usize = 60;
/// Bytes of a mail, beyond which Gmail cuts it off (102 KB there, headers included).
const HTML_BYTES: usize = 100_000;
/// Segments that an SMS should not exceed.
const SMS_SEGMENTS: u32 = 2;
/// For how long all samples of a template may be written.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn check(template: &Template, report: &mut Report) {
    let clock = Clock::start(PATIENCE);
    let reader = sample_reader(template);
    for (locale, version) in &template.versions {
        for (name, data) in template.samples() {
            if clock.is_over() {
                let at = Place::file(&format!("{}/samples", template.key()));
                let what = "the samples take longer than 5 s to write in all languages";
                return report.add(at, Code::TooComplex, what, "Keep fewer or shorter samples");
            }
            let input = Input {
                data,
                locale: Some(locale),
                timezone: Some("Europe/Berlin"),
                recipient: Some(&reader),
                app_name: "Example",
                now: Timestamp::UNIX_EPOCH,
                unsubscribe: None,
            };
            Sample { template, locale, version, name, input: &input }.check(report);
        }
    }
}

/// One sample in one language.
struct Sample<'a> {
    template: &'a Template,
    locale: &'a Locale,
    version: &'a LocaleVersion,
    name: &'a str,
    input: &'a Input<'a>,
}

impl Sample<'_> {
    fn check(&self, report: &mut Report) {
        match self.template.render_inbox(self.input) {
            Ok(item) => {
                self.card(&item.title, item.summary.as_deref(), &item.content.body_html, report);
                self.pictures(&item, report);
            }
            // The mail is made of the same words: what is wrong with them is told once.
            Err(error) => return self.failed(error, "inbox item", report),
        }
        match self.template.render_email(self.input) {
            Ok(mail) => self.mail(mail.html.len(), report),
            Err(error) => self.failed(error, "mail", report),
        }
        match self.template.render_sms(self.input) {
            Ok(sms) => self.sms(sms.segments, sms.forced_by, report),
            Err(error) => self.failed(error, "SMS", report),
        }
    }

    fn with(&self) -> String {
        format!("in {} with the sample `{}`", self.locale, self.name)
    }

    fn card(&self, title: &str, summary: Option<&str>, body_html: &str, report: &mut Report) {
        let words = &self.version.words;
        let length = title.chars().count();
        if length > SUBJECT_CHARS {
            let what = format!("the title is {length} characters long {}", self.with());
            let mend = format!("Keep it within {SUBJECT_CHARS}: a phone shows no more of a subject");
            report.add(words.title_place(), Code::LongSubject, what, mend);
        }
        if words.has_summary() && summary.is_none() {
            let what = format!("the summary is empty {}, so the mail has no preheader", self.with());
            report.add(words.summary_place(), Code::NoPreheader, what, "Let it say something whatever the data");
        }
        if body_html.contains("alt=\"\"") {
            let what = format!("a picture has no description {}", self.with());
            report.add(words.body_place(), Code::MissingAlt, what, "Write what it shows: ![what it shows](…)");
        }
        if body_html.contains("<a rel=") {
            let what = format!("a link leads nowhere that is safe {}", self.with());
            report.add(words.body_place(), Code::UnsafeLink, what, "Use http(s), mailto or tel");
        }
    }

    /// What a picture shows may be said by the data, and then it must be said by each sample.
    fn pictures(&self, item: &RenderedInbox, report: &mut Report) {
        let words = &self.version.words;
        let of_articles = item.content.articles.iter().filter_map(|article| article.image.as_ref());
        let (card, articles) = (item.image.iter().map(|i| (i, true)), of_articles.map(|i| (i, false)));
        for (_, is_card) in card.chain(articles).filter(|(image, _)| image.alt.trim().is_empty()) {
            let (what, at) = if is_card {
                ("card's", words.alt_place())
            } else {
                ("article's", words.articles().find_map(ArticleWords::alt_place))
            };
            let what = format!("the {what} picture has no description {}", self.with());
            report.add(
                at.unwrap_or_else(|| words.title_place()),
                Code::MissingAlt,
                what,
                "Say in a few words what the picture shows",
            );
        }
    }

    fn mail(&self, bytes: usize, report: &mut Report) {
        if bytes > HTML_BYTES {
            let at = self.version.mail.as_ref().map_or_else(|| self.version.words.body_place(), crate::layout::MailLayout::place);
            let what = format!("the mail is {bytes} bytes long {}", self.with());
            report.add(at, Code::LargeHtml, what, "Keep it within 100 kB: mail programs cut off what is longer");
        }
    }

    fn sms(&self, segments: u32, forced_by: Option<char>, report: &mut Report) {
        if segments > SMS_SEGMENTS {
            let at = self.version.sms.as_ref().map_or_else(|| self.version.words.summary_place(), crate::engine::Text::place);
            let why = forced_by.map_or_else(String::new, |c| format!(" (in Unicode because of `{c}`, so 67 characters each)"));
            let what = format!("the SMS takes {segments} segments{why} {}", self.with());
            report.add(
                at,
                Code::LongSms,
                what,
                format!("Keep it within {SMS_SEGMENTS}: each is paid for. Write a short sms.txt"),
            );
        }
    }

    fn failed(&self, error: RenderError, of: &str, report: &mut Report) {
        let (at, code, what, mend) = match error {
            // What is absent in a sample may be absent in earnest; the walk through the variables tells of it better.
            RenderError::MissingVariable { name, at } => {
                (at, Code::OptionalVariable, format!("`{name}` is not in the data"), format!("Put it into `{{{{#if {name}}}}}`"))
            }
            RenderError::BadLink { part, message, at } => {
                (at, Code::UnsafeLink, format!("the {part} {message}"), "Use http(s), mailto or tel".to_owned())
            }
            RenderError::TooLarge { what, limit, at } => {
                (at, Code::TooComplex, format!("{what}: the limit is {limit}"), "Make it smaller".to_owned())
            }
            RenderError::BadValue { message, at } => {
                (at, Code::WrongType, message, "Correct the template or the sample".to_owned())
            }
            RenderError::Empty { part, at } => {
                (at, Code::RenderFailed, format!("the {part} is empty"), "Let it say something whatever the data".to_owned())
            }
            RenderError::TooSlow { at } => (at, Code::TooComplex, "it takes too long".to_owned(), "Make it smaller".to_owned()),
            RenderError::Engine { at, .. } => {
                (at, Code::RenderFailed, "it cannot be written".to_owned(), "Look at this place and at the sample".to_owned())
            }
        };
        report.add(at, code, format!("{what}: {of} {}", self.with()), mend);
    }
}

/// A reader who has every attribute that the template asks for.
fn sample_reader(template: &Template) -> RecipientFields {
    let mut attributes = Map::new();
    for name in super::variables::attributes(template) {
        let value = Value::String(name.clone());
        attributes.insert(name, value);
    }
    let id = "sample".parse::<RecipientId>().unwrap_or_else(|_| unreachable!("`sample` is an id"));
    RecipientFields { id, attributes }
}
