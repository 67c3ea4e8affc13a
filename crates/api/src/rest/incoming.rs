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
    AppId, PhoneNumber, Region, SuppressedAddress, Suppression, SuppressionId, SuppressionReason, address::AddressError,
    opt_out::Wish, phone::in_international_form,
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
    for message in &messages {
        reply = state.obey(&provider, message, &call).await?;
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

impl ApiState {
    /// Does what a message asks for, once; what is answered.
    async fn obey(&self, provider: &str, message: &Incoming, call: &GatewayCall) -> Result<Option<String>, ApiError> {
        let Some((wish, answer)) = self.opt_out.understand(&message.text) else { return Ok(None) };
        let answer = Some(answer.to_owned());
        // A number that nobody can send to needs no list.
        let Ok(number) = number_of(&message.from, self.sms_region) else { return Ok(None) };
        let what = match &message.message_id {
            Some(id) => format!("{provider}:{id}"),
            None => format!("{provider}:{}", hex::encode(Sha256::digest(call.bytes()))),
        };
        let queue = self.sms_queue()?;
        if queue.is_done(&what).await? {
            return Ok(answer);
        }
        let apps = self.sms_callbacks.apps(provider);
        let apps = match apps {
            [] => self.archive.list_apps().await?.into_iter().map(|app| app.id).collect(),
            named => named.to_vec(),
        };
        for app in &apps {
            match wish {
                Wish::Stop => self.stop(app, &number).await?,
                Wish::Start => self.start(app, &number).await?,
                Wish::Help => {}
            }
        }
        // After it was done: who died in between is told again, and doing it again changes nothing.
        queue.set_done(&what, KNOWN_FOR).await?;
        tracing::info!(provider, wish = ?wish, apps = apps.len(), "a person's word was obeyed");
        Ok(answer)
    }

    async fn stop(&self, app: &AppId, number: &PhoneNumber) -> Result<(), ApiError> {
        let address = SuppressedAddress::from(number);
        if self.why_suppressed(app, &address, None).await?.is_some() {
            return Ok(()); // whatever it is for outlasts a START
        }
        let detail = Some("by SMS".to_owned());
        let suppression = Suppression { address, category: None, reason: SuppressionReason::Unsubscribe, detail };
        self.suppress(app, &suppression, None).await.map(drop)
    }

    /// Only what the person said themselves is theirs to take back.
    async fn start(&self, app: &AppId, number: &PhoneNumber) -> Result<(), ApiError> {
        let address = SuppressedAddress::from(number);
        if self.why_suppressed(app, &address, None).await? == Some(SuppressionReason::Unsubscribe) {
            self.lift(app, &address, None).await?;
        }
        Ok(())
    }

    /// Why an address is not written to, in all categories or in `category`.
    pub(crate) async fn why_suppressed(
        &self,
        app: &AppId,
        address: &SuppressedAddress,
        category: Option<&str>,
    ) -> Result<Option<SuppressionReason>, ApiError> {
        if let Some(found) = self.suppressions.find(app, &[(address, category)]).await? {
            return Ok(found.into_iter().flatten().next());
        }
        for category in [None, category] {
            let id = SuppressionId::new(app, address.channel(), address.as_str(), category.unwrap_or_default());
            if let Some(found) = self.archive.find_suppression(app, id).await? {
                return Ok(Some(found.suppression.reason));
            }
        }
        Ok(None)
    }
}

/// The number that a gateway means: many leave the plus sign out.
fn number_of(text: &str, region: Option<Region>) -> Result<PhoneNumber, AddressError> {
    let text = text.trim();
    match in_international_form(text, region) {
        Ok(number) => Ok(number),
        Err(error) if text.starts_with('+') => Err(error),
        Err(_) => in_international_form(&format!("+{text}"), None),
    }
}

/// Twilio's markup (<https://www.twilio.com/docs/messaging/twiml>).
fn twiml(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let message = if text.is_empty() { text } else { format!("<Message>{text}</Message>") };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{message}</Response>")
}
