//! What a notification says: one face over templates and content that came with the request.

use std::sync::Arc;

use stentor_domain::{Card, Channel, Locale, Notification, RecipientId, Timestamp, content::Content};
use stentor_templates::{Input, RecipientFields, RenderError, RenderedEmail, RenderedInbox, RenderedSms, Template};

use crate::{Catalog, CatalogError};

/// What a notification says.
pub struct Words<'a> {
    said: Said<'a>,
    /// What its app is called, if that is known; else its id stands for it.
    app_name: Option<Arc<str>>,
}

enum Said<'a> {
    /// By a template.
    Template(Arc<Template>),
    /// By content that came with the request.
    Content(&'a Content),
}

/// For whom and when it is written.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// `None`: for everybody of the language.
    pub recipient: Option<&'a RecipientId>,
    /// Their language.
    pub locale: Option<&'a Locale>,
    /// Their time zone (IANA name).
    pub timezone: Option<&'a str>,
    /// Their free fields.
    pub attributes: &'a serde_json::Map<String, serde_json::Value>,
    /// The present time.
    pub now: Timestamp,
    /// Where they get no more of these mails.
    pub unsubscribe: Option<&'a str>,
}

impl<'a> Words<'a> {
    /// The words of `notification`, in the version of its template that it was accepted with; within, why there are none.
    /// An error without: SQL cannot say now.
    pub async fn of(notification: &'a Notification, catalog: &Catalog) -> Result<Result<Self, String>, CatalogError> {
        let n = notification;
        let key = match (&n.request.template, &n.request.content) {
            (Some(key), _) => key,
            (None, Some(content)) => {
                // Nothing but a mail names the app.
                let is_mailed = n.request.channels.as_ref().is_some_and(|channels| channels.contains(&Channel::Email));
                let app_name = if is_mailed { Some(catalog.app_name(&n.app).await) } else { None };
                return Ok(Ok(Self { app_name, ..Self::brought(content) }));
            }
            (None, None) => return Ok(Err("it says nothing".to_owned())),
        };
        let lost = match &n.template_version {
            // Accepted before versions were kept.
            None => None,
            Some(hash) => match catalog.version(&n.app, key, hash).await {
                Ok(version) => return Ok(Ok(Self::written(version.template.clone(), n, catalog).await)),
                Err(error @ CatalogError::Archive(_)) => return Err(error),
                Err(error) => Some(error.to_string()),
            },
        };
        // What is live says it as well, if it understands the data; better than not to say it at all.
        let reason = lost.clone().unwrap_or_else(|| "its template is gone".to_owned());
        match catalog.find(&n.app, key).await {
            Ok(Some(version)) if version.template.check_data(&n.request.data).is_empty() => {
                if lost.is_some() {
                    tracing::warn!(reason, "the live version of a template stands in for one that is lost");
                }
                Ok(Ok(Self::written(version.template.clone(), n, catalog).await))
            }
            Err(error @ CatalogError::Archive(_)) => Err(error),
            Ok(_) | Err(_) => Ok(Err(reason)),
        }
    }

    /// Content that came with the request, for whoever does not ask what the app is called.
    pub fn brought(content: &'a Content) -> Self {
        Self { said: Said::Content(content), app_name: None }
    }

    async fn written(template: Arc<Template>, n: &Notification, catalog: &Catalog) -> Self {
        Self { said: Said::Template(template), app_name: Some(catalog.app_name(&n.app).await) }
    }

    /// True if they came with the request.
    pub fn is_brought(&self) -> bool {
        matches!(self.said, Said::Content(_))
    }

    /// The channels that it goes out on: those that the request names, or the template's, or the inbox.
    pub fn channels<'n>(&'n self, n: &'n Notification) -> &'n [Channel] {
        n.request.channels.as_deref().unwrap_or_else(|| match &self.said {
            Said::Template(template) => template.default_channels(),
            Said::Content(_) => &[Channel::Inbox],
        })
    }

