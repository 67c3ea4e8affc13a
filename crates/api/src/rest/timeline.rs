//! The story of a notification: everything that was decided, and why.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use serde::{Deserialize, Serialize};
use stentor_domain::{
    AppId, Channel, DeliveryState, Event, EventKind, ItemState, Notification, NotificationId, RecipientId, Timestamp,
    sms::SmsCost, timeline::Gone,
};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::problems::{NotFound, Problems};
use crate::{
    auth::{Key, Read},
    path::Path,
    problem::ApiError,
    query::{bad_query, query},
    state::ApiState,
};

/// The most events of a page, and how many it has if that is not said.
const MAX_EVENTS: usize = 5_000;

/// The story of a notification.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Timeline {
    /// When this was read. What happened in the last second may still be on its way.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// What happened, in order of time.
    pub events: Vec<TimelineEntry>,
    /// Give it as `after` for what happened next; `null` at the end.
    #[serde(default)]
    pub next: Option<String>,
}

/// Which part of a story.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimelineQuery {
    /// The most events to give, 1 to 5,000; 5,000 if absent.
    #[serde(default)]
    limit: Option<usize>,
    /// Where to go on: `next` of the page before.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    after: Option<Uuid>,
}

impl<S: Send + Sync> FromRequestParts<S> for TimelineQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query: Self = query(parts).await?;
        if query.limit.is_some_and(|n| n == 0 || n > MAX_EVENTS) {
            return Err(bad_query(format!("limit must be 1 to {MAX_EVENTS}")));
        }
        Ok(query)
    }
}

/// One thing that happened.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TimelineEntry {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What: `accepted`, `dispatched`, `delivery`, `item_written`, `items_changed`, `timeline_entry` (written to a topic or
    /// to everyone, or changed there), `timeline_marked` or `suppressed` (the address is not written to any more).
    pub event: String,
    /// To whom it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub recipient: Option<RecipientId>,
    /// On which channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// The delivery's state from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// The number of the attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The provider that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The provider's own id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_message_id: Option<String>,
    /// When it will be tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
    /// What it costs, of an SMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms: Option<SmsCost>,
    /// What the recipient has done with the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemState>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl TimelineEntry {
    fn new(at: Timestamp, event: &str) -> Self {
        Self {
            at,
            event: event.to_owned(),
            recipient: None,
            channel: None,
            state: None,
            attempt: None,
            provider: None,
            provider_message_id: None,
            next_attempt_at: None,
            sms: None,
            item: None,
            reason: None,
        }
    }

    /// The entry that tells of a time of its own, if it has one.
    fn scheduled(n: &Notification) -> Option<Self> {
        let next_attempt_at = n.request.send_at.filter(|at| *at > n.accepted_at);
        next_attempt_at.map(|_| Self { next_attempt_at, ..Self::new(n.accepted_at, "scheduled") })
    }

    /// The entry that tells `event` as far as it concerns notification `id`; `None` for what is bookkeeping.
    fn of(event: Event, id: NotificationId) -> Option<Self> {
        let entry = Self::new(event.at, event.kind.name());
        match event.kind {
            EventKind::Accepted { .. } | EventKind::Recalled { .. } | EventKind::Updated { .. } => Some(entry),
            EventKind::Dispatched { error, deliveries, .. } => {
                let reason = error.unwrap_or_else(|| format!("{deliveries} deliveries"));
                Some(Self { reason: Some(reason), ..entry })
            }
            EventKind::Delivery(report) => Some(Self {
                recipient: Some(report.recipient),
                channel: Some(report.channel),
                state: Some(report.state),
                attempt: (report.attempt > 0).then_some(report.attempt),
                provider: report.provider,
                provider_message_id: report.provider_message_id,
                next_attempt_at: report.next_attempt_at,
                sms: report.sms,
                reason: report.reason,
                ..entry
            }),
            EventKind::ItemWritten { recipient, .. }
            | EventKind::ItemUpdated { recipient, .. }
            | EventKind::ItemRecalled { recipient, .. } => {
                Some(Self { recipient: Some(recipient), channel: Some(Channel::Inbox), ..entry })
            }
            EventKind::ItemsChanged { recipient, items, .. } => {
                let state = items.iter().find(|i| i.notification == id)?.state;
                Some(Self { recipient: Some(recipient), channel: Some(Channel::Inbox), item: Some(state), ..entry })
            }
            EventKind::TimelineMarked { recipient, entries, .. } => {
                let state = entries.iter().find(|e| e.item.notification == id)?.item.state;
                Some(Self { recipient: Some(recipient), channel: Some(Channel::Inbox), item: Some(state), ..entry })
            }
            EventKind::TimelineEntry { entry: written } => {
                let reason = written.gone.map(|gone| if gone == Gone::Recalled { "recalled" } else { "expired" }.to_owned());
                Some(Self { channel: Some(Channel::Inbox), reason, ..entry })
            }
            // Why, and never whom: the delivery beside it names the recipient.
            EventKind::Suppressed { suppression, .. } => {
                let channel = Some(suppression.address.channel());
                Some(Self { channel, reason: Some(suppression.reason.as_str().to_owned()), ..entry })
            }
            EventKind::Content { .. } | EventKind::RecipientUpserted { .. } | EventKind::SuppressionLifted { .. } => None,
        }
    }
}

impl ApiState {
    /// The story of a notification, after the event `after`; 404 if there is none.
    pub(crate) async fn timeline(
        &self,
        app: &AppId,
        id: NotificationId,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Timeline, ApiError> {
        let as_of = self.now();
        let (events, next) = self.archive.list_events(app, id, after, limit).await?;
        let mut entries = Vec::with_capacity(events.len() + 1);
        // Until its dispatch a notification is on record only if it is to be sent later.
        if events.is_empty() && after.is_none() {
            let hot = self.find_hot(app, id).await?.ok_or_else(|| ApiError::not_found("notification"))?;
            entries.push(TimelineEntry::new(hot.accepted_at, "accepted"));
            entries.extend(TimelineEntry::scheduled(&hot));
        }
        for event in events {
            let scheduled = match &event.kind {
                EventKind::Accepted { notification } => TimelineEntry::scheduled(notification),
                _ => None,
            };
            entries.extend(TimelineEntry::of(event, id));
            entries.extend(scheduled);
        }
        Ok(Timeline { as_of, events: entries, next: next.map(|id| id.to_string()) })
    }
}

/// Tell the story of a notification.
///
/// Every event with its reason, from the API call to the provider's answer.
#[utoipa::path(get, path = "/v1/notifications/{id}/timeline", tag = "notifications", params(("id" = String, Path), TimelineQuery),
    responses((status = 200, body = Timeline), Problems, NotFound))]
pub(crate) async fn get(
    State(state): State<ApiState>,
    key: Key<Read>,
    Path(id): Path<NotificationId>,
    query: TimelineQuery,
) -> Result<Json<Timeline>, ApiError> {
    state.timeline(&key.app, id, query.after, query.limit.unwrap_or(MAX_EVENTS)).await.map(Json)
}
