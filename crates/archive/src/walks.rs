//! Walks down one index each, the newest notifications first: where a search finds its candidates.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use stentor_domain::{AppId, Channel, DeliveryState, NotificationId, RecipientId, Timestamp, TopicId};
use uuid::Uuid;

use crate::{
    Archive, ArchiveError, NotificationFilter, Stay,
    entities::{delivery, notification, recipient, timeline_entry},
    topics,
};

/// The most steps of one walk: each passes over the rest of one notification's deliveries.
const STEPS: usize = 200;
/// The most entries of a timeline that are looked at in one walk.
const ENTRIES: usize = 1_000;

/// One index to go down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Walk {
    /// Notifications, whatever became of them.
    All,
    /// Deliveries: those of the recipient that is asked for, or else of a channel in a state.
    Deliveries(Option<(Channel, DeliveryState)>),
    /// Entries of the timeline: what went to a topic or to everyone has no delivery of each person.
    Timeline,
    /// Notifications that are to be sent only after this time; to the recipient, if one is asked for.
    After(Timestamp),
}

/// Notifications down one index, as far as the walk went.
pub(crate) struct Walked {
    pub found: Vec<Uuid>,
    /// Below it this walk has not looked yet; `None`: it was at the end.
    pub down_to: Option<Uuid>,
}

impl Walked {
    /// What a query of at most `limit` gave.
    pub(crate) fn of(found: Vec<Uuid>, limit: usize) -> Self {
        let down_to = found.last().copied().filter(|_| found.len() >= limit);
        Self { found, down_to }
    }
}

/// The lowest id of what is accepted at `at` or later.
pub(crate) fn lowest(at: Timestamp) -> Uuid {
    NotificationId::new(at, &[0; 10]).as_uuid()
}

/// Ids of the span of time that is asked for, those below `below`.
pub(crate) fn within(column: impl ColumnTrait, filter: &NotificationFilter, below: Option<Uuid>) -> Condition {
    let mut of = Condition::all();
    if let Some(below) = below {
        of = of.add(column.lt(below));
    }
    if let Some(from) = filter.from {
        of = of.add(column.gte(lowest(from)));
    }
    of
}

/// What of a timeline is a person's.
struct Part {
    joined: Option<u64>,
    topics: BTreeMap<TopicId, Vec<Stay>>,
}

impl Part {
    fn has(&self, topic: Option<&str>, seq: u64) -> bool {
        let Some(topic) = topic else { return self.joined.is_some_and(|joined| seq > joined) };
        let stays = topic.parse().ok().and_then(|topic: TopicId| self.topics.get(&topic));
        stays.is_some_and(|stays| stays.iter().any(|s| seq > s.joined && s.left.is_none_or(|left| seq <= left)))
    }
}

impl Archive {
    /// Goes down one index, until about `limit` were found.
    pub(crate) async fn walk(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        walk: Walk,
        below: Option<Uuid>,
        limit: usize,
    ) -> Result<Walked, ArchiveError> {
        match walk {
            Walk::All => self.walk_notifications(app, filter, None, below, limit).await,
            Walk::After(time) => match &filter.recipient {
                Some(recipient) => self.walk_scheduled(app, filter, (recipient, time), below, limit).await,
                None => self.walk_notifications(app, filter, Some(time), below, limit).await,
            },
            Walk::Deliveries(pair) => self.walk_deliveries(app, filter, pair, below, limit).await,
            Walk::Timeline => self.walk_timeline(app, filter, below, limit).await,
        }
    }

    async fn walk_notifications(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        after: Option<Timestamp>,
        below: Option<Uuid>,
        limit: usize,
    ) -> Result<Walked, ArchiveError> {
        use notification::Column;
        let mut of = Condition::all().add(Column::App.eq(app.as_str())).add(within(Column::Id, filter, below));
        if let Some(template) = &filter.template {
            of = of.add(Column::Template.eq(template.as_str()));
        }
        if let Some(after) = after {
            of = of.add(Column::SendAt.gt(after.as_millis()));
            if filter.states == [DeliveryState::Scheduled] {
                of = of.add(Column::RecalledAt.is_null());
            }
        }
        let rows = notification::Entity::find().select_only().column(Column::Id).filter(of);
        let found = rows.order_by_desc(Column::Id).limit(limit as u64).into_tuple::<Uuid>().all(&self.db).await?;
        Ok(Walked::of(found, limit))
    }

    async fn walk_deliveries(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        pair: Option<(Channel, DeliveryState)>,
        mut below: Option<Uuid>,
        limit: usize,
    ) -> Result<Walked, ArchiveError> {
        use delivery::Column;
        let of = filter.of_deliveries(app, pair);
        let mut found: Vec<Uuid> = Vec::new();
        for _ in 0..STEPS {
            let rows = delivery::Entity::find().select_only().column(Column::Notification);
            let rows = rows.filter(of.clone()).filter(within(Column::Notification, filter, below));
            let rows = rows.order_by_desc(Column::Notification).limit(limit as u64).into_tuple::<Uuid>().all(&self.db).await?;
            below = rows.last().copied();
            let all = rows.len() < limit;
            for id in rows {
                if found.last() != Some(&id) {
                    found.push(id);
                }
            }
            if all {
                return Ok(Walked { found, down_to: None });
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(Walked { found, down_to: below })
    }

    async fn walk_timeline(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        below: Option<Uuid>,
        limit: usize,
    ) -> Result<Walked, ArchiveError> {
        use timeline_entry::Column;
        // Whose an entry is, is looked up here and not in SQL, which would go on until it found enough.
        let (part, limit) = match &filter.recipient {
            Some(recipient) => (Some(self.part_of(app, recipient).await?), ENTRIES),
            None => (None, limit),
        };
        let rows = timeline_entry::Entity::find().select_only().columns([Column::Notification, Column::Topic, Column::Seq]);
        let rows = rows.filter(Column::App.eq(app.as_str())).filter(within(Column::Notification, filter, below));
        let rows = rows.order_by_desc(Column::Notification).limit(limit as u64);
        let rows = rows.into_tuple::<(Uuid, Option<String>, i64)>().all(&self.db).await?;
        let down_to = rows.last().map(|(id, ..)| *id).filter(|_| rows.len() >= limit);
        let is_theirs =
            |topic: Option<&str>, seq: i64| part.as_ref().is_none_or(|part| part.has(topic, u64::try_from(seq).unwrap_or(0)));
        let found = rows.into_iter().filter(|(_, topic, seq)| is_theirs(topic.as_deref(), *seq)).map(|(id, ..)| id).collect();
        Ok(Walked { found, down_to })
    }

    async fn part_of(&self, app: &AppId, id: &RecipientId) -> Result<Part, ArchiveError> {
        let row = recipient::Entity::find_by_id((app.to_string(), id.to_string())).one(&self.db).await?;
        let joined = row.and_then(|row| row.joined).and_then(|joined| u64::try_from(joined).ok());
        Ok(Part { joined, topics: topics::stays_of(&self.db, app, id).await? })
    }
}
