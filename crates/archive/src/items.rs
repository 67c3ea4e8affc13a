//! Facts of inbox items become rows.
//!
//! A row has parts of which different facts tell: where and when it was written, the card with its version, what the recipient did
//! with its revision, and that it was withdrawn. Each part is guarded by itself, and whichever fact comes first makes the row: an
//! update would find none if the item is not on record yet, or if another writer has not committed it. Writers of the same row wait
//! for one another at its key.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveValue::{self, NotSet, Set},
    ConnectionTrait, DbErr,
    sea_query::{Expr, OnConflict},
};
use stentor_domain::{AppId, Card, Event, EventKind, ItemState, NotificationId, RecipientId, Timestamp};

use crate::{
    entities::inbox_item::{ActiveModel, Column},
    insert::{take_if, upsert},
};

/// The `seq` of an item of which it is not told yet that it was written. Places begin at 1.
pub(crate) const UNWRITTEN: i64 = 0;
/// The `version` of an item whose card is not told yet, and of one that is as it was written.
const UNSAID: i64 = -1;
const WRITTEN: i64 = 0;

/// What a batch says of an item.
#[derive(Default)]
struct Told<'a> {
    /// Its place, and when it was written.
    written: Option<(u64, Timestamp)>,
    /// The highest revision that is told.
    rev: u64,
    /// The newest card with its version, and which content belongs to it.
    said: Option<(i64, &'a Card, &'a str)>,
    /// What the recipient did, with its revision.
    state: Option<(u64, ItemState)>,
    recalled_at: Option<Timestamp>,
}

impl<'a> Told<'a> {
    fn say(&mut self, version: i64, card: &'a Card, variant: &'a str) {
        if self.said.is_none_or(|(known, ..)| version > known) {
            self.said = Some((version, card, variant));
        }
    }

    fn row(self, app: &AppId, recipient: &RecipientId, notification: NotificationId) -> ActiveModel {
        let (seq, written_at) = self.written.map_or((UNWRITTEN, 0), |(seq, at)| (signed(seq), at.as_millis()));
        let (version, card, variant) =
            self.said.map_or((UNSAID, None, ""), |(version, card, variant)| (version, Some(card), variant));
        let state = self.state.map(|(_, state)| state);
        // Of a row that is only written, what was done has the revision of the item; a new card has one of its own.
        let state_rev = self.state.map(|(rev, _)| signed(rev)).or((version != WRITTEN).then_some(0));
        ActiveModel {
            app: Set(app.to_string()),
            recipient: Set(recipient.to_string()),
            notification: Set(notification.as_uuid()),
            seq: Set(seq),
            rev: Set(signed(self.rev)),
            variant: Set(variant.to_owned()),
            card: Set(card.and_then(|card| serde_json::to_string(card).ok()).unwrap_or_default()),
            expires_at: if_any(card.and_then(|card| card.expires_at)),
            seen_at: if_any(state.and_then(|state| state.seen_at)),
            read_at: if_any(state.and_then(|state| state.read_at)),
            archived_at: if_any(state.and_then(|state| state.archived_at)),
            written_at: Set(written_at),
            recalled_at: if_any(self.recalled_at),
            version: Set(version),
            state_rev: state_rev.map_or(NotSet, |rev| Set(Some(rev))),
        }
    }
}

/// A column that no row of a statement sets is not part of it: most rows say no more than that an item was written.
fn if_any(time: Option<Timestamp>) -> ActiveValue<Option<i64>> {
    time.map_or(NotSet, |time| Set(Some(time.as_millis())))
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Writes what a batch of events says of items.
pub(crate) async fn write(db: &impl ConnectionTrait, events: &[Event]) -> Result<(), DbErr> {
    // In one order and one statement, so that two writers of the same rows wait for one another instead of locking each other out.
    let mut told: BTreeMap<(&AppId, &RecipientId, NotificationId), Told<'_>> = BTreeMap::new();
    for e in events {
        match &e.kind {
            EventKind::ItemWritten { recipient, card, seq, rev, variant } => {
                let item = told.entry((&e.app, recipient, card.id)).or_default();
                item.written.get_or_insert((*seq, e.at));
                item.rev = item.rev.max(*rev);
                item.say(WRITTEN, card, variant);
            }
            EventKind::ItemUpdated { recipient, card, variant, rev, version } => {
                let item = told.entry((&e.app, recipient, card.id)).or_default();
                item.rev = item.rev.max(rev.unwrap_or(0));
                item.say(*version, card, variant);
            }
            EventKind::ItemsChanged { recipient, rev, items } => {
                for change in items {
                    let item = told.entry((&e.app, recipient, change.notification)).or_default();
                    item.rev = item.rev.max(*rev);
                    if item.state.is_none_or(|(known, _)| *rev > known) {
                        item.state = Some((*rev, change.state));
                    }
                }
            }
            EventKind::ItemRecalled { recipient, notification, .. } => {
                told.entry((&e.app, recipient, *notification)).or_default().recalled_at.get_or_insert(e.at);
            }
            _ => {}
        }
    }
    let rows = told.into_iter().map(|((app, recipient, id), item)| item.row(app, recipient, id));
    upsert(db, rows.collect(), known()).await
}

/// What becomes of a row that is there: each part is taken if it is newer.
fn known() -> OnConflict {
    const PLACED: &str = "inbox_items.seq = 0 AND excluded.seq > 0";
    const FURTHER: &str = "excluded.rev > inbox_items.rev";
    const SAID: &str = "excluded.version > inbox_items.version";
    const DONE: &str = "excluded.state_rev > COALESCE(inbox_items.state_rev, inbox_items.rev)";
    const RECALLED: &str = "excluded.recalled_at IS NOT NULL AND inbox_items.recalled_at IS NULL";
    let mut known = OnConflict::columns([Column::App, Column::Recipient, Column::Notification]);
    let parts: [(&str, &[Column]); 3] = [
        (PLACED, &[Column::WrittenAt, Column::Seq]),
        (SAID, &[Column::Card, Column::Variant, Column::ExpiresAt, Column::Version]),
        (DONE, &[Column::SeenAt, Column::ReadAt, Column::ArchivedAt]),
    ];
    for (newer, columns) in parts {
        for column in columns {
            known.value(*column, take_if(newer, *column));
        }
    }
    // Of a row that has none yet, the item's revision was that of what was done. It is not any more once a card has one of its own.
    let of_state = format!("CASE WHEN {DONE} THEN excluded.state_rev ELSE COALESCE(inbox_items.state_rev, inbox_items.rev) END");
    known.value(Column::StateRev, Expr::cust(of_state));
    known.value(Column::Rev, take_if(FURTHER, Column::Rev));
    known.value(Column::RecalledAt, Expr::cust("COALESCE(inbox_items.recalled_at, excluded.recalled_at)"));
    // What says nothing new writes no row anew.
    let newer = [PLACED, SAID, DONE, FURTHER, RECALLED].map(|newer| format!("({newer})")).join(" OR ");
    known.action_and_where(Expr::cust(newer)).to_owned()
}
