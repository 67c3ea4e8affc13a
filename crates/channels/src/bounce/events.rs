//! What providers report by HTTP, read as the settings say: `[email.provider.NAME.events]`.
//!
//! Who calls proves itself by a secret in the URL, by an HMAC over the body, or by a signature (`SendGrid`'s, Amazon's). Of which mail
//! a report is, it says by the token that the mail carried in a header of the provider's choice.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{hmac, signature};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use subtle::ConstantTimeEq;

use reqwest::header::HeaderMap;

use super::{
    Bounce, BounceKind, read_report,
    sns::{NotTaken, Sns, is_topic},
};
use crate::{ConfigError, EmailConfig, Masked, ReturnToken, config::Place, outbound::HttpClient, scrub::scrub};

/// The most events of one call.
const MAX_EVENTS: usize = 1_000;
/// How old a signed call may be, in seconds, and how far its clock may differ.
const MAX_AGE: i64 = 300;

const PRESETS: &str = include_str!("presets.toml");
const SIGNATURE_HEADER: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP_HEADER: &str = "x-twilio-email-event-webhook-timestamp";

/// `[email.provider.NAME.events]`: how the provider's reports, at `/v1/callbacks/email/NAME`, are read.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsConfig {
    /// A provider that is known by name; what else is given outweighs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<EventsPreset>,
    /// What the URL must carry as `?secret=`; at least 16 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Masked>,
    /// The key of an HMAC-SHA-256 over the body, in hexadecimal or base64, which `hmac_header` carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_key: Option<Masked>,
    /// The header with the HMAC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_header: Option<String>,
    /// The public key (base64 of DER) of `SendGrid`'s signed webhooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The topics of Amazon SNS that report (`arn:aws:sns:eu-west-1:123456789012:ses`): each call must be signed by Amazon and of one of
    /// them, and a subscription to one is confirmed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sns_topics: Vec<String>,
    /// Where the body holds the event as a text of JSON (Amazon SNS), as a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unwrap: Option<String>,
    /// Where an event holds the mail's token, or an address with it: JSON pointers, tried in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reference: Vec<String>,
    /// Where it holds the recipient's address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Where it says why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// What it means: the first rule that fits. An event that fits none is passed over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<EventRule>,
}

/// A provider that is known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventsPreset {
    /// Amazon SES.
    Ses,
    /// Postmark.
    Postmark,
    /// Twilio `SendGrid`.
    Sendgrid,
}

/// A rule: `{ when = { "/event" = "bounce" }, is = "hard_bounce" }`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EventRule {
    /// JSON pointers and what must stand there; numbers, `true` and `false` are compared as text.
    pub when: BTreeMap<String, String>,
    /// What it means then.
    pub is: EventKind,
}

/// What an event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The mailbox does not exist.
    HardBounce,
    /// It came back for a reason that may pass.
    SoftBounce,
    /// The person called it spam.
    Complaint,
    /// The person wants no more.
    Unsubscribe,
    /// It is in the mailbox.
    Delivered,
    /// Nothing: it is passed over, whatever a later rule says.
    Nothing,
}

impl EventKind {
    fn of_mail(self) -> Option<BounceKind> {
        Some(match self {
            Self::HardBounce => BounceKind::Hard,
            Self::SoftBounce => BounceKind::Soft,
            Self::Complaint => BounceKind::Complaint,
            Self::Unsubscribe => BounceKind::Unsubscribe,
            Self::Delivered => BounceKind::Delivered,
            Self::Nothing => return None,
        })
    }
}

/// The call is no report of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEvents {
    /// The provider reports nothing here, or did not prove itself: both are told alike.
    #[error("there is no such callback")]
    Refused,
    /// The body cannot be read.
    #[error("the body is neither JSON nor a mail (message/rfc822)")]
    Body,
    /// There are too many.
    #[error("more than 1000 events in one call")]
    TooMany,
    /// What proves it cannot be had now; it may be repeated.
    #[error("the certificate that signed it cannot be fetched now")]
    Later,
}

/// A call to a callback, as it came.
#[derive(Clone, Copy, Debug)]
pub struct EventsCall<'a> {
    /// `secret` of the query.
    pub secret: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
    /// When it came, in seconds since 1970.
    pub now: i64,
}

impl EventsCall<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Reads what the providers of `[email]` report.
#[derive(Debug)]
pub struct MailEvents {
    providers: HashMap<String, EventsConfig>,
    sns: Sns,
}

