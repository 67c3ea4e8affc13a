//! One WebSocket: handshake, authentication, frames in both directions, and manners.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use stentor_domain::NotificationId;
use stentor_inbox::{Change, PagePlace};
use stentor_socket::{Frame, Full, Handshake, HandshakeError, Incoming, Options, Sender, Socket};
use tokio::time::{interval, sleep_until, timeout};

use super::{
    frame::{ClientFrame, CloseCode, Command, PROTOCOL, ServerFrame},
    session::{FIRST_PAGE, Refused, Session, bye},
};
use crate::{auth::Person, problem::ApiError, state::ApiState};

/// How long a client may take to send `auth`.
const AUTH_WITHIN: Duration = Duration::from_secs(5);
/// How often a silent client is asked whether it is there; it is gone after two unanswered questions.
const PING_EVERY: Duration = Duration::from_secs(25);
/// How long one may read nothing of what waits before the connection is given up.
const STALLED_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked whether somebody reads nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The most ids in one frame.
const MAX_IDS: usize = 100;

/// `GET /v1/inbox/ws`
pub(crate) async fn upgrade(State(state): State<ApiState>, mut request: Request) -> Result<Response, ApiError> {
    state.manners.admit_origin(request.headers())?;
    let token = token_of(request.headers());
    let (handshake, upgrading) = match Handshake::begin(&mut request, &[PROTOCOL]) {
        Ok(begun) => begun,
        Err(error) => return Ok(no_handshake(error)),
    };
    state.hub.admit()?;
    tokio::spawn(async move {
        let mut socket = match upgrading.socket(Options::default()).await {
            Ok(socket) => socket,
            Err(error) => {
                tracing::debug!(%error, "a connection was not upgraded");
                return;
            }
        };
        if let Err(Closed::With(code, reason)) = serve(&state, &mut socket, token).await {
            socket.close(code as u16, &reason).await;
        }
    });
    Ok(handshake.response())
}

/// A browser cannot set headers of a WebSocket, but it can name subprotocols: `bearer.TOKEN` is one.
fn token_of(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).find_map(|p| p.trim().strip_prefix("bearer.").map(str::to_owned))
}

