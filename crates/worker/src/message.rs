//! The finished message of a delivery: rendered, with the links and files that belong to it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use stentor_archive::{Archive, ArchiveError};
use stentor_catalog::{Reader, Words};
use stentor_channels::{EmailMessage, OutboundMessage, ReturnToken, SentTemplate, SmsMessage, Unsubscribe};
use stentor_domain::{AppId, Channel, Clock, EmailAddress, Notification, SuppressedAddress, id::thread_id};
use stentor_templates::RenderedEmail;

use crate::{
    attachments::{Files, NoFiles},
    images::{Images, MailImages},
    jobs::DeliveryJob,
};

/// The links of mails.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// Where this API is reached by everybody, such as `https://notify.example.com`; without, mails carry no links to it.
    pub public_url: Option<String>,
    /// Categories that nobody unsubscribes from.
    pub essential: Vec<String>,
}

/// A message.
pub(crate) struct Made {
    pub message: OutboundMessage,
    /// What about it is not as it was meant, and yet no reason not to send it.
    pub note: Option<String>,
}

/// There is no message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoMessage {
    /// There never will be one.
    #[error("{0}")]
    Refused(String),
    /// What belongs to it is not there now.
    #[error("{0}")]
    Trouble(String),
    /// SQL does not answer; it counts as no attempt.
    #[error("SQL does not answer")]
    Record(#[from] ArchiveError),
}

/// Makes messages.
#[derive(Clone)]
pub(crate) struct Messages {
    pub clock: Arc<dyn Clock>,
    pub archive: Archive,
    pub links: Links,
    pub files: Files,
    pub images: Images,
    /// The most bytes of all files of a mail, its pictures included.
    pub max_attachment_bytes: usize,
    pub secrets: Secrets,
}

/// The secrets of apps. They do not change, so what was read once is kept.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Mutex<HashMap<AppId, Arc<[u8]>>>>);

impl Secrets {
    async fn find(&self, archive: &Archive, app: &AppId) -> Result<Option<Arc<[u8]>>, ArchiveError> {
        if let Some(secret) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(app) {
            return Ok(Some(secret.clone()));
        }
        let Some(found) = archive.find_app(app).await? else { return Ok(None) };
        let secret: Arc<[u8]> = found.inbox_secret.into();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(app.clone(), secret.clone());
        Ok(Some(secret))
    }
}

impl Messages {
    /// The message of `job`.
    pub(crate) async fn make(&self, job: &DeliveryJob, n: &Notification, words: &Words<'_>) -> Result<Made, NoMessage> {
        let refused = |why: &str| NoMessage::Refused(why.to_owned());
        let reader = Reader {
            recipient: Some(&job.recipient),
            locale: job.locale.as_ref(),
            timezone: job.timezone.as_deref(),
            attributes: &job.attributes,
            now: self.clock.now(),
            unsubscribe: None,
        };
        match job.channel {
            Channel::Email => {
                let to = job.to.parse().map_err(|_| refused("the address is no mailbox"))?;
                let category = words.category(n);
                let secret = self.secrets.find(&self.archive, &job.app).await?.ok_or_else(|| refused("its app is gone"))?;
                let unsubscribe = self.unsubscribe(&to, job, n, category, &secret);
                let reader = Reader { unsubscribe: unsubscribe.as_deref(), ..reader };
                let mail = words.email(n, reader).map_err(|e| NoMessage::Refused(e.to_string()))?;
                let message = EmailMessage::new(job.delivery, job.app.clone(), to, mail.subject.clone(), mail.text.clone());
                let message = EmailMessage { category: category.map(str::to_owned), unsubscribe, ..message };
                self.complete(message, mail, job, n, &secret).await
            }
            Channel::Sms => {
                let sms = words.sms(n, reader).map_err(|e| NoMessage::Refused(e.to_string()))?;
                let to = job.to.parse().map_err(|_| refused("the address is no phone number"))?;
                let template =
                    n.request.template.clone().map(|key| SentTemplate { key, locale: sms.locale, data: n.request.data.clone() });
                let message = SmsMessage { template, ..SmsMessage::new(job.delivery, to, sms.text) };
                Ok(Made { message: OutboundMessage::Sms(message), note: None })
            }
            Channel::Inbox => Err(refused("an inbox needs no delivery")),
        }
    }

    /// What a mail has beyond its words.
    async fn complete(
        &self,
        message: EmailMessage,
        mail: RenderedEmail,
        job: &DeliveryJob,
        n: &Notification,
        secret: &[u8],
    ) -> Result<Made, NoMessage> {
        let token = ReturnToken::new(&job.app, secret, job.delivery, &SuppressedAddress::from(&message.to));
        let mut files = self.files.of(n).await.map_err(|e| match e {
            NoFiles::Refused(why) => NoMessage::Refused(why),
            NoFiles::Trouble(why) => NoMessage::Trouble(why),
        })?;
        let room = self.max_attachment_bytes.saturating_sub(files.iter().map(|file| file.content.len()).sum());
        let MailImages { files: images, note } = self.images.of(&job.app, &mail.images, room).await;
        let came: HashSet<&str> = images.iter().filter_map(|image| image.content_id.as_deref()).collect();
        let html = if came.is_empty() { mail.html } else { mail.html_showing(|image| came.contains(image.content_id.as_str())) };
        files.extend(images);
        if !files.is_empty() {
            let bytes: usize = files.iter().map(|file| file.content.len()).sum();
            metrics::counter!("stentor_mail_files_total").increment(files.len() as u64);
            metrics::counter!("stentor_mail_file_bytes_total").increment(bytes as u64);
        }
        let message = EmailMessage {
            html: Some(html),
            notification: Some(n.id),
            thread: n.request.collapse_key.as_deref().map(|key| thread_id(&job.app, &job.recipient, key)),
            return_token: Some(token.to_string()),
            files,
            ..message
        };
        Ok(Made { message: OutboundMessage::Email(message), note })
    }

    fn unsubscribe(
        &self,
        to: &EmailAddress,
        job: &DeliveryJob,
        n: &Notification,
        category: Option<&str>,
        secret: &[u8],
    ) -> Option<String> {
        let url = self.links.public_url.as_deref()?;
        if category.is_some_and(|category| self.links.essential.iter().any(|essential| essential == category)) {
            return None;
        }
        let link = Unsubscribe {
            address: to.clone(),
            category: category.map(str::to_owned),
            locale: job.locale.clone(),
            notification: n.id,
        };
        Some(format!("{}/unsubscribe/{}", url.trim_end_matches('/'), link.seal(&job.app, secret)))
    }
}
