//! What gateways call: receipts of messages that they took, and messages that people send.

mod proof;

use std::{collections::BTreeMap, time::Duration};

use reqwest::header::HeaderMap;
use serde_json::Value;
use stentor_domain::{AppId, DeliveryId, Region, Timestamp};

use super::{found::plain, presets::with_preset};
use crate::{ConfigError, IncomingConfig, ReceiptConfig, Reply, SmsConfig, config::Place};

use proof::Prover;

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 100;
/// The most receipts in one call.
const MAX_RECEIPTS: usize = 1_000;
/// How old a signed call may be: an older one may be a replay.
pub(super) const FRESH: Duration = Duration::from_mins(5);

/// A call to a callback, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The query as it stood in the URL; empty if there was none.
    pub raw_query: &'a str,
    /// The fields of the query.
    pub query: &'a [(String, String)],
    /// The fields of the body, if it is a form.
    pub form: &'a [(String, String)],
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
    /// The body, if it is JSON.
    pub json: Option<&'a Value>,
    /// When it came.
    pub now: Timestamp,
}

/// What was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Of what.
    pub about: About,
    /// What became of it.
    pub report: Report,
}

/// How a receipt names its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// By our reference.
    Delivery(DeliveryId),
    /// By the gateway's own id.
    Message(String),
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

/// A message that somebody sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The number that it comes from, as the gateway spells it, with the country's code in front if that came by itself.
    pub from: String,
    /// The words.
    pub text: String,
    /// The gateway's id of it.
    pub message_id: Option<String>,
}

// Numbers and words must not reach a log.
impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

/// The call is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCall {
    /// The gateway takes no part, or does not prove itself: both are told alike.
    #[error("there is no such callback")]
    Refused,
    /// A field is missing or not readable; the message names it.
    #[error("the field {0} is missing or cannot be read")]
    Field(&'static str),
    /// There is more in it than a call may hold.
    #[error("a call holds at most {MAX_RECEIPTS} receipts")]
    TooMany,
}

/// Reads what the gateways of `[sms]` call.
#[derive(Debug, Default)]
pub struct SmsCallbacks(BTreeMap<String, Gateway>);

#[derive(Debug)]
struct Gateway {
    receipts: Option<(Prover, ReceiptConfig)>,
    incoming: Option<(Prover, IncomingConfig)>,
}

impl SmsCallbacks {
    /// The gateways that have `receipts` or `incoming`.
    pub fn new(config: &SmsConfig) -> Result<Self, ConfigError> {
        let mut gateways = BTreeMap::new();
        for name in &config.providers {
            let Some(provider) = config.provider.get(name) else { continue };
            let place = Place { channel: "sms", name };
            let provider = with_preset(place, provider)?;
            let receipts = match &provider.receipts {
                None => None,
                Some(receipts) => {
                    if receipts.reference.is_none() && receipts.message_id.is_none() {
                        let problem = "must name the field that holds our reference, or message_id the one with the gateway's id";
                        return Err(place.invalid("receipts.reference", problem));
                    }
                    if receipts.status.is_none() {
                        return Err(place.invalid("receipts.status", "must name the field that says what became of the message"));
                    }
                    if receipts.delivered.is_empty() {
                        return Err(place.invalid("receipts.delivered", "must name the gateway's words for delivered"));
                    }
                    Some((Prover::of_receipts(place, &provider, receipts)?, receipts.clone()))
                }
            };
            let incoming = match &provider.incoming {
                None => None,
                Some(incoming) => {
                    for (key, field) in [("from", &incoming.from), ("text", &incoming.text)] {
                        if field.is_none() {
                            return Err(place.invalid(&format!("incoming.{key}"), "must name the field"));
                        }
                    }
                    Some((Prover::of_incoming(place, &provider, incoming)?, incoming.clone()))
                }
            };
            gateways.insert(name.clone(), Gateway { receipts, incoming });
        }
        Ok(Self(gateways))
    }

    /// The receipts in a call of `provider`.
    pub fn receipts(&self, provider: &str, call: &Call<'_>) -> Result<Vec<Receipt>, BadCall> {
        let (prover, config) = self.0.get(provider).and_then(|g| g.receipts.as_ref()).ok_or(BadCall::Refused)?;
        prover.check(call)?;
        read_all(call, |fields| receipt(config, fields))
    }

    /// The message in a call of `provider`.
    pub fn incoming(&self, provider: &str, call: &Call<'_>) -> Result<Vec<Incoming>, BadCall> {
        let (prover, config) = self.0.get(provider).and_then(|g| g.incoming.as_ref()).ok_or(BadCall::Refused)?;
        prover.check(call)?;
        read_all(call, |fields| incoming(config, fields))
    }

