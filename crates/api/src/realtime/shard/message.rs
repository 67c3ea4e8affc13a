//! What a shard is told, and what it tells.

use std::{collections::HashMap, sync::Arc, time::Instant};

use stentor_domain::{AppId, Entry, RecipientId};
use stentor_inbox::{Changes, LiveMessage, Presence, TimelineView};
use stentor_socket::Detached;
use tokio::sync::oneshot;

use super::super::{outlet::Stream, present::Reads, progress::Progress, told::Told};
use crate::{auth::Person, state::ApiState};

/// Whose connection it is, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub app: AppId,
    pub recipient: RecipientId,
    pub id: u64,
}

/// What a shard is told.
pub(crate) enum Message {
    /// A connection will come. Answered with how many the person has here then; `None`: it may not.
    Join(Place, oneshot::Sender<Option<usize>>),
    /// A connection is here.
    Attach(Box<Attach>),
    /// A connection does not come, or went.
    Leave(Place),
    /// Something happened in an inbox.
    Live(AppId, RecipientId, Arc<LiveMessage>),
    /// Entries of a timeline, and the timeline after them.
    Entries { app: AppId, epoch: u64, entries: Vec<Arc<Entry>>, view: Arc<TimelineView> },
    /// What was told of an app (of all, if `None`) may have gaps.
    Behind(Option<(AppId, Arc<TimelineView>)>),
    /// What was missing was read, or could not be.
    CaughtUp { app: AppId, recipient: RecipientId, who: Reads, changes: Option<Box<Changes>> },
    /// Is the person connected?
    IsHere(AppId, RecipientId, oneshot::Sender<bool>),
    /// Who is connected.
    Count(oneshot::Sender<Census>),
}

/// Who is connected to a shard.
#[derive(Default)]
pub(crate) struct Census {
    pub apps: HashMap<AppId, Presence>,
    /// The people with many connections, and how many.
    pub crowds: HashMap<(AppId, RecipientId), usize>,
}

/// A connection that was welcomed.
pub(crate) struct Attach {
    pub place: Place,
    pub line: Arriving,
    pub welcome: Told,
    pub progress: Progress,
    pub view: Arc<TimelineView>,
    pub token_end: Instant,
}

/// What a connection arrives on.
pub(crate) enum Arriving {
    Socket(Box<(Detached, ApiState, Person)>),
    Stream(Stream),
}
