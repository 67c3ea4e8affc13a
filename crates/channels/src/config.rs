//! The operator's settings of email (`[email]`), and what they share with those of SMS (`sms/settings.rs`).

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

pub(crate) fn default_deadline_ms() -> u64 {
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
