//! The operator's settings of email and SMS: `[email]` and `[sms]`.

use std::{collections::BTreeMap, io, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Masked;

/// `[email]`: which providers send mail.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmailConfig {
    /// The providers to use, in order; the next one is asked where nothing can have been sent.
    pub providers: Vec<String>,
    /// The providers by name.
    pub provider: BTreeMap<String, EmailProviderConfig>,
    /// The most bytes of all files that go with one mail.
    pub max_attachment_bytes: usize,
    /// Categories that nobody unsubscribes from: their mails carry no link for it.
    pub essential: Vec<String>,
}

impl Default for EmailConfig {
    fn default() -> Self {
        let max_attachment_bytes = 10 * 1024 * 1024;
        Self { providers: Vec::new(), provider: BTreeMap::new(), max_attachment_bytes, essential: Vec::new() }
    }
}

/// `[email.provider.NAME]`: a mail server.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EmailProviderConfig {
    /// `smtp://user:password@host:587?tls=required|opportunistic|none`, `smtps://user:password@host:465`, or
    /// `capture:DIR`, which writes `.eml` files. TLS is required unless `tls` says otherwise. User and password are
    /// percent-encoded.
    pub url: Masked,
    /// The sender: `Example Bank <no-reply@example.com>`.
    pub from: String,
    /// The senders of apps that have one of their own, by app.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub senders: BTreeMap<String, String>,
    /// Where answers go, if not to the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Where bounces go: `bounce@bounces.example.com` gets them as `bounce+TOKEN@…`, whose token names the mail. To the sender,
    /// unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_path: Option<String>,
    /// The user name, if it is not in the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password, if it is not in the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Masked>,
    /// Certificates (PEM) of authorities to trust besides the public ones, for a mail server of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// How mails are signed: one key or a list; not at all without. Each key of the sender's domain signs, so that two can be in
    /// use while one replaces the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub dkim: Vec<DkimSettings>,
    /// Headers that every mail carries for the provider's sake; in a value `{{token}}` stands for what names the mail in reports, and
    /// `{{id}}` for the delivery.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How the provider's reports by HTTP are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<crate::EventsConfig>,
    /// After how many milliseconds a call is given up.
    #[serde(default = "default_deadline_ms")]
    pub deadline_ms: u64,
    /// How many mails are handed over at once by one worker process; as many as it works on, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<usize>,
    /// How many mails are handed over in a second, by all workers together; unlimited, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<f64>,
}

impl EmailProviderConfig {
    pub(crate) fn limits(&self) -> Limits {
        Limits { max_concurrency: self.max_concurrency, rate_per_second: self.rate_per_second }
    }
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<DkimSettings>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "dkim must be { domain, selector, key_file }, or a list of such")]
    enum Given {
        One(DkimSettings),
        Many(Vec<DkimSettings>),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::One(one) => vec![one],
        Given::Many(many) => many,
    })
}

/// `[email.provider.NAME.dkim]`: the signature of RFC 6376.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DkimSettings {
    /// The domain that signs, usually the sender's.
    pub domain: String,
    /// The key's name: its public half is the TXT record `SELECTOR._domainkey.DOMAIN`.
    pub selector: String,
    /// The private key as PEM: PKCS#1 (RSA) or PKCS#8 (RSA or Ed25519).
    pub key_file: PathBuf,
}

/// `[sms]`: which providers send text messages.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmsConfig {
    /// The providers to use, in order; the next one is asked where nothing can have been sent.
    pub providers: Vec<String>,
    /// The providers by name.
    pub provider: BTreeMap<String, SmsProviderConfig>,
}

/// `[sms.provider.NAME]`: an HTTP gateway.
///
/// `url`, `headers` and `body` are Handlebars templates that know `to` (E.164), `text`, `from` and `id`, and the
/// helper `digits` (`{{digits to}}`: without the plus sign). Each value is escaped for its place: percent-encoded in
/// the URL, and in the body by what the header `Content-Type` says it is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmsProviderConfig {
    /// A gateway that is known by name; it sets everything but `url` and `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<SmsPreset>,
    /// Where the request goes. For `kannel` the whole sendsms URL with user and password; for `capture` nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Masked>,
    /// The folder that `capture` writes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// The request's method: `POST` with a body and `GET` without, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The request's headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Masked>,
    /// The request's body. It needs a header `Content-Type`: JSON, form, XML or plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The sender: `from` in the templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When a 2xx answer means that the message was taken; always, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<SuccessRule>,
    /// Where the answer holds the gateway's id of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageIdRule>,
    /// How the gateway's receipts are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<ReceiptConfig>,
    /// After how many milliseconds a call is given up.
    pub deadline_ms: u64,
    /// How many messages are handed over at once by one worker process; as many as it works on, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<usize>,
    /// How many messages are handed over in a second, by all workers together; unlimited, unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<f64>,
}

