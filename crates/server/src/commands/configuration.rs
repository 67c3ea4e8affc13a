//! `stentor config`: what the settings are, and whether they hold.

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};
use stentor_channels::{Providers, SmsCallbacks};

use super::Output;
use crate::{
    config::{Config, DEFAULT},
    wiring::mail_events,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Configuration {
    /// Print every setting with its default and what it means
    Default,
    /// Read the settings as `serve` would, and print what is in force with secrets masked
    Check,
}

impl Configuration {
    pub(crate) fn run(self, config: impl FnOnce() -> anyhow::Result<Config>, out: Output) -> anyhow::Result<()> {
        match self {
            Self::Default => out.say(&json!({ "toml": DEFAULT }), |_| DEFAULT.trim_end().to_owned()),
            Self::Check => {
                let config = config()?;
                if !config.email.providers.is_empty() {
                    Providers::email(&config.email).context("the settings under [email] cannot be used")?;
                    mail_events(&config)?;
                }
                if !config.sms.providers.is_empty() {
                    Providers::sms(&config.sms).context("the settings under [sms] cannot be used")?;
                    SmsCallbacks::new(&config.sms).context("the settings under [sms] cannot be used")?;
                }
                let shown = masked(&config)?;
                out.say(&shown, |shown| {
                    let table = toml::to_string_pretty(shown).unwrap_or_else(|_| shown.to_string());
                    format!("{table}\n# the settings are good")
                })
            }
        }
    }
}

/// The settings as they may be shown.
pub(crate) fn masked(config: &Config) -> anyhow::Result<Value> {
    let mut shown = serde_json::to_value(config)?;
    mask(&mut shown);
    Ok(shown)
}

/// Hides passwords: those named so, and those in URLs.
fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let secret = ["password", "secret", "token", "authorization", "api_key", "hmac_key"]
                    .iter()
                    .any(|s| name.to_lowercase().contains(s));
                match value {
                    Value::String(text) if secret && !text.is_empty() => *text = "***".into(),
                    Value::String(text) => *text = mask_url(text),
                    other => mask(other),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask),
        _ => {}
    }
}

/// `scheme://user:password@host…?password=…` without the passwords.
fn mask_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}:***@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    let tail = match tail.split_once('?') {
        Some((path, query)) => {
            let pairs = query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, _)) if ["pass", "secret", "token", "key"].iter().any(|s| name.to_lowercase().contains(s)) => {
                    format!("{name}=***")
                }
                _ => pair.to_owned(),
            });
            format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
        }
        None => tail.to_owned(),
    };
    format!("{scheme}://{authority}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let mut value = json!({
            "redis": {"url": "redis://:s3cret@127.0.0.1:6379/0"},
            "sms": {"url": "http://127.0.0.1/send?username=u&password=s3cret", "headers": {"Authorization": "s3cret"}},
            "list": [{"password": "s3cret"}],
        });
        mask(&mut value);
        let text = value.to_string();
        assert!(!text.contains("s3cret"), "{text}");
        assert!(text.contains("127.0.0.1:6379/0") && text.contains("username=u"), "{text}");
    }
}
