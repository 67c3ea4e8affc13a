//! What one person, or one connection, was sent and is still owed: the order and completeness of frames.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use stentor_domain::{Entry, Item, Locale, NotificationId, Timestamp, timeline::Gone};
use stentor_inbox::{Changes, Cursor, HotOverview, LiveMessage, Reader, TimelineView, is_current};

use super::{frame::ServerFrame, told::Told};

/// How long a count is carried on before the timeline is counted anew: entries leave it by age, without a word.
const COUNT_EVERY: Duration = Duration::from_mins(1);

/// What happened.
#[derive(Clone)]
pub(crate) enum What {
    /// Something in the person's own part.
    Message(Arc<LiveMessage>),
    /// An entry of the timeline was written or changed.
    Entry(Rc<Logged>),
}

/// An entry of the timeline, and its frame in every language in which somebody here reads it.
pub(crate) struct Logged {
    pub epoch: u64,
    pub entry: Arc<Entry>,
    cards: RefCell<Vec<(Option<Locale>, Told)>>,
    /// Whether it is in inboxes at all, and as of when: it is the same for all of whom it is told in one go.
    current: Cell<Option<(Timestamp, bool)>>,
}

impl Logged {
    pub(crate) fn new(epoch: u64, entry: Arc<Entry>) -> Self {
        Self { epoch, entry, cards: RefCell::default(), current: Cell::default() }
    }

    fn is_current(&self, now: Timestamp) -> bool {
        let known = self.current.get().filter(|(at, _)| *at == now).unwrap_or_else(|| (now, is_current(&self.entry, now)));
        self.current.set(Some(known));
        known.1
    }

    /// The frame with which it comes to one who has not treated it, encoded once for all readers of a language.
    fn told(&self, reader: &Reader) -> Option<Told> {
        if let Some((_, told)) = self.cards.borrow().iter().find(|(locale, _)| *locale == reader.locale) {
            return Some(told.clone());
        }
        let (item, _) = reader.item(&self.entry)?;
        let told = Told::shared(&ServerFrame::Item { item, unread: 0, cursor: Cursor::default() });
        self.cards.borrow_mut().push((reader.locale.clone(), told.clone()));
        Some(told)
    }
}

/// How far a person (or a connection that is not in step with the person's others) is in both parts of the inbox.
#[derive(Clone)]
pub(crate) struct Progress {
    cursor: Cursor,
    /// How many of the person's own items are unread.
    own_unread: u64,
    /// How many entries of the timeline are unread.
    entries_unread: u64,
    /// When these were counted; `None`: they have to be counted anew.
    counted_at: Option<Timestamp>,
    /// What the person is to the timeline.
    reader: Reader,
}

/// What to do about what happened.
pub(crate) enum Next {
    /// Nothing: it was sent before, or is not for this person.
    Nothing,
    /// Send this.
    Send(Told),
    /// Something is missing before it: read what changed since the cursor.
    Missing,
}

impl Progress {
    /// One that was told of `unread` items at `cursor`.
    pub(crate) fn new(cursor: Cursor, own: HotOverview, unread: u64, now: Timestamp) -> Self {
        let entries_unread = unread.saturating_sub(own.unread);
        Self { cursor, own_unread: own.unread, entries_unread, counted_at: Some(now), reader: own.reader }
    }

    /// How many items are unread at the cursor.
    pub(crate) fn unread(&self) -> u64 {
        self.own_unread + self.entries_unread
    }

    pub(crate) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Reads a little of what a push reads, so that the processor has it at hand by then.
    pub(crate) fn prefetch(&self) -> [u64; 6] {
        let Self { cursor, own_unread, entries_unread, reader, .. } = self;
        let preferences = reader.preferences.categories.len() as u64;
        [cursor.own.epoch, *own_unread, *entries_unread, reader.everyone, reader.treated.len() as u64, preferences]
    }

    /// Takes in what happened. [`settle`](Self::settle) has to follow, before any of it is sent.
    pub(crate) fn take(&mut self, what: &What, view: &TimelineView, now: Timestamp) -> Next {
        match what {
            What::Message(message) => self.take_message(message, view, now),
            What::Entry(logged) => self.take_entry(logged, now),
        }
    }

    /// Counts what is unread in the timeline anew, if something happened that does not tell by itself what it changed.
    pub(crate) fn settle(&mut self, view: &TimelineView, now: Timestamp, told: &mut [Told]) {
        if self.counted_at.is_some_and(|at| at.after(COUNT_EVERY) > now) {
            return;
        }
        self.entries_unread = view.unread(&self.reader, now);
        // Until the view is the one at the cursor the count is the best there is, and is made again.
        self.counted_at = (view.position() == self.cursor.timeline).then_some(now);
        for told in told {
            told.set_unread(self.unread());
        }
    }

