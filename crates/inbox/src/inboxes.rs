//! Whole inboxes: the hot state, and behind it the record, as one.
//!
//! An inbox that is not in Redis is cold and not empty: it is warmed from the record before anything is said
//! of it or done to it. An item that was trimmed is put back before it is marked. Pages run on from the hot
//! items into the record with the same places.

use std::sync::Arc;

use stentor_domain::{AppId, NotificationId, RecipientId, Timestamp, item::ItemContent};

use crate::{
    Change, Changes, ColdStore, Cursor, Hot, HotItem, Inbox, InboxError, Marked, NewItem, Overview, Written,
};

/// How often a warmed inbox may be found cold again before we give up: only a FLUSHALL in between makes it so.
const WARMINGS: usize = 3;

/// A cheap handle to all inboxes.
#[derive(Clone)]
pub struct Inboxes {
    hot: Inbox,
    cold: Arc<dyn ColdStore>,
}

/// A page of an inbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboxPage {
    /// The items, newest first.
    pub items: Vec<HotItem>,
    /// Where older items go on; `None` at the end.
    pub next: Option<u64>,
}

impl Inboxes {
    /// The inboxes in `hot`, with `cold` as their record.
    pub fn new(hot: Inbox, cold: Arc<dyn ColdStore>) -> Self {
        Self { hot, cold }
    }

    /// The hot state itself.
    pub fn hot(&self) -> &Inbox {
        &self.hot
    }

    /// Writes items, one script call each, in few round trips. Answers in order.
    pub async fn write(&self, app: &AppId, items: &[NewItem<'_>], now: Timestamp) -> Result<Vec<Written>, InboxError> {
        let mut done: Vec<Option<Written>> = vec![None; items.len()];
        for _ in 0..=WARMINGS {
            let open: Vec<usize> = (0..items.len()).filter(|i| done[*i].is_none()).collect();
            let batch: Vec<NewItem<'_>> = open.iter().map(|i| items[*i].clone()).collect();
            let mut cold = Vec::new();
            for (i, outcome) in open.into_iter().zip(self.hot.write(app, &batch, now).await?) {
                match outcome {
                    Hot::Warm(written) => done[i] = Some(written),
                    Hot::Cold => cold.push(items[i].recipient),
                }
            }
            if cold.is_empty() {
                return Ok(done.into_iter().flatten().collect());
            }
            for recipient in cold {
                self.warm(app, recipient, now).await?;
            }
        }
        Err(InboxError::StaysCold)
    }

    /// Marks items. Those that the record does not know either are `missing`.
    pub async fn mark(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        change: Change,
        ids: &[NotificationId],
        now: Timestamp,
    ) -> Result<Marked, InboxError> {
        let marked = self.warmed(app, recipient, now, async || self.hot.mark(app, recipient, change, ids, now).await).await?;
        if marked.missing.is_empty() {
            return Ok(marked);
        }
        let old = self.cold.find(app, recipient, &marked.missing).await.map_err(InboxError::Record)?;
        if old.is_empty() {
            return Ok(marked);
        }
        self.hot.restore(app, recipient, &old).await?;
        let missing: Vec<NotificationId> = old.iter().map(|i| i.item.card.id).collect();
        let mut again = self.warmed(app, recipient, now, async || self.hot.mark(app, recipient, change, &missing, now).await).await?;
        // The two parts have revisions of their own; the answer speaks for the later, and names the items of both.
        again.items.splice(0..0, marked.items);
        again.missing = marked.missing.into_iter().filter(|id| !missing.contains(id)).collect();
        Ok(again)
    }

    /// Marks everything up to `up_to` as read; everything there is if it is `None`.
    pub async fn mark_all_read(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        up_to: Option<&Cursor>,
        now: Timestamp,
    ) -> Result<Marked, InboxError> {
        self.warmed(app, recipient, now, async || self.hot.mark_all_read(app, recipient, up_to, now).await).await
    }

    /// How many items are unread, and the cursor of this state.
    pub async fn overview(&self, app: &AppId, recipient: &RecipientId, now: Timestamp) -> Result<Overview, InboxError> {
        self.warmed(app, recipient, now, async || self.hot.overview(app, recipient, now).await).await
    }

    /// Items below `before_seq` (or from the newest), newest first, without archived and expired ones.
    pub async fn page(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        before_seq: Option<u64>,
        limit: usize,
        now: Timestamp,
    ) -> Result<InboxPage, InboxError> {
        let hot = self.warmed(app, recipient, now, async || self.hot.page(app, recipient, before_seq, limit, now).await).await?;
        let mut items = hot.items;
        if items.len() < limit && !hot.complete {
            // Trimmed items are older than every hot one, but for those restored to be marked: these the record has as well.
            let below = items.last().map(|i| i.seq).or(before_seq);
            let more = self.cold.page(app, recipient, below, limit - items.len(), now).await.map_err(InboxError::Record)?;
            items.extend(more);
        }
        let next = items.last().map(|i| i.seq).filter(|_| items.len() == limit);
        Ok(InboxPage { items, next })
    }

    /// One item, hot or old.
    pub async fn find(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        id: NotificationId,
        now: Timestamp,
    ) -> Result<Option<HotItem>, InboxError> {
        let hot = self.warmed(app, recipient, now, async || self.hot.find(app, recipient, id, now).await).await?;
        if hot.is_some() {
            return Ok(hot);
        }
        let old = self.cold.find(app, recipient, &[id]).await.map_err(InboxError::Record)?;
        Ok(old.into_iter().find(|i| i.item.card.expires_at.is_none_or(|at| at > now)))
    }

    /// What changed since `cursor`, if it is at most `limit` items.
    pub async fn changes_since(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        cursor: &Cursor,
        limit: usize,
        now: Timestamp,
    ) -> Result<Changes, InboxError> {
        self.warmed(app, recipient, now, async || self.hot.changes_since(app, recipient, cursor, limit, now).await).await
    }

    /// The content of a notification in `variant`, if it is still hot.
    pub async fn content(&self, app: &AppId, id: NotificationId, variant: &str) -> Result<Option<ItemContent>, InboxError> {
        self.hot.find_content(app, id, variant).await
    }

    /// Removes everything hot of a recipient.
    pub async fn forget(&self, app: &AppId, recipient: &RecipientId) -> Result<(), InboxError> {
        self.hot.forget(app, recipient).await
    }

    async fn warmed<T>(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        now: Timestamp,
        ask: impl AsyncFn() -> Result<Hot<T>, InboxError>,
    ) -> Result<T, InboxError> {
        for _ in 0..=WARMINGS {
            if let Hot::Warm(answer) = ask().await? {
                return Ok(answer);
            }
            self.warm(app, recipient, now).await?;
        }
        Err(InboxError::StaysCold)
    }

    async fn warm(&self, app: &AppId, recipient: &RecipientId, now: Timestamp) -> Result<(), InboxError> {
        let state = self.cold.load(app, recipient, now).await.map_err(InboxError::Record)?;
        self.hot.warm(app, recipient, &state, now).await
    }
}
