//! The least that could do the work: `POST /all` sends its body to every socket, `POST /one/{i}` to one; bare axum by a PUBLISH, as
//! whoever has more than one process must. The raw loop has `POST /all/{times}` instead: so many frames in one `send()`, which nobody who
//! writes to sockets undercuts. `DELETE /all` forgets those who have left.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Request, State, WebSocketUpgrade, ws},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSub};
use stentor_socket::Handshake;
use tokio::sync::mpsc;

/// The floor of that kind, which publishes in the Redis at `url`.
pub(crate) async fn router(kind: &str, url: Option<&str>) -> Router {
    if kind == "raw" {
        return Router::new()
            .route("/ws/{i}", get(raw_socket))
            .route("/all", axum::routing::delete(raw_forget))
            .route("/all/{times}", post(raw_all))
            .route("/one/{i}", post(raw_one))
            .with_state(Arc::<Mutex<Vec<Option<std::net::TcpStream>>>>::default());
    }
    let client = redis::Client::open(url.expect("a Redis")).expect("an address");
    let publisher = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let mut heard = client.get_async_pubsub().await.expect("Redis answers");
    heard.subscribe(CHANNEL).await.expect("it is heard");
    let tasks = Tasks::default();
    tokio::spawn(axum_forward(heard, tasks.clone()));
    Router::new()
        .route("/ws/{i}", get(axum_socket))
        .route("/all", post(axum_all).delete(axum_forget))
        .route("/one/{i}", post(axum_one))
        .with_state(Axum { tasks, publisher })
}

/// Where bare axum publishes.
const CHANNEL: &str = "floor";

/// Socket `i`, where `POST /one/{i}` finds it.
fn put<T>(all: &Mutex<Vec<Option<T>>>, i: usize, one: T) {
    let mut all = all.lock().expect("no panic");
    let room = all.len().max(i + 1);
    all.resize_with(room, || None);
    all[i] = Some(one);
}

type Raw = Arc<Mutex<Vec<Option<std::net::TcpStream>>>>;

async fn raw_socket(State(all): State<Raw>, Path(i): Path<usize>, mut request: Request) -> Response {
    let (handshake, upgrading) = Handshake::begin(&mut request, &["stentor.v1"]).expect("a WebSocket");
    tokio::spawn(async move {
        let stream = upgrading.stream().await.expect("an upgrade").0.into_std().expect("a stream");
        let _ = stream.set_nodelay(true);
        put(&all, i, stream);
    });
    handshake.response()
}

fn prepared(body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&u16::try_from(body.len()).expect("a short frame").to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

async fn raw_all(State(all): State<Raw>, Path(times): Path<usize>, body: Bytes) {
    use std::io::Write;
    let frames = prepared(&body).repeat(times);
    for mut stream in all.lock().expect("no panic").iter().flatten() {
        let _ = stream.write(&frames); // one send()
    }
}

async fn raw_forget(State(all): State<Raw>) {
    all.lock().expect("no panic").clear();
}

async fn raw_one(State(all): State<Raw>, Path(i): Path<usize>, body: Bytes) -> StatusCode {
    use std::io::Write;
    let frame = prepared(&body);
    let all = all.lock().expect("no panic");
    let _ = all[i].as_ref().expect("a socket").write(&frame);
    StatusCode::ACCEPTED
}

type Tasks = Arc<Mutex<Vec<Option<mpsc::UnboundedSender<ws::Message>>>>>;

#[derive(Clone)]
struct Axum {
    tasks: Tasks,
    publisher: MultiplexedConnection,
}

async fn axum_socket(State(Axum { tasks: all, .. }): State<Axum>, Path(i): Path<usize>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.protocols(["stentor.v1"]).read_buffer_size(4_096).write_buffer_size(0);
    upgrade.on_upgrade(async move |mut socket| {
        let (tx, mut rx) = mpsc::unbounded_channel();
        put(&all, i, tx);
        loop {
            tokio::select! {
                Some(message) = rx.recv() => if socket.send(message).await.is_err() { return },
                received = socket.recv() => if !matches!(received, Some(Ok(_))) { return },
            }
        }
    })
}

fn text(body: &Bytes) -> ws::Message {
    ws::Message::Text(ws::Utf8Bytes::try_from(body.clone()).expect("a text"))
}

async fn axum_all(State(axum): State<Axum>, body: Bytes) {
    let message = text(&body);
    for tx in axum.tasks.lock().expect("no panic").iter().flatten() {
        let _ = tx.send(message.clone());
    }
}

async fn axum_forget(State(axum): State<Axum>) {
    axum.tasks.lock().expect("no panic").clear();
}

async fn axum_one(State(mut axum): State<Axum>, Path(i): Path<u64>, body: Bytes) -> StatusCode {
    let message = [&i.to_be_bytes()[..], &body].concat();
    let heard: redis::RedisResult<u8> = redis::cmd("PUBLISH").arg(CHANNEL).arg(message).query_async(&mut axum.publisher).await;
    if heard.is_ok() { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn axum_forward(heard: PubSub, tasks: Tasks) {
    let mut heard = heard.into_on_message();
    while let Some(message) = heard.next().await {
        let message = Bytes::copy_from_slice(message.get_payload_bytes());
        let i = u64::from_be_bytes(message[..8].try_into().expect("a number"));
        let all = tasks.lock().expect("no panic");
        let _ = all[i as usize].as_ref().expect("a socket").send(text(&message.slice(8..)));
    }
}
