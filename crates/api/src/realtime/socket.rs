//! One WebSocket: handshake, authentication, frames in both directions, and manners.

use std::{cell::RefCell, rc::Rc, time::Duration};

use axum::{
    extract::{self, Request},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use stentor_domain::NotificationId;
use stentor_inbox::{Change, Filter, Marked, PagePlace};
use stentor_socket::{Handshake, HandshakeError, Incoming, Options, Rate, Socket};
use tokio::{runtime::Handle, time::timeout};

use super::{
    frame::{ClientFrame, CloseCode, Command, PROTOCOL, ServerFrame},
    session::{FIRST_PAGE, Refused, Session, token_end},
    shard::{Arriving, Place, State},
    told::Told,
};
use crate::{auth::Person, problem::ApiError, state::ApiState};

/// How long a client may take to send `auth`.
const AUTH_WITHIN: Duration = Duration::from_secs(5);
/// The most ids in one frame.
const MAX_IDS: usize = 100;
/// How many frames a connection may send: more than a person does, also one whose changes of hours without a network come at once.
const FRAMES: Rate = Rate { at_once: 500, per_second: 50, code: CloseCode::TooFast as u16 };

/// `GET /v1/inbox/ws`
pub(crate) async fn upgrade(extract::State(state): extract::State<ApiState>, mut request: Request) -> Result<Response, ApiError> {
    let admitted = state.manners.admit_origin(request.headers());
    let token = token_of(request.headers());
    let (handshake, upgrading) = match Handshake::begin(&mut request, &[PROTOCOL]) {
        Ok(begun) => begun,
        Err(error) => {
            admitted?;
            return Ok(no_handshake(error));
        }
    };
    // A page that is refused is told so over a socket, which is one of those that may begin.
    if let Err(crowd) = state.hub.admit() {
        return Err(admitted.err().unwrap_or(crowd));
    }
    tokio::spawn(async move {
        let mut socket = match upgrading.socket(Options { rate: Some(FRAMES), ..Options::default() }).await {
            Ok(socket) => socket,
            Err(error) => {
                tracing::debug!(%error, "a connection was not upgraded");
                return;
            }
        };
        // A page learns why it is refused from the code of a close alone, never from the status of a handshake.
        let opened = match admitted {
            Ok(()) => open(&state, &mut socket, token).await,
            Err(error) => Err(Closed::With(CloseCode::Forbidden, error.detail().to_owned())),
        };
        match opened {
            Err(Closed::With(code, reason)) => socket.close(code as u16, &reason).await,
            Err(Closed::Gone) => {}
            Ok((session, person)) => match socket.detach() {
                Ok(detached) => drop(session.attach(Arriving::Socket(Box::new((detached, state, person)))).await),
                Err(error) => tracing::debug!(%error, "a connection ended before it was welcomed"),
            },
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

/// Authenticates a connection, and reads what it is welcomed with.
async fn open(state: &ApiState, socket: &mut Socket, token: Option<String>) -> Served<(Session, Person)> {
    let first = timeout(AUTH_WITHIN, receive_frame(socket)).await;
    let no_auth = || Closed::With(CloseCode::NoAuth, "send auth within 5 seconds".into());
    let ClientFrame { command, .. } = first.map_err(|_| no_auth())??.ok_or_else(no_auth)?;
    let Command::Auth { token: given, cursor } = command else { return Err(no_auth()) };
    let person = Box::pin(authenticate(state, given.or(token))).await?;
    let session = Box::pin(Session::open(state, &person, cursor)).await.map_err(|refused| match refused {
        Refused::TooMany => Closed::With(CloseCode::TooMany, "too many connections of one person".into()),
        Refused::Unavailable(error) => unavailable(&error),
    })?;
    Ok((session, person))
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

/// Reads a connection until it ends; what is sent to it, its shard sends.
#[expect(clippy::manual_async_fn, reason = "each connection carries this along, and an async fn holds twice what it is given")]
pub(super) fn serve(
    shard: Rc<RefCell<State>>,
    place: Place,
    mut socket: Socket,
    api: ApiState,
    mut person: Person,
) -> impl Future<Output = ()> {
    async move {
        let main = shard.borrow().main();
        while let Ok(frame) = receive_frame(&mut socket).await {
            shard.borrow_mut().heard(&place, None);
            // In a box, which a silent connection does not carry along.
            if let Some(frame) = frame
                && !Box::pin(answer(&shard, &main, &place, &mut socket, &api, &mut person, frame)).await
            {
                break;
            }
        }
        shard.borrow_mut().leave(&place);
    }
}

/// Does what a frame asks for, in the runtime of the process. False if the connection broke meanwhile.
async fn answer(
    shard: &RefCell<State>,
    main: &Handle,
    place: &Place,
    socket: &mut Socket,
    api: &ApiState,
    person: &mut Person,
    ClientFrame { reference, command }: ClientFrame,
) -> bool {
    let reference = reference.filter(|r| r.len() <= 64);
    if let Command::Ping = command {
        shard.borrow_mut().tell(place, Told::whole(&ServerFrame::Pong { reference }));
        return true;
    }
    shard.borrow_mut().ask(place);
    let work = {
        let (api, person, reference) = (api.clone(), person.clone(), reference.clone());
        main.spawn(async move { perform(&api, &person, reference, command).await })
    };
    let done = tokio::select! {
        done = work => done,
        error = socket.write_waiting() => {
            tracing::debug!(%error, "a connection ended");
            return false;
        }
    };
    let frame = match done {
        Ok(Ok(Done::Frame(frame))) => *frame,
        Ok(Ok(Done::Marked(change, marked))) => {
            shard.borrow_mut().answer(place, reference, change.as_str(), &marked);
            return true;
        }
        Ok(Ok(Done::Renewed(renewed))) => {
            *person = *renewed;
            shard.borrow_mut().heard(place, Some(token_end(api, person)));
            ServerFrame::Ok { reference, expires_at: person.expires_at }
        }
        Ok(Err(error)) => {
            error.log();
            ServerFrame::Error { reference, code: error.code().to_owned(), message: error.detail().to_owned() }
        }
        Err(error) => {
            tracing::error!(%error, "a request of a device failed");
            let (code, message) = ("internal".to_owned(), "this failed; it is in the log".to_owned());
            ServerFrame::Error { reference, code, message }
        }
    };
    shard.borrow_mut().tell(place, Told::whole(&frame));
    true
}

/// What came of a request.
enum Done {
    Frame(Box<ServerFrame>),
    Marked(Change, Marked),
    Renewed(Box<Person>),
}

async fn perform(api: &ApiState, person: &Person, reference: Option<String>, command: Command) -> Result<Done, ApiError> {
    let frame = match command {
        Command::Auth { token, .. } => {
            let token = token.ok_or_else(|| refused("no_token", "auth sent again must carry the new token"))?;
            let renewed = api.credentials.verify(&token, api.now()).await?;
            if (&renewed.app, &renewed.recipient) != (&person.app, &person.recipient) {
                return Err(refused("another_person", "the token is another person's; open another connection"));
            }
            return Ok(Done::Renewed(Box::new(renewed)));
        }
        Command::Open { id } => {
            let mut item = api.item_with_content(person, id).await?;
            let marked = api.mark(person, Change::Read, &[id]).await?;
            if let Some(state) = marked.state_of(id) {
                (item.item.state, item.item.rev) = (state, item.item.rev.max(marked.rev));
            }
            // That it is read now is told to every device, this one among them, by the live message.
            ServerFrame::Content { reference, item: Box::new(item) }
        }
        Command::Read { ids } => return mark(api, person, Change::Read, &ids).await,
        Command::Unread { ids } => return mark(api, person, Change::Unread, &ids).await,
        Command::Archive { ids } => return mark(api, person, Change::Archive, &ids).await,
        Command::Unarchive { ids } => return mark(api, person, Change::Unarchive, &ids).await,
        Command::ReadAll { cursor } => {
            return Ok(Done::Marked(Change::Read, api.mark_all_read(person, cursor.as_ref()).await?));
        }
        Command::List { after, limit, category, archived } => {
            let limit = limit.unwrap_or(FIRST_PAGE);
            if limit == 0 || limit > 100 {
                return Err(refused("wrong_value", "limit must be 1 to 100"));
            }
            let after = after.map(|a| a.parse::<PagePlace>()).transpose();
            let after = after.map_err(|()| refused("bad_page", "after must be the next of an earlier page"))?;
            let filter = Filter::new(archived, category);
            let page = api.inboxes.page_of(&person.app, &person.recipient, &filter, after, limit, api.now()).await?;
            api.note_delivered(person, page.own());
            let items = page.items.into_iter().map(|i| i.item).collect();
            ServerFrame::Page { reference, items, next: page.next.map(|place| place.to_string()) }
        }
        Command::Ping => ServerFrame::Pong { reference },
    };
    Ok(Done::Frame(Box::new(frame)))
}

async fn mark(api: &ApiState, person: &Person, change: Change, ids: &[NotificationId]) -> Result<Done, ApiError> {
    if ids.is_empty() || ids.len() > MAX_IDS {
        return Err(refused("wrong_value", "name 1 to 100 ids"));
    }
    Ok(Done::Marked(change, api.mark(person, change, ids).await?))
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
            let _ = socket.sender().send(Told::whole(&frame).frame());
            Ok(None)
        }
    }
}