    /// Its category: that which the request names, or the template's.
    pub fn category<'n>(&'n self, n: &'n Notification) -> Option<&'n str> {
        n.request.category.as_deref().or_else(|| match &self.said {
            Said::Template(template) => template.category(),
            Said::Content(_) => None,
        })
    }

    /// The card of its item.
    pub fn card(&self, n: &Notification, rendered: &RenderedInbox) -> Card {
        Card {
            id: n.id,
            title: rendered.title.clone(),
            summary: rendered.summary.clone(),
            image: rendered.image.clone(),
            link: rendered.link.clone(),
            actions: rendered.actions.clone(),
            category: self.category(n).map(str::to_owned),
            priority: n.request.priority,
            created_at: n.accepted_at,
            expires_at: n.request.expires_at,
        }
    }

    /// True if what is written depends on the recipient and not only on the language.
    pub fn is_personal(&self) -> bool {
        matches!(&self.said, Said::Template(template) if template.is_personal())
    }

    /// The name of the rendering that `reader` gets: readers with the same variant share one.
    pub fn variant(&self, reader: Reader<'_>) -> String {
        match &self.said {
            Said::Content(_) => "inline".to_owned(),
            Said::Template(template) => {
                if let (true, Some(recipient)) = (template.is_personal(), reader.recipient) {
                    return format!("r:{recipient}");
                }
                let locale = template.locale_for(reader.locale);
                reader.timezone.map_or_else(|| locale.to_string(), |zone| format!("{locale}@{zone}"))
            }
        }
    }

    /// The languages that it is written in; `None` for words that stand as they are. The first is for those who read none of them.
    pub fn locales(&self) -> Vec<Option<Locale>> {
        match &self.said {
            Said::Content(_) => vec![None],
            Said::Template(template) => {
                let default = template.locale_for(None);
                let others = template.locales().filter(|locale| **locale != default).cloned().map(Some);
                std::iter::once(Some(default.clone())).chain(others).collect()
            }
        }
    }

    fn input<'b>(&'b self, n: &'b Notification, reader: Reader<'b>, recipient: Option<&'b RecipientFields>) -> Input<'b> {
        Input {
            data: &n.request.data,
            locale: reader.locale,
            timezone: reader.timezone,
            recipient,
            app_name: self.app_name.as_deref().unwrap_or_else(|| n.app.as_str()),
            now: reader.now,
            unsubscribe: reader.unsubscribe,
        }
    }

    /// The item in the inbox.
    pub fn inbox(&self, n: &Notification, reader: Reader<'_>) -> Result<RenderedInbox, RenderError> {
        let fields = reader.fields();
        let input = self.input(n, reader, fields.as_ref());
        match &self.said {
            Said::Template(template) => template.render_inbox(&input),
            Said::Content(content) => stentor_templates::inline::render_inbox(content, &input),
        }
    }

    /// The mail.
    pub fn email(&self, n: &Notification, reader: Reader<'_>) -> Result<RenderedEmail, RenderError> {
        let fields = reader.fields();
        let input = self.input(n, reader, fields.as_ref());
        match &self.said {
            Said::Template(template) => template.render_email(&input),
            Said::Content(content) => stentor_templates::inline::render_email(content, &input),
        }
    }

    /// The SMS.
    pub fn sms(&self, n: &Notification, reader: Reader<'_>) -> Result<RenderedSms, RenderError> {
        let fields = reader.fields();
        let input = self.input(n, reader, fields.as_ref());
        match &self.said {
            Said::Template(template) => template.render_sms(&input),
            Said::Content(content) => stentor_templates::inline::render_sms(content, &input),
        }
    }
}

impl Reader<'_> {
    fn fields(self) -> Option<RecipientFields> {
        Some(RecipientFields { id: self.recipient?.clone(), attributes: self.attributes.clone() })
    }
}
