//! Sending, and asking how far it has come.

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderName, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stentor_catalog::CatalogError;
use stentor_domain::{
    AppId, Channel, Delivery, DeliveryId, DeliveryState, Notification, NotificationId, NotificationRequest, RECALLED, Timestamp,
    Violation,
    notification::{Audience, NotificationStatus, NotificationUpdate},
};
use stentor_queue::{Lane, NewJob};
use utoipa::ToSchema;

use super::{
    accept::{Accepted, Checked, fingerprint},
    dry_run::{DryRun, DrySms},
    page::{Page, PageQuery},
    problems::{BadBody, NotFound, Problems},
};
use crate::{
    auth::{Key, Read, Send},
    json::{JsonBody, JsonBytes, RawJson, parse},
    path::Path,
    problem::{ApiError, Problem},
    state::ApiState,
};

/// The most requests in one batch.
const MAX_BATCH: usize = 1_000;
/// The largest body of a batch, in bytes. Each request in it is bounded like a single one.
const MAX_BATCH_BODY: usize = 8 * 1024 * 1024;

/// Where notifications are sent.
pub(crate) const PATH: &str = "/v1/notifications";

static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An accepted notification.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Receipt {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: NotificationId,
    /// `accepted`, or `scheduled` if `send_at` lies ahead.
    status: NotificationStatus,
    /// Addresses that came with the request and are none (`invalid_address`), by JSON pointer, if there are any: nothing is sent there, and
    /// everything else goes. The delivery is `skipped` with the same word as its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Violation>,
}

impl From<Accepted> for Receipt {
    fn from(Accepted { id, status, warnings, .. }: Accepted) -> Self {
        Self { id, status, warnings }
    }
}

/// Send a notification.
///
/// A 202 is a promise: it is in Redis and will be dispatched. With an `Idempotency-Key` a repeat within 24 hours gets the
/// same answer and sends nothing; after a 503 it is safe to repeat with the key. With `dry_run` it is answered what would be done.
///
/// What is wrong is 422 and changes nothing, with one exception: of several recipients, one whose `email` or `phone` is no address holds up
/// nobody else. It is told in `warnings`, and they hear of it on their other channels. If no recipient's addresses are right it is 422, too.
#[utoipa::path(post, path = PATH, tag = "notifications", request_body = NotificationRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "at most 255 bytes")),
    responses((status = 200, body = DryRun, description = "the answer to a dry run"), (status = 202, body = Receipt, headers(("Idempotency-Replayed" = String, description = "`true` on a repeat"))), Problems, BadBody))]
pub(crate) async fn send(
    State(state): State<ApiState>,
    key: Key<Send>,
    IdempotencyKey(idempotency): IdempotencyKey,
    RawJson(request, bytes): RawJson<Box<NotificationRequest>>,
) -> Result<Response, ApiError> {
    let checked = state.check(&key.app, state.next_id(), request, idempotency.as_deref(), || fingerprint(&bytes)).await?;
    drop(bytes); // or the next request of this connection is read into memory that is got for it
    state.check_topic(&checked).await?;
    if checked.notification().request.dry_run {
        return Ok(Json(Box::pin(state.dry_run(checked.notification(), &mut state.trial())).await?).into_response());
    }
    let accepted = state.accept(&checked).await?;
    let replayed = accepted.replayed;
    let mut response = (StatusCode::ACCEPTED, Json(Receipt::from(accepted))).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The key of a single request, if it has one.
pub(crate) struct IdempotencyKey(Option<String>);

impl FromRequestParts<ApiState> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let not_text =
            |_| ApiError::invalid(vec![Violation::new("", "bad_idempotency_key", "the idempotency key must be visible ASCII")]);
        value.to_str().map(|key| Self(Some(key.to_owned()))).map_err(not_text)
    }
}

/// Many requests in one call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch<'a> {
    /// 1 to 1,000 requests. Each may carry an `idempotency_key` of its own.
    #[serde(borrow)]
    #[schema(value_type = Vec<NotificationRequest>, min_items = 1, max_items = 1000)]
    notifications: Vec<&'a RawValue>,
}

/// What became of each request of a batch.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BatchResults {
    /// One result a request, in order.
    results: Vec<BatchResult>,
    /// What the SMS of its dry runs cost together, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sms: Option<DrySms>,
}

