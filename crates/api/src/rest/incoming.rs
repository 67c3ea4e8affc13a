//! What people send to an SMS gateway's number: STOP, START, HELP.

use std::time::Duration;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use stentor_channels::{Incoming, Reply};
use stentor_domain::{
    AppId, PhoneNumber, Region, SuppressedAddress, Suppression, SuppressionReason, address::AddressError, opt_out::Wish,
    phone::in_international_form,
};

use super::{
    callbacks::{GatewayCall, heard},
    problems::{NotFound, Problems},
};
use crate::{path::Path, problem::ApiError, state::ApiState};

/// How long a message is known again: an old START must not lift a newer STOP.
const KNOWN_FOR: Duration = Duration::from_hours(7 * 24);

/// Take a message that a person sent.
///
/// One that is nothing but a word of `[sms.words]` is obeyed: STOP and the like suppress the number for the apps of the
/// gateway, START lifts that, HELP is answered. Anything else changes nothing. The same message again changes nothing either.
#[utoipa::path(post, path = "/v1/callbacks/sms/{provider}/incoming", tag = "callbacks", params(("provider" = String, Path)),
    responses((status = 204, description = "it is taken"), (status = 200, description = "it is taken; the body is the answer to the person"), Problems, NotFound))]
pub(crate) async fn sms(
    State(state): State<ApiState>,
    Path(provider): Path<String>,
    call: GatewayCall,
) -> Result<Response, ApiError> {
    let messages = state.sms_callbacks.incoming(&provider, &call.at(state.now()))?;
    let mut reply = None;
    for (place, message) in messages.iter().enumerate() {
        let what = match &message.message_id {
            Some(id) => Named::ById(format!("{provider}:{id}")),
            None => Named::ByWords(format!("{provider}:{}:{place}", hex::encode(Sha256::digest(call.bytes())))),
        };
        reply = state.obey(&provider, message, &what).await?;
    }
    Ok(match (state.sms_callbacks.reply(&provider), reply.as_deref().unwrap_or_default()) {
        (Some(Reply::Text), text) if !text.is_empty() => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.to_owned()).into_response()
        }
        (Some(Reply::Twiml), text) => ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], twiml(text)).into_response(),
        (Some(Reply::Text), _) => StatusCode::NO_CONTENT.into_response(),
        (None, _) => heard(state.sms_callbacks.incoming_answer(&provider)),
    })
}

/// The same, for gateways that call with GET.
#[utoipa::path(get, path = "/v1/callbacks/sms/{provider}/incoming", tag = "callbacks", params(("provider" = String, Path)),
    responses((status = 204, description = "it is taken"), (status = 200, description = "it is taken; the body is the answer to the person"), Problems, NotFound))]
pub(crate) async fn sms_by_get(state: State<ApiState>, provider: Path<String>, call: GatewayCall) -> Result<Response, ApiError> {
    sms(state, provider, call).await
}

/// How a message is known again.
enum Named {
    /// By the gateway's id of it.
    ById(String),
    /// By the call that it came with; a person may say the same twice, and some gateways call with the same bytes then.
    ByWords(String),
}

impl ApiState {
    /// Does what a message asks for, once; what is answered.
    async fn obey(&self, provider: &str, message: &Incoming, named: &Named) -> Result<Option<String>, ApiError> {
        let Some((wish, answer)) = self.opt_out.understand(&message.text) else { return Ok(None) };
        let answer = Some(answer.to_owned());
        // A number that nobody can send to needs no list.
        let region = self.sms_callbacks.region(provider);
        let Ok(number) = number_of(&message.from, region, self.sms_region) else { return Ok(None) };
        let queue = self.sms_queue()?;
        let (Named::ById(what) | Named::ByWords(what)) = named;
        let known = queue.is_done(what).await?;
        match (wish, named) {
            (_, Named::ById(_)) if known => return Ok(answer),
            // Whether it is a replay or a person who asks once more cannot be told: nothing is done, and nothing is promised.
            (Wish::Start, Named::ByWords(_)) if known => return Ok(None),
            // STOP is obeyed as often as it comes: who is in doubt is left alone.
            _ => {}
        }
        let apps: Vec<AppId> = match self.sms_callbacks.apps(provider) {
            [] => self.known_apps().await?.iter().map(|app| app.id.clone()).collect(),
            named => named.to_vec(),
        };
        for app in &apps {
            match wish {
                Wish::Stop => self.stop(app, &number).await?,
                Wish::Start => self.resubscribe(app, &SuppressedAddress::from(&number), None).await?,
                Wish::Help => {}
            }
        }
        // After it was done: who died in between is told again, and doing it again changes nothing.
        queue.set_done(what, KNOWN_FOR).await?;
        tracing::info!(provider, wish = ?wish, apps = apps.len(), "a person's word was obeyed");
        Ok(answer)
    }

    async fn stop(&self, app: &AppId, number: &PhoneNumber) -> Result<(), ApiError> {
        let (address, detail) = (SuppressedAddress::from(number), Some("by SMS".to_owned()));
        let suppression = Suppression { address, category: None, reason: SuppressionReason::Unsubscribe, detail };
        self.unsubscribe(app, &suppression, None).await
    }
}

/// The number that a gateway means. Many leave the plus sign out; some write numbers as they are dialled at home, in the `region` that is
/// theirs. The `default` region is asked last: a number with its country's code may by chance be one of it as well.
fn number_of(text: &str, region: Option<Region>, default: Option<Region>) -> Result<PhoneNumber, AddressError> {
    let text = text.trim();
    if text.starts_with('+') || text.starts_with("00") {
        return in_international_form(text, None);
    }
    let at_home = |region: Option<Region>| region.map(|region| in_international_form(text, Some(region)));
    let found = at_home(region).and_then(Result::ok).map_or_else(|| in_international_form(&format!("+{text}"), None), Ok);
    found.or_else(|error| at_home(default).unwrap_or(Err(error)))
}

/// Twilio's markup (<https://www.twilio.com/docs/messaging/twiml>).
fn twiml(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let message = if text.is_empty() { text } else { format!("<Message>{text}</Message>") };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{message}</Response>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_gateways_write_them() {
        let number = |text: &str, region: &str, default: &str| {
            let number = number_of(text, region.parse().ok(), default.parse().ok());
            number.map(|number| number.as_str().to_owned()).unwrap_or_default()
        };
        assert_eq!(number("+491701234567", "", "CN"), "+491701234567");
        assert_eq!(number("491701234567", "", ""), "+491701234567");
        assert_eq!(number("0170 1234567", "", "DE"), "+491701234567");
        // Also a number of Cottbus' neighbourhood, as it is dialled in Germany.
        assert_eq!(number("4520123456", "", "DE"), "+4520123456", "a Danish phone");
        // As Alibaba Cloud's callback has it; also a number of Arkansas.
        assert_eq!(number("15012345678", "CN", ""), "+8615012345678");
        assert_eq!(number("8615012345678", "CN", ""), "+8615012345678");
        assert_eq!(number("12345", "", "DE"), "", "a short code sends no STOP");
    }
}
