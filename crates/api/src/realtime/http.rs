//! The same frames over plain HTTP, for proxies and browsers where a WebSocket fails: server-sent events, and long poll.
//!
//! Both show the token as `Authorization: Bearer`, never in the URL, and both go on from the same cursor.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, request::Parts},
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stentor_domain::Violation;
use stentor_inbox::Cursor;
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;

use super::{frame::ServerFrame, session::Session, told::Told};
use crate::{auth::Person, problem::ApiError, state::ApiState};

/// How often a silent stream shows that it is alive: proxies close what is silent for a minute, some for half of that.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The longest that a poll waits, in seconds.
const MAX_WAIT: u64 = 60;
/// How long a poll waits that does not say.
const WAIT: u64 = 25;

/// Where to go on, and how long to wait for it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    /// The cursor of the last frame that was seen; without it the first page comes.
    #[serde(default)]
    cursor: Option<String>,
    /// How long a poll waits for something to happen: 0 to 60 seconds, 25 if absent.
    #[serde(default)]
    wait: Option<u64>,
}

impl From {
    fn cursor(&self, headers: &HeaderMap) -> Result<Option<Cursor>, ApiError> {
        // What the browser sends by itself after a break is newer than what the page asked for at first.
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let wrong = |_| invalid("bad_cursor", "the cursor must be that of an earlier frame");
        last.or(self.cursor.as_deref()).map(|text| text.parse().map_err(wrong)).transpose()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for From {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<Self>::from_request_parts(parts, state).await;
        let axum::extract::Query(query) = query.map_err(|e| invalid("bad_query", e.body_text()))?;
        if query.wait.is_some_and(|wait| wait > MAX_WAIT) {
            return Err(invalid("bad_query", format!("wait must be 0 to {MAX_WAIT} seconds")));
        }
        Ok(query)
    }
}

fn invalid(code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::invalid(vec![Violation::new("", code, message.into())])
}

/// `GET /v1/inbox/events`
pub(crate) async fn events(
    State(state): State<ApiState>,
    person: Person,
    from: From,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    state.hub.admit()?;
    let cursor = from.cursor(&headers)?;
    let session = Session::open(&state, &person, cursor).await.map_err(ApiError::from)?;
    let events = stream::unfold(session.stream().await, |(membership, frames)| async move {
        let told = frames.next().await?;
        Some((event(&told), (membership, frames)))
    });
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// A frame as an event: its type, its JSON, and the cursor as the id from which a browser goes on by itself.
fn event(told: &Told) -> Event {
    let mut event = Event::default().event(told.name).data(told.json());
    if let Some(cursor) = told.cursor() {
        event = event.id(cursor.to_string());
    }
    if let Some(pause) = told.pause {
        event = event.retry(pause);
    }
    event
}

/// What a poll brings.
#[derive(Debug, Serialize)]
pub(crate) struct Polled {
    /// The frames, in order; none if nothing happened.
    frames: Vec<Box<RawValue>>,
    /// Where to go on.
    cursor: Cursor,
}

/// `GET /v1/inbox/poll`
pub(crate) async fn poll(
    State(state): State<ApiState>,
    person: Person,
    from: From,
    headers: HeaderMap,
) -> Result<Json<Polled>, ApiError> {
    let cursor = from.cursor(&headers)?;
    let until = Instant::now() + Duration::from_secs(from.wait.unwrap_or(WAIT));
    let session = Session::open(&state, &person, cursor).await.map_err(ApiError::from)?;
    let at = session.welcome.cursor().copied().unwrap_or_default();
    let news = match &session.welcome {
        ServerFrame::Welcome { recovered: true, items, removed, .. } => {
            !items.is_empty() || !removed.is_empty() || cursor != Some(at)
        }
        _ => true,
    };
    let (_membership, stream) = session.stream().await;
    let mut told: Vec<Told> = stream.next().await.into_iter().collect(); // the welcome
    if !news {
        told.clear();
        told.extend(timeout_at(until, stream.next()).await.ok().flatten());
    }
    told.extend(std::iter::from_fn(|| stream.try_next()));
    let cursor = told.iter().rev().find_map(Told::cursor).unwrap_or(at);
    let frames = told.iter().filter_map(|told| RawValue::from_string(told.json()).ok()).collect();
    Ok(Json(Polled { frames, cursor }))
}
