//! What is asked of an inbox and what it answers.

use stentor_domain::{
    Card, Item, ItemState, NotificationId, RecipientId, Timestamp,
    event::{EntryChange, ItemChange},
    item::Folder,
    timeline::ReadUpto,
};

use crate::{Cursor, Position, Reader};

/// An answer, if the inbox is in Redis.
#[derive(Clone, Debug, PartialEq)]
pub enum Hot<T> {
    /// It is.
    Warm(T),
    /// It is not: load a [`WarmState`], call [`Inbox::warm`](crate::Inbox::warm), and ask again.
    Cold,
}

impl<T> Hot<T> {
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Hot<U> {
        match self {
            Self::Warm(value) => Hot::Warm(f(value)),
            Self::Cold => Hot::Cold,
        }
    }
}

/// An item to write.
#[derive(Clone, Debug)]
pub struct NewItem<'a> {
    /// Into whose inbox.
    pub recipient: &'a RecipientId,
    /// Its title card.
    pub card: &'a Card,
    /// Which content belongs to it.
    pub variant: &'a str,
}

/// An item with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct HotItem {
    /// The item.
    pub item: Item,
    /// Its place in the inbox.
    pub seq: u64,
    /// Which content belongs to it.
    pub variant: String,
    /// When it was written.
    pub at: Timestamp,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The item's place.
    pub seq: u64,
    /// The revision of the item's latest change; 0 if it was seen, read or archived since.
    pub rev: u64,
    /// How many items are unread.
    pub unread: u64,
    /// False: the inbox knew the notification, and nothing was done.
    pub new: bool,
    /// When the item was written, by Redis's clock.
    pub at: Timestamp,
}

/// What became of a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// The item left the inbox, at this revision.
    Now {
        /// The inbox's revision.
        rev: u64,
    },
    /// It had left the inbox before.
    Before,
    /// The hot state knows no such item.
    Unknown,
}

/// What to do to items, and what was done to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They were read.
    Read,
    /// They count as not read.
    Unread,
    /// They were put away.
    Archive,
    /// They were brought back.
    Unarchive,
    /// They were shown.
    Seen,
    /// Their time is over (told, never asked for).
    Expire,
    /// They were withdrawn (told, never asked for).
    Recall,
}

impl Change {
    const ALL: [Self; 7] = [Self::Read, Self::Unread, Self::Archive, Self::Unarchive, Self::Seen, Self::Expire, Self::Recall];

    /// The word in frames and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Unread => "unread",
            Self::Archive => "archived",
            Self::Unarchive => "unarchived",
            Self::Seen => "seen",
            Self::Expire => "expired",
            Self::Recall => "recalled",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == word)
    }
}

/// What became of a change to a person's own part of the inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct HotMarked {
    /// The life and revision: that of this change, or the present one if nothing changed.
    pub position: Position,
    /// How many own items are unread.
    pub unread: u64,
    /// The items that changed, and what they are now.
    pub items: Vec<ItemChange>,
    /// Ids that are not hot: unknown, or trimmed.
    pub missing: Vec<NotificationId>,
    /// The entries of the timeline that changed to this person, and what they are now.
    pub entries: Vec<EntryChange>,
    /// Up to where the timeline is read from now on, if that changed.
    pub read_upto: Option<ReadUpto>,
    /// What the person is to the timeline now.
    pub reader: Reader,
}

/// A person's own part of the inbox at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct HotOverview {
    /// How many own items are unread.
    pub unread: u64,
    /// Of which life and revision this is true.
    pub position: Position,
    /// What the person is to the timeline.
    pub reader: Reader,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// The inbox's revision: that of this change, or the present one if nothing changed.
    pub rev: u64,
    /// How many items are unread.
    pub unread: u64,
    /// The cursor of this revision.
    pub cursor: Cursor,
    /// The items that changed, and what they are now.
    pub items: Vec<ItemChange>,
    /// The entries of the timeline that changed to this person, and what they are now.
    pub entries: Vec<EntryChange>,
    /// Up to where the timeline is read from now on, if that changed.
    pub read_upto: Option<ReadUpto>,
    /// Entries of the timeline that are read by that.
    pub passed: Vec<NotificationId>,
    /// Ids that are in the inbox no more, or never were.
    pub missing: Vec<NotificationId>,
}

impl Marked {
    /// Every item that changed.
    pub fn ids(&self) -> impl Iterator<Item = NotificationId> {
        let entries = self.entries.iter().map(|e| e.item.notification);
        self.items.iter().map(|i| i.notification).chain(entries).chain(self.passed.iter().copied())
    }

    /// What an item is now, if it changed by itself.
    pub fn state_of(&self, id: NotificationId) -> Option<ItemState> {
        let mut all = self.items.iter().chain(self.entries.iter().map(|e| &e.item));
        all.find(|i| i.notification == id).map(|i| i.state)
    }
}

/// An inbox at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// How many items are unread.
    pub unread: u64,
    /// The cursor of this state.
    pub cursor: Cursor,
}

/// An item of an inbox, whichever part it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundItem {
    /// The item.
    pub item: Item,
    /// Which content belongs to it.
    pub variant: String,
    /// True: it is an entry of the timeline, which many share.
    pub shared: bool,
}

/// Which items a page is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Where they are.
    pub folder: Folder,
    /// Of this category alone.
    pub category: Option<String>,
}

impl Filter {
    /// Of what was archived, or of the inbox itself; of one category, or of all.
    pub fn new(archived: bool, category: Option<String>) -> Self {
        Self { folder: if archived { Folder::Archived } else { Folder::Inbox }, category }
    }
}

/// Hot items of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items, newest first.
    pub items: Vec<HotItem>,
    /// Items below this seq are the record's to list; 0: there are none.
    pub floor: u64,
    /// What the person is to the timeline.
    pub reader: Reader,
}

/// What changed in a person's own part since a revision.
#[derive(Clone, Debug, PartialEq)]
pub struct HotChanges {
    /// False: it cannot be told (any more).
    pub recovered: bool,
    /// Items that are new or changed, oldest change first.
    pub items: Vec<Item>,
    /// Items that left the inbox.
    pub removed: Vec<NotificationId>,
    /// The person's part now.
    pub overview: HotOverview,
}

/// What changed since a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// False: it cannot be told (any more); list again.
    pub recovered: bool,
    /// Items that are new or changed, oldest change first.
    pub items: Vec<Item>,
    /// Items that left the inbox: archived, expired or recalled.
    pub removed: Vec<NotificationId>,
    /// How many items are unread.
    pub unread: u64,
    /// The cursor of this state.
    pub cursor: Cursor,
    /// The person's own part.
    pub own: HotOverview,
}

/// An unread item that is not hot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadItem {
    /// Its place.
    pub seq: u64,
    /// The item.
    pub id: NotificationId,
    /// When it leaves the inbox.
    pub expires_at: Option<Timestamp>,
}

/// What the record knows of an inbox that is to be warmed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WarmState {
    /// The highest seq there ever was; `None` if there was no item.
    pub max_seq: Option<u64>,
    /// What the person is to the timeline; `None` if they were never seen before.
    pub reader: Option<Reader>,
    /// The newest items.
    pub items: Vec<HotItem>,
    /// Everything that is unread (items among them may be named again).
    pub unread: Vec<UnreadItem>,
}