fn no_handshake(error: HandshakeError) -> Response {
    let mut response = ApiError::new(error.status(), "no_websocket", error.to_string()).into_response();
    if error == HandshakeError::Version {
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

/// How a connection ends.
enum Closed {
    /// The other side went away.
    Gone,
    /// We end it, and say why.
    With(CloseCode, String),
}

type Served<T> = Result<T, Closed>;

async fn serve(state: &ApiState, socket: &mut Socket, token: Option<String>) -> Served<()> {
    let first = timeout(AUTH_WITHIN, receive_frame(socket)).await;
    let no_auth = || Closed::With(CloseCode::NoAuth, "send auth within 5 seconds".into());
    let ClientFrame { command, .. } = first.map_err(|_| no_auth())??.ok_or_else(no_auth)?;
    let Command::Auth { token: given, cursor } = command else { return Err(no_auth()) };
    let person = Box::pin(authenticate(state, given.or(token))).await?;
    let (welcome, session) = Box::pin(Session::open(state, person, cursor)).await.map_err(|refused| match refused {
        Refused::TooMany => Closed::With(CloseCode::TooMany, "too many connections of one person".into()),
        Refused::Unavailable(error) => unavailable(&error),
    })?;
    let sender = socket.sender();
    let mut connection = Connection { session, socket, sender, silent: 0 };
    connection.send_all(&[welcome]);
    connection.run().await
}

async fn authenticate(state: &ApiState, token: Option<String>) -> Served<Person> {
    let refuse = |reason: &str| Closed::With(CloseCode::Token, reason.to_owned());
    let token = token.ok_or_else(|| refuse("no token"))?;
    state.credentials.verify(&token, state.now()).await.map_err(|error| match error.code() {
        "bad_token" => refuse(error.detail()),
        _ => unavailable(&error),
    })
}

/// Redis or SQL does not answer: the client is to come back, spread over a while.
fn unavailable(error: &ApiError) -> Closed {
    error.log();
    Closed::With(CloseCode::Restart, "come back in a moment".into())
}

struct Connection<'a> {
    session: Session,
    socket: &'a mut Socket,
    sender: Sender,
    /// Questions since the client was last heard.
    silent: u32,
}

impl Connection<'_> {
    async fn run(mut self) -> Served<()> {
        let mut pings = interval(PING_EVERY);
        pings.reset(); // the first tick of an interval is at once
        let mut looks = interval(LOOK_EVERY);
        loop {
            let token_end = self.session.token_end();
            tokio::select! {
                frames = self.session.next() => match frames {
                    Ok(Some(frames)) => self.send_all(&frames),
                    Ok(None) => return self.bye(),
                    Err(error) => return Err(unavailable(&error)),
                },
                frame = receive_frame(self.socket) => match frame? {
                    Some(frame) => {
                        self.silent = 0;
                        // In a box, which a silent connection does not carry along.
                        Box::pin(self.answer(frame)).await?;
                    }
                    None => self.silent = 0,
                },
                _ = pings.tick() => self.ping()?,
                _ = looks.tick(), if self.sender.stalled_since().is_some() => self.look()?,
                () = sleep_until(token_end) => {
                    return Err(Closed::With(CloseCode::Token, "the token ran out; come back with another".into()));
                }
            }
        }
    }

    async fn answer(&mut self, ClientFrame { reference, command }: ClientFrame) -> Served<()> {
        let reference = reference.filter(|r| r.len() <= 64);
        let frames = match self.perform(reference.clone(), command).await {
            Ok(frames) => frames,
            Err(error) => {
                error.log();
                vec![ServerFrame::Error { reference, code: error.code().to_owned(), message: error.detail().to_owned() }]
            }
        };
        self.send_all(&frames);
        Ok(())
    }

    async fn perform(&mut self, reference: Option<String>, command: Command) -> Result<Vec<ServerFrame>, ApiError> {
        match command {
            Command::Auth { token, .. } => {
                let token = token.ok_or_else(|| refused("no_token", "auth sent again must carry the new token"))?;
                let renewed = self.session.state.credentials.verify(&token, self.session.state.now()).await?;
                if (&renewed.app, &renewed.recipient) != (&self.session.person.app, &self.session.person.recipient) {
                    return Err(refused("another_person", "the token is another person's; open another connection"));
                }
                self.session.person = renewed;
                Ok(vec![ServerFrame::Ok { reference, expires_at: self.session.person.expires_at }])
            }
            Command::Open { id } => {
                let mut item = self.session.state.item_with_content(&self.session.person, id).await?;
                let marked = self.session.state.mark(&self.session.person, Change::Read, &[id]).await?;
                if let Some(state) = marked.state_of(id) {
                    (item.item.state, item.item.rev) = (state, item.item.rev.max(marked.rev));
                }
                // That it is read now is told to every device, this one among them, by the live message.
                Ok(vec![ServerFrame::Content { reference, item: Box::new(item) }])
            }
            Command::Read { ids } => self.mark(reference, Change::Read, &ids).await,
            Command::Unread { ids } => self.mark(reference, Change::Unread, &ids).await,
            Command::Archive { ids } => self.mark(reference, Change::Archive, &ids).await,
            Command::Unarchive { ids } => self.mark(reference, Change::Unarchive, &ids).await,
            Command::ReadAll { cursor } => {
                let marked = self.session.state.mark_all_read(&self.session.person, cursor.as_ref()).await?;
                Ok(self.session.progress.answer(reference, Change::Read, &marked))
            }
            Command::List { after, limit } => {
                let limit = limit.unwrap_or(FIRST_PAGE);
                if limit == 0 || limit > 100 {
                    return Err(refused("wrong_value", "limit must be 1 to 100"));
                }
                let after = after.map(|a| a.parse::<PagePlace>()).transpose();
                let after = after.map_err(|()| refused("bad_page", "after must be the next of an earlier page"))?;
                let (app, recipient) = (&self.session.person.app, &self.session.person.recipient);
                let page = self.session.state.inboxes.page(app, recipient, after, limit, self.session.state.now()).await?;
                self.session.state.note_delivered(&self.session.person, &page.items);
                let items = page.items.into_iter().map(|i| i.item).collect();
                Ok(vec![ServerFrame::Page { reference, items, next: page.next.map(|place| place.to_string()) }])
            }
            Command::Ping => Ok(vec![ServerFrame::Pong { reference }]),
        }
    }

    async fn mark(
        &mut self,
        reference: Option<String>,
        change: Change,
        ids: &[NotificationId],
    ) -> Result<Vec<ServerFrame>, ApiError> {
        if ids.is_empty() || ids.len() > MAX_IDS {
            return Err(refused("wrong_value", "name 1 to 100 ids"));
        }
        let marked = self.session.state.mark(&self.session.person, change, ids).await?;
        Ok(self.session.progress.answer(reference, change, &marked))
    }

    fn ping(&mut self) -> Served<()> {
        if self.silent >= 2 {
            return Err(Closed::Gone);
        }
        self.silent += 1;
        let _ = self.sender.send(Frame::ping()); // one who does not read is found out otherwise
        Ok(())
    }

    fn look(&self) -> Served<()> {
        match self.sender.stalled_since() {
            Some(since) if since.elapsed() >= STALLED_WITHIN => {
                self.sender.clear_waiting();
                Err(Closed::With(CloseCode::TooSlow, "nothing was read for 10 seconds".into()))
            }
            _ => Ok(()),
        }
    }

    fn bye(&mut self) -> Served<()> {
        self.send_all(&[bye("restart")]);
        Err(Closed::With(CloseCode::Restart, "restart".into()))
    }

    /// Sends frames. To one who reads too slowly, what waits is dropped: the client is told to list again instead.
    fn send_all(&mut self, frames: &[ServerFrame]) {
        let texts: Vec<Frame> = frames.iter().filter_map(encode).collect();
        if let Err(Full) = self.sender.send_all(texts) {
            let progress = &self.session.progress;
            let resync = ServerFrame::Resync { unread: progress.latest_unread(), cursor: *progress.cursor() };
            if let Some(resync) = encode(&resync) {
                self.sender.replace_waiting(resync);
            }
            metrics::counter!("stentor_sockets_too_slow_total").increment(1);
        }
    }
}

fn refused(code: &'static str, message: &str) -> ApiError {
    ApiError::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, code, message)
}

/// The next frame; `None` for what is not one of ours (a sign of life, or text that is no frame, which was answered).
async fn receive_frame(socket: &mut Socket) -> Served<Option<ClientFrame>> {
    let text = match socket.recv().await {
        Ok(Incoming::Text(text)) => text,
        Ok(Incoming::Binary(_) | Incoming::Alive) => return Ok(None),
        Err(closed) => {
            tracing::debug!(%closed, "a connection ended");
            return Err(Closed::Gone);
        }
    };
    match serde_json::from_str(&text) {
        Ok(frame) => Ok(Some(frame)),
        Err(error) => {
            let frame = ServerFrame::Error { reference: None, code: "bad_frame".into(), message: error.to_string() };
            let _ = socket.sender().send_all(encode(&frame));
            Ok(None)
        }
    }
}

fn encode(frame: &ServerFrame) -> Option<Frame> {
    match serde_json::to_vec(frame) {
        Ok(json) => Some(Frame::text(json)),
        Err(error) => {
            tracing::error!(%error, "a frame cannot be written as JSON");
            None
        }
    }
}
