//! Whole inboxes: the hot state, and behind it the record, as one.
//!
//! An inbox that is not in Redis is cold and not empty: it is warmed from the record before anything is said
//! of it or done to it. An item that was trimmed is put back before it is marked. Pages run on from the hot
//! items into the record with the same places.

use std::sync::Arc;

use stentor_domain::{AppId, NotificationId, RecipientId, Timestamp, item::ItemContent};

use crate::{Change, Changes, ColdStore, Cursor, Hot, HotItem, Inbox, InboxError, Marked, NewItem, Overview, Written};

/// How often a warmed inbox may be found cold again before we give up: only a FLUSHALL in between makes it so.
const WARMINGS: usize = 3;
/// How many items the record gives to warm an inbox; fewer means that there are no others.
pub(crate) const FULL: usize = 128;

/// What the hot state answers to a call, after it was warmed if it was cold. A macro and not a function: the future of
/// a closure that borrows cannot be promised to be `Send`.
macro_rules! warmed {
    ($self:ident, $app:ident, $recipient:ident, $now:ident, $ask:expr) => {{
        let mut warmings = 0;
        loop {
            match $ask.await? {
                Hot::Warm(answer) => break Ok(answer),
                Hot::Cold if warmings == WARMINGS => break Err(InboxError::StaysCold),
                Hot::Cold => $self.warm($app, $recipient, $now).await?,
            }
            warmings += 1;
        }
    }};
}

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

    /// Marks items. Those that the record does not know either, or whose time is over, are `missing`.
    pub async fn mark(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        change: Change,
        ids: &[NotificationId],
        now: Timestamp,
    ) -> Result<Marked, InboxError> {
        let marked = warmed!(self, app, recipient, now, self.hot.mark(app, recipient, change, ids, now))?;
        if marked.missing.is_empty() {
            return Ok(marked);
        }
        let mut old = self.cold.find(app, recipient, &marked.missing).await.map_err(InboxError::Record)?;
        old.retain(|i| i.item.card.expires_at.is_none_or(|at| at > now));
        if old.is_empty() {
            return Ok(marked);
        }
        self.hot.restore(app, recipient, &old, now).await?;
        let missing: Vec<NotificationId> = old.iter().map(|i| i.item.card.id).collect();
        let mut again = warmed!(self, app, recipient, now, self.hot.mark(app, recipient, change, &missing, now))?;
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
        warmed!(self, app, recipient, now, self.hot.mark_all_read(app, recipient, up_to, now))
    }

    /// How many items are unread, and the cursor of this state.
    pub async fn overview(&self, app: &AppId, recipient: &RecipientId, now: Timestamp) -> Result<Overview, InboxError> {
        warmed!(self, app, recipient, now, self.hot.overview(app, recipient, now))
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
        let hot = warmed!(self, app, recipient, now, self.hot.page(app, recipient, before_seq, limit, now))?;
        let mut items = hot.items;
        if items.len() < limit && hot.floor > 0 {
            let below = before_seq.map_or(hot.floor, |seq| seq.min(hot.floor));
            let more = self.cold.page(app, recipient, Some(below), limit - items.len(), now).await.map_err(InboxError::Record)?;
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
        let hot = warmed!(self, app, recipient, now, self.hot.find(app, recipient, id, now))?;
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
        warmed!(self, app, recipient, now, self.hot.changes_since(app, recipient, cursor, limit, now))
    }

    /// The content of a notification in `variant`, if it is still hot.
    pub async fn content(&self, app: &AppId, id: NotificationId, variant: &str) -> Result<Option<ItemContent>, InboxError> {
        self.hot.find_content(app, id, variant).await
    }

    /// Removes everything hot of a recipient.
    pub async fn forget(&self, app: &AppId, recipient: &RecipientId) -> Result<(), InboxError> {
        self.hot.forget(app, recipient).await
    }

    async fn warm(&self, app: &AppId, recipient: &RecipientId, now: Timestamp) -> Result<(), InboxError> {
        let state = self.cold.load(app, recipient, now).await.map_err(InboxError::Record)?;
        self.hot.warm(app, recipient, &state, now).await
    }
}
