//! Callbacks: what a gateway reports after it took a message.

use std::collections::HashMap;

use axum::{
    Form, Json,
    extract::{FromRequest, Query, Request, State},
    http::{StatusCode, header},
};
use serde_json::Value;
use stentor_channels::{BadReceipt, Receipt, Report};
use stentor_domain::{DeliveryState, Event, EventKind, Violation, event::DeliveryReport};
use stentor_queue::Queue;

use super::problems::{NotFound, Problems};
use crate::{path::Path, problem::ApiError, state::ApiState};

/// The fields of a call, whether they came in the query, as a form or as JSON.
pub(crate) struct Call {
    fields: HashMap<String, String>,
    json: Option<Value>,
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bad = |what: String| ApiError::invalid(vec![Violation::new("", "bad_callback", what)]);
        let query = Query::<HashMap<String, String>>::try_from_uri(request.uri()).map_err(|e| bad(e.body_text()))?;
        let mut call = Self { fields: query.0, json: None };
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        if kind.starts_with("application/json") {
            call.json = Some(Json::<Value>::from_request(request, state).await.map_err(|e| bad(e.body_text()))?.0);
        } else if kind.starts_with("application/x-www-form-urlencoded") {
            let form = Form::<HashMap<String, String>>::from_request(request, state).await.map_err(|e| bad(e.body_text()))?;
            call.fields.extend(form.0);
        }
        Ok(call)
    }
}

/// Take a gateway's receipt.
///
/// The fields, their words and the secret (`?secret=`) are those of `[sms.provider.NAME.receipts]`. A receipt that says what is
/// known already changes nothing. Receipts are taken for 72 hours.
#[utoipa::path(post, path = "/v1/callbacks/sms/{provider}", tag = "callbacks", params(("provider" = String, Path)),
    responses((status = 204, description = "it is taken"), Problems, NotFound))]
pub(crate) async fn sms(State(state): State<ApiState>, Path(provider): Path<String>, call: Call) -> Result<StatusCode, ApiError> {
    let receipt = state.sms_receipts.read(&provider, &call.fields, call.json.as_ref()).map_err(|bad| match bad {
        BadReceipt::Refused => ApiError::not_found("callback"),
        BadReceipt::Field(_) => ApiError::invalid(vec![Violation::new("", "bad_callback", bad.to_string())]),
    })?;
    state.settle_by(&receipt).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The same, for gateways that call with GET.
#[utoipa::path(get, path = "/v1/callbacks/sms/{provider}", tag = "callbacks", params(("provider" = String, Path)),
    responses((status = 204, description = "it is taken"), Problems, NotFound))]
pub(crate) async fn sms_by_get(state: State<ApiState>, provider: Path<String>, call: Call) -> Result<StatusCode, ApiError> {
    sms(state, provider, call).await
}

impl ApiState {
    async fn settle_by(&self, receipt: &Receipt) -> Result<(), ApiError> {
        let (state, reason) = match &receipt.report {
            Report::UnderWay => return Ok(()),
            Report::Delivered => (DeliveryState::Delivered, None),
            Report::Failed(reason) => (DeliveryState::Failed, Some(reason.clone())),
        };
        let gone = || ApiError::not_found("delivery");
        let queue: &Queue = self.outside.iter().find(|queue| queue.name() == "sms").ok_or_else(gone)?;
        let id = receipt.delivery.to_string();
        let record = queue.find_job(&id).await?.ok_or_else(gone)?;
        let known = record.outcome.as_deref().and_then(|outcome| serde_json::from_slice::<Event>(outcome).ok());
        let Some(Event { app, kind: EventKind::Delivery(report), .. }) = known else {
            // It is faster than the gateway's own answer, which says how the attempt ended.
            return Err(ApiError::too_early("the delivery has not ended yet; repeat the receipt"));
        };
        let event = if report.state == state {
            // A repeat: whoever took the first may have died before it was told.
            Event::new(app, self.now(), EventKind::Delivery(report))
        } else if report.state.can_become(state) {
            let seen = report.state;
            let settled = DeliveryReport { state, reason, next_attempt_at: None, ..report };
            let event = Event::new(app, self.now(), EventKind::Delivery(settled));
            let outcome = serde_json::to_vec(&event).unwrap_or_default();
            if !queue.amend(&id, seen.as_str(), state.as_str(), &outcome).await? {
                return Err(ApiError::too_early("another receipt is being taken; repeat this one"));
            }
            event
        } else {
            return Ok(()); // it contradicts what is known for certain
        };
        self.events.append(&[serde_json::to_vec(&event).unwrap_or_default()]).await?;
        Ok(())
    }
}
