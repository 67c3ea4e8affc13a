//! The call to a gateway.

use std::time::Duration;

use super::{answer::AnswerRules, request::RequestTemplates, template::Message};
use crate::{
    ConfigError, SmsMessage, SmsProviderConfig,
    capture::now,
    config::Place,
    message::Failure,
    outbound::{HttpClient, HttpError, Reach},
};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// An HTTP gateway.
pub(super) struct Gateway {
    client: HttpClient,
    templates: RequestTemplates,
    rules: AnswerRules,
}

impl Gateway {
    pub(super) fn new(place: Place<'_>, config: &SmsProviderConfig, deadline: Duration) -> Result<Self, ConfigError> {
        let client = HttpClient::new(Reach::Anywhere, deadline, MAX_ANSWER).map_err(|e| place.client(e.without_url()))?;
        Ok(Self { client, templates: RequestTemplates::new(place, config)?, rules: AnswerRules::new(place, config)? })
    }

    /// Asks the gateway to send the message; its id there, if it gave one.
    pub(super) async fn send(&self, sms: &SmsMessage, within: Duration) -> Result<Option<String>, Failure> {
        let (id, nonce) = (sms.id.to_string(), uuid::Uuid::new_v4().to_string());
        let message =
            Message { to: sms.to.as_str(), text: &sms.text, id: &id, now: now(), nonce: &nonce, template: sms.template.as_ref() };
        let request = self.templates.render(&message);
        let request =
            request.map_err(|(key, problem)| Failure::permanent(format!("the request cannot be made: {key} {problem}")))?;
        let answer = self.client.call(request, within).await.map_err(judge_error)?;
        self.rules.judge(&answer)
    }
}

/// Only until a connection stood it is certain that nothing was sent.
fn judge_error(error: HttpError) -> Failure {
    match error {
        HttpError::Refused(problem) => Failure::permanent(format!("the gateway's URL {problem}")),
        HttpError::Unreachable => Failure::down("the gateway cannot be reached"),
        HttpError::TimedOut(_) | HttpError::Lost => Failure::unknown(format!("the gateway: {error}")),
    }
}