impl SmsProviderConfig {
    pub(crate) fn limits(&self) -> Limits {
        Limits { max_concurrency: self.max_concurrency, rate_per_second: self.rate_per_second }
    }
}

impl Default for SmsProviderConfig {
    fn default() -> Self {
        Self {
            preset: None,
            url: None,
            dir: None,
            method: None,
            headers: BTreeMap::new(),
            body: None,
            from: None,
            success: None,
            message_id: None,
            receipts: None,
            deadline_ms: default_deadline_ms(),
            max_concurrency: None,
            rate_per_second: None,
        }
    }
}

/// `[sms.provider.NAME.receipts]`: what the gateway reports later, at `/v1/callbacks/sms/NAME?secret=…` by POST or GET.
///
/// A field is a name in the query or the form, or a JSON pointer (`/message/id`) into a JSON body.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptConfig {
    /// What the callback's URL must carry as `secret`; at least 16 characters.
    pub secret: Masked,
    /// The field with the reference that the request gave as `{{id}}`.
    pub reference: String,
    /// The field that says what became of the message.
    pub status: String,
    /// Its words for delivered.
    pub delivered: Vec<String>,
    /// Its words for failed. All other words mean: under way.
    #[serde(default)]
    pub failed: Vec<String>,
    /// The field that says why it failed; the status itself, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A gateway that is known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SmsPreset {
    /// Kannel's `sendsms` (its user guide, chapter "Using the SMS services").
    Kannel,
    /// Each message becomes a JSON file in `dir`.
    Capture,
}

/// What the body of a 2xx answer must say: `{ pointer = "/status", equals = "0" }` or `{ regex = "^OK" }`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SuccessRule {
    /// A JSON pointer (RFC 6901) into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What must stand there; `0` and `"0"` are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<serde_json::Value>,
    /// A regular expression that must match the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}

/// Where the gateway's id of the message stands: `"/message/id"` or `{ regex = "id=(\\w+)" }`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum MessageIdRule {
    /// A JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// A regular expression on the body; its first group, or all of the match.
    Regex {
        /// The expression.
        regex: String,
    },
}

fn default_deadline_ms() -> u64 {
    30_000
}

/// How much a provider is asked at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub max_concurrency: Option<usize>,
    pub rate_per_second: Option<f64>,
}

impl Limits {
    pub(crate) fn check(self, place: Place<'_>) -> Result<(), ConfigError> {
        if self.max_concurrency == Some(0) {
            return Err(place.invalid("max_concurrency", "must be at least 1; leave it out for no cap"));
        }
        // Once an hour at the slowest: a rate of 0 would hold messages for ever.
        if self.rate_per_second.is_some_and(|rate| !(rate.is_finite() && rate >= 1.0 / 3_600.0)) {
            return Err(
                place.invalid("rate_per_second", "must be a number from 0.0003 (once an hour); leave it out for no limit")
            );
        }
        Ok(())
    }
}

/// The deadline of a provider: at least 1 ms, at most 10 minutes.
pub(crate) fn deadline(millis: u64) -> Duration {
    Duration::from_millis(millis.clamp(1, 600_000))
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `providers` names a provider that is not configured.
    #[error("{channel}.providers names {name:?}, but there is no [{channel}.provider.{name}]")]
    NoSuchProvider {
        /// `email` or `sms`.
        channel: &'static str,
        /// The name.
        name: String,
    },
    /// A value is missing or wrong.
    #[error("{key}: {problem}")]
    Invalid {
        /// The key, from the root: `email.provider.main.url`.
        key: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A file or folder that the settings name cannot be used.
    #[error("{key}: {path} cannot be used", path = path.display())]
    File {
        /// The key, from the root.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The TLS or HTTP client cannot be set up.
    #[error("{key}: the client cannot be set up")]
    Client {
        /// The provider's key.
        key: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The place of a provider in the settings, for errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub channel: &'static str,
    pub name: &'a str,
}

impl Place<'_> {
    pub(crate) fn key(self, field: &str) -> String {
        format!("{}.provider.{}.{field}", self.channel, self.name)
    }

    pub(crate) fn invalid(self, field: &str, problem: impl Into<String>) -> ConfigError {
        ConfigError::Invalid { key: self.key(field), problem: problem.into() }
    }

    pub(crate) fn file(self, field: &str, path: &std::path::Path, source: io::Error) -> ConfigError {
        ConfigError::File { key: self.key(field), path: path.to_owned(), source }
    }

    pub(crate) fn client(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConfigError {
        ConfigError::Client { key: format!("{}.provider.{}", self.channel, self.name), source: source.into() }
    }
}
