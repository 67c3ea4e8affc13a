//! A template: the words of one message in every language that it knows.

use std::{collections::BTreeMap, sync::Arc};

use handlebars::Context;
use serde_json::{Map, Value, json};
use stentor_domain::{Channel, Locale, Violation, content::Images, item::ItemContent};

use crate::{
    engine::{Budget, Scope, Text},
    error::RenderError,
    layout::{MailLayout, mail_fields},
    mail_images::images_of,
    message::{self, CardParts, Input, Rendered, RenderedEmail, RenderedInbox, RenderedSms},
    messages::Messages,
    schema::Schema,
    way_out,
    words::Words,
};

/// A loaded template. It does not change; loading again makes a new one.
#[derive(Debug)]
pub struct Template {
    pub(crate) key: String,
    pub(crate) title: String,
    pub(crate) category: Option<String>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) default_locale: Locale,
    pub(crate) images: Images,
    /// The languages that `template.toml` says it is written in.
    pub(crate) expected_locales: Option<Vec<Locale>>,
    pub(crate) messages: Messages,
    pub(crate) versions: BTreeMap<Locale, LocaleVersion>,
    pub(crate) schema: Schema,
    pub(crate) samples: BTreeMap<String, Map<String, Value>>,
    pub(crate) personal: bool,
    pub(crate) content_hash: String,
    pub(crate) layout: Arc<MailLayout>,
}

/// A template in one language.
#[derive(Debug)]
pub(crate) struct LocaleVersion {
    pub words: Words,
    /// `email.mjml`: instead of the shared layout.
    pub mail: Option<MailLayout>,
    /// `email.txt`: instead of the text made from the body.
    pub mail_text: Option<Text>,
    /// `sms.txt`: instead of summary and link.
    pub sms: Option<Text>,
}

/// One rendering: the version chosen, and what it is filled with.
struct Rendering<'a> {
    version: &'a LocaleVersion,
    locale: &'a Locale,
    scope: Scope<'a>,
    context: Context,
}

impl Template {
    /// The name of its folder, by which requests name it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it is called among people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What preferences are set on, for requests that name no category.
    pub fn category(&self) -> Option<&str> {
        self.category.as_deref()
    }

    /// The channels that its author named; may be none.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The channels of a request that names none: the inbox, if the template names none either.
    pub fn default_channels(&self) -> &[Channel] {
        if self.channels.is_empty() { &[Channel::Inbox] } else { &self.channels }
    }

    /// The languages that it is written in, in the order of their tags.
    pub fn locales(&self) -> impl Iterator<Item = &Locale> {
        self.versions.keys()
    }

    /// The language for readers whose own it does not have.
    pub fn default_locale(&self) -> &Locale {
        &self.default_locale
    }

    /// Whether what is written depends on the reader beyond language and time zone: it says `recipient`.
    pub fn is_personal(&self) -> bool {
        self.personal
    }

    /// SHA-256 of everything it was made of, in hex: two templates with the same hash write the same.
    pub fn content_hash(&self) -> &str {
        &self.content_hash
    }

    /// Its samples of data by name, each of which fits the schema.
    pub fn samples(&self) -> &BTreeMap<String, Map<String, Value>> {
        &self.samples
    }

    /// The JSON Schema of its data, as it is written.
    pub fn schema(&self) -> &Value {
        self.schema.source()
    }

    /// What of `data` does not fit the schema; pointers begin with `/data`. At most 50 are named.
    pub fn check_data(&self, data: &Map<String, Value>) -> Vec<Violation> {
        self.schema.check(data, "/data")
    }

    /// The language in which a reader of `locale` gets it: their own, the more general one (`de-AT`, `de`), a
    /// regional form of theirs if they named none (`zh` reads `zh-CN`), or the default.
    pub fn locale_for(&self, locale: Option<&Locale>) -> Locale {
        self.choose(locale).0.clone()
    }

