//! One connection to an inbox, whatever carries it: what it missed, and then whatever happens.

use std::{pin::Pin, time::Duration};

use stentor_inbox::Cursor;
use tokio::time::{Instant, timeout};

use super::{
    connection::{Next, Progress},
    frame::ServerFrame,
    hub::{Membership, Pushed, TooMany},
};
use crate::{auth::Person, problem::ApiError, state::ApiState};

/// How long a subscription may take.
const JOIN_WITHIN: Duration = Duration::from_secs(5);
/// The most changes that are told one by one.
const MAX_CATCH_UP: usize = 300;
/// Items on the first page.
pub(crate) const FIRST_PAGE: usize = 20;
/// Over how long clients come back after a restart, or after an outage that all noticed at once.
const RECONNECT_OVER_MS: u64 = 10_000;

/// A connection that was welcomed.
pub(crate) struct Session {
    pub state: ApiState,
    pub person: Person,
    pub progress: Progress,
    membership: Membership,
    /// A catch-up was begun and not finished.
    behind: bool,
    /// Ends when the process wants this connection to end.
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
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
    pub(crate) async fn open(state: &ApiState, person: Person, cursor: Option<Cursor>) -> Result<(ServerFrame, Self), Refused> {
        // Without Redis a subscription waits for it; the client is better told to come back.
        let membership = match timeout(JOIN_WITHIN, state.hub.join(&person.app, &person.recipient)).await {
            Ok(Ok(Ok(membership))) => membership,
            Ok(Ok(Err(TooMany))) => return Err(Refused::TooMany),
            Ok(Err(error)) => return Err(ApiError::from(error).into()),
            Err(late) => return Err(ApiError::unavailable("the live feed (Redis)", late).into()),
        };
        let (welcome, progress) = welcome(state, &person, cursor).await?;
        let hub = state.hub.clone();
        let closed = Box::pin(async move { hub.closed().await });
        Ok((welcome, Self { state: state.clone(), person, progress, membership, behind: false, closed }))
    }

    /// What is to be sent next; `None` once the process wants its connections to end. May be cancelled and called again.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<ServerFrame>>, ApiError> {
        loop {
            let pushed = if self.behind {
                None
            } else {
                tokio::select! {
                    pushed = self.membership.rx.recv() => match pushed {
                        Some(pushed) => Some(pushed),
                        None => return Ok(None),
                    },
                    () = self.membership.behind.wait() => {
                        while self.membership.rx.try_recv().is_ok() {} // the catch-up tells it all
                        None
                    }
                    () = &mut self.closed => return Ok(None),
                }
            };
            let frames = match pushed {
                Some(pushed) => self.take(&pushed).await,
                None => Box::pin(self.catch_up()).await,
            };
            match frames {
                Ok(frames) if frames.is_empty() => {}
                frames => return frames.map(Some),
            }
        }
    }

    async fn take(&mut self, pushed: &Pushed) -> Result<Vec<ServerFrame>, ApiError> {
        match self.progress.take(pushed, self.state.now()) {
            Next::Nothing => Ok(Vec::new()),
            Next::Missing => Box::pin(self.catch_up()).await,
            Next::Send(frame) => Ok(vec![*frame]),
        }
    }

    async fn catch_up(&mut self) -> Result<Vec<ServerFrame>, ApiError> {
        self.behind = true; // also if this is cancelled half-way
        let (app, recipient) = (&self.person.app, &self.person.recipient);
        let changes = self.state.inboxes.changes_since(app, recipient, self.progress.cursor(), MAX_CATCH_UP, self.state.now());
        let changes = changes.await?;
        self.behind = false;
        Ok(self.progress.catch_up(changes))
    }

    /// When the token runs out.
    pub(crate) fn token_end(&self) -> Instant {
        Instant::now() + self.person.expires_at.since(self.state.now())
    }
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
            let progress = Progress::new(changes.cursor, changes.own, changes.unread);
            let (unread, cursor, items) = (changes.unread, changes.cursor, changes.items);
            let (recipient, removed) = (recipient.clone(), changes.removed);
            let frame = ServerFrame::Welcome { recipient, unread, cursor, recovered: true, items, removed, next: None };
            return Ok((frame, progress));
        }
    }
    let (own, view) = state.inboxes.look(app, recipient, now).await?;
    let page = state.inboxes.page(app, recipient, None, FIRST_PAGE, now).await?;
    state.note_delivered(person, &page.items);
    let unread = own.unread + view.unread(&own.reader, now);
    let progress = Progress::new(Cursor { own: own.position, timeline: view.position() }, own, unread);
    let frame = ServerFrame::Welcome {
        recipient: recipient.clone(),
        unread,
        cursor: *progress.cursor(),
        recovered: false,
        items: page.items.into_iter().map(|i| i.item).collect(),
        removed: Vec::new(),
        next: page.next.map(|place| place.to_string()),
    };
    Ok((frame, progress))
}
