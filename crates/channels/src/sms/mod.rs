//! SMS: an HTTP gateway, or a folder in its place.

mod answer;
mod callbacks;
mod found;
mod gateway;
mod helpers;
mod presets;
mod request;
mod settings;
mod template;
mod vendor;

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use stentor_domain::Timestamp;
use tokio::{net::TcpStream, time::timeout};
use url::Url;

use crate::{
    Channel, ConfigError, OutboundMessage, SendError, Sent, SmsMessage,
    capture::{Outbox, now},
    config::{Place, deadline},
    message::Failure,
};

use gateway::Gateway;

pub use callbacks::{About, BadCall, Call, Incoming, Receipt, Report, SmsCallbacks};
pub use settings::{
    Condition, ErrorRule, Finder, IncomingConfig, Meaning, PartConfig, PartEscape, Proof, ReceiptConfig, Reply, SmsConfig,
    SmsPreset, SmsProviderConfig, VendorParam, VendorTemplate,
};

/// How long a gateway's host may take to take a connection.
const PROBE: Duration = Duration::from_secs(5);

/// One provider of `[sms]`.
pub(crate) struct SmsProvider {
    name: String,
    from: Option<String>,
    transport: Transport,
}

enum Transport {
    /// With the host that it is at, if its URL names it before anything is filled in.
    Gateway(Box<Gateway>, Option<(String, u16)>),
    Capture(Outbox),
}

/// A captured message.
#[derive(Serialize)]
struct Captured<'a> {
    to: &'a str,
    text: &'a str,
    from: Option<&'a str>,
    id: String,
    at: Timestamp,
}

impl SmsProvider {
    pub(crate) fn new(place: Place<'_>, config: &SmsProviderConfig) -> Result<Self, ConfigError> {
        check_keys(place, config)?;
        let deadline: Duration = deadline(config.deadline_ms);
        let transport = if config.preset == Some(SmsPreset::Capture) {
            let dir = config.dir.as_ref().ok_or_else(|| place.invalid("dir", "names the folder to write to"))?;
            Transport::Capture(Outbox::open(dir).map_err(|e| place.file("dir", dir, e))?)
        } else {
            let config = presets::with_preset(place, config)?;
            Transport::Gateway(Box::new(Gateway::new(place, &config, deadline)?), host(&config))
        };
        Ok(Self { name: place.name.to_owned(), from: config.from.clone(), transport })
    }

    async fn send_sms(&self, sms: &SmsMessage, within: Duration) -> Result<Option<String>, Failure> {
        // Several lines are fine in a text message; what else is a control character is not text.
        if sms.text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Failure::permanent("the text must not contain NUL or other control characters"));
        }
        match &self.transport {
            Transport::Gateway(gateway, _) => gateway.send(sms, within).await,
            Transport::Capture(outbox) => {
                let id = sms.id.to_string();
                let captured =
                    Captured { to: sms.to.as_str(), text: &sms.text, from: self.from.as_deref(), id: id.clone(), at: now() };
                let json = serde_json::to_vec_pretty(&captured).map_err(|e| Failure::permanent(e.to_string()))?;
                let written = outbox.write(sms.id, "json", &json).await;
                written.map_err(|e| Failure::down(format!("the outbox cannot be written: {e}")))?;
                Ok(Some(id))
            }
        }
    }
}

fn host(config: &SmsProviderConfig) -> Option<(String, u16)> {
    let fixed = config.url.as_ref()?.reveal().split("{{").next()?;
    let url = Url::parse(fixed).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

/// Refuses settings that would be ignored.
fn check_keys(place: Place<'_>, config: &SmsProviderConfig) -> Result<(), ConfigError> {
    let capture = config.preset == Some(SmsPreset::Capture);
    let ignored = [
        ("url", capture && config.url.is_some()),
        ("method", capture && config.method.is_some()),
        ("headers", capture && !config.headers.is_empty()),
        ("body", capture && config.body.is_some()),
        ("dir", !capture && config.dir.is_some()),
    ];
    let who = if capture { "the preset capture" } else { "a gateway" };
    match ignored.into_iter().find(|(_, ignored)| *ignored) {
        Some((key, _)) => Err(place.invalid(key, format!("{who} has no such setting"))),
        None => Ok(()),
    }
}

#[async_trait]
impl Channel for SmsProvider {
    async fn send(&self, message: &OutboundMessage, within: Duration) -> Result<Sent, SendError> {
        let OutboundMessage::Sms(sms) = message else {
            return Err(Failure::permanent("this provider sends SMS only").of(&self.name));
        };
        let message_id = self.send_sms(sms, within).await.map_err(|failure| failure.of(&self.name))?;
        tracing::debug!(delivery.id = %sms.id, provider = self.name, "an SMS was handed over");
        Ok(Sent { provider: self.name.clone(), message_id })
    }

    /// Whether its host takes a connection: whatever is asked over it might be a message.
    async fn probe(&self) -> Result<(), SendError> {
        let Transport::Gateway(_, Some((host, port))) = &self.transport else { return Ok(()) };
        let answer = timeout(PROBE, TcpStream::connect((host.as_str(), *port))).await;
        let why = match answer {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {PROBE:?}"),
        };
        Err(Failure::down(format!("{host}:{port}: {why}")).of(&self.name))
    }

    fn provider(&self) -> &str {
        &self.name
    }
}
