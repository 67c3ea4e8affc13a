//! Looking for notifications, the newest first.
//!
//! Ids of notifications are in the order of time, and so is each index that is walked here; a walk goes down one index and takes
//! each notification once, however many deliveries it has. What asks for a channel or a state walks each pair of both by
//! itself, and merges: so the cost is that of what is found, not of what there is.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, sea_query::LikeExpr,
};
use stentor_domain::{AppId, Channel, Delivery, DeliveryState, NotificationId, RecipientId, Timestamp};
use uuid::Uuid;

use crate::{
    Archive, ArchiveError, ArchivedNotification,
    entities::{delivery, dispatch, notification},
};

/// The most candidates that are looked at for one page; the page then ends early and says where to go on.
const LOOKED_AT: usize = 1_000;
/// The most steps of one walk: each passes over the rest of one notification's deliveries.
const STEPS: usize = 200;

/// Which notifications.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NotificationFilter {
    /// Accepted at this time or later.
    pub from: Option<Timestamp>,
    /// Accepted before this time.
    pub until: Option<Timestamp>,
    /// Said by this template.
    pub template: Option<String>,
    /// With a delivery to this recipient.
    pub recipient: Option<RecipientId>,
    /// With a delivery on this channel.
    pub channel: Option<Channel>,
    /// With a delivery in this state.
    pub state: Option<DeliveryState>,
    /// With a delivery whose reason contains this.
    pub reason: Option<String>,
}

/// A page of what was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundNotifications {
    /// The notifications, the newest first.
    pub items: Vec<ArchivedNotification>,
    /// Where to go on.
    pub next: Option<NotificationId>,
}

/// How many deliveries of a notification are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryCount {
    /// On which channel.
    pub channel: Channel,
    /// In which state.
    pub state: DeliveryState,
    /// How many.
    pub n: u64,
}

#[derive(FromQueryResult)]
struct CountRow {
    notification: Uuid,
    channel: String,
    state: String,
    n: i64,
}

/// Notifications down one index, as far as the walk went.
struct Walked {
    found: Vec<Uuid>,
    /// Whether there may be more below the last.
    more: bool,
}

/// The lowest id of what is accepted at `at` or later.
fn lowest(at: Timestamp) -> Uuid {
    NotificationId::new(at, &[0; 10]).as_uuid()
}

impl NotificationFilter {
    /// Whether it asks for deliveries and not only for what the notification itself says.
    fn asks_deliveries(&self) -> bool {
        self.recipient.is_some() || self.channel.is_some() || self.state.is_some() || self.reason.is_some()
    }

    /// What each walk keeps to: a pair of channel and state, or neither where the recipient's own deliveries are walked.
    fn walks(&self) -> Vec<Option<(Channel, DeliveryState)>> {
        if self.recipient.is_some() {
            return vec![None];
        }
        let channels = self.channel.map_or_else(|| Channel::ALL.to_vec(), |channel| vec![channel]);
        let states = self.state.map_or_else(|| DeliveryState::ALL.to_vec(), |state| vec![state]);
        channels.iter().flat_map(|channel| states.iter().map(|state| Some((*channel, *state)))).collect()
    }
}

