//! The floor of writing a message: a shipped template in English, written by the libraries that do the work, used bare.
//!
//! It is what anybody would write with the same libraries and no care. Values that we write by ICU come ready-made.

use std::{collections::BTreeMap, fs, hint::black_box, path::Path};

use handlebars::{Context, Handlebars, no_escape};
use serde_json::{Map, Value, json};
use stentor_domain::{Channel, Locale, Timestamp};
use stentor_templates::{Input, Template};

/// The sample of a template that says the most.
fn richest(template: &Template) -> &Map<String, Value> {
    template.samples().values().max_by_key(|data| data.len()).expect("a sample")
}

/// What ours is given: the richest sample, in English.
pub(crate) fn input<'a>(template: &'a Template, english: &'a Locale) -> Input<'a> {
    Input {
        data: richest(template),
        locale: Some(english),
        timezone: None,
        recipient: None,
        app_name: "Example Bank",
        unsubscribe: None,
        now: Timestamp::from_millis(1_795_694_400_000),
    }
}

/// A template for the bare libraries.
pub(crate) struct Bare {
    engine: Handlebars<'static>,
    markdown: Handlebars<'static>,
    /// Names of the texts of a card: title, summary, link, actions.
    card: Vec<String>,
    sms: Vec<String>,
    data: Value,
    mjml: String,
    mail: Value,
    /// Whether it writes money, dates and the like.
    pub formats: bool,
}

