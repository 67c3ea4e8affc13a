//! Content that came with a request, written the way templates are.

use handlebars::Context;
use serde_json::json;
use stentor_domain::{
    Locale,
    content::{Content, Images},
    item::ItemContent,
};

use crate::{
    engine::{Budget, Scope},
    error::{Place, RenderError},
    layout::mail_fields,
    library::shipped_layout,
    limits, locale,
    mail_images::images_of,
    message::{self, CardParts, Input, RenderedEmail, RenderedInbox, RenderedSms},
    plain::{self, short_line},
    sanitize, way_out,
};

/// Writes the inbox item.
pub fn render_inbox(content: &Content, input: &Input<'_>) -> Result<RenderedInbox, RenderError> {
    let card = card(content)?;
    let body = body(content, &card)?;
    let CardParts { title, summary, image, link, actions } = card;
    Ok(RenderedInbox { title, summary, image, link, actions, content: body, locale: language(input) })
}

/// Writes the mail: in the shipped layout, unless the content brings HTML of its own.
pub fn render_email(content: &Content, input: &Input<'_>) -> Result<RenderedEmail, RenderError> {
    let locale = language(input);
    let mut card = card(content)?;
    let own = content.email.clone().unwrap_or_default();
    if let Some(subject) = &own.subject {
        card.title = short_line(subject.clone(), limits::TITLE_BYTES);
    }
    let (html, made_text) = if let Some(html) = &own.html {
        let too_much = |e: crate::markdown::TooMuch| RenderError::TooLarge { what: e.0, limit: e.1, at: at("email.html") };
        let body = sanitize::mail(html).map_err(too_much)?;
        let text = plain::of_html(&body) + "\n";
        (document(&card.title, &(body + &way_out::paragraph(input.unsubscribe, &locale)), &locale), text)
    } else {
        let body = body(content, &card)?;
        let layout = shipped_layout().map_err(|e| RenderError::Engine { at: at(""), source: Box::new(e) })?;
        let budget = Budget::new();
        let scope = Scope { locale: &locale, timezone: input.timezone, now: input.now, messages: None, budget: &budget };
        let text = card.as_mail_text(&body, input.app_name);
        let context = json!({ "mail": mail_fields(&card, &body, input.unsubscribe, &locale), "app": { "name": input.app_name } });
        (layout.render(&Context::from(context), &scope)?, text)
    };
    if html.len() > limits::OUTPUT_BYTES {
        return Err(RenderError::TooLarge { what: "bytes of HTML", limit: limits::OUTPUT_BYTES, at: at("email.html") });
    }
    let text = way_out::at_the_end(own.text.unwrap_or(made_text), input.unsubscribe, &locale);
    let images = if own.images == Images::Inline { images_of(&html) } else { Vec::new() };
    Ok(RenderedEmail { subject: card.title, html, text, images, locale })
}

/// Writes the SMS.
pub fn render_sms(content: &Content, input: &Input<'_>) -> Result<RenderedSms, RenderError> {
    match &content.sms {
        Some(sms) => message::as_sms(sms.text.clone(), language(input), at("sms.text")),
        None => message::as_sms(card(content)?.as_sms(&content.articles), language(input), at("summary")),
    }
}

/// The domain has checked lengths and links where the content came in; here they are brought into shape.
fn card(content: &Content) -> Result<CardParts, RenderError> {
    let title = short_line(content.title.clone(), limits::TITLE_BYTES);
    if title.is_empty() {
        return Err(RenderError::Empty { part: "title", at: at("title") });
    }
    let summary = content.summary.clone().map(|s| short_line(s, limits::SUMMARY_BYTES)).filter(|s| !s.is_empty());
    Ok(CardParts { title, summary, image: content.image.clone(), link: content.link.clone(), actions: content.actions.clone() })
}

/// The page, with the articles below it.
fn body(content: &Content, card: &CardParts) -> Result<ItemContent, RenderError> {
    let markdown = content.body_markdown.as_deref().unwrap_or_default();
    message::content(markdown, card.summary.as_deref(), content.articles.clone(), || at("body_markdown"))
}

/// The language is the request's own affair; it only tells readers' programs how to read it aloud and in which direction.
fn language(input: &Input<'_>) -> Locale {
    input.locale.cloned().or_else(|| "en".parse().ok()).unwrap_or_else(|| unreachable!("`en` is a language tag"))
}

fn at(part: &str) -> Place {
    Place::file(&if part.is_empty() { "content".to_owned() } else { format!("content.{part}") })
}

/// A whole document around a sanitised body.
fn document(title: &str, body: &str, locale: &Locale) -> String {
    let title = handlebars::html_escape(title);
    let direction = locale::direction(locale);
    format!(
        "<!doctype html>\n<html lang=\"{locale}\" dir=\"{direction}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n</head>\n\
         <body>\n{body}\n</body>\n</html>\n"
    )
}
