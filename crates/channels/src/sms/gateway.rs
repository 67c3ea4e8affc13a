//! The call to a gateway.

use std::time::Duration;

use reqwest::{Client, Response, redirect};
use stentor_domain::DeliveryId;

use super::{
    answer::{Answer, AnswerRules},
    kannel::{self, Kannel},
    request::{Request, RequestTemplates},
    template::Values,
};
use crate::{ConfigError, SmsMessage, SmsPreset, SmsProviderConfig, config::Place, message::Failure};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// An HTTP gateway.
pub(super) struct Gateway {
    client: Client,
    dialect: Dialect,
    rules: AnswerRules,
    deadline: Duration,
}

enum Dialect {
    Templates(Box<RequestTemplates>),
    Kannel(Kannel),
}

impl Gateway {
    pub(super) fn new(place: Place<'_>, config: &SmsProviderConfig, deadline: Duration) -> Result<Self, ConfigError> {
        let (dialect, rules) = if config.preset == Some(SmsPreset::Kannel) {
            let rules = AnswerRules::by_words(kannel::TAKEN, kannel::BUSY).map_err(|e| place.client(e))?;
            (Dialect::Kannel(Kannel::new(place, config)?), rules)
        } else {
            (Dialect::Templates(Box::new(RequestTemplates::new(place, config)?)), AnswerRules::new(place, config)?)
        };
        Ok(Self { client: client(deadline).map_err(|e| place.client(e.without_url()))?, dialect, rules, deadline })
    }

    /// Asks the gateway to send the message; its id there, if it gave one.
    pub(super) async fn send(&self, sms: &SmsMessage, from: Option<&str>, within: Duration) -> Result<Option<String>, Failure> {
        let within = within.min(self.deadline);
        let request = self.request(sms.id, sms, from)?;
        let mut call = self.client.request(request.method, request.url).headers(request.headers).timeout(within);
        if let Some(body) = request.body {
            call = call.body(body);
        }
        let mut response = call.send().await.map_err(|error| judge_error(&error, within))?;
        let body = read(&mut response).await;
        let body = body.as_deref().map(String::from_utf8_lossy);
        self.rules.judge(&Answer { status: response.status(), headers: response.headers(), body: body.as_deref() })
    }

    fn request(&self, id: DeliveryId, sms: &SmsMessage, from: Option<&str>) -> Result<Request, Failure> {
        let id = id.to_string();
        let values = Values { to: sms.to.as_str(), text: &sms.text, from, id: &id };
        match &self.dialect {
            Dialect::Kannel(kannel) => Ok(kannel.request(&values)),
            Dialect::Templates(templates) => templates
                .render(&values)
                .map_err(|(key, problem)| Failure::permanent(format!("the request cannot be made: {key} {problem}"))),
        }
    }
}

/// Until a connection stood, nothing was sent; from then on that cannot be known.
fn judge_error(error: &reqwest::Error, within: Duration) -> Failure {
    if error.is_builder() {
        return Failure::permanent("the request cannot be made");
    }
    if error.is_connect() {
        return Failure::down("the gateway cannot be reached");
    }
    if error.is_timeout() {
        return Failure::unknown(format!("the gateway did not answer within {within:?}"));
    }
    Failure::unknown("the connection to the gateway was lost before it answered")
}

fn client(deadline: Duration) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("stentor/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // Settings come from the configuration, not from the environment's HTTP_PROXY.
        .no_proxy()
        .retry(reqwest::retry::never())
        // A kept connection that the gateway closes just as a request goes out leaves the message's fate open: a new
        // one for each message costs a round trip or two, an `unknown` costs the message.
        .pool_max_idle_per_host(0)
        // Less than the whole, so that a gateway that cannot be reached is told from one that does not answer.
        .connect_timeout((deadline / 2).min(Duration::from_secs(10)))
        .timeout(deadline)
        .build()
}

/// The body; `None` if it was lost or is too long.
async fn read(response: &mut Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}
