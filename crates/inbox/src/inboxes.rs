//! Whole inboxes: a person's own items, hot and on record, and the timeline entries that are theirs, as one.
//!
//! An inbox that is not in Redis is cold and not empty: it is warmed from the record before anything is said
//! of it or done to it. An item that was trimmed is put back before it is marked. Pages run on from the hot
//! items into the record with the same places.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    ops::Range,
    str::FromStr,
    sync::Arc,
};

use stentor_domain::{
    AppId, Entry, NotificationId, RecipientId, Timestamp,
    item::{Folder, ItemContent},
};

use crate::{
    Change, Changes, ColdStore, Cursor, Filter, FoundItem, Hot, HotItem, HotMarked, HotOverview, Inbox, InboxError, Marked,
    NewItem, Overview, Recalled, Timeline, TimelineView, Timelines, Written, reply,
};

/// How often a warmed inbox may be found cold again before we give up: only a FLUSHALL in between makes it so.
const WARMINGS: usize = 3;
/// How many pages are looked through for one of a category.
const LOOKS: usize = 25;
/// How many inboxes are warmed at once.
const WARMED_AT_ONCE: usize = 16;
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
    timelines: Timelines,
    cold: Arc<dyn ColdStore>,
}

/// A page of an inbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboxPage {
    /// The items, newest first.
    pub items: Vec<FoundItem>,
    /// Where older items go on; `None` at the end.
    pub next: Option<PagePlace>,
}

impl InboxPage {
    /// The items that were written to the person alone, which entries of the timeline are not.
    pub fn own(&self) -> impl Iterator<Item = NotificationId> {
        self.items.iter().filter(|i| !i.shared).map(|i| i.item.id)
    }
}

/// A place between two pages: what lies below it in either part comes next. As text it is opaque.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagePlace {
    own: Option<u64>,
    timeline: Option<u64>,
}

impl fmt::Display for PagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |place: Option<u64>| place.map_or_else(String::new, |seq| format!("{seq:x}"));
        write!(f, "p{}-{}", part(self.own), part(self.timeline))
    }
}

impl FromStr for PagePlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (own, timeline) = text.strip_prefix('p').and_then(|t| t.split_once('-')).ok_or(())?;
        let part = |t: &str| if t.is_empty() { Ok(None) } else { u64::from_str_radix(t, 16).map(Some).map_err(|_| ()) };
        Ok(Self { own: part(own)?, timeline: part(timeline)? })
    }
}

impl Inboxes {
    /// The inboxes in `hot`, with `cold` as their record.
    pub fn new(hot: Inbox, cold: Arc<dyn ColdStore>) -> Self {
        let timelines = Timelines::new(Timeline::new(hot.connection()), cold.clone());
        Self { hot, timelines, cold }
    }

    /// The hot state itself.
    pub fn hot(&self) -> &Inbox {
        &self.hot
    }

