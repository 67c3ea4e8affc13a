//! What one connection was sent and is still owed: the order and completeness of its frames.

use stentor_domain::{Entry, NotificationId, Timestamp, timeline::Gone};
use stentor_inbox::{Change, Changes, Cursor, HotOverview, LiveMessage, Marked, Reader, TimelineView};

use super::{
    frame::ServerFrame,
    hub::{Pushed, What},
};

/// How far a connection is in both parts of the inbox, and the answers that wait for their turn.
pub(crate) struct Progress {
    cursor: Cursor,
    /// How many of the person's own items are unread.
    own_unread: u64,
    /// How many items were unread when that was last told.
    unread: u64,
    /// What the person is to the timeline.
    reader: Reader,
    answers: Vec<Answer>,
}

struct Answer {
    reference: Option<String>,
    rev: u64,
    change: &'static str,
    ids: Vec<NotificationId>,
}

/// What to do with a message.
pub(crate) enum Next {
    /// Nothing: it was sent before, or is not for this person.
    Nothing,
    /// Send this.
    Send(Box<ServerFrame>),
    /// Something is missing before it: read what changed since the cursor.
    Missing,
}

impl Progress {
    /// A connection that was told of `unread` items at `cursor`.
    pub(crate) fn new(cursor: Cursor, own: HotOverview, unread: u64) -> Self {
        Self { cursor, own_unread: own.unread, unread, reader: own.reader, answers: Vec::new() }
    }

    /// How many items are unread at the cursor.
    pub(crate) fn latest_unread(&self) -> u64 {
        self.unread
    }

    pub(crate) fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Takes in what happened.
    pub(crate) fn take(&mut self, pushed: &Pushed, now: Timestamp) -> Next {
        match &pushed.what {
            What::Message(message) => self.take_message(message, &pushed.view, now),
            What::Entry { epoch, entry } => self.take_entry(*epoch, entry, &pushed.view, now),
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
        let reload = message.apply_to(&mut self.reader);
        let (unread, cursor) = (self.unread(view, now), self.cursor);
        let frame = match message {
            LiveMessage::Item { item, .. } => ServerFrame::Item { item: (**item).clone(), unread, cursor },
            LiveMessage::State { change, items, entries, .. } => {
                let ids = items.iter().chain(entries.iter().map(|e| &e.item)).map(|i| i.notification).chain(passed);
                let (ids, change) = (ids.collect(), change.as_str().to_owned());
                ServerFrame::State { reference: self.answer_for(position.rev), ids, change, items: Vec::new(), unread, cursor }
            }
            LiveMessage::Updated { item, .. } => {
                let (ids, items) = (vec![item.card.id], vec![(**item).clone()]);
                ServerFrame::State { reference: None, ids, change: "updated".to_owned(), items, unread, cursor }
            }
            LiveMessage::Reader { .. } if reload => ServerFrame::Resync { unread, cursor },
            LiveMessage::Reader { .. } => return Next::Nothing,
        };
        Next::Send(Box::new(frame))
    }

    /// The entries that are read by having read the timeline up to a place.
    fn passed_by(&self, message: &LiveMessage, view: &TimelineView, now: Timestamp) -> Vec<NotificationId> {
        let LiveMessage::State { read_upto: Some(upto), .. } = message else { return Vec::new() };
        let passed = view.newest(Some(upto.seq + 1)).filter(|e| self.reader.is_unread(e, now));
        passed.filter(|e| !self.reader.treated.contains_key(&e.seq)).map(|e| e.body.id).collect()
    }

    fn take_entry(&mut self, epoch: u64, entry: &Entry, view: &TimelineView, now: Timestamp) -> Next {
        let at = self.cursor.timeline;
        if epoch == at.epoch && entry.rev <= at.rev {
            return Next::Nothing;
        }
        if epoch != at.epoch || entry.rev != at.rev + 1 {
            return Next::Missing;
        }
        self.cursor.timeline.rev = entry.rev;
        if !self.reader.is_addressed(entry) {
            return Next::Nothing;
        }
        let (unread, cursor) = (self.unread(view, now), self.cursor);
        let state = |change: &str, items| {
            let ids = vec![entry.body.id];
            ServerFrame::State { reference: None, ids, change: change.to_owned(), items, unread, cursor }
        };
        let item = if self.reader.holds(entry, now) { self.reader.item(entry).map(|(item, _)| item) } else { None };
        let frame = match (entry.gone, item) {
            (Some(Gone::Recalled), _) => state("recalled", Vec::new()),
            (Some(Gone::Expired), _) => state("expired", Vec::new()),
            (None, Some(item)) if entry.rev == entry.seq => ServerFrame::Item { item, unread, cursor },
            (None, Some(item)) => state("updated", vec![item]),
            (None, None) => return Next::Nothing,
        };
        Next::Send(Box::new(frame))
    }

    fn unread(&mut self, view: &TimelineView, now: Timestamp) -> u64 {
        self.unread = self.own_unread + view.unread(&self.reader, now);
        self.unread
    }

    /// The reference of the request that made revision `rev`, if this connection made it.
    fn answer_for(&mut self, rev: u64) -> Option<String> {
        let at = self.answers.iter().position(|a| a.rev == rev)?;
        self.answers.swap_remove(at).reference
    }

    /// Takes in what changed since the cursor: as frames, or as a call to list again if that is too much to tell.
    pub(crate) fn catch_up(&mut self, changes: Changes) -> Vec<ServerFrame> {
        let (unread, cursor) = (changes.unread, changes.cursor);
        (self.cursor, self.own_unread, self.reader) = (cursor, changes.own.unread, changes.own.reader);
        self.unread = unread;
        let mut frames = Vec::new();
        if changes.recovered {
            let ids = changes.removed;
            if !ids.is_empty() {
                let change = "removed".to_owned();
                frames.push(ServerFrame::State { reference: None, ids, change, items: Vec::new(), unread, cursor });
            }
            frames.extend(changes.items.into_iter().map(|item| ServerFrame::Item { item, unread, cursor }));
        } else {
            frames.push(ServerFrame::Resync { unread, cursor });
        }
        frames.extend(self.due_answers(unread));
        frames
    }

    /// The answer to a change that this connection asked for, once everything before it was sent.
    pub(crate) fn answer(&mut self, reference: Option<String>, change: Change, marked: &Marked) -> Vec<ServerFrame> {
        self.answers.push(Answer { reference, rev: marked.rev, change: change.as_str(), ids: marked.ids().collect() });
        // Nothing changed, or the message was faster than the answer: then it is due now. Else the message brings it.
        let due = marked.cursor.own.epoch != self.cursor.own.epoch || marked.rev <= self.cursor.own.rev;
        if due { self.due_answers(marked.unread) } else { Vec::new() }
    }

    fn due_answers(&mut self, unread: u64) -> Vec<ServerFrame> {
        let rev = self.cursor.own.rev;
        let (due, rest) = std::mem::take(&mut self.answers).into_iter().partition(|a| a.rev <= rev);
        self.answers = rest;
        let frame = |a: Answer| ServerFrame::State {
            reference: a.reference,
            ids: a.ids,
            change: a.change.to_owned(),
            items: Vec::new(),
            unread,
            cursor: self.cursor,
        };
        Vec::from_iter(due).into_iter().map(frame).collect()
    }
}
