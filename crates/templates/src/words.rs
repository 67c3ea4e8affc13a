//! The words of a template in one language: `content.md`, compiled.

use std::sync::Arc;

use handlebars::Context;
use serde_json::Value;
use stentor_domain::{
    content::{Action, Article, Image, LINKS, WEB, check_url},
    item::ItemContent,
    text::one_line,
};
use toml::Spanned;

use crate::{
    engine::{Escape, Rules, Scope, Text},
    error::{LoadError, Place, RenderError},
    finding::Code,
    front_matter::{ArticleFields, ContentFile},
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
    articles: Vec<ArticleWords>,
    body: Text,
}

/// The words of an article, or of one for each element of a list.
#[derive(Debug)]
pub(crate) struct ArticleWords {
    /// The way to the list: `stories`, `news.stories`.
    list: Option<String>,
    title: Text,
    summary: Option<Text>,
    link: Option<Text>,
    image: Option<(Text, Text)>,
}

impl Words {
    /// Compiles `text`, the contents of `file`, adding what is wrong to `errors`.
    pub(crate) fn compile(file: &Arc<str>, text: &str, rules: Rules<'_>, errors: &mut Vec<LoadError>) -> Option<Self> {
        let content = ContentFile::read(file, text, errors)?;
        let before = errors.len();
        let mut field = |field: &Spanned<String>, escape| Text::compile(&content.source(field), escape, rules.escaped(), errors);
        let fields = &content.fields;
        let title = field(&fields.title, Escape::None);
        let summary = fields.summary.as_ref().and_then(|f| field(f, Escape::None));
        let link = fields.link.as_ref().and_then(|f| field(f, of_url(f)));
        let image = fields.image.as_ref().and_then(|i| field(&i.url, of_url(&i.url)).zip(field(&i.alt, Escape::None)));
        let actions =
            fields.actions.iter().filter_map(|a| field(&a.label, Escape::None).zip(field(&a.url, of_url(&a.url)))).collect();
        let articles =
            fields.articles.iter().filter_map(|a| ArticleWords::compile(&content, a, rules.escaped(), errors)).collect();
        let body = Text::compile(&content.body(), Escape::Markdown, rules, errors);
        if errors.len() > before {
            return None;
        }
        Some(Self { title: title?, summary, link, image, actions, articles, body: body? })
    }

    /// Whether it speaks of the recipient.
    pub(crate) fn is_personal(&self) -> bool {
        self.texts().chain(self.articles.iter().flat_map(ArticleWords::texts)).any(|text| text.personal)
    }

    /// Every text but those of the articles.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &Text> {
        let pairs = self.image.iter().chain(&self.actions).flat_map(|(a, b)| [a, b]);
        [&self.title, &self.body].into_iter().chain(&self.summary).chain(&self.link).chain(pairs)
    }

    /// The articles as they are written in the file.
    pub(crate) fn articles(&self) -> impl Iterator<Item = &ArticleWords> {
        self.articles.iter()
    }

    /// Whether there is a summary, be it empty in the end.
    pub(crate) fn has_summary(&self) -> bool {
        self.summary.is_some()
    }

    /// Where the title stands.
    pub(crate) fn title_place(&self) -> Place {
        self.title.place()
    }

    /// Where the summary stands; where the title does, if there is none.
    pub(crate) fn summary_place(&self) -> Place {
        self.summary.as_ref().map_or_else(|| self.title.place(), Text::place)
    }

    /// Where it says what the card's picture shows.
    pub(crate) fn alt_place(&self) -> Option<Place> {
        self.image.as_ref().map(|(_, alt)| alt.place())
    }

    /// Where the body begins.
    pub(crate) fn body_place(&self) -> Place {
        self.body.place()
    }

    /// Writes the card.
    pub(crate) fn card(&self, context: &Context, scope: &Scope<'_>) -> Result<CardParts, RenderError> {
        let title = title(&self.title, "title", context, scope)?;
        let summary = summary(self.summary.as_ref(), context, scope)?;
        let link = link(self.link.as_ref(), "link", context, scope)?;
        let image = image(self.image.as_ref(), "image.url", context, scope)?;
        let mut actions = Vec::with_capacity(self.actions.len());
        for (i, (label, address)) in self.actions.iter().enumerate() {
            // A button whose address comes out empty is left out: that is how a template makes one optional.
            if let Some(url) = url(address, || format!("actions[{i}].url"), LINKS, context, scope)? {
                let label = short_line(label.render(context, scope)?, limits::LABEL_BYTES);
                actions.push(Action { label, url });
            }
        }
        Ok(CardParts { title, summary, image, link, actions })
    }

    /// Writes the SMS of summary (of the title, if there is none) and link.
    pub(crate) fn sms(&self, context: &mut Context, scope: &Scope<'_>) -> Result<String, RenderError> {
        let words = match summary(self.summary.as_ref(), context, scope)? {
            Some(summary) => summary,
            None => title(&self.title, "title", context, scope)?,
        };
        let link = match link(self.link.as_ref(), "link", context, scope)? {
            Some(link) => Some(link),
            None => self.write_articles(context, scope)?.into_iter().find_map(|article| article.link),
        };
        Ok(message::sms_of(words, link.as_deref()))
    }

    /// Writes the body.
    pub(crate) fn content(&self, card: &CardParts, context: &mut Context, scope: &Scope<'_>) -> Result<ItemContent, RenderError> {
        scope.budget.begin();
        let articles = self.write_articles(context, scope)?;
        let at = || self.body.place();
        let content = message::content(&self.body.render(context, scope)?, card.summary.as_deref(), articles, at)?;
        // Markdown and HTML do not pay by parts: they are bounded, and looked at when they are done.
        if scope.budget.is_late() { Err(RenderError::TooSlow { at: at() }) } else { Ok(content) }
    }

    /// Writes the articles: of a longer list the first ten.
    fn write_articles(&self, context: &mut Context, scope: &Scope<'_>) -> Result<Vec<Article>, RenderError> {
        let mut written = Vec::new();
        for words in &self.articles {
            let left = limits::ARTICLES - written.len();
            match &words.list {
                None => written.extend((left > 0).then(|| words.write(context, scope)).transpose()?),
                Some(list) => {
                    let elements: Vec<Value> = elements(context.data(), list, words)?.iter().take(left).cloned().collect();
                    for article in elements {
                        context.data_mut()["article"] = article;
                        written.push(words.write(context, scope)?);
                    }
                    // Beside the list it speaks of nothing.
                    context.data_mut().as_object_mut().map(|fields| fields.remove("article"));
                }
            }
        }
        Ok(written)
    }
}