impl Archive {
    /// Notifications of `app` that `filter` takes, the newest first, those before `before`.
    ///
    /// A page may be shorter than `limit` and still have a next one: where few of many fit, it ends after 1,000 were looked at.
    pub async fn search_notifications(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        before: Option<NotificationId>,
        limit: usize,
    ) -> Result<FoundNotifications, ArchiveError> {
        let mut below = before.map(NotificationId::as_uuid);
        if let Some(until) = filter.until.map(lowest) {
            below = Some(below.map_or(until, |below| Ord::min(below, until)));
        }
        if !filter.asks_deliveries() {
            let mut items = self.notifications_below(app, filter, below, limit + 1).await?;
            let next = (items.len() > limit).then(|| items[limit - 1].notification.id);
            items.truncate(limit);
            return Ok(FoundNotifications { items, next });
        }
        let (mut items, mut looked_at) = (Vec::new(), 0);
        loop {
            let candidates = self.candidates(app, filter, below, limit + 1).await?;
            let Some(last) = candidates.found.last().copied() else {
                return Ok(FoundNotifications { items, next: None });
            };
            looked_at += candidates.found.len();
            items.extend(self.notifications_among(app, filter, candidates.found).await?);
            if items.len() > limit {
                let next = Some(items[limit - 1].notification.id);
                items.truncate(limit);
                return Ok(FoundNotifications { items, next });
            }
            if !candidates.more {
                return Ok(FoundNotifications { items, next: None });
            }
            below = Some(last);
            if looked_at >= LOOKED_AT {
                return Ok(FoundNotifications { items, next: Some(NotificationId::from_uuid(last)) });
            }
        }
    }

    /// Notifications with a delivery that `filter` takes, the newest first, those below `below`.
    async fn candidates(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        below: Option<Uuid>,
        limit: usize,
    ) -> Result<Walked, ArchiveError> {
        let (mut found, mut floor, mut more) = (BTreeSet::new(), Uuid::nil(), false);
        for pair in filter.walks() {
            let walked = self.walk(app, filter, pair, below, limit).await?;
            if let (true, Some(last)) = (walked.more, walked.found.last()) {
                // Below it this walk says nothing yet, whatever the others found there.
                floor = Ord::max(floor, *last);
                more = true;
            }
            found.extend(walked.found);
        }
        let mut found: Vec<Uuid> = found.into_iter().rev().take_while(|id| *id >= floor).collect();
        more |= found.len() > limit;
        found.truncate(limit);
        Ok(Walked { found, more })
    }