    /// What the gateway wants to hear when its receipts were taken, if not nothing.
    pub fn receipt_answer(&self, provider: &str) -> Option<&str> {
        self.0.get(provider)?.receipts.as_ref()?.1.answer.as_deref()
    }

    /// What the gateway wants to hear when its message was taken and there is nothing to tell the person.
    pub fn incoming_answer(&self, provider: &str) -> Option<&str> {
        self.0.get(provider)?.incoming.as_ref()?.1.answer.as_deref()
    }

    /// How the gateway takes an answer to the person.
    pub fn reply(&self, provider: &str) -> Option<Reply> {
        self.0.get(provider)?.incoming.as_ref()?.1.reply
    }

    /// Where the numbers are at home that the gateway writes without their country.
    pub fn region(&self, provider: &str) -> Option<Region> {
        self.0.get(provider)?.incoming.as_ref()?.1.region
    }

    /// For which apps what people send to this gateway holds; empty: for all.
    pub fn apps(&self, provider: &str) -> &[AppId] {
        self.0.get(provider).and_then(|g| g.incoming.as_ref()).map_or(&[], |(_, config)| &config.apps)
    }
}

/// A body that is a list holds several, each with fields of its own. Of a list what cannot be read is passed over: it may be of
/// somebody else who sends by the same account, and would hold up ours for ever.
fn read_all<'a, T>(call: &'a Call<'a>, read: impl Fn(&Fields<'a>) -> Result<T, BadCall>) -> Result<Vec<T>, BadCall> {
    match call.json {
        Some(Value::Array(list)) if list.len() > MAX_RECEIPTS => Err(BadCall::TooMany),
        Some(Value::Array(list)) => Ok(list.iter().filter_map(|json| read(&Fields { call, json: Some(json) }).ok()).collect()),
        json => Ok(vec![read(&Fields { call, json })?]),
    }
}

/// The fields of one document of a call.
struct Fields<'a> {
    call: &'a Call<'a>,
    json: Option<&'a Value>,
}

impl Fields<'_> {
    fn find(&self, name: Option<&String>) -> Option<String> {
        let name = name?;
        if name.starts_with('/') {
            return self.json?.pointer(name).and_then(plain);
        }
        let of = |fields: &[(String, String)]| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
        let in_body = || self.json.and_then(|json| json.get(name)).and_then(plain);
        of(self.call.form).or_else(in_body).or_else(|| of(self.call.query)).filter(|value| !value.is_empty())
    }
}

fn receipt(config: &ReceiptConfig, fields: &Fields<'_>) -> Result<Receipt, BadCall> {
    // Our reference first: it is known of a message whose answer was lost as well.
    let reference = fields.find(config.reference.as_ref()).and_then(|id| id.parse().ok());
    let about = match (reference, &config.message_id) {
        (Some(delivery), _) => About::Delivery(delivery),
        (None, Some(field)) => About::Message(fields.find(Some(field)).ok_or(BadCall::Field("message_id"))?),
        (None, None) => return Err(BadCall::Field("reference")),
    };
    let status = fields.find(config.status.as_ref()).ok_or(BadCall::Field("status"))?;
    let report = if config.delivered.contains(&status) {
        Report::Delivered
    } else if config.failed.contains(&status) {
        let word = fields.find(config.reason.as_ref()).unwrap_or(status);
        Report::Failed(crate::scrub::scrub(&word, &[]).chars().take(MAX_REASON).collect())
    } else {
        Report::UnderWay
    };
    Ok(Receipt { about, report })
}