/// What became of one request: `id` and `status`, what a dry run found, or `problem`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct BatchResult {
    /// Its place in the batch, from 0.
    index: usize,
    #[serde(flatten)]
    outcome: BatchOutcome,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
enum BatchOutcome {
    Accepted(Receipt),
    Tried(Box<DryRun>),
    Refused { problem: Problem },
}

/// Send up to 1,000 notifications.
///
/// Each is judged by itself. 202 if any was accepted, else 422. Those with `dry_run` are tried in order, as if those before them had been
/// sent, and show at most 100 recipients together; 200 if there is nothing else.
#[utoipa::path(post, path = "/v1/notifications/batch", tag = "notifications", request_body = Batch,
    responses((status = 202, body = BatchResults), (status = 200, body = BatchResults, description = "dry runs alone"), (status = 422, body = BatchResults, description = "none was accepted"), Problems))]
pub(crate) async fn send_batch(
    State(state): State<ApiState>,
    key: Key<Send>,
    JsonBytes(body): JsonBytes<MAX_BATCH_BODY>,
) -> Result<(StatusCode, Json<BatchResults>), ApiError> {
    let batch: Batch<'_> = parse(&body)?;
    let count = batch.notifications.len();
    if count == 0 || count > MAX_BATCH {
        let message = format!("send 1 to {MAX_BATCH} notifications in a batch, not {count}");
        return Err(ApiError::invalid(vec![Violation::new("/notifications", "batch_size", message)]));
    }
    let (first, mut checks) = (state.first_id(), Vec::with_capacity(count));
    for (raw, place) in batch.notifications.iter().zip(0..) {
        checks.push(match check_one(&state, &key.app, first.at_place(place), raw).await {
            Ok(checked) => state.check_topic(&checked).await.map(|()| checked),
            Err(error) => Err(error),
        });
    }
    let (good, checks) = split(checks);
    let mut accepted = state.accept_many(&good).await?.into_iter();
    let mut trial = state.trial();
    let mut results = Vec::with_capacity(count);
    for (index, check) in checks.into_iter().enumerate() {
        let outcome = match check {
            Ok(None) => {
                let accepted = accepted.next().unwrap_or_else(|| Err(ApiError::not_found("result")));
                accepted.map(|accepted| BatchOutcome::Accepted(Receipt::from(accepted)))
            }
            Ok(Some(to_try)) => {
                let run = Box::pin(state.dry_run(to_try.notification(), &mut trial)).await;
                run.map(|run| BatchOutcome::Tried(Box::new(run)))
            }
            Err(error) => Err(error),
        };
        let outcome = outcome.unwrap_or_else(|error| BatchOutcome::Refused { problem: error.problem() });
        results.push(BatchResult { index, outcome });
    }
    let any = |is: fn(&BatchOutcome) -> bool| results.iter().any(|result| is(&result.outcome));
    let status = if any(|outcome| matches!(outcome, BatchOutcome::Accepted(_))) {
        StatusCode::ACCEPTED
    } else if any(|outcome| matches!(outcome, BatchOutcome::Tried(_))) {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    Ok((status, Json(BatchResults { results, sms: state.cost_of(trial) })))
}

/// Parts what is to be accepted from what is only to be tried and what was refused, keeping the order of all.
fn split(checks: Vec<Result<Checked, ApiError>>) -> (Vec<Checked>, Vec<Result<Option<Checked>, ApiError>>) {
    let mut good = Vec::with_capacity(checks.len());
    let mut part = |checked: Checked| {
        if checked.notification().request.dry_run {
            return Some(checked);
        }
        good.push(checked);
        None
    };
    let rest = checks.into_iter().map(|check| check.map(&mut part)).collect();
    (good, rest)
}

async fn check_one(state: &ApiState, app: &AppId, id: NotificationId, raw: &RawValue) -> Result<Checked, ApiError> {
    let bytes = raw.get().as_bytes();
    if bytes.len() > crate::json::MAX_BODY {
        let message = format!("one request is at most {} bytes", crate::json::MAX_BODY);
        return Err(ApiError::invalid(vec![Violation::new("", "too_large", message)]));
    }
    let (key, bytes) = part_key(bytes)?;
    let request: Box<NotificationRequest> = parse(&bytes)?;
    state.check(app, id, request, key.as_deref(), || fingerprint(&bytes)).await
}

/// The field of a batch's request that has its key. To make ready for a search takes longer than to search a short request.
static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("idempotency_key"));