    async fn walk(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        pair: Option<(Channel, DeliveryState)>,
        below: Option<Uuid>,
        limit: usize,
    ) -> Result<Walked, ArchiveError> {
        use delivery::Column;
        let mut of = Condition::all().add(Column::App.eq(app.as_str()));
        if let Some(recipient) = &filter.recipient {
            of = of.add(Column::Recipient.eq(recipient.as_str()));
        }
        let channel = pair.map(|(channel, _)| channel).or(filter.channel);
        let state = pair.map(|(_, state)| state).or(filter.state);
        if let Some(channel) = channel {
            of = of.add(Column::Channel.eq(channel.as_str()));
        }
        if let Some(state) = state {
            of = of.add(Column::State.eq(state.as_str()));
        }
        if let Some(reason) = &filter.reason {
            of = of.add(Column::Reason.like(contains(reason)));
        }
        if let Some(from) = filter.from {
            of = of.add(Column::Notification.gte(lowest(from)));
        }
        let (mut found, mut below): (Vec<Uuid>, _) = (Vec::new(), below);
        for _ in 0..STEPS {
            let mut rows = delivery::Entity::find().select_only().column(Column::Notification).filter(of.clone());
            if let Some(below) = below {
                rows = rows.filter(Column::Notification.lt(below));
            }
            let rows = rows.order_by_desc(Column::Notification).limit(limit as u64).into_tuple::<Uuid>().all(&self.db).await?;
            below = rows.last().copied();
            let all = rows.len() < limit;
            for id in rows {
                if found.last() != Some(&id) {
                    found.push(id);
                }
            }
            if all {
                return Ok(Walked { found, more: false });
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(Walked { found, more: true })
    }

    async fn notifications_below(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        below: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ArchivedNotification>, ArchiveError> {
        use notification::Column;
        let mut of = Condition::all().add(Column::App.eq(app.as_str()));
        if let Some(template) = &filter.template {
            of = of.add(Column::Template.eq(template.as_str()));
        }
        if let Some(below) = below {
            of = of.add(Column::Id.lt(below));
        }
        if let Some(from) = filter.from {
            of = of.add(Column::Id.gte(lowest(from)));
        }
        let rows = notification::Entity::find().filter(of).order_by_desc(Column::Id).limit(limit as u64);
        self.with_dispatches(app, rows.all(&self.db).await?).await
    }

    async fn notifications_among(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        ids: Vec<Uuid>,
    ) -> Result<Vec<ArchivedNotification>, ArchiveError> {
        use notification::Column;
        let mut of = Condition::all().add(Column::App.eq(app.as_str())).add(Column::Id.is_in(ids));
        if let Some(template) = &filter.template {
            of = of.add(Column::Template.eq(template.as_str()));
        }
        let rows = notification::Entity::find().filter(of).order_by_desc(Column::Id);
        self.with_dispatches(app, rows.all(&self.db).await?).await
    }

    async fn with_dispatches(
        &self,
        app: &AppId,
        rows: Vec<notification::Model>,
    ) -> Result<Vec<ArchivedNotification>, ArchiveError> {
        use dispatch::Column;
        let ids = rows.iter().map(|row| row.id);
        let of = Column::App.eq(app.as_str()).and(Column::Notification.is_in(ids));
        let dispatches = dispatch::Entity::find().filter(of).all(&self.db).await?;
        let mut dispatches: BTreeMap<Uuid, dispatch::Model> = dispatches.into_iter().map(|d| (d.notification, d)).collect();
        let read = |row: notification::Model| {
            let dispatched = dispatches.remove(&row.id);
            ArchivedNotification::read(&row, dispatched)
        };
        rows.into_iter().map(read).collect()
    }

    /// How many deliveries of each of `ids` are in each state, in one query.
    pub async fn delivery_counts_of(
        &self,
        app: &AppId,
        ids: &[NotificationId],
    ) -> Result<BTreeMap<NotificationId, Vec<DeliveryCount>>, ArchiveError> {
        use delivery::Column;
        let bad = |e: &dyn std::fmt::Display| ArchiveError::unreadable("deliveries", e);
        let rows = delivery::Entity::find()
            .select_only()
            .columns([Column::Notification, Column::Channel, Column::State])
            .column_as(Column::Id.count(), "n")
            .filter(Column::App.eq(app.as_str()).and(Column::Notification.is_in(ids.iter().map(|id| id.as_uuid()))))
            .group_by(Column::Notification)
            .group_by(Column::Channel)
            .group_by(Column::State);
        let mut counts: BTreeMap<NotificationId, Vec<DeliveryCount>> = BTreeMap::new();
        for row in rows.into_model::<CountRow>().all(&self.db).await? {
            let channel = row.channel.parse().map_err(|e| bad(&e))?;
            let state = row.state.parse().map_err(|e| bad(&e))?;
            let count = DeliveryCount { channel, state, n: u64::try_from(row.n).unwrap_or(0) };
            counts.entry(NotificationId::from_uuid(row.notification)).or_default().push(count);
        }
        for counts in counts.values_mut() {
            counts.sort_by_key(|c| (c.channel, c.state.as_str()));
        }
        Ok(counts)
    }

    /// Deliveries to a recipient, of the newest notifications first, those of notifications before `before`.
    pub async fn list_deliveries_to(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        before: Option<NotificationId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, ArchiveError> {
        use delivery::Column;
        let mut of = Condition::all().add(Column::App.eq(app.as_str())).add(Column::Recipient.eq(recipient.as_str()));
        if let Some(before) = before {
            of = of.add(Column::Notification.lt(before.as_uuid()));
        }
        let rows = delivery::Entity::find().filter(of).order_by_desc(Column::Notification).order_by_asc(Column::Id);
        rows.limit(limit as u64).all(&self.db).await?.into_iter().map(crate::deliveries::read).collect()
    }
}

/// A pattern of what contains `text`, whatever is in it.
fn contains(text: &str) -> LikeExpr {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    LikeExpr::new(format!("%{escaped}%")).escape('\\')
}
