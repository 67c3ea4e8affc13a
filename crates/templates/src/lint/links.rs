//! Links that lead nowhere safe, pictures without words or that stay links, and mails in the wrong direction, as they stand in the files.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use comrak::{Arena, nodes::NodeValue, parse_document};
use htmlparser::{ElementEnd, Token, Tokenizer};
use stentor_domain::{
    Locale,
    attachment::shows_file,
    content::{Images, LINKS, WEB, check_url},
};

use super::{Files, Report};
use crate::{
    engine::{PARTIALS, Source},
    error::Place,
    finding::Code,
    front_matter::ContentFile,
    library::LAYOUT,
    locale, markdown,
    markup::readable,
    template::Template,
};

pub(super) fn check(template: &Template, files: &Files<'_>, report: &mut Report) {
    for locale in template.versions.keys() {
        let content = format!("{locale}/content.md");
        if let Some(text) = files.find(&content) {
            content_file(&files.place(&content).file, &text, report);
        }
        let mail = format!("{locale}/email.mjml");
        if let Some(text) = files.find(&mail) {
            mjml(&files.place(&mail).file, &text, Some(locale), report);
        }
    }
    if let Some(layout) = files.all.get(LAYOUT) {
        mjml(&LAYOUT.into(), &layout.replace("\r\n", "\n"), None, report);
    }
    if template.images == Images::Inline {
        let own = template.versions.values().map(|version| version.mail.as_ref());
        // The shared layout is told of where it is among the files.
        let shared = files.all.contains_key(LAYOUT).then_some(&*template.layout);
        for picture in own.filter_map(|mail| mail.or(shared)).flat_map(|mail| &mail.linked) {
            report.add(picture.at.clone(), Code::LinkedPicture, picture.what, picture.mend);
        }
    }
}

/// The links and pictures of the partials among `files`.
pub(super) fn check_partials(files: &BTreeMap<String, String>, report: &mut Report) {
    for (path, text) in files.iter().filter(|(path, _)| path.starts_with(PARTIALS)) {
        let (file, text) = (path.as_str().into(), text.replace("\r\n", "\n"));
        match Path::new(path).extension().and_then(|e| e.to_str()) {
            Some("md") => body(&Source { file: &file, first_line: 1, indent: 0, text: &text }, report),
            Some("mjml") => mjml(&file, &text, None, report),
            _ => {}
        }
    }
}

/// What is wrong with an address as it is written, as far as it is written.
fn fault(address: &str, schemes: &[&str]) -> Option<(Code, String)> {
    let address = address.trim();
    let begun = address.split("{{").next().unwrap_or_default();
    if address.is_empty() {
        return Some((Code::EmptyLink, "leads nowhere".to_owned()));
    }
    if begun.is_empty() {
        return None; // a value as a whole: it is checked when it is written
    }
    if begun.len() == address.len() {
        return check_url(address, schemes).err().map(|why| (Code::UnsafeLink, why));
    }
    let lower = begun.to_ascii_lowercase();
    let fits = schemes.iter().any(|scheme| lower.starts_with(scheme));
    (!fits).then(|| (Code::UnsafeLink, "does not begin with a scheme that is safe".to_owned()))
}

const MEND_LINK: &str = "Use http(s), mailto or tel, such as https://example.com";
const MEND_ALT: &str = "Say in a few words what the picture shows";

fn content_file(file: &Arc<str>, text: &str, report: &mut Report) {
    let Some(content) = ContentFile::read(file, text, &mut Vec::new()) else { return };
    let fields = &content.fields;
    let articles = || fields.articles.iter();
    let pictures = fields.image.iter().chain(articles().filter_map(|a| a.image.as_ref()));
    let links = fields.link.iter().chain(articles().filter_map(|a| a.link.as_ref())).map(|link| ("link", link, WEB));
    let buttons = fields.actions.iter().map(|a| ("button", &a.url, LINKS));
    let sources = pictures.clone().map(|image| ("picture", &image.url, WEB));
    for (what, address, schemes) in links.chain(buttons).chain(sources) {
        if let Some((code, why)) = fault(address.get_ref(), schemes) {
            report.add(content.source(address).place(1, 1), code, format!("the {what} {why}"), MEND_LINK);
        }
    }
    for image in pictures.filter(|image| image.alt.get_ref().trim().is_empty()) {
        report.add(content.source(&image.alt).place(1, 1), Code::MissingAlt, "the picture has no description", MEND_ALT);
    }
    body(&content.body(), report);
}

/// The Markdown, with each tag as a word of the same length, so that places stay what they are.
fn body(source: &Source<'_>, report: &mut Report) {
    let masked = mask(source.text);
    let options = markdown::options();
    let arena = Arena::new();
    for node in parse_document(&arena, &masked, &options).descendants() {
        if report.is_full() {
            return;
        }
        let data = node.data();
        let at = || {
            let start = data.sourcepos.start;
            source.place(start.line, characters(&masked, start.line, start.column))
        };
        match &data.value {
            NodeValue::Link(link) => {
                if let Some((code, why)) = fault(&unmask(&link.url), LINKS) {
                    report.add(at(), code, format!("the link {why}"), MEND_LINK);
                }
            }
            NodeValue::Image(image) => {
                if let Some((code, why)) = fault(&unmask(&image.url), WEB) {
                    report.add(at(), code, format!("the picture {why}"), MEND_LINK);
                }
                if node.first_child().is_none() {
                    report.add(at(), Code::MissingAlt, "the picture has no description", "Write it: ![what it shows](…)");
                }
            }
            _ => {}
        }
    }
}

