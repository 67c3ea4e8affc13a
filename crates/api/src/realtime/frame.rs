//! The frames of the subprotocol `stentor.v1`: JSON objects with a `type`.

use serde::{Deserialize, Serialize};
use stentor_domain::{Item, NotificationId, RecipientId, Timestamp};
use stentor_inbox::Cursor;

use crate::rest::ItemWithContent;

/// The subprotocol's name.
pub const PROTOCOL: &str = "stentor.v1";

/// What a client sends. Fields that are not known are passed over.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClientFrame {
    /// Given back in the answer, so that it can be told which request it answers. At most 64 bytes.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What is asked for.
    #[serde(flatten)]
    pub command: Command,
}

/// What a client asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Always the first frame; sent again it renews the token.
    Auth {
        /// The inbox token, unless it was given as the subprotocol `bearer.TOKEN`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// Where the client was; what came since is in `welcome`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
    },
    /// Load the content of an item, and mark it as read.
    Open {
        /// Which.
        id: NotificationId,
    },
    /// Mark items as read.
    Read {
        /// At most 100.
        ids: Vec<NotificationId>,
    },
    /// Mark items as unread.
    Unread {
        /// At most 100.
        ids: Vec<NotificationId>,
    },
    /// Put items away.
    Archive {
        /// At most 100.
        ids: Vec<NotificationId>,
    },
    /// Bring items back.
    Unarchive {
        /// At most 100.
        ids: Vec<NotificationId>,
    },
    /// Mark everything as read, up to the cursor if one is given.
    ReadAll {
        /// What came after it stays unread.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
    },
    /// List items, newest first.
    List {
        /// `next` of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// 1 to 100; 20 if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<usize>,
        /// Of this category alone. Such a page may have fewer items than `limit`, or none, and yet a next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<String>,
        /// True: what the person archived, instead of what is in the inbox.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        archived: bool,
    },
    /// Is anybody there?
    Ping,
}

/// What the server sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to the first `auth`.
    Welcome {
        /// Whose inbox it is.
        recipient: RecipientId,
        /// How many items are unread.
        unread: u64,
        /// Where this frame leaves the client.
        cursor: Cursor,
        /// True: `items` and `removed` are all that happened since the given cursor. False: forget what you had,
        /// `items` is the first page.
        recovered: bool,
        /// Items, new or changed.
        items: Vec<Item>,
        /// Items that left the inbox since.
        removed: Vec<NotificationId>,
        /// Where older items go on, with the first page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// A new item.
    Item {
        /// Its title card.
        item: Item,
        /// How many items are unread now.
        unread: u64,
        /// Where this frame leaves the client.
        cursor: Cursor,
    },
    /// Items changed; also the answer to a change that was asked for.
    State {
        /// The request that this answers.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// Which items changed.
        ids: Vec<NotificationId>,
        /// How: `read`, `unread`, `archived`, `unarchived`, `seen`, `expired`, `recalled`, `updated`, or `removed` (one of these
        /// by which it left the inbox while the connection was behind).
        change: String,
        /// What was updated, as it is now; without what was put away.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        items: Vec<Item>,
        /// How many items are unread now.
        unread: u64,
        /// Where this frame leaves the client.
        cursor: Cursor,
    },
    /// The content of an item.
    Content {
        /// The request that this answers.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// The item with its content.
        item: Box<ItemWithContent>,
    },
    /// A page of items.
    Page {
        /// The request that this answers.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// The items, newest first.
        items: Vec<Item>,
        /// Give it as `after` for older ones; `null` at the end.
        next: Option<String>,
    },
    /// The token was renewed.
    Ok {
        /// The request that this answers.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// Until when the connection is good now.
        expires_at: Timestamp,
    },
    /// Somebody is here.
    Pong {
        /// The request that this answers.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// Too much was missed to be told: list again.
    Resync {
        /// How many items are unread now.
        unread: u64,
        /// Where this frame leaves the client.
        cursor: Cursor,
    },
    /// A request could not be served; the connection stays.
    Error {
        /// The request that this answers.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// A stable word for programs.
        code: String,
        /// What is wrong, for people.
        message: String,
    },
    /// The server goes away.
    Bye {
        /// Why.
        reason: String,
        /// When to come back: not before, so that not everybody comes at once.
        reconnect_after_ms: u64,
    },
}

impl ServerFrame {
    /// Its `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::Item { .. } => "item",
            Self::State { .. } => "state",
            Self::Content { .. } => "content",
            Self::Page { .. } => "page",
            Self::Ok { .. } => "ok",
            Self::Pong { .. } => "pong",
            Self::Resync { .. } => "resync",
            Self::Error { .. } => "error",
            Self::Bye { .. } => "bye",
        }
    }

    /// How many are unread and where it leaves the client, if these are what it ends with.
    pub(crate) fn count(&self) -> Option<(u64, Cursor)> {
        match self {
            Self::Item { unread, cursor, .. } | Self::State { unread, cursor, .. } | Self::Resync { unread, cursor } => {
                Some((*unread, *cursor))
            }
            _ => None,
        }
    }

    /// Where it leaves the client, if it says so.
    pub fn cursor(&self) -> Option<&Cursor> {
        match self {
            Self::Welcome { cursor, .. }
            | Self::Item { cursor, .. }
            | Self::State { cursor, .. }
            | Self::Resync { cursor, .. } => Some(cursor),
            _ => None,
        }
    }
}

/// Why a connection is closed: the codes of the subprotocol. From 4400 on: 4401 wants another token, 4403 another setting, the others a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// No valid token, or it ran out.
    Token = 4401,
    /// Pages of this origin may not open an inbox.
    Forbidden = 4403,
    /// Nobody answers (RFC 6455: going away).
    Gone = 1001,
    /// No `auth` within 5 seconds.
    NoAuth = 4408,
    /// The person has too many connections.
    TooMany = 4409,
    /// Nothing was read for 10 seconds.
    TooSlow = 4410,
    /// Frames came faster than they are taken.
    TooFast = 4429,
    /// The server restarts (IANA registry: service restart).
    Restart = 1012,
}