/// The elements of the list at `path`; none if it is absent.
fn elements<'a>(data: &'a Value, path: &str, words: &ArticleWords) -> Result<&'a [Value], RenderError> {
    match path.split('.').try_fold(data, |value, name| value.get(name)) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(RenderError::BadValue { message: format!("`{path}` is not a list"), at: words.place() }),
    }
}

impl ArticleWords {
    fn compile(content: &ContentFile<'_>, fields: &ArticleFields, rules: Rules<'_>, errors: &mut Vec<LoadError>) -> Option<Self> {
        let mut list = None;
        if let Some(each) = &fields.each {
            let path = each.get_ref().as_str();
            let is_path =
                path.split('.').all(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-'));
            if !is_path {
                let mend = "Name the list as in schema.json, without braces: each = \"stories\"";
                errors.push(LoadError::new(content.source(each).place(1, 1), Code::BadField, "`each` names no list", mend));
            }
            list = Some(path.to_owned());
        }
        let mut field = |field: &Spanned<String>, escape| Text::compile(&content.source(field), escape, rules.escaped(), errors);
        let title = field(&fields.title, Escape::None);
        let summary = fields.summary.as_ref().and_then(|f| field(f, Escape::None));
        let link = fields.link.as_ref().and_then(|f| field(f, of_url(f)));
        let image = fields.image.as_ref().and_then(|i| field(&i.url, of_url(&i.url)).zip(field(&i.alt, Escape::None)));
        Some(Self { list, title: title?, summary, link, image })
    }

    /// The list of which each element is an article; `None` for one that is written out.
    pub(crate) fn list(&self) -> Option<&str> {
        self.list.as_deref()
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        self.title.place()
    }

    /// Where it says what its picture shows.
    pub(crate) fn alt_place(&self) -> Option<Place> {
        self.image.as_ref().map(|(_, alt)| alt.place())
    }

    /// Its texts.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &Text> {
        let image = self.image.iter().flat_map(|(a, b)| [a, b]);
        [&self.title].into_iter().chain(&self.summary).chain(&self.link).chain(image)
    }

    fn write(&self, context: &Context, scope: &Scope<'_>) -> Result<Article, RenderError> {
        let title = title(&self.title, "article's title", context, scope)?;
        let summary = summary(self.summary.as_ref(), context, scope)?;
        let image = image(self.image.as_ref(), "articles.image.url", context, scope)?;
        Ok(Article { title, summary, image, link: link(self.link.as_ref(), "articles.link", context, scope)? })
    }
}

fn title(text: &Text, part: &'static str, context: &Context, scope: &Scope<'_>) -> Result<String, RenderError> {
    let title = short_line(text.render(context, scope)?, limits::TITLE_BYTES);
    if title.is_empty() { Err(RenderError::Empty { part, at: text.place() }) } else { Ok(title) }
}

fn summary(text: Option<&Text>, context: &Context, scope: &Scope<'_>) -> Result<Option<String>, RenderError> {
    let Some(text) = text else { return Ok(None) };
    Ok(Some(short_line(text.render(context, scope)?, limits::SUMMARY_BYTES)).filter(|s| !s.is_empty()))
}

fn link(text: Option<&Text>, part: &str, context: &Context, scope: &Scope<'_>) -> Result<Option<String>, RenderError> {
    text.map_or(Ok(None), |text| url(text, || part.to_owned(), WEB, context, scope))
}

/// A picture; none if its address came out empty.
fn image(words: Option<&(Text, Text)>, part: &str, context: &Context, scope: &Scope<'_>) -> Result<Option<Image>, RenderError> {
    let Some((address, alt)) = words else { return Ok(None) };
    let Some(url) = url(address, || part.to_owned(), WEB, context, scope)? else { return Ok(None) };
    Ok(Some(Image { url, alt: short_line(alt.render(context, scope)?, limits::SUMMARY_BYTES) }))
}

/// Values are encoded in a web address that the template begins; an address that is a value as a whole is left as it is.
fn of_url(field: &Spanned<String>) -> Escape {
    let text = field.get_ref().trim_start();
    if text.starts_with("http") { Escape::Url } else { Escape::None }
}

/// A checked address; `None` if it came out empty.
fn url(
    text: &Text,
    part: impl FnOnce() -> String,
    schemes: &[&str],
    context: &Context,
    scope: &Scope<'_>,
) -> Result<Option<String>, RenderError> {
    let url = one_line(text.render(context, scope)?);
    if url.is_empty() {
        return Ok(None);
    }
    match check_url(&url, schemes) {
        Ok(()) => Ok(Some(url)),
        Err(message) => Err(RenderError::BadLink { part: part(), message, at: text.place() }),
    }
}