/// A letter that stands for the characters of a tag.
const TAG: char = '\u{F0041}';

fn mask(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("{{") {
        let close = if rest[at..].starts_with("{{{") { "}}}" } else { "}}" };
        let end = rest[at..].find(close).map_or(rest.len(), |n| at + n + close.len());
        out.push_str(&rest[..at]);
        out.extend(rest[at..end].chars().map(|c| if c == '\n' { '\n' } else { TAG }));
        rest = &rest[end..];
    }
    out + rest
}

/// An address in which a tag begins with two braces again.
fn unmask(url: &str) -> String {
    url.replace(TAG, "{{")
}

/// The column in characters of a column in bytes; both from 1.
fn characters(text: &str, line: usize, column: usize) -> usize {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    line.char_indices().take_while(|(at, _)| at + 1 < column).count() + 1
}

/// Elements that lead somewhere when they are pressed, and must therefore say where.
const LEADING: [&str; 3] = ["a", "mj-button", "mj-navbar-link"];
/// Elements that show a picture.
const PICTURES: [&str; 3] = ["img", "mj-image", "mj-carousel-image"];

/// The attributes of an element that is being read.
struct Element<'a> {
    name: &'a str,
    at: usize,
    attributes: Vec<(&'a str, &'a str, usize)>,
}

impl Element<'_> {
    fn find(&self, name: &str) -> Option<(&str, usize)> {
        self.attributes.iter().find(|(n, ..)| *n == name).map(|(_, value, at)| (*value, *at))
    }

    /// Of the element around the whole mail: without a word it is read from left to right.
    fn check_direction(&self, locale: &Locale, place: impl Fn(usize) -> Place, report: &mut Report) {
        let (said, at) = self.find("dir").unwrap_or(("ltr", self.at));
        let direction = locale::direction(locale);
        if !said.contains("{{") && said != direction {
            let what = format!("the mail is read from the wrong side: {locale} is written {direction}");
            report.add(place(at), Code::WrongDirection, what, "Write <mjml lang=\"{{mail.lang}}\" dir=\"{{mail.dir}}\">");
        }
    }

    fn check(&self, place: impl Fn(usize) -> Place, report: &mut Report) {
        let name = self.name;
        for attribute in ["href", "src", "background-url"] {
            let schemes = if attribute == "href" { LINKS } else { WEB };
            if let Some((address, at)) = self.find(attribute)
                && !(attribute == "src" && shows_file(address))
                && let Some((code, why)) = fault(address, schemes)
            {
                report.add(place(at), code, format!("the {attribute} of <{name}> {why}"), MEND_LINK);
            }
        }
        if LEADING.contains(&name) && self.find("href").is_none() {
            report.add(place(self.at), Code::EmptyLink, format!("<{name}> leads nowhere"), "Give it an href");
        }
        if PICTURES.contains(&name) && self.find("alt").is_none_or(|(alt, _)| alt.trim().is_empty()) {
            report.add(
                place(self.at),
                Code::MissingAlt,
                format!("<{name}> has no description"),
                "Give it an alt=\"what it shows\"",
            );
        }
    }
}

/// `locale` is the language of a mail that is written in one alone.
fn mjml(file: &Arc<str>, text: &str, locale: Option<&Locale>, report: &mut Report) {
    let place = |at| Place::of_byte(file, text, at);
    let mut element: Option<Element<'_>> = None;
    let (mut preview, mut body_at, mut defaults) = (false, None, false);
    for token in Tokenizer::from(&*readable(text)).map_while(Result::ok) {
        match token {
            Token::ElementStart { local, span, .. } => {
                preview |= local.as_str() == "mj-preview";
                defaults |= local.as_str() == "mj-attributes";
                if local.as_str() == "mj-body" {
                    body_at = Some(span.start());
                }
                element = Some(Element { name: local.as_str(), at: span.start(), attributes: Vec::new() });
            }
            Token::Attribute { local, value, span, .. } => {
                if let Some(element) = &mut element {
                    element.attributes.push((local.as_str(), value.map_or("", |v| v.as_str()), span.start()));
                }
            }
            Token::ElementEnd { end: ElementEnd::Open | ElementEnd::Empty, .. } => {
                if let Some(element) = element.take().filter(|_| !defaults) {
                    element.check(place, report);
                    if let ("mjml", Some(locale)) = (element.name, locale) {
                        element.check_direction(locale, place, report);
                    }
                }
            }
            // What it holds are no elements but what others are like.
            Token::ElementEnd { end: ElementEnd::Close(_, local), .. } if local.as_str() == "mj-attributes" => defaults = false,
            _ => {}
        }
    }
    if let (false, Some(at)) = (preview, body_at) {
        let mend = "Write <mj-preview>{{mail.preheader}}</mj-preview> into <mj-head>";
        report.add(place(at), Code::NoPreheader, "the mail has no preheader", mend);
    }
}