    fn choose(&self, locale: Option<&Locale>) -> (&Locale, &LocaleVersion) {
        let find = |tag: &str| self.versions.iter().find(|(known, _)| known.as_str() == tag);
        let regional = |tag: &str| {
            self.versions.iter().find(|(known, _)| known.as_str().strip_prefix(tag).is_some_and(|rest| rest.starts_with('-')))
        };
        locale
            .and_then(|l| l.with_fallbacks().find_map(find).or_else(|| regional(l.as_str())))
            .or_else(|| self.versions.get_key_value(&self.default_locale))
            .or_else(|| self.versions.first_key_value())
            .unwrap_or_else(|| unreachable!("a template without its default language is not loaded"))
    }

    fn begin<'a>(&'a self, input: &Input<'a>, budget: &'a Budget) -> Rendering<'a> {
        let (locale, version) = self.choose(input.locale);
        let mut variables = input.data.clone();
        // Who is not spoken of is not there: no way of writing `recipient` makes a shared rendering personal unseen.
        match input.recipient.filter(|_| self.personal) {
            Some(reader) => variables.insert("recipient".to_owned(), json!({ "id": reader.id, "attributes": reader.attributes })),
            None => variables.remove("recipient"),
        };
        variables.insert("app".to_owned(), json!({ "name": input.app_name }));
        variables.remove("mail");
        variables.remove("article");
        let context = Context::from(Value::Object(variables));
        let messages = Some(&self.messages);
        let scope = Scope { locale, timezone: input.timezone, now: input.now, messages, budget };
        Rendering { version, locale, scope, context }
    }

    /// Writes the message for `channel`.
    pub fn render(&self, channel: Channel, input: &Input<'_>) -> Result<Rendered, RenderError> {
        match channel {
            Channel::Inbox => self.render_inbox(input).map(Rendered::Inbox),
            Channel::Email => self.render_email(input).map(Rendered::Email),
            Channel::Sms => self.render_sms(input).map(Rendered::Sms),
        }
    }

    /// Writes the inbox item.
    pub fn render_inbox(&self, input: &Input<'_>) -> Result<RenderedInbox, RenderError> {
        let budget = Budget::new();
        let mut r = self.begin(input, &budget);
        let (card, content) = r.words()?;
        let CardParts { title, summary, image, link, actions } = card;
        Ok(RenderedInbox { title, summary, image, link, actions, content, locale: r.locale.clone() })
    }

    /// Writes the mail.
    pub fn render_email(&self, input: &Input<'_>) -> Result<RenderedEmail, RenderError> {
        let budget = Budget::new();
        let mut r = self.begin(input, &budget);
        let (card, content) = r.words()?;
        r.context.data_mut()["mail"] = mail_fields(&card, &content, input.unsubscribe, r.locale);
        let text = match &r.version.mail_text {
            None => card.as_mail_text(&content, input.app_name),
            Some(text) => text.render(&r.context, &r.scope)?,
        };
        let html = match &r.version.mail {
            Some(mail) => mail.render(&r.context, &r.scope)?,
            None => self.layout.render(&r.shared_with_layout(), &r.scope)?,
        };
        let text = way_out::at_the_end(text, input.unsubscribe, r.locale);
        let images = if self.images == Images::Inline { images_of(&html) } else { Vec::new() };
        Ok(RenderedEmail { subject: card.title, html, text, images, locale: r.locale.clone() })
    }

    /// Writes the SMS.
    pub fn render_sms(&self, input: &Input<'_>) -> Result<RenderedSms, RenderError> {
        let budget = Budget::new();
        let mut r = self.begin(input, &budget);
        let words = &r.version.words;
        let (text, at) = match &r.version.sms {
            Some(text) => (text.render(&r.context, &r.scope)?, text.place()),
            None => (words.sms(&mut r.context, &r.scope)?, words.summary_place()),
        };
        message::as_sms(text, r.locale.clone(), at)
    }
}

impl Rendering<'_> {
    /// What the inbox and the mail have in common.
    fn words(&mut self) -> Result<(CardParts, ItemContent), RenderError> {
        let card = self.version.words.card(&self.context, &self.scope)?;
        let content = self.version.words.content(&card, &mut self.context, &self.scope)?;
        Ok((card, content))
    }
    /// What the layout of all templates knows: nothing of the data.
    fn shared_with_layout(&mut self) -> Context {
        let data = self.context.data_mut();
        let fields = ["mail", "app"].map(|name| (name.to_owned(), data[name].take()));
        Context::from(Value::Object(fields.into_iter().collect()))
    }
}
