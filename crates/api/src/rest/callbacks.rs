//! Callbacks of SMS gateways: what became of a message that they took.

use std::time::Duration;

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode;
use serde_json::Value;
use stentor_channels::{About, BadCall, Call, Receipt, Report};
use stentor_domain::{
    AppId, Channel, Delivery, DeliveryState, Event, EventKind, Timestamp, Violation,
    event::{DeliveryReport, NotTheirs, Settlement},
};
use stentor_queue::Queue;

use super::problems::{NotFound, Problems};
use crate::{json::MAX_BODY, path::Path, problem::ApiError, state::ApiState};

/// How long a receipt is kept that came before its delivery ended: longer than any retry of it.
const HELD_FOR: Duration = Duration::from_hours(72);
/// How long one is kept whose message is not known: the gateway's own answer, which names it, is on its way, or it is nobody's.
const UNKNOWN_FOR: Duration = Duration::from_mins(10);

/// A gateway's call, whether its fields came in the query, as a form or as JSON.
pub(crate) struct GatewayCall {
    raw_query: String,
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
    headers: HeaderMap,
    body: Vec<u8>,
    json: Option<Value>,
}

impl<S: Send + Sync> FromRequest<S> for GatewayCall {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bad = |what: &str| ApiError::invalid(vec![Violation::new("", "bad_callback", what)]);
        let (parts, body) = request.into_parts();
        let raw_query = parts.uri.query().unwrap_or_default().to_owned();
        let query = fields(raw_query.as_bytes());
        let body = to_bytes(body, MAX_BODY).await.map_err(|_| ApiError::too_large(MAX_BODY))?.to_vec();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_lowercase();
        let (mut form, mut json) = (Vec::new(), None);
        if kind.starts_with("application/json") {
            json = Some(serde_json::from_slice(&body).map_err(|_| bad("the body is not JSON"))?);
        } else if kind.starts_with("application/x-www-form-urlencoded") {
            form = fields(&body);
        }
        Ok(Self { raw_query, query, form, headers: parts.headers, body, json })
    }
}

impl GatewayCall {
    /// Its body and its query: what tells one call from another.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.raw_query.as_bytes(), b"\n", &self.body].concat()
    }

    pub(crate) fn at(&self, now: Timestamp) -> Call<'_> {
        Call {
            raw_query: &self.raw_query,
            query: &self.query,
            form: &self.form,
            headers: &self.headers,
            body: &self.body,
            json: self.json.as_ref(),
            now,
        }
    }
}

impl From<BadCall> for ApiError {
    fn from(bad: BadCall) -> Self {
        match bad {
            BadCall::Refused => Self::not_found("callback"),
            BadCall::Field(_) | BadCall::TooMany => Self::invalid(vec![Violation::new("", "bad_callback", bad.to_string())]),
        }
    }
}

/// The fields of a query or a form. What is not UTF-8 is taken for Latin-1, which many gateways write: with a letter of ARRÊT the wish
/// would be lost.
pub(crate) fn fields(text: &[u8]) -> Vec<(String, String)> {
    let decoded = |text: &[u8]| {
        let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        let bytes: Vec<u8> = percent_decode(&spaced).collect();
        String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().iter().map(|b| char::from(*b)).collect())
    };
    let pairs = text.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
    let split = |pair: &[u8]| {
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        (decoded(&pair[..at]), decoded(pair.get(at + 1..).unwrap_or_default()))
    };
    pairs.map(split).collect()
}

/// What a gateway wants to hear; 204 if that is nothing.
pub(crate) fn heard(answer: Option<&str>) -> Response {
    let Some(answer) = answer else { return StatusCode::NO_CONTENT.into_response() };
    let kind = if answer.starts_with('{') { "application/json" } else { "text/plain; charset=utf-8" };
    ([(header::CONTENT_TYPE, kind)], answer.to_owned()).into_response()
}

/// Take a gateway's receipts.
///
/// Their fields, their words and how the gateway proves itself are those of `[sms.provider.NAME.receipts]`. A receipt that says
/// what is known already changes nothing, and neither does one that comes too late.
#[utoipa::path(post, path = "/v1/callbacks/sms/{provider}", tag = "callbacks", params(("provider" = String, Path)),
    responses((status = 204, description = "it is taken"), (status = 200, description = "it is taken, in the gateway's own words"), Problems, NotFound))]
pub(crate) async fn sms(
    State(state): State<ApiState>,
    Path(provider): Path<String>,
    call: GatewayCall,
) -> Result<Response, ApiError> {
    let receipts = state.sms_callbacks.receipts(&provider, &call.at(state.now()))?;
    let single = receipts.len() == 1;
    let mut trouble = None;
    for receipt in &receipts {
        // Of several, none holds up the others; one that is nobody's is passed over, for any other trouble all are to be repeated.
        if let Err(error) = state.settle_by(&provider, receipt).await
            && (single || error.code() != "not_found")
        {
            trouble = trouble.or(Some(error));
        }
    }
    trouble.map_or_else(|| Ok(heard(state.sms_callbacks.receipt_answer(&provider))), Err)
}

/// The same, for gateways that call with GET.
#[utoipa::path(get, path = "/v1/callbacks/sms/{provider}", tag = "callbacks", params(("provider" = String, Path)),
    responses((status = 204, description = "it is taken"), (status = 200, description = "it is taken, in the gateway's own words"), Problems, NotFound))]
pub(crate) async fn sms_by_get(state: State<ApiState>, provider: Path<String>, call: GatewayCall) -> Result<Response, ApiError> {
    sms(state, provider, call).await
}

