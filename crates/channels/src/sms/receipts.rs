//! What a gateway reports after it took a message: delivered, or failed after all.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use stentor_domain::DeliveryId;
use subtle::ConstantTimeEq;

use crate::{ConfigError, Masked, ReceiptConfig, SmsConfig, config::Place};

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 100;

/// What was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// What became of it.
    pub report: Report,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is on the phone.
    Delivered,
    /// It will not come; the gateway's word for why.
    Failed(String),
    /// It is on its way; nothing to record.
    UnderWay,
}

/// The call is no receipt of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// The gateway takes no part in receipts, or the secret is wrong: both are told alike.
    #[error("there is no such callback")]
    Refused,
    /// A field is missing or not readable; the message names it.
    #[error("the field {0} is missing or cannot be read")]
    Field(&'static str),
}

/// Reads the receipts of the gateways of `[sms]`.
#[derive(Debug, Default)]
pub struct SmsReceipts(BTreeMap<String, ReceiptConfig>);

impl SmsReceipts {
    /// The gateways that have `receipts`.
    pub fn new(config: &SmsConfig) -> Result<Self, ConfigError> {
        let mut gateways = BTreeMap::new();
        for name in &config.providers {
            let Some(receipts) = config.provider.get(name).and_then(|provider| provider.receipts.clone()) else { continue };
            let place = Place { channel: "sms", name };
            if receipts.secret.reveal().len() < 16 {
                return Err(place.invalid("receipts.secret", "must be at least 16 characters: whoever knows it can report"));
            }
            if receipts.delivered.is_empty() {
                return Err(place.invalid("receipts.delivered", "must name the gateway's words for delivered"));
            }
            gateways.insert(name.clone(), receipts);
        }
        Ok(Self(gateways))
    }

    /// Reads a call to the callback of `provider`: its query or form fields, and its body if that is JSON.
    pub fn read(&self, provider: &str, fields: &HashMap<String, String>, json: Option<&Value>) -> Result<Receipt, BadReceipt> {
        let config = self.0.get(provider).ok_or(BadReceipt::Refused)?;
        let given = fields.get("secret").map_or("", String::as_str);
        if !same(given, &config.secret) {
            return Err(BadReceipt::Refused);
        }
        let field = |name: &str| match json {
            Some(json) if name.starts_with('/') => json.pointer(name).and_then(plain),
            _ => fields.get(name).cloned(),
        };
        let delivery = field(&config.reference).and_then(|id| id.parse().ok()).ok_or(BadReceipt::Field("reference"))?;
        let status = field(&config.status).ok_or(BadReceipt::Field("status"))?;
        let report = if config.delivered.contains(&status) {
            Report::Delivered
        } else if config.failed.contains(&status) {
            let word = config.reason.as_deref().and_then(field).unwrap_or(status);
            Report::Failed(word.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect())
        } else {
            Report::UnderWay
        };
        Ok(Receipt { delivery, report })
    }
}

/// Compares without telling by the time how much of it was right.
fn same(given: &str, secret: &Masked) -> bool {
    given.as_bytes().ct_eq(secret.reveal().as_bytes()).into()
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stentor_domain::{Channel, NotificationId, Timestamp};

    use super::*;

    fn receipts(more: &Value) -> Result<SmsReceipts, ConfigError> {
        let mut receipts = json!({
            "secret": "0123456789abcdef", "reference": "ref", "status": "state", "delivered": ["1", "DELIVRD"], "failed": ["2"],
        });
        receipts.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config = json!({"providers": ["gw", "mute"], "provider": {
            "gw": {"url": "http://x/", "receipts": receipts}, "mute": {"url": "http://x/"},
        }});
        SmsReceipts::new(&serde_json::from_value(config).unwrap())
    }

    fn delivery() -> DeliveryId {
        let notification = NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]);
        DeliveryId::new(notification, &"u1".parse().unwrap(), Channel::Sms)
    }

    fn fields(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn words_are_mapped_as_the_settings_say() {
        let id = delivery().to_string();
        let read = |state: &str| {
            let given = fields(&[("secret", "0123456789abcdef"), ("ref", &id), ("state", state)]);
            receipts(&json!({})).unwrap().read("gw", &given, None).unwrap()
        };
        assert_eq!(read("DELIVRD"), Receipt { delivery: delivery(), report: Report::Delivered });
        assert_eq!(read("2").report, Report::Failed("2".into()));
        assert_eq!(read("8").report, Report::UnderWay);
        let json = json!({"message": {"id": id, "code": 2, "why": "absent\u{0} subscriber"}});
        let pointers = json!({"reference": "/message/id", "status": "/message/code", "reason": "/message/why"});
        let given = fields(&[("secret", "0123456789abcdef")]);
        let receipt = receipts(&pointers).unwrap().read("gw", &given, Some(&json)).unwrap();
        assert_eq!(receipt.report, Report::Failed("absent subscriber".into()));
    }

    #[test]
    fn who_does_not_know_the_secret_is_told_nothing() {
        let id = delivery().to_string();
        let receipts = receipts(&json!({})).unwrap();
        for (provider, secret) in
            [("gw", "0123456789abcdeF"), ("gw", ""), ("mute", "0123456789abcdef"), ("none", "0123456789abcdef")]
        {
            let given = fields(&[("secret", secret), ("ref", &id), ("state", "1")]);
            assert_eq!(receipts.read(provider, &given, None), Err(BadReceipt::Refused), "{provider} {secret}");
        }
        let given = fields(&[("secret", "0123456789abcdef"), ("ref", "x"), ("state", "1")]);
        assert_eq!(receipts.read("gw", &given, None), Err(BadReceipt::Field("reference")));
        let given = fields(&[("secret", "0123456789abcdef"), ("ref", &id)]);
        assert_eq!(receipts.read("gw", &given, None), Err(BadReceipt::Field("status")));
    }

    #[test]
    fn a_secret_that_can_be_guessed_and_words_that_are_missing_are_refused() {
        let problem = |more: Value| receipts(&more).unwrap_err().to_string();
        assert!(problem(json!({"secret": "short"})).starts_with("sms.provider.gw.receipts.secret: "));
        assert!(problem(json!({"delivered": []})).starts_with("sms.provider.gw.receipts.delivered: "));
    }
}