fn incoming(config: &IncomingConfig, fields: &Fields<'_>) -> Result<Incoming, BadCall> {
    let number = fields.find(config.from.as_ref()).ok_or(BadCall::Field("from"))?;
    let from = match fields.find(config.country.as_ref()) {
        Some(country) if !number.starts_with('+') => format!("+{}{number}", country.trim_start_matches('+')),
        _ => number,
    };
    // An empty message is one: there is nothing in it to obey.
    let text = fields.find(config.text.as_ref()).unwrap_or_default();
    Ok(Incoming { from, text, message_id: fields.find(config.message_id.as_ref()) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stentor_domain::{Channel, NotificationId};

    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn callbacks(more: &Value) -> Result<SmsCallbacks, ConfigError> {
        let mut receipts = json!({
            "secret": SECRET, "reference": "ref", "status": "state", "delivered": ["1", "DELIVRD"], "failed": ["2"],
        });
        receipts.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config = json!({"providers": ["gw", "mute"], "provider": {
            "gw": {"url": "http://x/", "receipts": receipts}, "mute": {"url": "http://x/"},
        }});
        SmsCallbacks::new(&serde_json::from_value(config).unwrap())
    }

    fn delivery() -> DeliveryId {
        let notification = NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]);
        DeliveryId::new(notification, &"u1".parse().unwrap(), Channel::Sms)
    }

    fn read(
        callbacks: &SmsCallbacks,
        provider: &str,
        query: &[(&str, &str)],
        json: Option<&Value>,
    ) -> Result<Vec<Receipt>, BadCall> {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let headers = HeaderMap::new();
        let call =
            Call { raw_query: "", query: &query, form: &[], headers: &headers, body: b"", json, now: Timestamp::UNIX_EPOCH };
        callbacks.receipts(provider, &call)
    }

    #[test]
    fn words_are_mapped_as_the_settings_say() {
        let id = delivery().to_string();
        let report = |state: &str| {
            let given = [("secret", SECRET), ("ref", id.as_str()), ("state", state)];
            read(&callbacks(&json!({})).unwrap(), "gw", &given, None).unwrap()[0].clone()
        };
        assert_eq!(report("DELIVRD"), Receipt { about: About::Delivery(delivery()), report: Report::Delivered });
        assert_eq!(report("2").report, Report::Failed("2".into()));
        assert_eq!(report("8").report, Report::UnderWay);
        let json = json!({"message": {"id": id, "code": 2, "why": "absent\u{0} subscriber +491701234567"}});
        let pointers = json!({"reference": "/message/id", "status": "/message/code", "reason": "/message/why"});
        let receipts = read(&callbacks(&pointers).unwrap(), "gw", &[("secret", SECRET)], Some(&json)).unwrap();
        assert_eq!(receipts[0].report, Report::Failed("absent subscriber [hidden]".into()));
    }

    /// Some gateways give our reference back only where that was asked of them.
    #[test]
    fn our_reference_counts_where_it_is_given_back_and_else_the_gateways_own_id() {
        let callbacks = callbacks(&json!({"message_id": "sid"})).unwrap();
        let id = delivery().to_string();
        let about = |more: &[(&str, &str)]| {
            let given = [&[("secret", SECRET), ("state", "1")], more].concat();
            read(&callbacks, "gw", &given, None).map(|receipts| receipts[0].about.clone())
        };
        let own = Ok(About::Message("5000:1".into()));
        assert_eq!(about(&[("ref", &id), ("sid", "5000:1")]), Ok(About::Delivery(delivery())));
        assert_eq!(about(&[("sid", "5000:1")]), own);
        assert_eq!(about(&[("ref", ""), ("sid", "5000:1")]), own);
        assert_eq!(about(&[("ref", "{\"of\":\"another system\"}"), ("sid", "5000:1")]), own);
        assert_eq!(about(&[("ref", &id)]), Ok(About::Delivery(delivery())));
        assert_eq!(about(&[("ref", "x")]), Err(BadCall::Field("message_id")));
    }

    #[test]
    fn who_does_not_know_the_secret_is_told_nothing() {
        let id = delivery().to_string();
        let callbacks = callbacks(&json!({})).unwrap();
        for (provider, secret) in [("gw", "0123456789abcdeF"), ("gw", ""), ("mute", SECRET), ("none", SECRET)] {
            let given = [("secret", secret), ("ref", id.as_str()), ("state", "1")];
            assert_eq!(read(&callbacks, provider, &given, None), Err(BadCall::Refused), "{provider} {secret}");
        }
        let given = [("secret", SECRET), ("ref", "x"), ("state", "1")];
        assert_eq!(read(&callbacks, "gw", &given, None), Err(BadCall::Field("reference")));
        let given = [("secret", SECRET), ("ref", id.as_str())];
        assert_eq!(read(&callbacks, "gw", &given, None), Err(BadCall::Field("status")));
        let crowd = Value::Array(vec![json!({}); MAX_RECEIPTS + 1]);
        assert_eq!(read(&callbacks, "gw", &[("secret", SECRET)], Some(&crowd)), Err(BadCall::TooMany));
    }

    #[test]
    fn a_secret_that_can_be_guessed_and_words_that_are_missing_are_refused() {
        let problem = |more: Value| callbacks(&more).unwrap_err().to_string();
        assert!(problem(json!({"secret": "short"})).starts_with("sms.provider.gw.receipts.secret: "));
        assert!(problem(json!({"delivered": []})).starts_with("sms.provider.gw.receipts.delivered: "));
        assert!(problem(json!({"reference": null})).starts_with("sms.provider.gw.receipts.reference: "));
        assert!(problem(json!({"proof": "header"})).starts_with("sms.provider.gw.receipts.header: "));
        assert!(problem(json!({"proof": "twilio"})).starts_with("sms.provider.gw.password: "));
    }
}
