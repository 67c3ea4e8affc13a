//! What is asked of an inbox and what it answers.

use stentor_domain::{Card, Item, NotificationId, RecipientId, Timestamp, event::ItemChange};

use crate::Cursor;

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
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The item's place.
    pub seq: u64,
    /// The revision of the item's latest change.
    pub rev: u64,
    /// How many items are unread.
    pub unread: u64,
    /// False: the inbox knew the notification, and nothing was done.
    pub new: bool,
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
}

impl Change {
    const ALL: [Self; 6] = [Self::Read, Self::Unread, Self::Archive, Self::Unarchive, Self::Seen, Self::Expire];

    /// The word in frames and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Unread => "unread",
            Self::Archive => "archived",
            Self::Unarchive => "unarchived",
            Self::Seen => "seen",
            Self::Expire => "expired",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == word)
    }
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
    /// Ids that are not hot: unknown, or trimmed.
    pub missing: Vec<NotificationId>,
}

/// An inbox at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// How many items are unread.
    pub unread: u64,
    /// The cursor of this state.
    pub cursor: Cursor,
}

/// Hot items of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items, newest first, without archived ones.
    pub items: Vec<HotItem>,
    /// Items below this seq are the record's to list; 0: there are none.
    pub floor: u64,
}

/// What changed since a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// False: it cannot be told (any more); list again.
    pub recovered: bool,
    /// Items that are new or changed, oldest change first.
    pub items: Vec<Item>,
    /// Items that left the inbox: archived or expired.
    pub removed: Vec<NotificationId>,
    /// How many items are unread.
    pub unread: u64,
    /// The cursor of this state.
    pub cursor: Cursor,
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
    /// The newest items.
    pub items: Vec<HotItem>,
    /// Everything that is unread (items among them may be named again).
    pub unread: Vec<UnreadItem>,
}
