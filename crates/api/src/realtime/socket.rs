//! One WebSocket: handshake, authentication, frames in both directions, and manners.

use std::time::Duration;

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    http::HeaderMap,
    response::Response,
};
use stentor_domain::NotificationId;
use stentor_inbox::{Change, PagePlace};
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
/// The longest that one write may take before the connection is given up.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// The largest frame that a client may send, in bytes.
const MAX_FRAME: usize = 16 * 1024;
/// The most ids in one frame.
const MAX_IDS: usize = 100;

/// `GET /v1/inbox/ws`
pub(crate) async fn upgrade(
    State(state): State<ApiState>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    state.manners.admit_origin(&headers)?;
    state.hub.admit()?;
    let mut protocols = upgrade.requested_protocols().filter_map(|p| p.to_str().ok());
    let token = protocols.find_map(|p| p.strip_prefix("bearer.").map(str::to_owned));
    drop(protocols);
    let response = upgrade
        .protocols([PROTOCOL])
        // axum's default of 128 KiB a socket would be most of what a connection costs
        .read_buffer_size(4_096)
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .on_upgrade(move |socket| async move {
            let mut socket = socket;
            let close = match serve(&state, &mut socket, token).await {
                Ok(()) | Err(Closed::Gone) => return,
                Err(Closed::With(code, reason)) => CloseFrame { code: code as u16, reason: Utf8Bytes::from(reason) },
            };
            let _ = timeout(WRITE_WITHIN, socket.send(Message::Close(Some(close)))).await;
        });
    Ok(response)
}

/// How a connection ends.
enum Closed {
    /// The other side went away.
    Gone,
    /// We end it, and say why.
    With(CloseCode, String),
}

type Served<T> = Result<T, Closed>;

async fn serve(state: &ApiState, socket: &mut WebSocket, token: Option<String>) -> Served<()> {
    let first = timeout(AUTH_WITHIN, receive_frame(socket)).await;
    let no_auth = || Closed::With(CloseCode::NoAuth, "send auth within 5 seconds".into());
    let ClientFrame { command, .. } = first.map_err(|_| no_auth())??.ok_or_else(no_auth)?;
    let Command::Auth { token: given, cursor } = command else { return Err(no_auth()) };
    let person = authenticate(state, given.or(token)).await?;
    let (welcome, session) = Session::open(state, person, cursor).await.map_err(|refused| match refused {
        Refused::TooMany => Closed::With(CloseCode::TooMany, "too many connections of one person".into()),
        Refused::Unavailable(error) => unavailable(&error),
    })?;
    send(socket, &welcome).await?;
    Connection { session, socket, silent: 0 }.run().await
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
    socket: &'a mut WebSocket,
    /// Questions since the client was last heard.
    silent: u32,
}

impl Connection<'_> {
    async fn run(mut self) -> Served<()> {
        let mut pings = interval(PING_EVERY);
        pings.reset(); // the first tick of an interval is at once
        loop {
            let token_end = self.session.token_end();
            tokio::select! {
                frames = self.session.next() => match frames {
                    Ok(Some(frames)) => self.send_all(&frames).await?,
                    Ok(None) => return self.bye().await,
                    Err(error) => return Err(unavailable(&error)),
                },
                frame = receive_frame(self.socket) => match frame? {
                    Some(frame) => {
                        self.silent = 0;
                        self.answer(frame).await?;
                    }
                    None => self.silent = 0,
                },
                _ = pings.tick() => self.ping().await?,
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
        self.send_all(&frames).await
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

    async fn ping(&mut self) -> Served<()> {
        if self.silent >= 2 {
            return Err(Closed::Gone);
        }
        self.silent += 1;
        write(self.socket, Message::Ping(axum::body::Bytes::new())).await
    }

    async fn bye(&mut self) -> Served<()> {
        self.send_all(&[bye("restart")]).await?;
        Err(Closed::With(CloseCode::Restart, "restart".into()))
    }

    async fn send_all(&mut self, frames: &[ServerFrame]) -> Served<()> {
        for frame in frames {
            send(self.socket, frame).await?;
        }
        Ok(())
    }
}

fn refused(code: &'static str, message: &str) -> ApiError {
    ApiError::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, code, message)
}

/// The next frame; `None` for what is not one of ours (a pong, or text that is no frame, which was answered).
async fn receive_frame(socket: &mut WebSocket) -> Served<Option<ClientFrame>> {
    let text = match socket.recv().await {
        None | Some(Ok(Message::Close(_))) => return Err(Closed::Gone),
        Some(Err(error)) => {
            let too_large = error.to_string().contains("too long");
            return Err(if too_large {
                Closed::With(CloseCode::TooLarge, "a frame is at most 16 KiB".into())
            } else {
                Closed::Gone
            });
        }
        Some(Ok(Message::Text(text))) => text,
        Some(Ok(_)) => return Ok(None),
    };
    match serde_json::from_str(&text) {
        Ok(frame) => Ok(Some(frame)),
        Err(error) => {
            let frame = ServerFrame::Error { reference: None, code: "bad_frame".into(), message: error.to_string() };
            send(socket, &frame).await?;
            Ok(None)
        }
    }
}

async fn send(socket: &mut WebSocket, frame: &ServerFrame) -> Served<()> {
    match serde_json::to_string(frame) {
        Ok(text) => write(socket, Message::Text(text.into())).await,
        Err(error) => {
            tracing::error!(%error, "a frame cannot be written as JSON");
            Ok(())
        }
    }
}

async fn write(socket: &mut WebSocket, message: Message) -> Served<()> {
    match timeout(WRITE_WITHIN, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Closed::Gone),
    }
}