impl MailEvents {
    /// The providers that have `events`. Amazon's certificates are fetched with `client`.
    #[expect(clippy::missing_panics_doc, reason = "the presets are part of the program and tested")]
    pub fn new(config: &EmailConfig, client: HttpClient) -> Result<Self, ConfigError> {
        let presets: HashMap<String, EventsConfig> = toml::from_str(PRESETS).expect("the presets are settings");
        let mut providers = HashMap::new();
        for name in &config.providers {
            let Some(events) = config.provider.get(name).and_then(|provider| provider.events.clone()) else { continue };
            let place = Place { channel: "email", name };
            let events = complete(events, &presets);
            check(place, &events)?;
            providers.insert(name.clone(), events);
        }
        Ok(Self { providers, sns: Sns::new(client) })
    }

    /// Reads a call to the callback of `provider`. Events that are of no mail of ours, or mean nothing to us, are left out.
    pub async fn read(&self, provider: &str, call: &EventsCall<'_>) -> Result<Vec<Bounce>, BadEvents> {
        let config = self.providers.get(provider).ok_or(BadEvents::Refused)?;
        if !config.is_proven(call) {
            return Err(BadEvents::Refused);
        }
        if !config.sns_topics.is_empty() {
            let opened = self.sns.open(call.body, &config.sns_topics).await;
            let envelope = opened.map_err(|not| match not {
                NotTaken::Forged => BadEvents::Refused,
                NotTaken::Later => BadEvents::Later,
            })?;
            // A message that is no JSON is no report of SES's, but may well be on a topic.
            let event = envelope.and_then(|envelope| serde_json::from_str::<Value>(&envelope.message).ok());
            return Ok(event.and_then(|event| config.event(&event)).into_iter().collect());
        }
        if call.header("content-type").unwrap_or_default().starts_with("message/") {
            return Ok(read_report(call.body, &[]).into_iter().collect());
        }
        let json: Value = serde_json::from_slice(call.body).map_err(|_| BadEvents::Body)?;
        let inner = match &config.unwrap {
            Some(pointer) => match json.pointer(pointer).and_then(Value::as_str) {
                Some(text) => serde_json::from_str(text).unwrap_or(Value::Null),
                None => json,
            },
            None => json,
        };
        match inner {
            Value::Array(events) if events.len() > MAX_EVENTS => Err(BadEvents::TooMany),
            Value::Array(events) => Ok(events.iter().filter_map(|event| config.event(event)).collect()),
            event => Ok(config.event(&event).into_iter().collect()),
        }
    }
}

fn complete(given: EventsConfig, presets: &HashMap<String, EventsConfig>) -> EventsConfig {
    let name = given.preset.and_then(|preset| serde_json::to_value(preset).ok()).and_then(|v| v.as_str().map(str::to_owned));
    let Some(preset) = name.and_then(|name| presets.get(&name)).cloned() else { return given };
    let or = |given: Vec<String>, preset: Vec<String>| if given.is_empty() { preset } else { given };
    EventsConfig {
        unwrap: given.unwrap.or(preset.unwrap),
        reference: or(given.reference, preset.reference),
        addresses: or(given.addresses, preset.addresses),
        detail: or(given.detail, preset.detail),
        rules: if given.rules.is_empty() { preset.rules } else { given.rules },
        ..given
    }
}

fn check(place: Place<'_>, events: &EventsConfig) -> Result<(), ConfigError> {
    let nothing = events.secret.is_none() && events.hmac_key.is_none() && events.public_key.is_none();
    if nothing && events.sns_topics.is_empty() {
        let problem = "is missing: who reports must prove itself by secret, hmac_key, public_key or sns_topics";
        return Err(place.invalid("events.secret", problem));
    }
    if let Some(bad) = events.sns_topics.iter().find(|topic| !is_topic(topic)) {
        let problem = format!("{bad:?} is no topic, such as arn:aws:sns:eu-west-1:123456789012:ses");
        return Err(place.invalid("events.sns_topics", problem));
    }
    if events.secret.as_ref().is_some_and(|secret| secret.reveal().len() < 16) {
        return Err(place.invalid("events.secret", "must be at least 16 characters: whoever knows it can report"));
    }
    if events.hmac_key.is_some() != events.hmac_header.is_some() {
        return Err(place.invalid("events.hmac_header", "and events.hmac_key need one another"));
    }
    if events.public_key.as_deref().is_some_and(|key| point_of(key).is_none()) {
        return Err(place.invalid("events.public_key", "must be the base64 of a P-256 key, as the provider shows it"));
    }
    // Bounces alone, as mails, need no mapping.
    if !events.rules.is_empty() && events.reference.is_empty() {
        return Err(place.invalid("events.reference", "must say where an event holds the mail's token"));
    }
    Ok(())
}

