//! Mails: MJML, compiled to HTML when it is loaded and filled in when it is sent.

use std::{collections::BTreeMap, sync::Arc};

use handlebars::Context;
use htmlparser::{ElementEnd, Token, Tokenizer};
use mrml::prelude::{parser, render::RenderOptions};
use serde_json::{Value, json};
use stentor_domain::{Locale, content::Image, item::ItemContent};

use crate::{
    engine::{Escape, Expanded, Rules, SANITISED, Scope, Source, Text},
    error::{LoadError, Place, RenderError},
    finding::Code,
    limits, locale,
    mail_images::{StaysLinked, stay_linked},
    markup::{readable, restored},
    message::CardParts,
    way_out,
};

/// A compiled mail.
#[derive(Debug)]
pub(crate) struct MailLayout {
    html: Text,
    /// The MJML as it is written, for lint.
    source: Text,
    /// Its pictures that no mail brings along, for lint.
    pub linked: Vec<StaysLinked>,
    /// Whether it speaks of the recipient.
    pub personal: bool,
}

impl MailLayout {
    /// Compiles MJML, adding what is wrong to `errors`.
    pub(crate) fn compile(file: &Arc<str>, mjml: &str, rules: Rules<'_>, errors: &mut Vec<LoadError>) -> Option<Self> {
        let source = Source { file, first_line: 1, indent: 0, text: mjml };
        let raw: Vec<String> = rules.raw.iter().cloned().chain([SANITISED.to_owned()]).collect();
        let rules = Rules { raw: &raw, ..rules };
        let mjml = Expanded::of(&source, rules, errors)?;
        // The tags are checked in the file, where they have a place that the author can find.
        let checked = Text::of_expanded(&mjml, Escape::Html, rules, errors)?;
        let before = errors.len();
        let text = readable(&mjml.text);
        check_elements(&mjml, &text, errors);
        if errors.len() > before {
            return None;
        }
        let html = match to_html(&text) {
            Ok(html) => restored(html, &text),
            Err(error) => {
                errors.push(parse_error(&mjml, error.as_ref()));
                return None;
            }
        };
        let html = Text::of_mail(&mjml.map, &html, errors)?;
        Some(Self { html, linked: stay_linked(&mjml, &text), personal: checked.personal, source: checked })
    }

    /// The MJML, whose tags stand where the author has them.
    pub(crate) fn source(&self) -> &Text {
        &self.source
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        self.source.place()
    }

    /// Writes the mail. `context` knows `mail` and `app`; for a template's own mail its data too.
    pub(crate) fn render(&self, context: &Context, scope: &Scope<'_>) -> Result<String, RenderError> {
        self.html.render(context, scope)
    }
}

/// What a mail knows as `mail.*`.
pub(crate) fn mail_fields(card: &CardParts, content: &ItemContent, unsubscribe: Option<&str>, locale: &Locale) -> Value {
    let direction = locale::direction(locale);
    json!({
        "subject": card.title,
        "title": card.title,
        "preheader": card.summary.as_deref().unwrap_or_default(),
        "body": content.body_html,
        "text": content.body_text,
        "image": card.image.as_ref().map(|image| picture(image, &card.title)),
        "link": card.link,
        "actions": card.actions.iter().enumerate()
            .map(|(i, a)| json!({ "label": a.label, "url": a.url, "primary": i == 0 })).collect::<Vec<_>>(),
        "articles": content.articles.iter().map(|a| json!({
            "title": a.title, "summary": a.summary, "link": a.link,
            "image": a.image.as_ref().map(|image| picture(image, &a.title)),
        })).collect::<Vec<_>>(),
        "unsubscribe": way_out::fields(unsubscribe, locale),
        "lang": locale.as_str(),
        "dir": direction,
        // Mail programs do not know `text-align: start`.
        "start": if direction == "rtl" { "right" } else { "left" },
    })
}

/// A picture of which the mail always says what it shows, if only by the title beside it.
fn picture(image: &Image, title: &str) -> Value {
    let alt = if image.alt.trim().is_empty() { title } else { &image.alt };
    json!({ "url": image.url, "alt": alt })
}

/// How mrml begins the style of `mj-preview`, which nobody sees for its `display:none`.
const PREVIEW: &str = "display:none;font-size:1px;color:#ffffff;";

fn to_html(mjml: &str) -> Result<String, Box<dyn std::error::Error>> {
    let parsed = mrml::parse(mjml)?;
    let options = RenderOptions { disable_comments: true, fonts: BTreeMap::new().into_iter().collect(), ..Default::default() };
    // Small letters, white on white, are what spam filters look for.
    Ok(parsed.element.render(&options)?.replacen(PREVIEW, "display:none;", 1))
}

const VOID: [&str; 6] = ["br", "col", "hr", "img", "input", "meta"];
/// What mrml knows: it would take any other `mj-` element for HTML and leave it in the mail.
const MJML: [&str; 32] = [
    "mj-accordion",
    "mj-accordion-element",
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-all",
    "mj-attributes",
    "mj-body",
    "mj-breakpoint",
    "mj-button",
    "mj-carousel",
    "mj-carousel-image",
    "mj-class",
    "mj-column",
    "mj-divider",
    "mj-font",
    "mj-group",
    "mj-head",
    "mj-hero",
    "mj-image",
    "mj-navbar",
    "mj-navbar-link",
    "mj-preview",
    "mj-raw",
    "mj-section",
    "mj-social",
    "mj-social-element",
    "mj-spacer",
    "mj-style",
    "mj-table",
    "mj-text",
    "mj-title",
    "mj-wrapper",
];

