//! Callbacks of SMS gateways: what became of a message that they took.

use std::time::{Duration, Instant};

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use stentor_channels::{About, BadCall, Call, Receipt, Report};
use stentor_domain::{AppId, Channel, Delivery, DeliveryState, Event, EventKind, Timestamp, Violation, event::DeliveryReport};
use stentor_queue::{JobRecord, Queue};

use super::problems::{NotFound, Problems};
use crate::{json::MAX_BODY, path::Path, problem::ApiError, state::ApiState};

/// How long a receipt waits for the end of its delivery.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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
        let fields = |text: &[u8]| serde_urlencoded::from_bytes::<Vec<(String, String)>>(text);
        let (parts, body) = request.into_parts();
        let raw_query = parts.uri.query().unwrap_or_default().to_owned();
        let query = fields(raw_query.as_bytes()).map_err(|_| bad("the query cannot be read"))?;
        let too_large = |_| {
            let detail = format!("the body is larger than {MAX_BODY} bytes, or ended early");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        };
        let body = to_bytes(body, MAX_BODY).await.map_err(too_large)?.to_vec();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_lowercase();
        let (mut form, mut json) = (Vec::new(), None);
        if kind.starts_with("application/json") {
            json = Some(serde_json::from_slice(&body).map_err(|_| bad("the body is not JSON"))?);
        } else if kind.starts_with("application/x-www-form-urlencoded") {
            form = fields(&body).map_err(|_| bad("the body is no form"))?;
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
    for receipt in &receipts {
        match state.settle_by(&provider, receipt).await {
            // Of several, one that is nobody's does not hold up the others.
            Err(error) if !single && error.code() == "not_found" => {}
            done => done?,
        }
    }
    Ok(heard(state.sms_callbacks.receipt_answer(&provider)))
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
        let queue = self.sms_queue()?;
        let id = match &receipt.about {
            About::Delivery(id) => Some(id.to_string()),
            About::Message(message) => queue.find_alias(&format!("{provider}:{message}")).await?,
        };
        let hot = match &id {
            Some(id) => self.ended(queue, id).await?,
            None => None,
        };
        let (Some(id), Some(record)) = (id, hot) else {
            return self.settle_archived(provider, receipt, state, reason).await;
        };
        let known = record.outcome.as_deref().and_then(|outcome| serde_json::from_slice::<Event>(outcome).ok());
        let Some(Event { app, kind: EventKind::Delivery(report), .. }) = known else {
            // It is faster than the gateway's own answer, which says how the attempt ended.
            return Err(ApiError::too_early("the delivery has not ended yet; repeat the receipt"));
        };
        let seen = report.state;
        let Some(report) = settled(provider, report, state, reason)? else { return Ok(()) };
        let event = Event::new(app, self.now(), EventKind::Delivery(report));
        if seen != state {
            let outcome = serde_json::to_vec(&event).unwrap_or_default();
            if !queue.amend(&id, seen.as_str(), state.as_str(), &outcome).await? {
                return Err(ApiError::too_early("another receipt is being taken; repeat this one"));
            }
        }
        self.append_fact(&event).await
    }

    /// The record of a delivery, waited for a while if it has not ended: a receipt may be faster than the gateway's own answer,
    /// and not every gateway repeats it.
    async fn ended(&self, queue: &Queue, id: &str) -> Result<Option<JobRecord>, ApiError> {
        let began = Instant::now();
        loop {
            let record = queue.find_job(id).await?;
            let under_way = record.as_ref().is_some_and(|record| record.outcome.is_none());
            if !under_way || began.elapsed() > ENDS_WITHIN {
                return Ok(record);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Redis has let it go: what SQL has is settled, and of two receipts at a time the state's version decides.
    async fn settle_archived(
        &self,
        provider: &str,
        receipt: &Receipt,
        state: DeliveryState,
        reason: Option<String>,
    ) -> Result<(), ApiError> {
        let found = match &receipt.about {
            About::Delivery(id) => self.archive.find_delivery_of_any_app(*id).await?,
            About::Message(message) => self.archive.find_delivery_by_message(provider, message).await?,
        };
        let (app, delivery): (AppId, Delivery) = found.ok_or_else(|| ApiError::not_found("delivery"))?;
        if delivery.channel != Channel::Sms {
            return Err(ApiError::not_found("delivery"));
        }
        let report = DeliveryReport {
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
        match settled(provider, report, state, reason)? {
            Some(report) => self.append_fact(&Event::new(app, self.now(), EventKind::Delivery(report))).await,
            None => Ok(()),
        }
    }

    async fn append_fact(&self, event: &Event) -> Result<(), ApiError> {
        self.events.append(&[serde_json::to_vec(event).unwrap_or_default()]).await?;
        Ok(())
    }
}

/// The delivery as a receipt of `provider` settles it; `None` if the receipt contradicts what is known for certain.
fn settled(
    provider: &str,
    known: DeliveryReport,
    state: DeliveryState,
    reason: Option<String>,
) -> Result<Option<DeliveryReport>, ApiError> {
    // Who did not take it cannot know what became of it.
    if known.provider.as_deref().is_some_and(|took| took != provider) {
        return Err(ApiError::not_found("delivery"));
    }
    if known.state == state {
        return Ok(Some(known)); // a repeat: whoever took the first may have died before it was told
    }
    let follows = known.state.can_become(state);
    Ok(follows.then_some(DeliveryReport { state, reason, next_attempt_at: None, ..known }))
}