/// The key as `ring` takes it: the last 65 bytes of the `SubjectPublicKeyInfo` are the point.
fn point_of(key: &str) -> Option<Vec<u8>> {
    let der = BASE64_STANDARD.decode(key.trim()).ok()?;
    let point = der.get(der.len().checked_sub(65)?..)?;
    (der.len() == 91 && point[0] == 4).then(|| point.to_vec())
}

impl EventsConfig {
    /// Whether all that is configured is proven.
    fn is_proven(&self, call: &EventsCall<'_>) -> bool {
        let EventsCall { secret, body, now, .. } = *call;
        let header = |name: &str| call.header(name);
        let by_secret = |wanted: &Masked| secret.unwrap_or_default().as_bytes().ct_eq(wanted.reveal().as_bytes()).into();
        let by_hmac = |key: &Masked| {
            let given = self.hmac_header.as_deref().and_then(|name| call.header(name)).unwrap_or_default().trim();
            let given = given.strip_prefix("sha256=").unwrap_or(given);
            let tag = hex(given).or_else(|| BASE64_STANDARD.decode(given).ok()).unwrap_or_default();
            hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key.reveal().as_bytes()), body, &tag).is_ok()
        };
        let by_signature = |key: &String| {
            let timestamp = header(TIMESTAMP_HEADER).unwrap_or_default();
            let fresh = timestamp.parse::<i64>().is_ok_and(|at| (now - at).abs() <= MAX_AGE);
            let given = header(SIGNATURE_HEADER).and_then(|text| BASE64_STANDARD.decode(text).ok()).unwrap_or_default();
            let key = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point_of(key).unwrap_or_default());
            fresh && key.verify(&[timestamp.as_bytes(), body].concat(), &given).is_ok()
        };
        self.secret.as_ref().is_none_or(by_secret)
            && self.hmac_key.as_ref().is_none_or(by_hmac)
            && self.public_key.as_ref().is_none_or(by_signature)
    }

    fn event(&self, event: &Value) -> Option<Bounce> {
        let at = |pointer: &String| event.pointer(pointer).and_then(plain);
        let fits = |rule: &&EventRule| rule.when.iter().all(|(pointer, wanted)| at(pointer).as_deref() == Some(wanted));
        let kind = self.rules.iter().find(fits)?.is.of_mail()?;
        let token =
            self.reference.iter().filter_map(at).find_map(|text| ReturnToken::find(text.trim_matches(['<', '>', ' '])))?;
        let addresses = self.addresses.iter().filter_map(at).filter_map(|text| text.trim().parse().ok()).collect();
        let detail = self.detail.iter().find_map(at).unwrap_or_default();
        Some(Bounce { token, kind, detail: scrub(&detail, &[]), addresses })
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use ring::{rand::SystemRandom, signature::KeyPair};
    use serde_json::json;
    use stentor_domain::{AppId, Channel, DeliveryId, NotificationId, SuppressedAddress, Timestamp};

    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn token() -> ReturnToken {
        let app: AppId = "demo".parse().unwrap();
        let notification = NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]);
        let delivery = DeliveryId::new(notification, &"u1".parse().unwrap(), Channel::Email);
        ReturnToken::new(&app, b"secret", delivery, &SuppressedAddress::parse(Channel::Email, "maria@example.com").unwrap())
    }

    fn events(settings: &Value) -> Result<MailEvents, ConfigError> {
        let provider = json!({"url": "smtp://x?tls=none", "from": "a@example.com", "events": settings});
        let client = HttpClient::new(crate::outbound::Reach::public(&[]), std::time::Duration::from_secs(1), 1_000).unwrap();
        MailEvents::new(&serde_json::from_value(json!({"providers": ["main"], "provider": {"main": provider}})).unwrap(), client)
    }

    async fn call(
        events: &MailEvents,
        provider: &str,
        secret: Option<&str>,
        headers: &[(&'static str, &str)],
        body: &str,
        now: i64,
    ) -> Result<Vec<Bounce>, BadEvents> {
        let headers = headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect();
        events.read(provider, &EventsCall { secret, headers: &headers, body: body.as_bytes(), now }).await
    }

    async fn read(settings: &Value, body: &Value) -> Vec<(BounceKind, String)> {
        let events = events(settings).unwrap();
        let found = call(&events, "main", Some(SECRET), &[], &body.to_string(), 0).await.unwrap();
        assert!(found.iter().all(|bounce| bounce.token == token()));
        found.into_iter().map(|bounce| (bounce.kind, bounce.detail)).collect()
    }

    /// The shapes are those of the providers' documentation.
    #[tokio::test]
    async fn ses_is_understood() {
        let source = format!("bounce+{}@bounces.example.com", token());
        let ses = |kind: &str| {
            let bounce = json!({"bounceType": kind, "bounceSubType": "General",
                "bouncedRecipients": [{"emailAddress": "maria@example.com", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}]});
            json!({"notificationType": "Bounce", "mail": {"source": source, "messageId": "0100"}, "bounce": bounce})
        };
        let sns = |message: &Value| json!({"Type": "Notification", "Message": message.to_string()});
        let settings = json!({"preset": "ses", "secret": SECRET});
        let permanent = read(&settings, &sns(&ses("Permanent"))).await;
        assert_eq!(permanent, [(BounceKind::Hard, "smtp; 550 5.1.1 user unknown".to_owned())]);
        assert_eq!(read(&settings, &ses("Permanent")).await, permanent, "SNS may deliver raw messages");
        assert_eq!(read(&settings, &sns(&ses("Transient"))).await[0].0, BounceKind::Soft);
        let complaint = |kind: &str| {
            json!({"eventType": "Complaint", "mail": {"source": source}, "complaint": {"complaintFeedbackType": kind,
                "complainedRecipients": [{"emailAddress": "maria@example.com"}]}})
        };
        assert_eq!(read(&settings, &sns(&complaint("abuse"))).await, [(BounceKind::Complaint, "abuse".to_owned())]);
        assert_eq!(read(&settings, &sns(&complaint("not-spam"))).await, [], "the person took it out of the spam");
        let confirm = json!({"Type": "SubscriptionConfirmation", "Message": "You have chosen to subscribe", "Token": "x"});
        assert_eq!(read(&settings, &confirm).await, []);
    }

    #[tokio::test]
    async fn postmark_is_understood() {
        let settings = json!({"preset": "postmark", "secret": SECRET});
        let postmark = |kind: &str| {
            json!({"RecordType": "Bounce", "Type": kind, "Email": "maria@example.com",
            "Metadata": {"stentor": token().to_string()}, "Details": "550 unknown", "BouncedAt": "2026-11-25T21:00:00Z"})
        };
        assert_eq!(read(&settings, &postmark("HardBounce")).await, [(BounceKind::Hard, "550 unknown".to_owned())]);
        assert_eq!(read(&settings, &postmark("SoftBounce")).await[0].0, BounceKind::Soft);
        assert_eq!(read(&settings, &postmark("SpamComplaint")).await[0].0, BounceKind::Complaint);
        // Postmark calls these bounces as well: an answer of who is on holiday, a delay, a question whether we are a person.
        for other in ["AutoResponder", "Transient", "ChallengeVerification", "AddressChange", "Subscribe"] {
            assert_eq!(read(&settings, &postmark(other)).await, [], "{other}");
        }
    }

    #[tokio::test]
    async fn sendgrid_is_understood() {
        let settings = json!({"preset": "sendgrid", "secret": SECRET});
        let one =
            |event: &str| json!({"event": event, "email": "maria@example.com", "stentor": token().to_string(), "reason": "r"});
        let all = json!([one("processed"), one("delivered"), one("deferred"), one("bounce"), one("spamreport"), one("group_unsubscribe"), {"event": "bounce"}]);
        let kinds: Vec<BounceKind> = read(&settings, &all).await.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [BounceKind::Delivered, BounceKind::Hard, BounceKind::Complaint, BounceKind::Unsubscribe]);
    }

    #[tokio::test]
    async fn any_other_is_mapped_by_settings() {
        let rules = json!([{"when": {"/code": "7", "/final": "true"}, "is": "hard_bounce"}]);
        let settings = json!({"secret": SECRET, "reference": ["/ref"], "rules": rules});
        let body = json!({"code": 7, "final": true, "ref": token().to_string()});
        assert_eq!(read(&settings, &body).await, [(BounceKind::Hard, String::new())]);
    }

    #[tokio::test]
    async fn who_cannot_prove_itself_is_refused() {
        let body = json!({"event": "bounce", "stentor": token().to_string()}).to_string();
        let by_secret = events(&json!({"preset": "sendgrid", "secret": SECRET})).unwrap();
        for (provider, secret) in [("main", None), ("main", Some("0123456789abcdeF")), ("other", Some(SECRET))] {
            assert_eq!(call(&by_secret, provider, secret, &[], &body, 0).await, Err(BadEvents::Refused));
        }
        let by_hmac = events(&json!({"preset": "sendgrid", "hmac_key": "k", "hmac_header": "x-signature"})).unwrap();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"k"), body.as_bytes());
        let good = data_encoding::HEXLOWER.encode(tag.as_ref());
        let taken =
            async |given: &str, body: &str| call(&by_hmac, "main", None, &[("x-signature", given)], body, 0).await.is_ok();
        for given in [good.clone(), BASE64_STANDARD.encode(tag.as_ref()), format!("sha256={good}")] {
            assert!(taken(&given, &body).await, "{given}");
        }
        assert!(!taken(&good, &format!("{body} ")).await && !taken("", &body).await && !taken("zz", &body).await);
        // What Amazon signs it signs in a way of its own: without, the very secret is not enough.
        let topics = json!(["arn:aws:sns:eu-west-1:123456789012:ses"]);
        let by_amazon = events(&json!({"preset": "ses", "secret": SECRET, "sns_topics": topics})).unwrap();
        assert_eq!(call(&by_amazon, "main", Some(SECRET), &[], &body, 0).await, Err(BadEvents::Refused));
    }

    #[tokio::test]
    async fn a_signed_call_is_good_once_it_is_fresh_and_whole() {
        let random = SystemRandom::new();
        let pkcs8 = signature::EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair =
            signature::EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        // The head of every P-256 SubjectPublicKeyInfo (RFC 5480).
        let head = hex("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
        let key = BASE64_STANDARD.encode([&head[..], pair.public_key().as_ref()].concat());
        let events = events(&json!({"preset": "sendgrid", "public_key": key})).unwrap();
        let body = json!([{"event": "bounce", "stentor": token().to_string()}]).to_string();
        let signed = pair.sign(&random, format!("1000{body}").as_bytes()).unwrap();
        let signed = BASE64_STANDARD.encode(signed.as_ref());
        let taken = async |timestamp: &str, body: &str, now: i64| {
            let headers = [(SIGNATURE_HEADER, signed.as_str()), (TIMESTAMP_HEADER, timestamp)];
            call(&events, "main", None, &headers, body, now).await.map(|found| found.len())
        };
        assert_eq!(taken("1000", &body, 1_010).await, Ok(1));
        assert_eq!(taken("1000", &body, 2_000).await, Err(BadEvents::Refused), "replayed");
        assert_eq!(taken("1001", &body, 1_010).await, Err(BadEvents::Refused));
        assert_eq!(taken("1000", &body.replace("bounce", "delivered"), 1_010).await, Err(BadEvents::Refused));
    }

    #[test]
    fn settings_that_would_believe_anybody_are_refused() {
        let problem = |settings: Value| events(&settings).unwrap_err().to_string();
        assert!(problem(json!({"preset": "ses"})).starts_with("email.provider.main.events.secret: "));
        assert!(problem(json!({"preset": "ses", "secret": "short"})).starts_with("email.provider.main.events.secret: "));
        assert!(problem(json!({"preset": "ses", "hmac_key": "k"})).starts_with("email.provider.main.events.hmac_header: "));
        assert!(problem(json!({"preset": "ses", "public_key": "AAAA"})).starts_with("email.provider.main.events.public_key: "));
        let topics = json!({"preset": "ses", "sns_topics": ["ses"]});
        assert!(problem(topics).starts_with("email.provider.main.events.sns_topics: "));
        let rules = json!([{"when": {"/a": "b"}, "is": "complaint"}]);
        assert!(problem(json!({"secret": SECRET, "rules": rules})).starts_with("email.provider.main.events.reference: "));
    }
}
