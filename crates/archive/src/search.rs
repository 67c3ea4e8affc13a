//! Looking for notifications, the newest first.
//!
//! Ids of notifications are in the order of time, and so is each index that is walked here (`walks`); a walk goes down one index and
//! takes each notification once, however many deliveries it has. What asks for a channel or a state walks each pair of both by
//! itself, and merges. What no index knows (the reason, a template beside a state, the channels that a request asks for) is asked of
//! the candidates that were found. So the cost of a page is bounded, whatever there is.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::LikeExpr,
};
use stentor_domain::{AppId, Channel, Delivery, DeliveryState, Notification, NotificationId, RecipientId, Timestamp};
use uuid::Uuid;

use crate::{
    Archive, ArchiveError, ArchivedNotification,
    entities::{delivery, dispatch, notification},
    notifications::UNTOLD,
    walks::{Walk, lowest},
};

/// The most candidates that are looked at for one page; the page then ends early and says where to go on.
const LOOKED_AT: usize = 1_000;
/// How many candidates are looked at in one step where not every one of them fits.
const SIFTED: usize = 250;

/// Which notifications.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NotificationFilter {
    /// Accepted at this time or later.
    pub from: Option<Timestamp>,
    /// Accepted before this time.
    pub until: Option<Timestamp>,
    /// Said by this template.
    pub template: Option<String>,
    /// With a delivery to this recipient, or in their inbox by a topic or with everyone.
    pub recipient: Option<RecipientId>,
    /// With a delivery on this channel, or in the inbox by a topic or with everyone.
    pub channel: Option<Channel>,
    /// With a delivery in one of these states; empty: in any.
    pub states: Vec<DeliveryState>,
    /// Only what was withdrawn.
    pub is_recalled: bool,
    /// With a delivery whose reason contains this.
    pub reason: Option<String>,
    /// Beside those with a delivery that fits, those that are to be sent only after this time; with a `recipient`, to them, and
    /// with a `channel`, those that ask for it.
    pub or_sent_after: Option<Timestamp>,
    /// The templates that go out on `channel` where a request names no channels.
    pub by_default: BTreeSet<String>,
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

/// Notifications that may fit.
struct Candidates {
    found: Vec<Uuid>,
    /// Those of them that nothing but their request speaks for: they have no deliveries yet.
    waiting: BTreeSet<Uuid>,
    /// Where to look for more; `None`: there are none.
    below: Option<Uuid>,
}

impl NotificationFilter {
    /// Whether what fits is found by its deliveries.
    fn asks_deliveries(&self) -> bool {
        self.recipient.is_some() || self.channel.is_some() || !self.states.is_empty()
    }

    /// The indexes in which what fits is found.
    fn walks(&self) -> Vec<Walk> {
        if !self.asks_deliveries() {
            return vec![Walk::All];
        }
        let mut walks = Vec::new();
        if self.recipient.is_some() {
            walks.push(Walk::Deliveries(None));
        } else {
            let channels = self.channel.map_or_else(|| Channel::ALL.to_vec(), |channel| vec![channel]);
            let states = if self.states.is_empty() { DeliveryState::ALL.as_slice() } else { &self.states };
            let pairs = channels.iter().flat_map(|channel| states.iter().map(|state| (*channel, *state)));
            walks.extend(pairs.map(|pair| Walk::Deliveries(Some(pair))));
        }
        // An entry of the timeline is in the inbox, in no state and for no reason.
        if self.states.is_empty() && self.reason.is_none() && self.channel.is_none_or(|channel| channel == Channel::Inbox) {
            walks.push(Walk::Timeline);
        }
        walks.extend(self.or_sent_after.map(Walk::After));
        walks
    }

    /// Whether some of what the walks find may not fit.
    fn sifts(&self) -> bool {
        let by_request = self.channel.is_some() && self.or_sent_after.is_some();
        self.reason.is_some() || self.is_recalled || (self.template.is_some() && self.asks_deliveries()) || by_request
    }

    /// Whether `notification` asks for the channel that is looked for.
    fn is_asked_by(&self, notification: &Notification) -> bool {
        let (Some(channel), request) = (self.channel, &notification.request) else { return true };
        match (&request.channels, &request.template) {
            (Some(channels), _) => channels.contains(&channel),
            (None, Some(template)) => self.by_default.contains(template),
            (None, None) => channel == Channel::Inbox,
        }
    }

