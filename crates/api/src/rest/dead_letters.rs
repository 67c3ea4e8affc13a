//! Dead letters: jobs whose attempts are exhausted or that no worker survives. Looked into, replayed, discarded.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{Method, StatusCode, request::Parts},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stentor_domain::{AppId, Timestamp};
use stentor_queue::{DeadLetter, Queue};
use utoipa::{IntoParams, ToSchema};

use super::{
    page::Page,
    problems::{NotFound, Problems},
};
use crate::{
    auth::{Key, Manage, Read},
    path::Path,
    problem::ApiError,
    query::{bad_query, query},
    state::ApiState,
};

/// How many letters are looked through for one page: each queue holds those of all apps.
const SCAN: usize = 1_000;
/// How many letters a page has, if it is not said.
const PAGE: usize = 20;

/// Which dead letters.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct LetterQuery {
    /// At most so many: 1 to 100 for a list, 20 if absent; any number to replay, all if absent.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// Only of this queue: `dispatch`, `email` or `sms`.
    #[serde(default)]
    pub queue: Option<String>,
    /// Only those whose reason contains this.
    #[serde(default)]
    pub reason: Option<String>,
    /// Only those that died at this time or later.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Only those that died before this time.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

impl LetterQuery {
    fn takes(&self, letter: &DeadLetterView) -> bool {
        self.queue.as_ref().is_none_or(|queue| *queue == letter.queue)
            && self.reason.as_ref().is_none_or(|reason| letter.reason.contains(reason))
            && self.since.is_none_or(|since| letter.died_at >= since)
            && self.until.is_none_or(|until| letter.died_at < until)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for LetterQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query: Self = query(parts).await?;
        if parts.method == Method::GET && query.limit.is_some_and(|n| n == 0 || n > 100) {
            return Err(bad_query("limit must be 1 to 100"));
        }
        Ok(query)
    }
}

/// A dead letter.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeadLetterView {
    /// Its id: the queue and its place there.
    pub id: String,
    /// The queue: `dispatch`, `email` or `sms`.
    pub queue: String,
    /// The job: a notification's id in `dispatch`, else a delivery's.
    pub job_id: String,
    /// Why it died.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it died.
    #[schema(value_type = String, format = DateTime)]
    pub died_at: Timestamp,
    /// The job's payload, without addresses.
    #[schema(value_type = Object)]
    pub payload: Value,
}

impl DeadLetterView {
    /// The letter as `app` may see it; `None` if it is another app's. An operator, who looks at all of them, names no app.
    fn of(queue: &Queue, letter: &DeadLetter, app: Option<&AppId>) -> Option<Self> {
        let payload = serde_json::from_slice(&letter.payload).ok();
        let mut payload: Value = if app.is_none() { payload.unwrap_or_default() } else { payload? };
        if app.is_some_and(|app| payload.get("app").and_then(Value::as_str) != Some(app.as_str())) {
            return None;
        }
        if let Some(fields) = payload.as_object_mut() {
            fields.remove("to");
        }
        Some(Self {
            id: format!("{}:{}", queue.name(), letter.id),
            queue: queue.name().to_owned(),
            job_id: letter.job_id.clone(),
            reason: letter.reason.clone(),
            attempts: letter.attempts,
            died_at: Timestamp::from_millis(letter.died_at),
            payload,
        })
    }
}

impl ApiState {
    pub(crate) fn queues(&self) -> impl Iterator<Item = &Queue> {
        std::iter::once(&self.dispatch).chain(&self.outside)
    }