/// Takes the key out, so that what is left is the request of the single call.
fn part_key(bytes: &[u8]) -> Result<(Option<String>, Cow<'_, [u8]>), ApiError> {
    /// Whether there is one: to look costs less than to take it apart.
    #[derive(Deserialize)]
    struct Keyed {
        #[serde(default, deserialize_with = "is_there")]
        idempotency_key: bool,
    }
    fn is_there<'de, D: serde::Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
        serde::de::IgnoredAny::deserialize(value).map(|_| true) // also a null, which is no key
    }
    // A text without the word, and without what the word could hide behind, has no such field.
    if KEY.find(bytes).is_none() && memchr::memchr(b'\\', bytes).is_none() {
        return Ok((None, Cow::Borrowed(bytes)));
    }
    if let Ok(Keyed { idempotency_key: false }) = serde_json::from_slice(bytes) {
        return Ok((None, Cow::Borrowed(bytes)));
    }
    let mut fields: serde_json::Map<String, serde_json::Value> = parse(bytes)?;
    match fields.remove("idempotency_key") {
        None => Ok((None, Cow::Borrowed(bytes))),
        Some(serde_json::Value::String(key)) => Ok((Some(key), serde_json::to_vec(&fields).unwrap_or_default().into())),
        Some(_) => Err(ApiError::invalid(vec![Violation::new("/idempotency_key", "wrong_value", "must be a string")])),
    }
}

/// A notification and how far it has come.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NotificationView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: NotificationId,
    /// How far it has come.
    pub status: NotificationStatus,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// For whom.
    pub audience: Audience,
    /// The channels that were asked for; without, those of its template, or the inbox alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Channel>>,
    /// When it is to be sent, if not at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub send_at: Option<Timestamp>,
    /// When its time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// The template that says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The version of it that was live when it was accepted, and that it is written with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_version: Option<String>,
    /// Deliveries by channel and state.
    pub counts: BTreeMap<Channel, BTreeMap<String, u64>>,
    /// The sender's own fields.
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Why nothing could be dispatched, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub recalled_at: Option<Timestamp>,
}

impl ApiState {
    /// The notification as it stands in Redis, for the time before the archive knows it.
    pub(crate) async fn find_hot(&self, app: &AppId, id: NotificationId) -> Result<Option<Notification>, ApiError> {
        let Some(job) = self.dispatch.find_job(&id.to_string()).await? else { return Ok(None) };
        let notification = job.body.as_deref().and_then(|body| serde_json::from_slice::<Notification>(body).ok());
        Ok(notification.filter(|n| n.app == *app))
    }

    /// A notification as it was sent, archived or hot; 404 if there is none.
    pub(crate) async fn find_sent(&self, app: &AppId, id: NotificationId) -> Result<Notification, ApiError> {
        if let Some(archived) = self.archive.find_notification(app, id).await? {
            return Ok(archived.notification);
        }
        self.find_hot(app, id).await?.ok_or_else(|| ApiError::not_found("notification"))
    }

    /// A notification and how far it has come; 404 if there is none.
    pub(crate) async fn notification_view(&self, app: &AppId, id: NotificationId) -> Result<NotificationView, ApiError> {
        let view = |n: Notification, status, counts, error, recalled_at| NotificationView {
            id: n.id,
            status,
            created_at: n.accepted_at,
            audience: n.request.audience,
            channels: n.request.channels,
            send_at: n.request.send_at,
            expires_at: n.request.expires_at,
            template: n.request.template,
            template_version: n.template_version,
            counts,
            metadata: n.request.metadata,
            error,
            recalled_at,
        };
        if let Some(archived) = self.archive.find_notification(app, id).await? {
            let mut counts: BTreeMap<Channel, BTreeMap<String, u64>> = BTreeMap::new();
            let mut open = archived.dispatched_at.is_none();
            for (channel, delivery_state, n) in self.archive.delivery_counts(app, id).await? {
                open |= !DeliveryState::is_final(delivery_state);
                counts.entry(channel).or_default().insert(delivery_state.as_str().to_owned(), n);
            }
            let status = match (archived.recalled_at, archived.dispatched_at) {
                (Some(_), None) => NotificationStatus::Cancelled,
                // It was withdrawn before anything was dispatched.
                (_, Some(_)) if archived.error.as_deref() == Some(RECALLED) => NotificationStatus::Cancelled,
                (None, None) if archived.notification.due_at() > self.now() => self.status_before(&archived.notification).await?,
                _ if open => NotificationStatus::Dispatching,
                _ => NotificationStatus::Completed,
            };
            return Ok(view(archived.notification, status, counts, archived.error, archived.recalled_at));
        }
        let hot = self.find_hot(app, id).await?.ok_or_else(|| ApiError::not_found("notification"))?;
        let status = self.status_before(&hot).await?;
        Ok(view(hot, status, BTreeMap::new(), None, None))
    }

