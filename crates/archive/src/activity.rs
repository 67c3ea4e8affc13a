//! How much happened when: deliveries that came to a state, counted by minute as their events are written.
//!
//! An event that is written again is not counted again. Should two writers meet the same new event at once, both count it:
//! these numbers draw charts, and nothing else is decided by them.

use std::collections::{BTreeMap, HashSet};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use stentor_domain::{AppId, Channel, DeliveryState, Event, EventKind, Timestamp};
use uuid::Uuid;

use crate::{
    Archive, ArchiveError,
    entities::{activity, event},
    insert::{groups, upsert},
};

const MINUTE_MS: i64 = 60_000;

/// How many deliveries came to a state in a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The beginning of the minute.
    pub minute: Timestamp,
    /// On which channel.
    pub channel: Channel,
    /// Which state.
    pub state: DeliveryState,
    /// How many.
    pub n: u64,
}

#[derive(FromQueryResult)]
struct Row {
    minute: i64,
    channel: String,
    state: String,
    n: i64,
}

/// The delivery events among `events` that are not on record yet.
pub(crate) async fn new_reports(db: &impl ConnectionTrait, events: &[Event]) -> Result<HashSet<Uuid>, DbErr> {
    let mut new: HashSet<Uuid> = events.iter().filter(|e| matches!(e.kind, EventKind::Delivery(_))).map(|e| e.id).collect();
    for mut ids in groups(new.iter().copied().collect()) {
        // The last again and again, up to a power of two: so the texts are few, and the database parses and plans each once a connection.
        ids.resize(ids.len().next_power_of_two(), ids[ids.len() - 1]);
        let known = event::Entity::find().select_only().column(event::Column::Id).filter(event::Column::Id.is_in(ids));
        for id in known.into_tuple::<Uuid>().all(db).await? {
            new.remove(&id);
        }
    }
    Ok(new)
}

/// Counts the reports among `events` that are `new`.
pub(crate) async fn count(db: &impl ConnectionTrait, events: &[Event], mut new: HashSet<Uuid>) -> Result<(), DbErr> {
    use activity::Column;
    // In one order, so that two writers of the same rows wait for one another instead of locking each other out.
    let mut counts: BTreeMap<(i64, &AppId, Channel, &'static str), i64> = BTreeMap::new();
    for event in events {
        let EventKind::Delivery(report) = &event.kind else { continue };
        if new.remove(&event.id) {
            let minute = event.at.as_millis().div_euclid(MINUTE_MS);
            *counts.entry((minute, &event.app, report.channel, report.state.as_str())).or_default() += 1;
        }
    }
    let row = |((minute, app, channel, state), n): ((i64, &AppId, Channel, &'static str), i64)| activity::ActiveModel {
        minute: Set(minute),
        app: Set(app.to_string()),
        channel: Set(channel.as_str().to_owned()),
        state: Set(state.to_owned()),
        n: Set(n),
    };
    let rows: Vec<_> = counts.into_iter().map(row).collect();
    let add = OnConflict::columns([Column::Minute, Column::App, Column::Channel, Column::State])
        .value(Column::N, Expr::cust("activity.n + excluded.n"))
        .to_owned();
    upsert(db, rows, add).await
}

impl Archive {
    /// What happened from the minute of `from` on, of one app or of all together, in the order of time.
    pub async fn list_activity(&self, app: Option<&AppId>, from: Timestamp) -> Result<Vec<Activity>, ArchiveError> {
        use activity::Column;
        let mut rows = activity::Entity::find()
            .select_only()
            .columns([Column::Minute, Column::Channel, Column::State])
            .column_as(Expr::cust("CAST(SUM(n) AS BIGINT)"), "n")
            .filter(Column::Minute.gte(from.as_millis().div_euclid(MINUTE_MS)));
        if let Some(app) = app {
            rows = rows.filter(Column::App.eq(app.as_str()));
        }
        let rows = rows.group_by(Column::Minute).group_by(Column::Channel).group_by(Column::State);
        let bad = |e: &dyn std::fmt::Display| ArchiveError::unreadable("activity", e);
        let read = |row: Row| {
            Ok(Activity {
                minute: Timestamp::from_millis(row.minute.saturating_mul(MINUTE_MS)),
                channel: row.channel.parse().map_err(|e| bad(&e))?,
                state: row.state.parse().map_err(|e| bad(&e))?,
                n: u64::try_from(row.n).unwrap_or(0),
            })
        };
        let rows = rows.into_model::<Row>().all(&self.db).await?;
        let mut activity = rows.into_iter().map(read).collect::<Result<Vec<_>, ArchiveError>>()?;
        activity.sort_by_key(|a| (a.minute, a.channel, a.state.as_str()));
        Ok(activity)
    }

    /// Forgets what happened before `before`. Returns how many rows went.
    pub async fn trim_activity(&self, before: Timestamp) -> Result<u64, ArchiveError> {
        let old = activity::Column::Minute.lt(before.as_millis().div_euclid(MINUTE_MS));
        self.forget(async |db| Ok(activity::Entity::delete_many().filter(old).exec(db).await?.rows_affected)).await
    }
}
