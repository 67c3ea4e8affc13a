//! What is sent, and what became of it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value};
use stentor_domain::{AppId, DeliveryId, EmailAddress, Locale, NotificationId, PhoneNumber};
use uuid::Uuid;

/// One configured provider.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Hands the message to the provider. Returns within its deadline and `within`, whichever is less.
    async fn send(&self, message: &OutboundMessage, within: Duration) -> Result<Sent, SendError>;

    /// Asks, without a message, whether the provider would take one, as far as that can be asked.
    async fn probe(&self) -> Result<(), SendError> {
        Ok(())
    }

    /// The provider's name in the configuration.
    fn provider(&self) -> &str;
}

/// A finished message.
#[derive(Clone, Debug)]
pub enum OutboundMessage {
    /// For a mailbox.
    Email(EmailMessage),
    /// For a phone.
    Sms(SmsMessage),
}

impl OutboundMessage {
    /// The delivery that it belongs to.
    pub fn id(&self) -> DeliveryId {
        match self {
            Self::Email(mail) => mail.id,
            Self::Sms(sms) => sms.id,
        }
    }
}

/// A mail. The sender is the provider's.
#[derive(Clone)]
pub struct EmailMessage {
    /// The delivery: the Message-ID is made of it, so that a repeated mail is recognised as the same.
    pub id: DeliveryId,
    /// On whose behalf.
    pub app: AppId,
    /// To whom.
    pub to: EmailAddress,
    /// One line, at most 998 bytes of UTF-8.
    pub subject: String,
    /// The HTML body; the text is its alternative then.
    pub html: Option<String>,
    /// The text body.
    pub text: String,
    /// The notification that it is of, for the receiver's feedback on mails that belong together.
    pub notification: Option<NotificationId>,
    /// The category, for the same.
    pub category: Option<String>,
    /// Where the person unsubscribes: a page, and by POST at once (RFC 8058).
    pub unsubscribe: Option<String>,
    /// The same for all mails that are to be shown as one conversation.
    pub thread: Option<Uuid>,
    /// What names the mail in the address that it bounces to, if the provider has a `return_path`.
    pub return_token: Option<String>,
    /// What goes with it.
    pub files: Vec<MailFile>,
}

impl EmailMessage {
    /// A mail of text alone.
    pub fn new(id: DeliveryId, app: AppId, to: EmailAddress, subject: String, text: String) -> Self {
        Self {
            id,
            app,
            to,
            subject,
            html: None,
            text,
            notification: None,
            category: None,
            unsubscribe: None,
            thread: None,
            return_token: None,
            files: Vec::new(),
        }
    }
}

/// A file that goes with a mail.
#[derive(Clone)]
pub struct MailFile {
    /// Its name, of one line.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// The id by which the HTML shows it (`cid:…`); without, it is an attachment.
    pub content_id: Option<String>,
    /// What is in it.
    pub content: Bytes,
}

/// A text message.
#[derive(Clone)]
pub struct SmsMessage {
    /// The delivery: `id` in a gateway's request templates.
    pub id: DeliveryId,
    /// To whom.
    pub to: PhoneNumber,
    /// The text.
    pub text: String,
    /// The template that the text was written by, for gateways that send templates of their own.
    pub template: Option<SentTemplate>,
}

impl SmsMessage {
    /// A text that no template wrote.
    pub fn new(id: DeliveryId, to: PhoneNumber, text: String) -> Self {
        Self { id, to, text, template: None }
    }
}

/// By which template a message was written, and with what.
#[derive(Clone)]
pub struct SentTemplate {
    /// The template's key.
    pub key: String,
    /// In which language.
    pub locale: Locale,
    /// What was filled in.
    pub data: Map<String, Value>,
}

// Subjects and bodies must not reach a log, whoever prints a message.
impl std::fmt::Debug for EmailMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmailMessage").field("id", &self.id).field("app", &self.app).field("to", &self.to).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SmsMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmsMessage").field("id", &self.id).field("to", &self.to).finish_non_exhaustive()
    }
}

/// The provider took the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Which provider.
    pub provider: String,
    /// The message's id there: what a gateway answered, or the Message-ID of a mail.
    pub message_id: Option<String>,
}

/// The provider did not take the message, or did not say so. `detail` never holds an address or a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing can have been sent; it may be tried again.
    #[error("{provider}: {detail}")]
    Transient {
        /// Which provider.
        provider: String,
        /// What happened.
        detail: String,
        /// How long the provider asks to wait.
        retry_after: Option<Duration>,
        /// Whether it would have failed with any message: the provider cannot be reached, or wants to be left alone.
        provider_down: bool,
    },
    /// It was refused for good.
    #[error("{provider}: {detail}")]
    Permanent {
        /// Which provider.
        provider: String,
        /// What happened.
        detail: String,
    },
    /// It was handed over, and the answer was lost: it may have been sent.
    #[error("{provider}: {detail}")]
    Unknown {
        /// Which provider.
        provider: String,
        /// What happened.
        detail: String,
    },
}

/// A [`SendError`] before it is known whose it is.
#[derive(Debug)]
pub(crate) enum Failure {
    Transient { detail: String, retry_after: Option<Duration>, provider_down: bool },
    Permanent(String),
    Unknown(String),
}

impl Failure {
    /// It is about this message.
    pub(crate) fn transient(detail: impl Into<String>) -> Self {
        Self::Transient { detail: detail.into(), retry_after: None, provider_down: false }
    }

    /// It is about the provider.
    pub(crate) fn down(detail: impl Into<String>) -> Self {
        Self::Transient { detail: detail.into(), retry_after: None, provider_down: true }
    }

    pub(crate) fn permanent(detail: impl Into<String>) -> Self {
        Self::Permanent(detail.into())
    }

    pub(crate) fn unknown(detail: impl Into<String>) -> Self {
        Self::Unknown(detail.into())
    }

    pub(crate) fn of(self, provider: &str) -> SendError {
        let provider = provider.to_owned();
        match self {
            Self::Transient { detail, retry_after, provider_down } => {
                SendError::Transient { provider, detail, retry_after, provider_down }
            }
            Self::Permanent(detail) => SendError::Permanent { provider, detail },
            Self::Unknown(detail) => SendError::Unknown { provider, detail },
        }
    }
}