    /// How far a notification has come before its dispatch.
    async fn status_before(&self, n: &Notification) -> Result<NotificationStatus, ApiError> {
        Ok(match self.dispatch.withdrawn(&n.id.to_string()).await? {
            Some(_) => NotificationStatus::Cancelled,
            None if n.due_at() > self.now() => NotificationStatus::Scheduled,
            None => NotificationStatus::Accepted,
        })
    }
}

/// Get a notification.
///
/// Works right after the 202. The counts follow the archive, usually within a second.
#[utoipa::path(get, path = "/v1/notifications/{id}", tag = "notifications", params(("id" = String, Path)),
    responses((status = 200, body = NotificationView), Problems, NotFound))]
pub(crate) async fn get(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(id): Path<NotificationId>,
) -> Result<Json<NotificationView>, ApiError> {
    state.notification_view(&key.app, id).await.map(Json)
}

/// Say a notification otherwise.
///
/// Changes title, content and expiry of what is in inboxes, on every device; what was read stays read. Mails and SMS that left stay as
/// they are. One that was withdrawn is left as it was: 409.
#[utoipa::path(patch, path = "/v1/notifications/{id}", tag = "notifications", params(("id" = String, Path)),
    request_body = NotificationUpdate, responses((status = 202, body = Receipt), (status = 409, body = Problem, description = "it was withdrawn"), Problems, NotFound, BadBody))]
pub(crate) async fn update(
    State(state): State<ApiState>,
    key: Key<Send>,
    Path(id): Path<NotificationId>,
    JsonBody(update): JsonBody<NotificationUpdate>,
) -> Result<(StatusCode, Json<Receipt>), ApiError> {
    let name = id.to_string();
    // Hot first: an update a moment ago is there before it is in SQL.
    let hot = state.find_hot(&key.app, id).await?;
    let archived = match state.archive.find_notification(&key.app, id).await {
        Err(_) if hot.is_some() => None, // what Redis knows is enough
        found => found?,
    };
    let is_recalled = archived.as_ref().is_some_and(|archived| archived.recalled_at.is_some());
    let before = hot.or(archived.map(|archived| archived.notification)).ok_or_else(|| ApiError::not_found("notification"))?;
    if is_recalled || state.dispatch.withdrawn(&name).await?.is_some() {
        return Err(ApiError::new(StatusCode::CONFLICT, RECALLED, "it was withdrawn: nobody has it any more. Send a new one"));
    }
    let after = before.updated(update, state.now()).map_err(ApiError::invalid)?;
    if let Some(template) = &after.request.template {
        let version = match &after.template_version {
            Some(hash) => match state.templates.version(&key.app, template, hash).await {
                // What is live stands in for it, as it does when it is written.
                Err(CatalogError::Gone { .. } | CatalogError::Unreadable { .. }) => {
                    state.templates.find(&key.app, template).await?
                }
                found => Some(found?),
            },
            None => state.templates.find(&key.app, template).await?,
        };
        let found = version.map(|v| v.template.check_data(&after.request.data)).unwrap_or_default();
        if !found.is_empty() {
            return Err(ApiError::invalid(found));
        }
    }
    let written = |e| ApiError::unavailable("the encoder", e);
    let body = serde_json::to_vec(&after).map_err(written)?;
    let payload = serde_json::json!({ "app": key.app, "notification": id, "task": "update" });
    let payload = serde_json::to_vec(&payload).map_err(written)?;
    let job = format!("update:{name}:{}", after.version());
    let job =
        NewJob { id: &job, lane: Lane::High, payload: &payload, body: Some(&body), due: None, expires: None, is_new: false };
    // The job first: what is accepted is done, and what was rewritten without it would be seen by chance.
    state.dispatch.submit(&job, None).await?;
    state.dispatch.rewrite(&name, &body).await?;
    let status = if after.due_at() > state.now() { NotificationStatus::Scheduled } else { NotificationStatus::Accepted };
    Ok((StatusCode::ACCEPTED, Json(Receipt { id, status, warnings: Vec::new() })))
}