    fn take_message(&mut self, message: &LiveMessage, view: &TimelineView, now: Timestamp) -> Next {
        let position = message.position();
        if position.epoch == self.cursor.own.epoch && position.rev <= self.cursor.own.rev {
            return Next::Nothing;
        }
        if position.epoch != self.cursor.own.epoch || position.rev != self.cursor.own.rev + 1 {
            return Next::Missing;
        }
        let passed = self.passed_by(message, view, now);
        self.cursor.own = position;
        self.own_unread = message.unread();
        let reload = self.apply(message, view);
        let (unread, cursor) = (self.unread(), self.cursor);
        let frame = match message {
            LiveMessage::Item { item, .. } => ServerFrame::Item { item: (**item).clone(), unread, cursor },
            LiveMessage::State { change, items, entries, read_upto, .. } => {
                if !entries.is_empty() || read_upto.is_some() {
                    self.counted_at = None;
                }
                let ids = items.iter().chain(entries.iter().map(|e| &e.item)).map(|i| i.notification).chain(passed);
                state(change.as_str(), ids.collect(), Vec::new(), unread, cursor)
            }
            LiveMessage::Updated { item, .. } => state("updated", vec![item.id], listed((**item).clone()), unread, cursor),
            LiveMessage::Reader { .. } => {
                self.counted_at = None;
                if !reload {
                    return Next::Nothing;
                }
                ServerFrame::Resync { unread, cursor }
            }
        };
        let change = matches!(message, LiveMessage::State { .. }).then_some(position.rev);
        let mut told = Told::shared(&frame);
        told.change = change;
        Next::Send(told)
    }

    /// Takes in what a message says of the reader. True if the inbox looks otherwise now, beyond what the message names: of a topic that
    /// they have joined, entries were passed by that were written since they did.
    fn apply(&mut self, message: &LiveMessage, view: &TimelineView) -> bool {
        let LiveMessage::Reader { .. } = message else { return message.apply_to(&mut self.reader) };
        let before = self.reader.clone();
        let reload = message.apply_to(&mut self.reader);
        let passed = view.newest(Some(self.cursor.timeline.rev + 1));
        reload || passed.into_iter().any(|entry| self.reader.is_addressed(entry) && !before.is_addressed(entry))
    }

    /// The entries that are read by having read the timeline up to a place.
    fn passed_by(&self, message: &LiveMessage, view: &TimelineView, now: Timestamp) -> Vec<NotificationId> {
        let LiveMessage::State { read_upto: Some(upto), .. } = message else { return Vec::new() };
        let passed = view.newest(Some(upto.seq + 1)).filter(|e| self.reader.is_unread(e, now));
        passed.filter(|e| !self.reader.treated.contains_key(&e.seq)).map(|e| e.body.id).collect()
    }

    fn take_entry(&mut self, logged: &Logged, now: Timestamp) -> Next {
        let (at, entry) = (self.cursor.timeline, &*logged.entry);
        if logged.epoch == at.epoch && entry.rev <= at.rev {
            return Next::Nothing;
        }
        if logged.epoch != at.epoch || entry.rev != at.rev + 1 {
            return Next::Missing;
        }
        self.cursor.timeline.rev = entry.rev;
        if !self.reader.is_addressed(entry) {
            return Next::Nothing;
        }
        let held = logged.is_current(now) && self.reader.is_for(entry);
        let is_new = entry.rev == entry.seq && entry.gone.is_none();
        let untouched = || {
            let read = self.reader.read_upto.is_some_and(|(upto, _)| upto.seq >= entry.seq);
            !read && !self.reader.treated.contains_key(&entry.seq)
        };
        if is_new && held && untouched() {
            self.entries_unread += 1;
            return logged.told(&self.reader).map_or(Next::Nothing, |told| Next::Send(told.counted(self.unread(), self.cursor)));
        }
        if is_new && !held {
            return Next::Nothing; // muted
        }
        self.counted_at = None;
        let (unread, cursor) = (self.unread(), self.cursor);
        let state = |change: &str, items| state(change, vec![entry.body.id], items, unread, cursor);
        let item = if held { self.reader.item(entry).map(|(item, _)| item) } else { None };
        let frame = match (entry.gone, item) {
            (Some(Gone::Recalled), _) => state("recalled", Vec::new()),
            (Some(Gone::Expired), _) => state("expired", Vec::new()),
            (None, Some(item)) if is_new && item.state.archived_at.is_none() => ServerFrame::Item { item, unread, cursor },
            (None, Some(item)) => state("updated", listed(item)),
            (None, None) => return Next::Nothing,
        };
        Next::Send(Told::shared(&frame))
    }

    /// Takes in what changed since the cursor: as frames, or as a call to list again if that is too much to tell.
    pub(crate) fn catch_up(&mut self, changes: Changes, now: Timestamp) -> Vec<Told> {
        let (unread, cursor) = (changes.unread, changes.cursor);
        *self = Self::new(cursor, changes.own, unread, now);
        if !changes.recovered {
            return vec![Told::shared(&ServerFrame::Resync { unread, cursor })];
        }
        let removed = (!changes.removed.is_empty()).then(|| state("removed", changes.removed, Vec::new(), unread, cursor));
        let items = changes.items.into_iter().map(|item| ServerFrame::Item { item, unread, cursor });
        removed.into_iter().chain(items).map(|frame| Told::shared(&frame)).collect()
    }

    /// Says to list again.
    pub(crate) fn resync(&self) -> Told {
        Told::shared(&ServerFrame::Resync { unread: self.unread(), cursor: self.cursor })
    }
}

/// An item as lists have it: who puts away what it said otherwise would find it there again.
fn listed(item: Item) -> Vec<Item> {
    if item.state.archived_at.is_some() { Vec::new() } else { vec![item] }
}

fn state(change: &str, ids: Vec<NotificationId>, items: Vec<Item>, unread: u64, cursor: Cursor) -> ServerFrame {
    ServerFrame::State { reference: None, ids, change: change.to_owned(), items, unread, cursor }
}