impl Bare {
    pub(crate) fn of(template: &Template) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates");
        let read = |path: &str| fs::read_to_string(root.join(path)).ok();
        let content = read(&format!("{}/en/content.md", template.key())).expect("it is written in English");
        let (front, body) = content.trim_start_matches("+++\n").split_once("\n+++\n").expect("front matter and body");
        let front: toml::Table = front.parse().expect("TOML");
        let (mut engine, mut markdown) = (engine(no_escape), engine(handlebars::html_escape));
        let mut texts = BTreeMap::new();
        let field = |value: Option<&toml::Value>| value.and_then(toml::Value::as_str).map(str::to_owned);
        for name in ["title", "summary", "link"] {
            texts.extend(field(front.get(name)).map(|text| (name.to_owned(), text)));
        }
        for part in ["url", "alt"] {
            let text = front.get("image").and_then(|image| field(image.get(part)));
            texts.extend(text.map(|text| (format!("image.{part}"), text)));
        }
        for (i, action) in front.get("actions").and_then(toml::Value::as_array).into_iter().flatten().enumerate() {
            for part in ["label", "url"] {
                texts.extend(field(action.get(part)).map(|text| (format!("action.{i}.{part}"), text)));
            }
        }
        for (i, article) in front.get("articles").and_then(toml::Value::as_array).into_iter().flatten().enumerate() {
            let of = |part: &str| field(article.get(part)).unwrap_or_default();
            let image = article.get("image").map(|i| [field(i.get("url")), field(i.get("alt"))]).unwrap_or_default();
            let each = of("each");
            let inside =
                [Some(of("title")), Some(of("summary")), Some(of("link"))].into_iter().chain(image).flatten().collect::<String>();
            texts.insert(format!("articles.{i}"), format!("{{{{#each {each} as |article|}}}}{inside}{{{{/each}}}}"));
        }
        let formats = ["{{money", "{{date", "{{t ", "{{number", "{{phone"].iter().any(|helper| content.contains(helper));
        let own_sms = read(&format!("{}/en/sms.txt", template.key()));
        let sms = if let Some(text) = own_sms {
            engine.register_template_string("sms", text).expect("it compiles");
            vec!["sms".to_owned()]
        } else {
            texts.keys().cloned().collect()
        };
        for (name, text) in &texts {
            engine.register_template_string(name, text).expect("it compiles");
        }
        let security = read("_partials/en/security.md").unwrap_or_default();
        markdown.register_template_string("body", body.replace("{{> security}}", security.trim())).expect("it compiles");
        let layout = read("_layouts/email.mjml").expect("the layout");
        let compiled = mjml(&layout);
        markdown.register_template_string("mail", compiled).expect("it compiles");
        markdown.register_template_string("mjml", &layout).expect("it compiles");
        let mut data = richest(template).clone();
        data.insert("app".to_owned(), json!({ "name": "Example Bank" }));
        let data = Value::Object(data);
        let card = texts.into_keys().collect();
        let mut bare = Self { engine, markdown, card, sms, data, mjml: layout, mail: Value::Null, formats };
        bare.mail = bare.mail_fields();
        bare
    }

    /// The data as the engine takes it: made for each message, as `Handlebars::render` does.
    fn context(&self) -> Context {
        Context::wraps(&self.data).expect("plain values")
    }

    fn texts(&self, names: &[String], context: &Context) -> Vec<String> {
        names.iter().map(|name| self.engine.render_with_context(name, context).expect("it is written")).collect()
    }

    fn body(&self, context: &Context) -> (String, String) {
        let markdown = self.markdown.render_with_context("body", context).expect("it is written");
        let mut options = comrak::Options::default();
        options.extension.table = true;
        options.extension.strikethrough = true;
        options.render.r#unsafe = true;
        let html = ammonia::clean(&comrak::markdown_to_html(&markdown, &options));
        let text = html2text::config::plain_no_decorate().link_footnotes(true).string_from_read(html.as_bytes(), 76);
        (html, text.expect("it is text"))
    }

    /// What the mail is filled in with; made from the texts, as ours are.
    fn mail_fields(&self) -> Value {
        let context = self.context();
        let texts = self.texts(&self.card, &context);
        let (html, text) = self.body(&context);
        let value = |name: &str| self.card.iter().position(|n| n == name).map(|i| texts[i].clone()).unwrap_or_default();
        let actions: Vec<Value> = (0..5)
            .map(|i| (value(&format!("action.{i}.label")), value(&format!("action.{i}.url"))))
            .filter(|(_, url)| !url.is_empty())
            .map(|(label, url)| json!({ "label": label, "url": url, "primary": true }))
            .collect();
        let image =
            Some(value("image.url")).filter(|url| !url.is_empty()).map(|url| json!({ "url": url, "alt": value("image.alt") }));
        let articles = self.data.get("stories").cloned().unwrap_or_else(|| json!([]));
        json!({
            "subject": value("title"), "title": value("title"), "preheader": value("summary"), "body": html, "text": text,
            "image": image, "link": value("link"), "actions": actions, "articles": articles,
            "lang": "en", "dir": "ltr", "start": "left",
        })
    }

    pub(crate) fn write(&self, channel: Channel) {
        match channel {
            Channel::Sms => _ = black_box(self.texts(&self.sms, &self.context())),
            Channel::Inbox => {
                let context = self.context();
                _ = black_box((self.texts(&self.card, &context), self.body(&context)));
            }
            Channel::Email => {
                let context = Context::from(json!({ "mail": self.mail_fields(), "app": { "name": "Example Bank" } }));
                _ = black_box(self.markdown.render_with_context("mail", &context).expect("it is written"));
            }
        }
    }

    /// The usual way: Handlebars over the MJML, then mrml, for every mail.
    pub(crate) fn mail_at_send(&self) {
        let context = Context::from(json!({ "mail": self.mail_fields(), "app": { "name": "Example Bank" } }));
        let written = self.markdown.render_with_context("mjml", &context).expect("it is written");
        debug_assert!(self.mjml.len() > 100);
        _ = black_box(mjml(&written));
    }
}

fn mjml(text: &str) -> String {
    let parsed = mrml::parse(text).expect("it is MJML");
    let options = mrml::prelude::render::RenderOptions { disable_comments: true, ..Default::default() };
    parsed.element.render(&options).expect("it becomes a mail")
}

fn engine(escape: fn(&str) -> String) -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(escape);
    for (name, ready) in [
        ("money", "CN¥12,345.60"),
        ("date", "December 5, 2026"),
        ("number", "4"),
        ("phone", "+49 30 12345678"),
        ("t", "It is valid for 10 minutes."),
    ] {
        let helper = move |_: &handlebars::Helper<'_>,
                           _: &Handlebars<'_>,
                           _: &Context,
                           _: &mut handlebars::RenderContext<'_, '_>,
                           out: &mut dyn handlebars::Output|
              -> handlebars::HelperResult { Ok(out.write(ready)?) };
        engine.register_helper(name, Box::new(helper));
    }
    engine
}
