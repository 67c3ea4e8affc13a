//! The words of a template in one language: `content.md`, compiled.

use std::sync::Arc;

use handlebars::Context;
use stentor_domain::{
    content::{Action, Image, LINKS, WEB, check_url},
    item::ItemContent,
    text::one_line,
};
use toml::Spanned;

use crate::{
    engine::{Escape, Scope, Text},
    error::{LoadError, RenderError},
    front_matter::ContentFile,
    limits, message,
    message::CardParts,
    plain::short_line,
};

/// A compiled `content.md`.
#[derive(Debug)]
pub(crate) struct Words {
    title: Text,
    summary: Option<Text>,
    link: Option<Text>,
    image: Option<(Text, Text)>,
    actions: Vec<(Text, Text)>,
    body: Text,
}

impl Words {
    /// Compiles `text`, the contents of `file`, adding what is wrong to `errors`.
    pub(crate) fn compile(file: &Arc<str>, text: &str, errors: &mut Vec<LoadError>) -> Option<Self> {
        let content = ContentFile::read(file, text, errors)?;
        let before = errors.len();
        let mut field = |field: &Spanned<String>, escape| Text::compile(&content.source(field), escape, &[], errors);
        let fields = &content.fields;
        let title = field(&fields.title, Escape::None);
        let summary = fields.summary.as_ref().and_then(|f| field(f, Escape::None));
        let link = fields.link.as_ref().and_then(|f| field(f, of_url(f)));
        let image = fields.image.as_ref().and_then(|i| field(&i.url, of_url(&i.url)).zip(field(&i.alt, Escape::None)));
        let actions =
            fields.actions.iter().filter_map(|a| field(&a.label, Escape::None).zip(field(&a.url, of_url(&a.url)))).collect();
        let body = Text::compile(&content.body(), Escape::Markdown, &[], errors);
        if errors.len() > before {
            return None;
        }
        Some(Self { title: title?, summary, link, image, actions, body: body? })
    }

    /// Whether it speaks of the recipient.
    pub(crate) fn is_personal(&self) -> bool {
        let pairs = self.image.iter().chain(&self.actions).flat_map(|(a, b)| [a, b]);
        [&self.title, &self.body].into_iter().chain(&self.summary).chain(&self.link).chain(pairs).any(|text| text.personal)
    }

    /// Writes the card.
    pub(crate) fn card(&self, context: &Context, scope: &Scope<'_>) -> Result<CardParts, RenderError> {
        let title = short_line(&self.title.render(context, scope)?, limits::TITLE_BYTES);
        if title.is_empty() {
            return Err(RenderError::Empty { part: "title", at: self.title.place() });
        }
        let summary = match &self.summary {
            Some(text) => Some(short_line(&text.render(context, scope)?, limits::SUMMARY_BYTES)).filter(|s| !s.is_empty()),
            None => None,
        };
        let link = match &self.link {
            Some(text) => url(text, "link", WEB, context, scope)?,
            None => None,
        };
        let mut image = None;
        if let Some((address, alt)) = &self.image
            && let Some(url) = url(address, "image.url", WEB, context, scope)?
        {
            image = Some(Image { url, alt: short_line(&alt.render(context, scope)?, limits::SUMMARY_BYTES) });
        }
        let mut actions = Vec::with_capacity(self.actions.len());
        for (i, (label, address)) in self.actions.iter().enumerate() {
            // A button whose address comes out empty is left out: that is how a template makes one optional.
            if let Some(url) = url(address, &format!("actions[{i}].url"), LINKS, context, scope)? {
                let label = short_line(&label.render(context, scope)?, limits::LABEL_BYTES);
                actions.push(Action { label, url });
            }
        }
        Ok(CardParts { title, summary, image, link, actions })
    }

    /// Writes the body.
    pub(crate) fn content(&self, card: &CardParts, context: &Context, scope: &Scope<'_>) -> Result<ItemContent, RenderError> {
        message::content(&self.body.render(context, scope)?, card.summary.as_deref(), &self.body.place())
    }

    /// The title, where an SMS that came out wrong is reported.
    pub(crate) fn place(&self) -> crate::error::Place {
        self.title.place()
    }
}

/// Values are encoded in a web address that the template begins; an address that is a value as a whole is left as it is.
fn of_url(field: &Spanned<String>) -> Escape {
    let text = field.get_ref().trim_start();
    if text.starts_with("http") { Escape::Url } else { Escape::None }
}

/// A checked address; `None` if it came out empty.
fn url(text: &Text, part: &str, schemes: &[&str], context: &Context, scope: &Scope<'_>) -> Result<Option<String>, RenderError> {
    let url = one_line(&text.render(context, scope)?);
    if url.is_empty() {
        return Ok(None);
    }
    match check_url(&url, schemes) {
        Ok(()) => Ok(Some(url)),
        Err(message) => Err(RenderError::BadLink { part: part.to_owned(), message, at: text.place() }),
    }
}