    /// Deliveries of `app` that fit, whatever their reason; `pair` is stronger than what the filter says.
    pub(crate) fn of_deliveries(&self, app: &AppId, pair: Option<(Channel, DeliveryState)>) -> Condition {
        use delivery::Column;
        let mut of = Condition::all().add(Column::App.eq(app.as_str()));
        if let Some(recipient) = &self.recipient {
            of = of.add(Column::Recipient.eq(recipient.as_str()));
        }
        if let Some(channel) = pair.map(|(channel, _)| channel).or(self.channel) {
            of = of.add(Column::Channel.eq(channel.as_str()));
        }
        match pair {
            Some((_, state)) => of.add(Column::State.eq(state.as_str())),
            None if self.states.is_empty() => of,
            None => of.add(Column::State.is_in(self.states.iter().map(|state| state.as_str()))),
        }
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
        let (mut items, mut looked_at) = (Vec::new(), 0);
        loop {
            let step = if filter.sifts() { Ord::max(SIFTED, limit + 1) } else { limit + 1 };
            let candidates = self.candidates(app, filter, below, step).await?;
            looked_at += candidates.found.len();
            let mut read = self.notifications_among(app, filter, candidates.found).await?;
            let waiting = candidates.waiting;
            read.retain(|n| !waiting.contains(&n.notification.id.as_uuid()) || filter.is_asked_by(&n.notification));
            items.extend(read);
            if items.len() > limit {
                let next = Some(items[limit - 1].notification.id);
                items.truncate(limit);
                return Ok(FoundNotifications { items, next });
            }
            let Some(go_on) = candidates.below else { return Ok(FoundNotifications { items, next: None }) };
            if looked_at >= LOOKED_AT || !filter.sifts() {
                return Ok(FoundNotifications { items, next: Some(NotificationId::from_uuid(go_on)) });
            }
            below = Some(go_on);
        }
    }

    /// Notifications that `filter` may take, the newest first, those below `below`.
    async fn candidates(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        below: Option<Uuid>,
        limit: usize,
    ) -> Result<Candidates, ArchiveError> {
        let (mut found, mut waiting, mut floor) = (BTreeSet::new(), BTreeSet::new(), None);
        for walk in filter.walks() {
            let walked = self.walk(app, filter, walk, below, limit).await?;
            // Below it this walk says nothing yet, whatever the others found there.
            floor = Ord::max(floor, walked.down_to);
            let fit = if matches!(walk, Walk::After(_)) { &mut waiting } else { &mut found };
            fit.extend(walked.found);
        }
        waiting.retain(|id| !found.contains(id));
        found.extend(&waiting);
        let mut found: Vec<Uuid> = found.into_iter().rev().take_while(|id| floor.is_none_or(|floor| *id >= floor)).collect();
        if found.len() > limit {
            found.truncate(limit);
            floor = found.last().copied();
        }
        Ok(Candidates { found, waiting, below: floor })
    }

    async fn notifications_among(
        &self,
        app: &AppId,
        filter: &NotificationFilter,
        ids: Vec<Uuid>,
    ) -> Result<Vec<ArchivedNotification>, ArchiveError> {
        use notification::Column;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut of = Condition::all().add(Column::App.eq(app.as_str())).add(Column::Id.is_in(ids.iter().copied()));
        of = of.add(Column::Version.gt(UNTOLD));
        if let Some(template) = &filter.template {
            of = of.add(Column::Template.eq(template.as_str()));
        }
        if filter.is_recalled {
            of = of.add(Column::RecalledAt.is_not_null());
        }
        if let Some(reason) = &filter.reason {
            use delivery::Column as Of;
            let theirs = filter.of_deliveries(app, None).add(Of::Notification.is_in(ids)).add(Of::Reason.like(contains(reason)));
            let with_it = delivery::Entity::find().select_only().column(Of::Notification).filter(theirs);
            of = of.add(Column::Id.in_subquery(with_it.into_query()));
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
pub(crate) fn contains(text: &str) -> LikeExpr {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    LikeExpr::new(format!("%{escaped}%")).escape('\\')
}
