//! Hot inboxes in Redis: what a person has not seen yet and what came lately, counted exactly and told live.
//!
//! # Words and guarantees
//!
//! - An item has a **seq**, its place in the inbox, and a **rev**, the inbox's revision of its latest change. Every
//!   mutation takes the next rev inside its script; a call that changes nothing takes none.
//! - **Unread** is the cardinality of a set of seqs, noted after each change; it is never counted up and down.
//! - Each mutation is **published** once, by the script that made it, with the absolute unread and its rev: whoever
//!   hears rev n after rev n-1 has missed nothing.
//! - What goes to a topic or to everyone is **one** [entry](stentor_domain::Entry) of the app's **timeline**, which has revs of its
//!   own. A person's inbox is their own items and the entries written to them ([`Reader`]), merged by the time of writing.
//! - A [`Cursor`] is an epoch and a rev of both. What was lost and rebuilt has another epoch.
//! - An inbox that is not in Redis is **cold**, not empty: [`Inbox`] answers [`Hot::Cold`], and [`Inboxes`] warms it
//!   from its record ([`ColdStore`]) and asks again.
//! - An item is written **once**: a notification that the inbox holds, or held within 24 hours, is recognised.
//!
//! Not promised: the order of items that different processes write at the same time, other than that every device
//! sees the same one.
//!
//! The scripts under `src/scripts` document their keys, arguments and results; all keys of an inbox share a hash tag.

mod ahead;
mod cold;
mod content;
mod cursor;
mod error;
mod inbox;
mod inboxes;
mod keys;
mod live;
mod presence;
mod profiles;
mod reader;
mod reading;
mod reply;
mod suppressions;
mod timeline;
mod types;
mod view;
mod writing;

pub use ahead::{Ahead, Done, ItemAhead};
pub use cold::{ColdFuture, ColdStore};
pub use cursor::{BadCursor, Cursor, Position};
pub use error::InboxError;
pub use inbox::Inbox;
pub use inboxes::{InboxPage, Inboxes, PagePlace};
pub use live::{LiveEvent, LiveFeed, LiveMessage};
pub use presence::{Presence, Presences};
pub use profiles::{HotProfile, Profiles};
pub use reader::{Reader, Stay, Treated, is_current};
pub use suppressions::{Asked, Suppressions, Word};
pub use timeline::{EntryEdit, RETENTION, Timeline, TimelineChanges};
pub use types::{
    Change, Changes, Filter, FoundItem, Hot, HotChanges, HotItem, HotMarked, HotOverview, Marked, NewItem, Overview, Page,
    Recalled, UnreadItem, WarmState, Written,
};
pub use view::{Applied, TimelineView, Timelines};
