//! Notifications and their stories.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{CaseStatement, SimpleExpr},
};
use stentor_domain::{AppId, Event, EventKind, Notification, NotificationId, Timestamp, item::ItemContent};
use uuid::Uuid;

use crate::{
    Archive, ArchiveError, column,
    entities::{content, dispatch, event, event_subject, notification},
};

/// The `version` of a notification of which nothing is told yet but that it was withdrawn.
pub(crate) const UNTOLD: i64 = -1;

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
        let notification = column::read("notifications", &row.body)?;
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
        let told = notification::Entity::find_by_id(key.clone()).filter(notification::Column::Version.gt(UNTOLD));
        let Some(row) = told.one(&self.db).await? else { return Ok(None) };
        let dispatched = dispatch::Entity::find_by_id(key).one(&self.db).await?;
        ArchivedNotification::read(&row, dispatched).map(Some)
    }

    /// The events that concern a notification, in order of time, those after the event `after`; and after which one there are more.
    pub async fn list_events(
        &self,
        app: &AppId,
        id: NotificationId,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<(Vec<Event>, Option<Uuid>), ArchiveError> {
        let concerned = event_subject::Entity::find()
            .select_only()
            .column(event_subject::Column::Event)
            .filter(event_subject::Column::App.eq(app.as_str()).and(event_subject::Column::Notification.eq(id.as_uuid())));
        let about = Condition::any()
            .add(event::Column::Notification.eq(id.as_uuid()))
            .add(event::Column::Id.in_subquery(concerned.into_query()));
        let mut rows = event::Entity::find().filter(event::Column::App.eq(app.as_str())).filter(about);
        let last = match after {
            Some(after) => event::Entity::find_by_id(after).filter(event::Column::App.eq(app.as_str())).one(&self.db).await?,
            None => None,
        };
        if let Some(last) = last {
            let same_rank = rank_in_sql().eq(rank(&last.kind)).and(event::Column::Id.gt(last.id));
            let same_time = event::Column::At.eq(last.at).and(rank_in_sql().gt(rank(&last.kind)).or(same_rank));
            rows = rows.filter(event::Column::At.gt(last.at).or(same_time));
        }
        let rows = rows.order_by_asc(event::Column::At).order_by(rank_in_sql(), Order::Asc).order_by_asc(event::Column::Id);
        let mut rows = rows.limit(limit as u64 + 1).all(&self.db).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.id);
        // Of what happened in the same millisecond, the order of life: ids are no times.
        let mut events = BTreeMap::new();
        for row in rows {
            let event: Event = column::read("events", &row.body)?;
            let step = match &event.kind {
                EventKind::Delivery(report) => report.state.version(report.attempt),
                _ => 0,
            };
            events.insert((event.at, rank(event.kind.name()), step, event.id), event);
        }
        Ok((events.into_values().collect(), next))
    }

    /// The content of a notification in `variant`.
    pub async fn find_content(
        &self,
        app: &AppId,
        id: NotificationId,
        variant: &str,
    ) -> Result<Option<ItemContent>, ArchiveError> {
        let row = content::Entity::find_by_id((app.to_string(), id.as_uuid(), variant.to_owned())).one(&self.db).await?;
        row.map(|row| column::read("contents", &row.body)).transpose()
    }
}

/// What comes first of what happened at the same time, by the names of events; all others come last.
const RANKS: [(&str, i32); 11] = [
    ("accepted", 0),
    ("recipient_upserted", 1),
    ("content", 2),
    ("item_written", 3),
    ("timeline_entry", 3),
    ("delivery", 4),
    ("updated", 5),
    ("items_changed", 6),
    ("timeline_marked", 6),
    ("item_updated", 6),
    ("item_recalled", 7),
];
const LAST: i32 = 8;

fn rank(kind: &str) -> i32 {
    RANKS.iter().find(|(name, _)| *name == kind).map_or(LAST, |(_, rank)| *rank)
}

fn rank_in_sql() -> SimpleExpr {
    let case = RANKS.iter().fold(CaseStatement::new(), |case, (name, rank)| case.case(event::Column::Kind.eq(*name), *rank));
    case.finally(LAST).into()
}