impl ApiState {
    pub(crate) fn sms_queue(&self) -> Result<&Queue, ApiError> {
        self.outside.iter().find(|queue| queue.name() == "sms").ok_or_else(|| ApiError::not_found("delivery"))
    }

    async fn settle_by(&self, provider: &str, receipt: &Receipt) -> Result<(), ApiError> {
        let (state, reason) = match &receipt.report {
            Report::UnderWay => return Ok(()),
            Report::Delivered => (DeliveryState::Delivered, None),
            Report::Failed(reason) => (DeliveryState::Failed, Some(reason.clone())),
        };
        let settlement = Settlement { provider: provider.to_owned(), state, reason };
        let (name, life) = match &receipt.about {
            About::Delivery(id) => (id.to_string(), HELD_FOR),
            About::Message(message) => (format!("{provider}:{message}"), UNKNOWN_FOR),
        };
        if self.settle_known(receipt, &name, &settlement).await? == Found::Settled {
            return Ok(());
        }
        // It is faster than the gateway's own answer, and not every gateway repeats it. It is kept, and then looked once more:
        // whoever ends the delivery meanwhile looks for it after that, so that one of both sees the other.
        let queue = self.sms_queue()?;
        queue.hold(&name, &serde_json::to_vec(&settlement).unwrap_or_default(), life).await?;
        match self.settle_known(receipt, &name, &settlement).await? {
            Found::Settled => Ok(queue.drop_held(&name).await?),
            Found::UnderWay => Ok(()),
            Found::Nothing => Err(ApiError::not_found("delivery")),
        }
    }

    /// Settles the delivery that a receipt is about, if it has ended. `name` is what it goes by in the queue.
    async fn settle_known(&self, receipt: &Receipt, name: &str, settlement: &Settlement) -> Result<Found, ApiError> {
        let queue = self.sms_queue()?;
        let id = match &receipt.about {
            About::Delivery(_) => Some(name.to_owned()),
            About::Message(_) => queue.find_alias(name).await?,
        };
        let hot = match id {
            Some(id) => queue.find_job(&id).await?.map(|record| (id, record)),
            None => None,
        };
        let Some((id, record)) = hot else { return self.settle_archived(receipt, settlement).await };
        let Some(outcome) = record.outcome else { return Ok(Found::UnderWay) };
        let Ok(Event { app, kind: EventKind::Delivery(known), .. }) = serde_json::from_slice::<Event>(&outcome) else {
            return Ok(Found::Settled); // a test of an operator's, who has seen the answer
        };
        let settled = known.settled_by(settlement).map_err(|NotTheirs| ApiError::not_found("delivery"))?;
        let Some(report) = settled else { return Ok(Found::Settled) };
        let state = report.state;
        let event = Event::new(app, self.now(), EventKind::Delivery(report));
        if known.state != state {
            let outcome = serde_json::to_vec(&event).unwrap_or_default();
            if !queue.amend(&id, known.state.as_str(), state.as_str(), &outcome).await? {
                return Err(ApiError::too_early("another receipt is being taken; repeat this one"));
            }
        }
        self.append_fact(&event).await?;
        Ok(Found::Settled)
    }

    /// Redis has let it go: what SQL has is settled, and of two receipts at a time the state's version decides.
    async fn settle_archived(&self, receipt: &Receipt, settlement: &Settlement) -> Result<Found, ApiError> {
        let found = match &receipt.about {
            About::Delivery(id) => self.archive.find_delivery_of_any_app(*id).await?,
            About::Message(message) => self.archive.find_delivery_by_message(&settlement.provider, message).await?,
        };
        let Some((app, delivery)): Option<(AppId, Delivery)> = found.filter(|(_, delivery)| delivery.channel == Channel::Sms)
        else {
            return Ok(Found::Nothing);
        };
        let known = DeliveryReport {
            delivery: delivery.id,
            notification: delivery.notification_id,
            recipient: delivery.recipient,
            channel: delivery.channel,
            state: delivery.state,
            attempt: delivery.attempts,
            reason: delivery.reason,
            provider: delivery.provider,
            provider_message_id: delivery.provider_message_id,
            next_attempt_at: None,
            sms: None,
        };
        if let Some(report) = known.settled_by(settlement).map_err(|NotTheirs| ApiError::not_found("delivery"))? {
            self.append_fact(&Event::new(app, self.now(), EventKind::Delivery(report))).await?;
        }
        Ok(Found::Settled)
    }

    async fn append_fact(&self, event: &Event) -> Result<(), ApiError> {
        self.events.append(&[serde_json::to_vec(event).unwrap_or_default()]).await?;
        Ok(())
    }
}

/// Whether there is a delivery that a receipt is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Yes, and the receipt is taken.
    Settled,
    /// Yes, and it has not ended.
    UnderWay,
    /// No, as far as is known yet.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_either_alphabet() {
        let read = |text: &str| fields(text.as_bytes());
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("a=1&b=x+y%26z&&c&d="), [of("a", "1"), of("b", "x y&z"), of("c", ""), of("d", "")]);
        assert_eq!(read("text=ARR%C3%8AT"), [of("text", "ARRÊT")]);
        assert_eq!(read("text=ARR%CAT"), [of("text", "ARRÊT")], "Latin-1");
        assert_eq!(read("%zz=%"), [of("%zz", "%")]);
        assert_eq!(fields(b"t=\xe9"), [of("t", "é")]);
    }
}
