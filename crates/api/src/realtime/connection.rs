//! What one connection was sent and is still owed: the order and completeness of its frames.

use std::sync::Arc;

use stentor_domain::NotificationId;
use stentor_inbox::{Change, Changes, Cursor, LiveMessage, Marked};

use super::frame::ServerFrame;

/// How far a connection is, and the answers that wait for their turn.
pub(crate) struct Progress {
    cursor: Cursor,
    unread: u64,
    answers: Vec<Answer>,
}

struct Answer {
    reference: Option<String>,
    rev: u64,
    change: &'static str,
    ids: Vec<NotificationId>,
}

/// What to do with a live message.
pub(crate) enum Next {
    /// It was sent before.
    Known,
    /// Send these.
    Send(Vec<ServerFrame>),
    /// Something is missing before it: read what changed since the cursor.
    Missing,
}

impl Progress {
    pub(crate) fn new(cursor: Cursor, unread: u64) -> Self {
        Self { cursor, unread, answers: Vec::new() }
    }

    pub(crate) fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Takes a live message in.
    pub(crate) fn take(&mut self, message: &Arc<LiveMessage>) -> Next {
        let (epoch, rev, unread) = (message.epoch(), message.rev(), message.unread());
        if epoch != self.cursor.epoch {
            return Next::Missing;
        }
        if rev <= self.cursor.rev {
            return Next::Known;
        }
        if rev != self.cursor.rev + 1 {
            return Next::Missing;
        }
        (self.cursor.rev, self.unread) = (rev, unread);
        let frame = match &**message {
            LiveMessage::Item { item, .. } => ServerFrame::Item { item: (**item).clone(), unread, cursor: self.cursor.clone() },
            LiveMessage::State { change, items, .. } => ServerFrame::State {
                reference: self.answer_for(rev),
                ids: items.iter().map(|i| i.notification).collect(),
                change: change.as_str().to_owned(),
                unread,
                cursor: self.cursor.clone(),
            },
        };
        Next::Send(vec![frame])
    }

    /// The reference of the request that made revision `rev`, if this connection made it.
    fn answer_for(&mut self, rev: u64) -> Option<String> {
        let at = self.answers.iter().position(|a| a.rev == rev)?;
        self.answers.swap_remove(at).reference
    }

    /// Takes in what changed since the cursor: as frames, or as a call to list again if that is too much to tell.
    pub(crate) fn catch_up(&mut self, changes: Changes) -> Vec<ServerFrame> {
        (self.cursor, self.unread) = (changes.cursor, changes.unread);
        let (unread, cursor) = (self.unread, || self.cursor.clone());
        let mut frames = Vec::new();
        if changes.recovered {
            let removed = changes.removed;
            if !removed.is_empty() {
                frames.push(ServerFrame::State {
                    reference: None,
                    ids: removed,
                    change: "removed".into(),
                    unread,
                    cursor: cursor(),
                });
            }
            frames.extend(changes.items.into_iter().map(|item| ServerFrame::Item { item, unread, cursor: cursor() }));
        } else {
            frames.push(ServerFrame::Resync { unread, cursor: cursor() });
        }
        frames.extend(self.due_answers());
        frames
    }

    /// The answer to a change that this connection asked for, once everything before it was sent.
    pub(crate) fn answer(&mut self, reference: Option<String>, change: Change, marked: &Marked) -> Vec<ServerFrame> {
        let ids = marked.items.iter().map(|i| i.notification).collect();
        self.answers.push(Answer { reference, rev: marked.rev, change: change.as_str(), ids });
        // Nothing changed, or the message was faster than the answer: then it is due now. Else the message brings it.
        if marked.cursor.epoch != self.cursor.epoch || marked.rev <= self.cursor.rev { self.due_answers() } else { Vec::new() }
    }

    fn due_answers(&mut self) -> Vec<ServerFrame> {
        let rev = self.cursor.rev;
        let (due, rest) = std::mem::take(&mut self.answers).into_iter().partition(|a| a.rev <= rev);
        self.answers = rest;
        let frame = |a: Answer| ServerFrame::State {
            reference: a.reference,
            ids: a.ids,
            change: a.change.to_owned(),
            unread: self.unread,
            cursor: self.cursor.clone(),
        };
        Vec::from_iter(due).into_iter().map(frame).collect()
    }
}
