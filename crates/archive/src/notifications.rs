//! Notifications and their stories.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use stentor_domain::{AppId, Event, Notification, NotificationId, Timestamp, item::ItemContent};

use crate::{
    Archive, ArchiveError,
    entities::{content, dispatch, event, event_subject, notification},
};

/// A notification as the archive knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchivedNotification {
    /// What was accepted.
    pub notification: Notification,
    /// When its audience was resolved.
    pub dispatched_at: Option<Timestamp>,
    /// Why nothing could be dispatched, if so.
    pub error: Option<String>,
    /// When it was withdrawn.
    pub recalled_at: Option<Timestamp>,
    /// How many deliveries its dispatch made, skipped ones included.
    pub deliveries: u64,
}

impl ArchivedNotification {
    pub(crate) fn read(row: &notification::Model, dispatched: Option<dispatch::Model>) -> Result<Self, ArchiveError> {
        let notification = serde_json::from_str(&row.body).map_err(|e| ArchiveError::unreadable("notifications", e))?;
        let recalled_at = row.recalled_at.map(Timestamp::from_millis);
        let (dispatched_at, error, deliveries) = match dispatched {
            Some(row) => (Some(Timestamp::from_millis(row.dispatched_at)), row.error, u64::try_from(row.deliveries).unwrap_or(0)),
            None => (None, None, 0),
        };
        Ok(Self { notification, dispatched_at, error, recalled_at, deliveries })
    }
}

impl Archive {
    /// A notification.
    pub async fn find_notification(&self, app: &AppId, id: NotificationId) -> Result<Option<ArchivedNotification>, ArchiveError> {
        let key = (app.to_string(), id.as_uuid());
        let Some(row) = notification::Entity::find_by_id(key.clone()).one(&self.db).await? else { return Ok(None) };
        let dispatched = dispatch::Entity::find_by_id(key).one(&self.db).await?;
        ArchivedNotification::read(&row, dispatched).map(Some)
    }

    /// The events that concern a notification, in order of time.
    pub async fn list_events(&self, app: &AppId, id: NotificationId, limit: usize) -> Result<Vec<Event>, ArchiveError> {
        let concerned = event_subject::Entity::find()
            .select_only()
            .column(event_subject::Column::Event)
            .filter(event_subject::Column::App.eq(app.as_str()).and(event_subject::Column::Notification.eq(id.as_uuid())));
        let about = Condition::any()
            .add(event::Column::Notification.eq(id.as_uuid()))
            .add(event::Column::Id.in_subquery(concerned.into_query()));
        let rows = event::Entity::find()
            .filter(event::Column::App.eq(app.as_str()))
            .filter(about)
            .order_by_asc(event::Column::At)
            .limit(limit as u64);
        // Of what happened in the same millisecond, the order of life: ids are no times.
        let mut events = BTreeMap::new();
        for row in rows.all(&self.db).await? {
            let event: Event = serde_json::from_str(&row.body).map_err(|e| ArchiveError::unreadable("events", e))?;
            events.insert((event.at, rank(&event), event.id), event);
        }
        Ok(events.into_values().collect())
    }

    /// The content of a notification in `variant`.
    pub async fn find_content(
        &self,
        app: &AppId,
        id: NotificationId,
        variant: &str,
    ) -> Result<Option<ItemContent>, ArchiveError> {
        let row = content::Entity::find_by_id((app.to_string(), id.as_uuid(), variant.to_owned())).one(&self.db).await?;
        row.map(|row| serde_json::from_str(&row.body).map_err(|e| ArchiveError::unreadable("contents", e))).transpose()
    }
}

/// What comes first of what happened at the same time.
fn rank(event: &Event) -> (u8, u32) {
    use stentor_domain::EventKind::{
        Accepted, Content, Delivery, Dispatched, ItemRecalled, ItemUpdated, ItemWritten, ItemsChanged, Recalled,
        RecipientUpserted, Suppressed, SuppressionLifted, TimelineEntry, TimelineMarked, Updated,
    };
    match &event.kind {
        Accepted { .. } => (0, 0),
        RecipientUpserted { .. } => (1, 0),
        Content { .. } => (2, 0),
        ItemWritten { .. } | TimelineEntry { .. } => (3, 0),
        Delivery(report) => (4, report.state.version(report.attempt)),
        Updated { .. } => (5, 0),
        ItemsChanged { .. } | TimelineMarked { .. } | ItemUpdated { .. } => (5, 1),
        ItemRecalled { .. } => (6, 0),
        Dispatched { .. } | Recalled { .. } | Suppressed { .. } | SuppressionLifted { .. } => (7, 0),
    }
}