/// Refuses elements that are unknown, that load files, that cross one another (mrml does not look), or that lie too
/// deep for the recursion of the parser.
fn check_elements(mjml: &Expanded, text: &str, errors: &mut Vec<LoadError>) {
    let mut fault = |at, code, what: String, mend: String| errors.push(LoadError::new(mjml.place_of_byte(at), code, what, mend));
    let mut open: Vec<(&str, usize)> = Vec::new();
    // A faulty token ends the walk; the parser proper says what is wrong with it.
    for token in Tokenizer::from(text).map_while(Result::ok) {
        match token {
            Token::ElementStart { local, span, .. } => {
                let name = local.as_str();
                open.push((name, span.start()));
                if open.len() > limits::ELEMENT_DEPTH {
                    let what = format!("more than {} elements inside one another", limits::ELEMENT_DEPTH);
                    return fault(span.start(), Code::TooComplex, what, "Simplify the layout".to_owned());
                }
                if name.starts_with("mj-") && !MJML.contains(&name) {
                    let mend = "See https://documentation.mjml.io; <mj-include> is not supported".to_owned();
                    fault(span.start(), Code::UnknownMjmlTag, format!("there is no element <{name}>"), mend);
                }
            }
            Token::ElementEnd { end: ElementEnd::Empty, .. } => _ = open.pop(),
            Token::ElementEnd { end: ElementEnd::Open, .. } if open.last().is_some_and(|(name, _)| VOID.contains(name)) => {
                open.pop();
            }
            Token::ElementEnd { end: ElementEnd::Close(_, local), span } => match open.pop() {
                Some((name, _)) if name == local.as_str() => {}
                Some((name, _)) => {
                    let what = format!("<{name}> is open here, not <{local}>");
                    return fault(span.start(), Code::BadMjml, what, format!("Write </{name}>"));
                }
                None => {
                    let what = format!("<{local}> was not opened");
                    return fault(span.start(), Code::BadMjml, what, "Remove its end".to_owned());
                }
            },
            _ => {}
        }
    }
    if let Some((name, at)) = open.pop() {
        fault(at, Code::BadMjml, format!("<{name}> is never closed"), format!("Add </{name}> where it ends"));
    }
}

fn parse_error(mjml: &Expanded, error: &(dyn std::error::Error + 'static)) -> LoadError {
    use parser::Error as E;
    let byte = match error.downcast_ref::<E>() {
        Some(
            E::UnexpectedElement { position, .. }
            | E::UnexpectedToken { position, .. }
            | E::MissingAttribute { position, .. }
            | E::InvalidAttribute { position, .. }
            | E::InvalidFormat { position, .. },
        ) => Some(position.start),
        _ => None,
    };
    let place = byte.map_or_else(|| Place::file(&mjml.map.file()), |at| mjml.place_of_byte(at));
    let what = match error.downcast_ref::<E>() {
        Some(E::UnexpectedElement { .. }) => "this element may not stand here".to_owned(),
        Some(E::UnexpectedToken { .. }) => "this may not stand here".to_owned(),
        Some(E::EndOfStream { .. }) => "an element is never closed".to_owned(),
        Some(E::NoRootNode) => "there is no <mjml> element".to_owned(),
        _ => format!("this is not MJML: {error}"),
    };
    LoadError::new(
        place,
        Code::BadMjml,
        what,
        "Text and `{{tags}}` stand in <mj-text>, <mj-button> or <mj-raw>; see https://documentation.mjml.io",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Partials;

    fn errors(mjml: &str) -> Vec<String> {
        let mut errors = Vec::new();
        let rules = Rules { partials: &Partials::default(), locale: None, raw: &[] };
        MailLayout::compile(&"_layouts/email.mjml".into(), mjml, rules, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn mistakes_are_named_where_they_stand() {
        let page = |inside: &str| {
            format!("<mjml><mj-body>\n<mj-section><mj-column>\n{inside}\n</mj-column></mj-section></mj-body></mjml>")
        };
        assert_eq!(errors(&page("<mj-text>{{mail.title}}</mj-text>")), Vec::<String>::new());
        for (inside, at) in [
            ("<mj-txt>a</mj-txt>", "3:1: there is no element <mj-txt>"),
            ("<mj-include path=\"/etc/passwd\" />", "3:1: there is no element <mj-include>"),
            ("<mj-text>a</mj-column>", "3:11: <mj-text> is open here, not <mj-column>"),
            ("<mj-text>{{shout x}}</mj-text>", "3:10: there is no helper `shout`"),
            ("<mj-text>{{{mail.title}}}</mj-text>", "3:10: `{{{mail.title}}}` would let data write HTML"),
            ("<mj-text>{{#if x}}a</mj-text>", "3:10: `{{#if}}` is never closed"),
        ] {
            let found = errors(&page(inside));
            assert!(found.iter().any(|e| e.starts_with(&format!("_layouts/email.mjml:{at}"))), "{inside}: {found:?}");
        }
        assert_eq!(
            errors(&page("<mj-text>查看更多></mj-text><mj-button href=\"https://x\">Menü ></mj-button>")),
            Vec::<String>::new()
        );
        assert_eq!(errors("").len(), 1);
        assert_eq!(errors("<mjml><mj-body>").len(), 1);
    }

    #[test]
    fn depth_is_bounded_before_the_parser_recurses() {
        let deep = format!("<mjml><mj-body><mj-raw>{}", "<a>".repeat(20_000));
        assert!(errors(&deep)[0].contains("inside one another"), "{:?}", errors(&deep));
    }
}