/// What a recall met.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RecallView {
    /// The notification.
    #[schema(value_type = String, format = Uuid)]
    pub id: NotificationId,
    /// How many mails and SMS had left already, or may have, as far as is known now: they cannot be taken back.
    pub already_left: BTreeMap<Channel, u64>,
    /// Deliveries by channel and state, as far as is known now.
    pub counts: BTreeMap<Channel, BTreeMap<String, u64>>,
}

impl ApiState {
    /// Withdraws a notification; 404 if there is none.
    pub(crate) async fn recall(&self, app: &AppId, id: NotificationId) -> Result<RecallView, ApiError> {
        let n = self.find_sent(app, id).await?;
        // The mark first: from here on nothing begins to be sent, and a dispatch that is under way undoes its pages itself.
        let name = id.to_string();
        self.dispatch.withdraw(&[&name], RECALLED).await?;
        let written = |e| ApiError::unavailable("the encoder", e);
        let payload = serde_json::json!({ "app": app, "notification": id, "task": "recall" });
        let payload = serde_json::to_vec(&payload).map_err(written)?;
        let job = format!("recall:{name}");
        let job = NewJob { id: &job, lane: Lane::High, payload: &payload, body: None, due: None, expires: None, is_new: false };
        self.dispatch.submit(&job, None).await?;
        self.hasten(&n).await?;
        let (mut counts, mut already_left): (BTreeMap<_, BTreeMap<_, _>>, BTreeMap<_, u64>) = Default::default();
        for (channel, delivery_state, n) in self.archive.delivery_counts(app, id).await? {
            use DeliveryState::{Bounced, Delivered, Sending, Sent, Unknown};
            if channel != Channel::Inbox && matches!(delivery_state, Sending | Sent | Delivered | Unknown | Bounced) {
                *already_left.entry(channel).or_default() += n;
            }
            counts.entry(channel).or_default().insert(delivery_state.as_str().to_owned(), n);
        }
        Ok(RecallView { id, already_left, counts })
    }
}

/// Withdraw a notification.
///
/// Inbox items vanish from every device, read or not, and the counts with them; what is not sent yet is cancelled. Repeating it is safe.
#[utoipa::path(post, path = "/v1/notifications/{id}/recall", tag = "notifications", params(("id" = String, Path)),
    responses((status = 202, body = RecallView), Problems, NotFound))]
pub(crate) async fn recall(
    State(state): State<ApiState>,
    key: Key<Send>,
    Path(id): Path<NotificationId>,
) -> Result<(StatusCode, Json<RecallView>), ApiError> {
    let view = state.recall(&key.app, id).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// List the deliveries of a notification.
#[utoipa::path(get, path = "/v1/notifications/{id}/deliveries", tag = "notifications", params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Page<Delivery>), Problems, NotFound))]
pub(crate) async fn list_deliveries(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(id): Path<NotificationId>,
    query: PageQuery,
) -> Result<Json<Page<Delivery>>, ApiError> {
    let after: Option<DeliveryId> = query.after()?;
    let items = state.archive.list_deliveries(&key.app, id, after, query.limit()).await?;
    if items.is_empty() && state.archive.find_notification(&key.app, id).await?.is_none() {
        state.find_hot(&key.app, id).await?.ok_or_else(|| ApiError::not_found("notification"))?;
    }
    let next = items.last().filter(|_| items.len() == query.limit()).map(|d| d.id.to_string());
    Ok(Json(Page { items, next }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_request_in_a_batch_is_a_string_or_is_not_there() {
        assert!(matches!(part_key(br#"{"a": 1}"#), Ok((None, Cow::Borrowed(br#"{"a": 1}"#)))));
        let keyed = part_key(br#"{"idempotency_key": "k", "a": 1}"#).unwrap();
        assert_eq!((keyed.0.as_deref(), &*keyed.1), (Some("k"), &br#"{"a":1}"#[..]));
        for wrong in ["null", "1", r#"["k"]"#] {
            let error = part_key(format!(r#"{{"idempotency_key": {wrong}}}"#).as_bytes()).unwrap_err();
            assert_eq!(error.errors()[0].pointer, "/idempotency_key", "{wrong}");
        }
    }
}
