//! Callbacks about mails: what providers report, and bounces that somebody pipes here.

use axum::{
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use stentor_channels::BadEvents;
use stentor_domain::Violation;

use super::problems::{NotFound, Problems};
use crate::{path::Path, problem::ApiError, state::ApiState};

/// The part of the query that is ours; a provider may add its own.
#[derive(Deserialize)]
pub(crate) struct Proof {
    secret: Option<String>,
}

/// Take what a provider reports of mails: bounces, complaints, deliveries.
///
/// The fields, what they mean and how the provider proves itself are those of `[email.provider.NAME.events]`. The body is JSON, or a
/// bounce as it came (`Content-Type: message/rfc822`). What is of no mail of ours is passed over; what is known already changes nothing.
#[utoipa::path(post, path = "/v1/callbacks/email/{provider}", tag = "callbacks", params(("provider" = String, Path)),
    responses((status = 204, description = "it is taken"), Problems, NotFound))]
pub(crate) async fn email(
    State(state): State<ApiState>,
    Path(provider): Path<String>,
    Query(proof): Query<Proof>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let now = state.now().as_millis() / 1_000;
    let bounces = state.mail_events.read(&provider, proof.secret.as_deref(), header, &body, now).map_err(|bad| match bad {
        BadEvents::Refused => ApiError::not_found("callback"),
        BadEvents::Body | BadEvents::TooMany => ApiError::invalid(vec![Violation::new("", "bad_callback", bad.to_string())]),
    })?;
    for bounce in &bounces {
        state.take_bounce(bounce).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
