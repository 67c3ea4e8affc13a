//! Callbacks about mails: what providers report, and bounces that somebody pipes here.

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode},
};
use stentor_channels::{BadEvents, EventsCall};
use stentor_domain::Violation;

use super::{
    callbacks::fields,
    problems::{NotFound, Problems},
};
use crate::{path::Path, problem::ApiError, state::ApiState};

/// The largest body, in bytes: a provider reports many mails at once.
const MAX_CALL: usize = 2 * 1024 * 1024;

/// A provider's call.
pub(crate) struct MailCall {
    secret: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for MailCall {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        // The part of the query that is ours; a provider may add its own.
        let query = fields(parts.uri.query().unwrap_or_default().as_bytes());
        let secret = query.into_iter().find(|(name, _)| name == "secret").map(|(_, value)| value);
        let body = to_bytes(body, MAX_CALL).await.map_err(|_| ApiError::too_large(MAX_CALL))?;
        Ok(Self { secret, headers: parts.headers, body })
    }
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
    MailCall { secret, headers, body }: MailCall,
) -> Result<StatusCode, ApiError> {
    let now = state.now().as_millis() / 1_000;
    let call = EventsCall { secret: secret.as_deref(), headers: &headers, body: &body, now };
    let bounces = state.mail_events.read(&provider, &call).await.map_err(|bad| match bad {
        BadEvents::Refused => ApiError::not_found("callback"),
        BadEvents::Later => ApiError::too_early(bad.to_string()),
        BadEvents::Body | BadEvents::TooMany => ApiError::invalid(vec![Violation::new("", "bad_callback", bad.to_string())]),
    })?;
    // None holds up the others: what was taken changes nothing when all are repeated because of one.
    let mut trouble = None;
    for bounce in &bounces {
        if let Err(error) = state.take_bounce(bounce).await {
            trouble = trouble.or(Some(error));
        }
    }
    trouble.map_or(Ok(StatusCode::NO_CONTENT), Err)
}