    /// Writes items, several in a script call, in few round trips. Answers in order.
    pub async fn write(&self, app: &AppId, items: &[NewItem<'_>], now: Timestamp) -> Result<Vec<Written>, InboxError> {
        self.write_hot(app, items, None, now).await
    }

    /// Writes the items of a notification, and those contents of theirs that are not stored yet, by variant.
    ///
    /// In the same breath: an item whose content is not there yet says so, and that it will be in a moment.
    pub async fn write_with_contents(
        &self,
        app: &AppId,
        notification: NotificationId,
        items: &[NewItem<'_>],
        contents: &[(String, ItemContent)],
        now: Timestamp,
    ) -> Result<Vec<Written>, InboxError> {
        match (items, contents) {
            ([_], [(_, content)]) if self.hot.is_on_one_node() => self.write_hot(app, items, Some(content), now).await,
            _ => {
                let contents = self.hot.put_contents(app, notification, contents);
                Ok(tokio::try_join!(contents, self.write(app, items, now))?.1)
            }
        }
    }

    /// Writes items, with the content if it is a single one, and builds the inboxes that are cold.
    async fn write_hot(
        &self,
        app: &AppId,
        items: &[NewItem<'_>],
        content: Option<&ItemContent>,
        now: Timestamp,
    ) -> Result<Vec<Written>, InboxError> {
        let mut done: Vec<Option<Written>> = vec![None; items.len()];
        for _ in 0..=WARMINGS {
            let open: Vec<usize> = (0..items.len()).filter(|i| done[*i].is_none()).collect();
            let batch: Vec<NewItem<'_>> = open.iter().map(|i| items[*i].clone()).collect();
            let mut cold = Vec::new();
            let outcomes = match (content, &batch[..]) {
                (Some(content), [item]) => self.hot.write_with_content(app, item, content, now).await?,
                _ => self.hot.write(app, &batch, now).await?,
            };
            for (i, outcome) in open.into_iter().zip(outcomes) {
                match outcome {
                    Hot::Warm(written) => done[i] = Some(written),
                    Hot::Cold => cold.push(items[i].recipient),
                }
            }
            if cold.is_empty() {
                return Ok(done.into_iter().flatten().collect());
            }
            self.warm_all(app, &cold, now).await?;
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
        let view = self.timelines.fresh(app, now).await?;
        let mut missing = Vec::new();
        let mut places = Vec::with_capacity(ids.len());
        if ids.iter().any(|id| view.find(*id).is_some()) {
            // What was not written to them is not theirs to mark.
            let own = self.own(app, recipient, now).await?;
            for id in ids {
                match view.find(*id) {
                    Some(entry) if own.reader.holds(entry, now) => places.push((*id, Some(entry.seq))),
                    Some(_) => missing.push(*id),
                    None => places.push((*id, None)),
                }
            }
        } else {
            places.extend(ids.iter().map(|id| (*id, None)));
        }
        let mut marked = warmed!(self, app, recipient, now, self.hot.mark(app, recipient, change, &places, now))?;
        if !marked.missing.is_empty() {
            let old = self.cold.find(app, recipient, &marked.missing).await.map_err(InboxError::Record)?;
            let old = alive(old, now)?;
            if !old.is_empty() {
                self.hot.restore(app, recipient, &old, now).await?;
                let restored: Vec<_> = old.iter().map(|i| (i.item.id, None)).collect();
                let mut again = warmed!(self, app, recipient, now, self.hot.mark(app, recipient, change, &restored, now))?;
                // The two parts have revisions of their own; the answer speaks for the later, and names the items of both.
                again.items.splice(0..0, marked.items);
                again.entries.splice(0..0, marked.entries);
                again.missing = marked.missing.into_iter().filter(|id| restored.iter().all(|(r, _)| r != id)).collect();
                marked = again;
            }
        }
        missing.append(&mut marked.missing);
        Ok(Self::told(&view, marked, Vec::new(), missing, now))
    }

    /// Marks everything up to `up_to` as read; everything there is if it is `None`.
    pub async fn mark_all_read(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        up_to: Option<&Cursor>,
        now: Timestamp,
    ) -> Result<Marked, InboxError> {
        let view = self.timelines.verified(app, now).await?;
        let before = self.own(app, recipient, now).await?;
        let own = up_to.map(|cursor| cursor.own);
        let place = match up_to {
            None => view.position().rev,
            // Never beyond what there is: what is written later was seen by nobody.
            Some(cursor) if cursor.timeline.epoch == view.position().epoch => cursor.timeline.rev.min(view.position().rev),
            Some(_) => 0,
        };
        let marked = warmed!(self, app, recipient, now, self.hot.mark_all_read(app, recipient, own, place, now))?;
        let upto = marked.read_upto.map_or(0, |upto| upto.seq);
        let passed = view
            .newest(Some(upto + 1))
            .filter(|e| before.reader.is_unread(e, now) && !before.reader.treated.contains_key(&e.seq));
        let passed = passed.map(|e| e.body.id).collect();
        Ok(Self::told(&view, marked, passed, Vec::new(), now))
    }

    /// Withdraws a notification from inboxes, hot and cold. Gives the recipients in whose inbox it was, with the revision.
    pub async fn recall(
        &self,
        app: &AppId,
        id: NotificationId,
        recipients: &[RecipientId],
        now: Timestamp,
    ) -> Result<Vec<(RecipientId, u64)>, InboxError> {
        let mut open: Vec<(&RecipientId, Option<u64>)> = recipients.iter().map(|r| (r, None)).collect();
        let mut done = Vec::new();
        for _ in 0..=WARMINGS {
            let mut again = Vec::new();
            for ((recipient, place), outcome) in open.iter().zip(self.hot.recall(app, id, &open, now).await?) {
                match outcome {
                    Hot::Warm(Recalled::Now { rev }) => done.push(((*recipient).clone(), rev)),
                    // It was trimmed long ago: the record knows its place.
                    Hot::Warm(Recalled::Unknown) if place.is_none() => {
                        let old = self.cold.find(app, recipient, &[id]).await.map_err(InboxError::Record)?;
                        again.extend(old.first().map(|item| (*recipient, Some(item.seq))));
                    }
                    Hot::Warm(Recalled::Unknown | Recalled::Before) => {}
                    Hot::Cold => {
                        self.warm(app, recipient, now).await?;
                        again.push((*recipient, *place));
                    }
                }
            }
            if again.is_empty() {
                return Ok(done);
            }
            open = again;
        }
        Err(InboxError::StaysCold)
    }

    /// Says a notification otherwise in inboxes. Answers in order with the revision of the item; `None`: it is in no inbox any more,
    /// or never was.
    ///
    /// One that was trimmed is put back: while it is unread, its expiry is kept here, and the devices may show it.
    pub async fn update(&self, app: &AppId, items: &[NewItem<'_>], now: Timestamp) -> Result<Vec<Option<u64>>, InboxError> {
        let mut revs = vec![None; items.len()];
        let mut put_back = vec![false; items.len()];
        let mut open: Vec<usize> = (0..items.len()).collect();
        for _ in 0..=WARMINGS {
            let batch: Vec<NewItem<'_>> = open.iter().map(|i| items[*i].clone()).collect();
            let mut again = Vec::new();
            for (i, outcome) in open.into_iter().zip(self.hot.update(app, &batch, now).await?) {
                let recipient = items[i].recipient;
                match outcome {
                    Hot::Warm(Some(rev)) => revs[i] = Some(rev),
                    Hot::Warm(None) if put_back[i] => {}
                    Hot::Warm(None) => {
                        // Also if its time is over on record: here it may still count.
                        let old = self.cold.find(app, recipient, &[items[i].card.id]).await.map_err(InboxError::Record)?;
                        if !old.is_empty() {
                            self.hot.restore(app, recipient, &old, now).await?;
                            put_back[i] = true;
                            again.push(i);
                        }
                    }
                    Hot::Cold => {
                        self.warm(app, recipient, now).await?;
                        again.push(i);
                    }
                }
            }
            if again.is_empty() {
                return Ok(revs);
            }
            open = again;
        }
        Err(InboxError::StaysCold)
    }

    fn told(
        view: &TimelineView,
        hot: HotMarked,
        passed: Vec<NotificationId>,
        missing: Vec<NotificationId>,
        now: Timestamp,
    ) -> Marked {
        Marked {
            rev: hot.position.rev,
            unread: hot.unread + view.unread(&hot.reader, now),
            cursor: Cursor { own: hot.position, timeline: view.position() },
            items: hot.items,
            entries: hot.entries,
            read_upto: hot.read_upto,
            passed,
            missing,
        }
    }

    /// A person's own part at a glance.
    pub async fn own(&self, app: &AppId, recipient: &RecipientId, now: Timestamp) -> Result<HotOverview, InboxError> {
        warmed!(self, app, recipient, now, self.hot.overview(app, recipient, now))
    }

    /// Both parts of an inbox as they are now.
    pub async fn look(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        now: Timestamp,
    ) -> Result<(HotOverview, Arc<TimelineView>), InboxError> {
        let view = self.timelines.fresh(app, now).await?;
        Ok((self.own(app, recipient, now).await?, view))
    }

    /// How many items are unread, and the cursor of this state.
    pub async fn overview(&self, app: &AppId, recipient: &RecipientId, now: Timestamp) -> Result<Overview, InboxError> {
        let (own, view) = self.look(app, recipient, now).await?;
        let unread = own.unread + view.unread(&own.reader, now);
        Ok(Overview { unread, cursor: Cursor { own: own.position, timeline: view.position() } })
    }

    /// Items after `after` (or from the newest), newest first, without archived, expired and withdrawn ones.
    pub async fn page(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        after: Option<PagePlace>,
        limit: usize,
        now: Timestamp,
    ) -> Result<InboxPage, InboxError> {
        self.page_in(app, recipient, Folder::Inbox, after, limit, now).await
    }

    /// The same of any folder.
    async fn page_in(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        folder: Folder,
        after: Option<PagePlace>,
        limit: usize,
        now: Timestamp,
    ) -> Result<InboxPage, InboxError> {
        let mut place = after.unwrap_or_default();
        let view = self.timelines.fresh(app, now).await?;
        let hot = warmed!(self, app, recipient, now, self.hot.page(app, recipient, folder, place.own, limit, now))?;
        let mut own = hot.items;
        if own.len() < limit && hot.floor > 0 {
            let mut below = place.own.map_or(hot.floor, |seq| seq.min(hot.floor));
            // Before the record is asked: what is trimmed meanwhile, it has.
            let newer = warmed!(self, app, recipient, now, self.hot.put_back(app, recipient, below, now))?;
            while own.len() < limit {
                let ask = limit - own.len();
                let page = self.cold.page(app, recipient, folder, Some(below), ask, now).await.map_err(InboxError::Record)?;
                let end = if page.len() < ask { 0 } else { page.last().map_or(0, |item| item.seq) };
                own.extend(overlaid(page, &newer, end..below).filter(|item| folder.holds(&item.item.state)));
                if end == 0 {
                    break;
                }
                below = end;
            }
        }
        let reader = &hot.reader;
        let there = |e: &&Arc<Entry>| reader.holds(e, now) && folder.holds(&reader.state(e));
        let (mut own, mut shared) = (own.into_iter().peekable(), view.newest(place.timeline).filter(there).peekable());
        let mut items = Vec::with_capacity(limit);
        while items.len() < limit {
            // One order, that of writing: the same on every device, and live.
            let from_timeline = match (own.peek(), shared.peek()) {
                (Some(item), Some(entry)) => entry.at >= item.at,
                (None, Some(_)) => true,
                (Some(_), None) => false,
                (None, None) => break,
            };
            if from_timeline {
                let Some(entry) = shared.next() else { break };
                place.timeline = Some(entry.seq);
                items.extend(reader.item(entry).map(|(item, variant)| FoundItem { item, variant, shared: true }));
            } else {
                let Some(HotItem { item, seq, variant, .. }) = own.next() else { break };
                place.own = Some(seq);
                items.push(FoundItem { item, variant, shared: false });
            }
        }
        let next = (items.len() == limit).then_some(place);
        Ok(InboxPage { items, next })
    }

    /// A page of what `filter` lets through. For one category it looks through [`LOOKS`] pages of all at most, and may therefore have
    /// fewer than `limit` items, or none, and yet a next.
    pub async fn page_of(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        filter: &Filter,
        after: Option<PagePlace>,
        limit: usize,
        now: Timestamp,
    ) -> Result<InboxPage, InboxError> {
        let Filter { folder, category } = filter;
        let Some(category) = category else { return self.page_in(app, recipient, *folder, after, limit, now).await };
        let mut found = InboxPage { items: Vec::with_capacity(limit), next: after };
        for _ in 0..LOOKS {
            // Never more than there is room for: a place lies between two pages, not within one.
            let page = self.page_in(app, recipient, *folder, found.next, limit - found.items.len(), now).await?;
            for item in page.items {
                if reply::card(&item.item)?.category.as_ref() == Some(category) {
                    found.items.push(item);
                }
            }
            found.next = page.next;
            // Half a page is enough: to fill the rest one by one would cost a look each.
            if found.next.is_none() || found.items.len() * 2 >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// One item, hot or old, of either part.
    pub async fn find(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        id: NotificationId,
        now: Timestamp,
    ) -> Result<Option<FoundItem>, InboxError> {
        let view = self.timelines.fresh(app, now).await?;
        if let Some(entry) = view.find(id) {
            let own = self.own(app, recipient, now).await?;
            let item = if own.reader.holds(entry, now) { own.reader.item(entry) } else { None };
            return Ok(item.map(|(item, variant)| FoundItem { item, variant, shared: true }));
        }
        let found = |i: HotItem| FoundItem { item: i.item, variant: i.variant, shared: false };
        let hot = warmed!(self, app, recipient, now, self.hot.find(app, recipient, id, now))?;
        if hot.is_some() {
            return Ok(hot.map(found));
        }
        let old = self.cold.find(app, recipient, &[id]).await.map_err(InboxError::Record)?;
        Ok(alive(old, now)?.pop().map(found))
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
        // The person's own part last: what it tells of the timeline is then never newer than the copy of the timeline.
        let view = self.timelines.verified(app, now).await?;
        let hot = warmed!(self, app, recipient, now, self.hot.changes_since(app, recipient, cursor.own, limit, now))?;
        let own = hot.overview;
        let mut changes = Changes {
            recovered: hot.recovered,
            items: hot.items,
            removed: hot.removed,
            unread: own.unread + view.unread(&own.reader, now),
            cursor: Cursor { own: own.position, timeline: view.position() },
            own,
        };
        match view.since(cursor.timeline) {
            Some(entries) if changes.recovered => Self::add_entries(&mut changes, &view, &entries, cursor, now),
            _ => changes.recovered = false,
        }
        if changes.items.len() + changes.removed.len() > limit {
            changes.recovered = false;
        }
        if !changes.recovered {
            (changes.items, changes.removed) = Default::default();
        }
        Ok(changes)
    }

    /// Adds the entries that changed by themselves, and those that the person treated since.
    fn add_entries(changes: &mut Changes, view: &TimelineView, entries: &[&Arc<Entry>], cursor: &Cursor, now: Timestamp) {
        let reader = &changes.own.reader;
        let treated = reader.treated.iter().filter(|(_, t)| t.rev > cursor.own.rev).filter_map(|(_, t)| view.find(t.id));
        let read = reader.read_upto.filter(|(_, rev)| *rev > cursor.own.rev);
        let passed = read.into_iter().flat_map(|(upto, _)| view.newest(Some(upto.seq + 1)));
        let mut told = HashSet::new();
        for entry in entries.iter().copied().chain(treated).chain(passed) {
            if !told.insert(entry.seq) {
                continue;
            }
            if reader.holds(entry, now) && reader.state(entry).archived_at.is_none() {
                changes.items.extend(reader.item(entry).map(|(item, _)| item));
            } else if reader.is_addressed(entry) && (entry.seq <= cursor.timeline.rev) {
                changes.removed.push(entry.body.id);
            }
        }
    }

    /// The content of a notification in `variant`, if it is still hot.
    pub async fn content(&self, app: &AppId, id: NotificationId, variant: &str) -> Result<Option<ItemContent>, InboxError> {
        self.hot.find_content(app, id, variant).await
    }

    /// The timelines.
    pub fn timelines(&self) -> &Timelines {
        &self.timelines
    }

    /// Removes everything hot of a recipient.
    pub async fn forget(&self, app: &AppId, recipient: &RecipientId) -> Result<(), InboxError> {
        self.hot.forget(app, recipient).await
    }

    /// Warms several: those who are new together, the others a few at a time, since each takes some round trips to the record.
    async fn warm_all(&self, app: &AppId, recipients: &[&RecipientId], now: Timestamp) -> Result<(), InboxError> {
        if let [one] = recipients {
            return self.warm(app, one, now).await;
        }
        let joined = self.timelines.fresh(app, now).await?.position().rev;
        let new = self.cold.register_new(app, recipients, joined).await.map_err(InboxError::Record)?;
        self.hot.warm_new(app, &new, joined, now).await?;
        let known: Vec<_> = recipients.iter().filter(|recipient| !new.contains(**recipient)).collect();
        for some in known.chunks(WARMED_AT_ONCE) {
            let mut warming = tokio::task::JoinSet::new();
            for recipient in some {
                let (this, app, recipient) = (self.clone(), app.clone(), (**recipient).clone());
                warming.spawn(async move { this.warm(&app, &recipient, now).await });
            }
            while let Some(warmed) = warming.join_next().await {
                warmed.map_err(|e| InboxError::Record(Box::new(e)))??;
            }
        }
        Ok(())
    }

    async fn warm(&self, app: &AppId, recipient: &RecipientId, now: Timestamp) -> Result<(), InboxError> {
        let mut state = self.cold.load(app, recipient, now).await.map_err(InboxError::Record)?;
        if state.reader.is_none() {
            // Never seen before: what was written to everyone by now is not theirs.
            let joined = self.timelines.fresh(app, now).await?.position().rev;
            state.reader = Some(self.cold.register(app, recipient, joined, now).await.map_err(InboxError::Record)?);
        }
        self.hot.warm(app, recipient, &state, now).await
    }
}

/// Those of the record whose time is not over.
fn alive(old: Vec<HotItem>, now: Timestamp) -> Result<Vec<HotItem>, InboxError> {
    let mut alive = Vec::with_capacity(old.len());
    for item in old {
        if reply::card(&item.item)?.expires_at.is_none_or(|at| at > now) {
            alive.push(item);
        }
    }
    Ok(alive)
}

/// What the record has of a range of seqs, with what was changed since it was told, in any folder: newest first.
fn overlaid(page: Vec<HotItem>, newer: &[HotItem], range: Range<u64>) -> impl Iterator<Item = HotItem> {
    let newer = newer.iter().filter(|item| range.contains(&item.seq)).cloned();
    let all: BTreeMap<u64, HotItem> = page.into_iter().chain(newer).map(|item| (item.seq, item)).collect();
    all.into_values().rev()
}
