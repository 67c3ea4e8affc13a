//! One connection to an inbox, whatever carries it: what it missed, and then whatever happens.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use stentor_inbox::{Cursor, TimelineView};
use tokio::time::timeout;

use super::{
    frame::ServerFrame,
    hub::{Membership, TooMany},
    outlet::Stream,
    progress::Progress,
    shard::{Arriving, Attach},
    told::Told,
};
use crate::{auth::Person, problem::ApiError, state::ApiState};

/// How long a subscription may take.
const JOIN_WITHIN: Duration = Duration::from_secs(5);
/// The most changes that are told one by one.
pub(crate) const MAX_CATCH_UP: usize = 300;
/// Items on the first page.
pub(crate) const FIRST_PAGE: usize = 20;
/// Over how long clients come back after a restart, or after an outage that all noticed at once.
const RECONNECT_OVER_MS: u64 = 10_000;

/// A connection that is welcomed, once it is handed over.
pub(crate) struct Session {
    pub welcome: ServerFrame,
    membership: Membership,
    progress: Progress,
    view: Arc<TimelineView>,
    token_end: Instant,
}

/// Why there is no session.
pub(crate) enum Refused {
    /// The person has too many connections.
    TooMany,
    /// Redis or SQL does not answer: the client is to come back.
    Unavailable(ApiError),
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Unavailable(error)
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooMany => {
                let status = axum::http::StatusCode::TOO_MANY_REQUESTS;
                Self::new(status, "too_many_connections", "this person has too many connections; close some")
            }
            Refused::Unavailable(error) => error,
        }
    }
}

impl Session {
    /// Joins the live feed, then reads what the client missed since `cursor`, or the first page: nothing lies between the two.
    pub(crate) async fn open(state: &ApiState, person: &Person, cursor: Option<Cursor>) -> Result<Self, Refused> {
        // Without Redis a subscription waits for it; the client is better told to come back.
        let membership = match timeout(JOIN_WITHIN, state.hub.join(&person.app, &person.recipient)).await {
            Ok(Ok(Ok(membership))) => membership,
            Ok(Ok(Err(TooMany))) => return Err(Refused::TooMany),
            Ok(Err(error)) => return Err(ApiError::from(error).into()),
            Err(late) => return Err(ApiError::unavailable("the live feed (Redis)", late).into()),
        };
        let (welcome, progress) = welcome(state, person, cursor).await?;
        let view = state.inboxes.timelines().known(&person.app);
        Ok(Self { welcome, membership, progress, view, token_end: token_end(state, person) })
    }

    /// Hands the connection over: what happens from the snapshot on goes to `line`. Of a stream the membership is to be kept.
    pub(crate) async fn attach(self, line: Arriving) -> Membership {
        let Self { welcome, mut membership, progress, view, token_end } = self;
        let leaves_by_itself = matches!(line, Arriving::Socket(_));
        let welcome = Told::whole(&welcome);
        membership.attach(|place| Attach { place, line, welcome, progress, view, token_end }, leaves_by_itself).await;
        membership
    }

    /// Hands the connection over to a stream, whose first frame is `welcome`.
    pub(crate) async fn stream(self) -> (Membership, Stream) {
        let stream = Stream::default();
        (self.attach(Arriving::Stream(stream.clone())).await, stream)
    }
}

/// When a person's token runs out.
pub(crate) fn token_end(state: &ApiState, person: &Person) -> Instant {
    Instant::now() + person.expires_at.since(state.now())
}

/// Told when the process ends: clients come back spread over a while.
pub(crate) fn bye(reason: &str) -> ServerFrame {
    let reconnect_after_ms = rand::Rng::random_range(&mut rand::rng(), 0..RECONNECT_OVER_MS);
    ServerFrame::Bye { reason: reason.to_owned(), reconnect_after_ms }
}

/// What the client missed, or the first page.
async fn welcome(state: &ApiState, person: &Person, cursor: Option<Cursor>) -> Result<(ServerFrame, Progress), ApiError> {
    let (app, recipient, now) = (&person.app, &person.recipient, state.now());
    if let Some(cursor) = cursor {
        let changes = state.inboxes.changes_since(app, recipient, &cursor, MAX_CATCH_UP, now).await?;
        if changes.recovered {
            let progress = Progress::new(changes.cursor, changes.own, changes.unread, now);
            let (unread, cursor, items) = (changes.unread, changes.cursor, changes.items);
            let (recipient, removed) = (recipient.clone(), changes.removed);
            let frame = ServerFrame::Welcome { recipient, unread, cursor, recovered: true, items, removed, next: None };
            return Ok((frame, progress));
        }
    }
    state.warm_profile(app, recipient);
    let (own, view) = state.inboxes.look(app, recipient, now).await?;
    let page = state.inboxes.page(app, recipient, None, FIRST_PAGE, now).await?;
    state.note_delivered(person, page.own());
    let unread = own.unread + view.unread(&own.reader, now);
    let progress = Progress::new(Cursor { own: own.position, timeline: view.position() }, own, unread, now);
    let frame = ServerFrame::Welcome {
        recipient: recipient.clone(),
        unread,
        cursor: progress.cursor(),
        recovered: false,
        items: page.items.into_iter().map(|i| i.item).collect(),
        removed: Vec::new(),
        next: page.next.map(|place| place.to_string()),
    };
    Ok((frame, progress))
}
