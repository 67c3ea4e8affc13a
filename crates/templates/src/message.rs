//! What a message says, in each of its channels; the same for templates and for content that came with a request.

use serde_json::{Map, Value};
use stentor_domain::{
    Locale, RecipientId, Timestamp,
    content::{Action, Article, Image},
    item::ItemContent,
    sms::{self, SmsSize},
};

use crate::{
    error::{Place, RenderError},
    limits,
    mail_images::{self, MailImage},
    markdown, plain,
};

/// For whom, with what and when a message is written.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What the template fills in.
    pub data: &'a Map<String, Value>,
    /// The reader's language; the template's default if none is known.
    pub locale: Option<&'a Locale>,
    /// The reader's time zone (IANA name); times are written in UTC, and say so, if none is known.
    pub timezone: Option<&'a str>,
    /// The reader. Needed by templates that are [personal](crate::Template::is_personal) only.
    pub recipient: Option<&'a RecipientFields>,
    /// The name of the app, at the head of the mail.
    pub app_name: &'a str,
    /// The present time.
    pub now: Timestamp,
    /// Where the reader gets no more of these mails; a mail shows it at its foot.
    pub unsubscribe: Option<&'a str>,
}

/// What a template may know of its reader, as `recipient.id` and `recipient.attributes.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct RecipientFields {
    /// The app's own id of the person.
    pub id: RecipientId,
    /// Free fields.
    pub attributes: Map<String, Value>,
}

/// A message in the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedInbox {
    /// One line, at most 200 bytes.
    pub title: String,
    /// One line, at most 500 bytes.
    pub summary: Option<String>,
    /// A picture; its URL is http(s).
    pub image: Option<Image>,
    /// Where the card leads; http(s).
    pub link: Option<String>,
    /// At most 5 buttons; http(s), mailto or tel.
    pub actions: Vec<Action>,
    /// What is loaded when the item is opened; sanitised.
    pub content: ItemContent,
    /// The language that it is written in.
    pub locale: Locale,
}

/// A message as a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedEmail {
    /// One line, at most 200 bytes.
    pub subject: String,
    /// A whole HTML document, at most 512 KiB.
    pub html: String,
    /// The same as plain text.
    pub text: String,
    /// The pictures that the mail is to bring along; the HTML links to them.
    pub images: Vec<MailImage>,
    /// The language that it is written in.
    pub locale: Locale,
}

impl RenderedEmail {
    /// The HTML as it shows those of its pictures that have come with the mail; the others stay links.
    pub fn html_showing(&self, has_come: impl Fn(&MailImage) -> bool) -> String {
        mail_images::showing(&self.html, &self.images, has_come)
    }
}

/// A message, written for one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendered {
    /// For the inbox.
    Inbox(RenderedInbox),
    /// As a mail.
    Email(RenderedEmail),
    /// As an SMS.
    Sms(RenderedSms),
}

/// A message as an SMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedSms {
    /// One line.
    pub text: String,
    /// Into how many parts it is cut, 1 to 10; each is paid for.
    pub segments: u32,
    /// The character that takes it out of GSM-7, so that a segment holds 67 to 70 characters instead of 153 to 160.
    pub forced_by: Option<char>,
    /// The language that it is written in.
    pub locale: Locale,
}

/// The card of a message: what every channel has in common.
pub(crate) struct CardParts {
    pub title: String,
    pub summary: Option<String>,
    pub image: Option<Image>,
    pub link: Option<String>,
    pub actions: Vec<Action>,
}

impl CardParts {
    /// The SMS that says it: the summary, or else the title, and the link, or else that of the first article.
    pub(crate) fn as_sms(&self, articles: &[Article]) -> String {
        let words = self.summary.as_deref().unwrap_or(&self.title);
        sms_of(words.to_owned(), self.link.as_deref().or_else(|| articles.iter().find_map(|a| a.link.as_deref())))
    }

    /// The plain text of the mail that says it.
    pub(crate) fn as_mail_text(&self, content: &ItemContent, app_name: &str) -> String {
        let mut parts = vec![self.title.clone()];
        if !content.body_text.is_empty() {
            parts.push(content.body_text.clone());
        }
        parts.extend(content.articles.iter().map(article_text));
        if self.actions.is_empty() {
            parts.extend(self.link.clone());
        } else {
            // A line each: the label is then the very word that the HTML has, and filters that hold both parts against each other
            // find it.
            parts.extend(self.actions.iter().map(|a| format!("{}\n{}", a.label, a.url)));
        }
        parts.push(format!("-- \n{app_name}")); // RFC 3676 section 4.3: the signature separator
        parts.join("\n\n") + "\n"
    }
}

/// Words and a link in one SMS.
pub(crate) fn sms_of(words: String, link: Option<&str>) -> String {
    match link {
        Some(link) => format!("{words} {link}"),
        None => words,
    }
}

/// An article in plain text.
fn article_text(article: &Article) -> String {
    [Some(&article.title), article.summary.as_ref(), article.link.as_ref()]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join("\n")
}

/// The HTML and the plain text of a Markdown body; of the summary if there is no body.
pub(crate) fn content(
    markdown_body: &str,
    summary: Option<&str>,
    articles: Vec<Article>,
    at: impl Fn() -> Place,
) -> Result<ItemContent, RenderError> {
    if markdown_body.trim().is_empty() {
        let summary = summary.unwrap_or_default();
        return Ok(ItemContent { body_html: plain::to_html(summary), body_text: plain::wrapped(summary), articles });
    }
    let too_much = |e: markdown::TooMuch| RenderError::TooLarge { what: e.0, limit: e.1, at: at() };
    let body_html = markdown::to_html(markdown_body).map_err(too_much)?;
    let body_text = plain::of_html(&body_html);
    Ok(ItemContent { body_html, body_text, articles })
}

/// An SMS of `text`, if it says something and is not too long.
pub(crate) fn as_sms(text: String, locale: Locale, at: Place) -> Result<RenderedSms, RenderError> {
    let text = stentor_domain::text::one_line(sms::with_plain_spaces(text));
    if text.is_empty() {
        return Err(RenderError::Empty { part: "SMS", at });
    }
    let SmsSize { segments, forced_by, .. } = sms::size(&text);
    if segments > limits::SMS_SEGMENTS {
        return Err(RenderError::TooLarge { what: "segments of an SMS", limit: limits::SMS_SEGMENTS as usize, at });
    }
    Ok(RenderedSms { text, segments, forced_by, locale })
}