    /// The queue and the place in it that a dead letter's id names, if it is this app's.
    pub(crate) async fn find_letter<'a>(&'a self, app: Option<&AppId>, id: &'a str) -> Result<(&'a Queue, &'a str), ApiError> {
        let gone = || ApiError::not_found("dead letter");
        let (name, place) = id.split_once(':').ok_or_else(gone)?;
        let queue = self.queues().find(|q| q.name() == name).ok_or_else(gone)?;
        let letter = queue.find_dead_letter(place).await?.ok_or_else(gone)?;
        DeadLetterView::of(queue, &letter, app).ok_or_else(gone)?;
        Ok((queue, place))
    }

    /// A page of dead letters: an app's, or everybody's.
    pub(crate) async fn letters(
        &self,
        app: Option<&AppId>,
        query: &LetterQuery,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<DeadLetterView>, ApiError> {
        let (mut after_queue, mut place) = match after.and_then(|a| a.split_once(':')) {
            Some((queue, place)) => (Some(queue), Some(place.to_owned())),
            None => (None, None),
        };
        let mut items = Vec::new();
        for queue in self.queues() {
            if after_queue.is_some_and(|name| name != queue.name()) {
                continue;
            }
            after_queue = None;
            let letters = queue.list_dead_letters(place.take().as_deref(), SCAN).await?;
            for letter in &letters {
                if items.len() == limit {
                    let next = items.last().map(|l: &DeadLetterView| l.id.clone());
                    return Ok(Page { items, next });
                }
                items.extend(DeadLetterView::of(queue, letter, app).filter(|letter| query.takes(letter)));
            }
            if let Some(last) = letters.last().filter(|_| letters.len() == SCAN) {
                return Ok(Page { items, next: Some(format!("{}:{}", queue.name(), last.id)) });
            }
        }
        Ok(Page { items, next: None })
    }
}

/// What is to become of dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Replay,
    Discard,
}

impl ApiState {
    /// Replays or discards a letter. False if it is gone.
    pub(crate) async fn settle_letter(&self, app: Option<&AppId>, id: &str, verdict: Verdict) -> Result<bool, ApiError> {
        let (queue, place) = self.find_letter(app, id).await?;
        Ok(match verdict {
            Verdict::Replay => queue.replay_dead_letter(place).await?,
            Verdict::Discard => queue.discard_dead_letter(place).await?,
        })
    }

    /// Replays or discards those that the query takes, `query.limit` at the most; tells how many.
    pub(crate) async fn settle_letters(
        &self,
        app: Option<&AppId>,
        query: &LetterQuery,
        verdict: Verdict,
    ) -> Result<usize, ApiError> {
        let most = query.limit.unwrap_or(usize::MAX);
        let (mut settled, mut after) = (0, query.after.clone());
        while settled < most {
            let page = self.letters(app, query, after.as_deref(), SCAN.min(most - settled)).await?;
            for letter in &page.items {
                settled += usize::from(self.settle_letter(app, &letter.id, verdict).await?);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(settled)
    }
}

/// List dead letters.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "dead letters", params(LetterQuery),
    responses((status = 200, body = Page<DeadLetterView>), Problems))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    key: Key<Read>,
    query: LetterQuery,
) -> Result<Json<Page<DeadLetterView>>, ApiError> {
    state.letters(Some(&key.app), &query, query.after.as_deref(), query.limit.unwrap_or(PAGE)).await.map(Json)
}

/// Put a dead letter back into its queue, with its attempts counted anew.
#[utoipa::path(post, path = "/v1/dead-letters/{id}/replay", tag = "dead letters", params(("id" = String, Path)),
    responses((status = 202, description = "it is queued again"), Problems, NotFound))]
pub(crate) async fn replay(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let (queue, place) = state.find_letter(Some(&key.app), &id).await?;
    if queue.replay_dead_letter(place).await? { Ok(StatusCode::ACCEPTED) } else { Err(ApiError::not_found("dead letter")) }
}

/// How many were replayed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Replayed {
    /// Letters put back.
    replayed: usize,
}

/// Put the app's dead letters back into their queues: those that the query names, or all.
#[utoipa::path(post, path = "/v1/dead-letters/replay", tag = "dead letters", params(LetterQuery),
    responses((status = 202, body = Replayed), Problems))]
pub(crate) async fn replay_all(
    State(state): State<ApiState>,
    key: Key<Manage>,
    query: LetterQuery,
) -> Result<(StatusCode, Json<Replayed>), ApiError> {
    let replayed = state.settle_letters(Some(&key.app), &query, Verdict::Replay).await?;
    Ok((StatusCode::ACCEPTED, Json(Replayed { replayed })))
}

/// Discard a dead letter.
#[utoipa::path(delete, path = "/v1/dead-letters/{id}", tag = "dead letters", params(("id" = String, Path)),
    responses((status = 204, description = "it is gone"), Problems, NotFound))]
pub(crate) async fn discard(
    State(state): State<ApiState>,
    key: Key<Manage>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let (queue, place) = state.find_letter(Some(&key.app), &id).await?;
    queue.discard_dead_letter(place).await?;
    Ok(StatusCode::NO_CONTENT)
}
