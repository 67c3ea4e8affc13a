//! Connections against a client that is known to be right, and against one that misbehaves.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, extract::Request, response::Response, routing::get};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use stentor_socket::{Closed, Frame, Full, Handshake, Incoming, Options, Rate, Socket, Violation};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        ClientRequestBuilder, Message,
        protocol::frame::{
            Frame as ClientFrame,
            coding::{Data, OpCode},
        },
    },
};

const PATIENCE: Duration = Duration::from_secs(20);

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A server on a free port, and the sockets that are opened to it.
async fn server(options: Options) -> (String, mpsc::UnboundedReceiver<Socket>) {
    let (tx, rx) = mpsc::unbounded_channel();
    let upgrade = move |mut request: Request| {
        let tx = tx.clone();
        async move {
            let (handshake, upgrading) = match Handshake::begin(&mut request, &["stentor.v1"]) {
                Ok(begun) => begun,
                Err(error) => {
                    return Response::builder().status(error.status()).body(axum::body::Body::from(error.to_string())).unwrap();
                }
            };
            tokio::spawn(async move { tx.send(upgrading.socket(options).await.unwrap()).ok() });
            handshake.response()
        }
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(upgrade))).await });
    (address, rx)
}

async fn pair(options: Options) -> (Client, Socket) {
    let (address, mut sockets) = server(options).await;
    let request = ClientRequestBuilder::new(format!("ws://{address}/").parse().unwrap()).with_sub_protocol("stentor.v1");
    let (client, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "stentor.v1");
    (client, sockets.recv().await.unwrap())
}

#[tokio::test]
async fn what_opens_no_websocket_is_refused_with_its_status() {
    let (address, _sockets) = server(Options::default()).await;
    let right = [
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let ask = async |wrong: &str, value: &str| {
        let mut request = format!("GET / HTTP/1.1\r\nHost: {address}\r\n");
        for (name, right) in right {
            request = format!("{request}{name}: {}\r\n", if name == wrong { value } else { right });
        }
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; 512];
        let read = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    };
    let answer = ask("", "").await.to_lowercase();
    assert!(answer.starts_with("http/1.1 101") && answer.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
    for (wrong, value, status) in [
        ("Connection", "keep-alive", 400),
        ("Upgrade", "h2c", 400),
        ("Sec-WebSocket-Version", "8", 426),
        ("Sec-WebSocket-Key", "c2hvcnQ=", 400),
    ] {
        let answer = ask(wrong, value).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{wrong}: {answer}");
    }
}

#[tokio::test]
async fn messages_go_both_ways_also_when_reading_is_cancelled_again_and_again() {
    let (mut client, mut socket) = pair(Options::default()).await;
    let sender = socket.sender();
    let talk = tokio::spawn(async move {
        for n in 0..200 {
            client.send(Message::text(format!("{n}:{}", "ü".repeat(n * 20)))).await.unwrap();
            if n % 10 == 0 {
                client.send(Message::Ping(Bytes::from_static(b"?"))).await.unwrap();
            }
            let text = loop {
                match timeout(PATIENCE, client.next()).await.unwrap().unwrap().unwrap() {
                    Message::Text(text) => break text,
                    other => assert_eq!(other, Message::Pong(Bytes::from_static(b"?"))),
                }
            };
            assert_eq!(text.as_str(), format!("{n} heard"));
        }
        client.close(None).await.unwrap();
        while let Some(Ok(_)) = client.next().await {}
    });
    let mut expected = 0;
    loop {
        let incoming = loop {
            tokio::select! {
                biased;
                () = tokio::task::yield_now() => {}
                incoming = socket.recv() => break incoming,
            }
        };
        match incoming {
            Ok(Incoming::Text(text)) => {
                assert!(text.starts_with(&format!("{expected}:")));
                sender.send(Frame::shared_text(Bytes::from(expected.to_string()), b" heard")).unwrap();
                expected += 1;
            }
            Ok(Incoming::Alive) => {}
            Ok(Incoming::Binary(_)) => panic!("nobody sent it"),
            Err(closed) => {
                assert!(matches!(closed, Closed::ByPeer { .. }), "{closed:?}");
                break;
            }
        }
    }
    assert_eq!(expected, 200);
    talk.await.unwrap();
}

#[tokio::test]
async fn one_who_does_not_read_is_noticed_soon_and_no_frame_of_theirs_is_cut() {
    let (mut client, mut socket) = pair(Options::default()).await;
    let sender = socket.sender();
    let shared = Bytes::from("x".repeat(300));
    let mut sent = 0_u64;
    let frame = |n: u64| Frame::shared_text(shared.clone(), format!(":{n}").as_bytes());
    while sender.send(frame(sent)) != Err(Full) {
        sent += 1;
        assert!(sent < 10_000, "a client that reads nothing takes megabytes");
    }
    assert!(sender.stalled_since().is_some());
    let mut dropped = 0;
    sender.replace_waiting(|parts| {
        dropped = parts.filter(|part| *part == shared).count();
        vec![Frame::text("list again")]
    });
    // It reads after all: whole frames in order, then what was said instead of the rest.
    let reading = tokio::spawn(async move { while socket.recv().await.is_ok() {} });
    let mut heard = 0;
    loop {
        let message = timeout(PATIENCE, client.next()).await.unwrap().unwrap().unwrap();
        if message.to_text().unwrap() == "list again" {
            break;
        }
        assert_eq!(message.to_text().unwrap(), format!("{}:{heard}", "x".repeat(300)));
        heard += 1;
    }
    assert!(heard > 0 && heard < sent, "{heard} of {sent}");
    assert_eq!(heard + dropped as u64, sent, "each was heard, or told to whoever replaced it");
    assert_eq!(sender.stalled_since(), None);
    drop(client);
    reading.await.unwrap();
}

#[tokio::test]
async fn who_waits_for_a_silent_client_is_told_that_the_connection_was_ended() {
    let (mut client, mut socket) = pair(Options::default()).await;
    let sender = socket.sender();
    let waits = tokio::spawn(async move { socket.recv().await });
    tokio::task::yield_now().await; // it waits
    sender.close(4401, "enough");
    let last = timeout(PATIENCE, client.next()).await.expect("in time").unwrap().unwrap();
    assert!(matches!(&last, Message::Close(Some(frame)) if u16::from(frame.code) == 4401), "{last:?}");
    drop(client);
    let ended = timeout(PATIENCE, waits).await.expect("in time").unwrap();
    assert!(matches!(ended, Err(Closed::ByUs)), "{ended:?}");
}

#[tokio::test]
async fn what_waits_is_written_to_its_last_frame_while_nothing_is_read() {
    let (mut client, mut socket) = pair(Options { max_waiting: 16 << 20, ..Options::default() }).await;
    let sender = socket.sender();
    let mut sent = 0;
    while sender.stalled_since().is_none() || sent < 1_000 {
        sender.send(Frame::text("x".repeat(8_192))).unwrap();
        sent += 1;
    }
    sender.close(4401, "enough");
    let read = async {
        let mut read = 0;
        loop {
            match client.next().await.unwrap().unwrap() {
                Message::Close(_) => return read,
                _ => read += 1,
            }
        }
    };
    tokio::select! {
        read = timeout(PATIENCE, read) => assert_eq!(read.expect("in time"), sent),
        error = socket.write_waiting() => panic!("{error}"),
    }
}

#[tokio::test]
async fn of_what_is_written_at_once_the_stream_may_take_a_part() {
    let (mut client, mut socket) = pair(Options { max_waiting: 64 << 20, ..Options::default() }).await;
    let sender = socket.sender();
    let bodies: Vec<Bytes> = (0..2_000).map(|i| format!("{i:0>1000}").into()).collect();
    let mut bytes = Vec::new();
    for body in &bodies {
        Frame::write_text(body, b"end", &mut bytes);
    }
    let frames = || bodies.iter().map(|body| Frame::shared_text(body.clone(), b"end"));
    let mut sent = 0; // 2 MB at once are more than the kernel holds for it, sooner or later
    while sender.stalled_since().is_none() {
        sender.send_all(&bytes, frames).unwrap();
        sent += 1;
    }
    sender.send_all(&bytes, frames).unwrap(); // behind what waits
    let read = async {
        for body in bodies.iter().cycle().take((sent + 1) * bodies.len()) {
            let message = client.next().await.unwrap().unwrap();
            assert_eq!(message.into_data(), [body, &b"end"[..]].concat());
        }
    };
    tokio::select! {
        read = timeout(PATIENCE, read) => read.expect("in time"),
        error = socket.write_waiting() => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_farewell_reaches_one_who_is_still_talking() {
    let (mut client, socket) = pair(Options::default()).await;
    for _ in 0..50 {
        client.send(Message::text("x".repeat(1_000))).await.unwrap(); // which nobody reads
    }
    let closing = tokio::spawn(async move { socket.close(4_410, "nothing was read").await });
    let message = timeout(PATIENCE, client.next()).await.unwrap().unwrap().unwrap();
    let Message::Close(Some(frame)) = message else { panic!("{message:?}") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4_410, "nothing was read"));
    drop(client);
    timeout(PATIENCE, closing).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_too_large_is_refused_from_its_header() {
    let (mut client, mut socket) = pair(Options::default()).await;
    client.send(Message::text("x".repeat(20_000))).await.unwrap();
    assert!(matches!(timeout(PATIENCE, socket.recv()).await.unwrap(), Err(Closed::Violation(_))));
    drop(socket);
    let message = timeout(PATIENCE, client.next()).await.unwrap().unwrap().unwrap();
    let Message::Close(Some(frame)) = message else { panic!("{message:?}") };
    assert_eq!(u16::from(frame.code), 1_009);
}

#[tokio::test]
async fn who_sends_frames_faster_than_may_be_is_closed_with_the_code_of_the_rate() {
    let rate = Rate { at_once: 10, per_second: 1, code: 4_429 };
    let fragment = tungstenite_frame(Data::Continue, false);
    let first = tungstenite_frame(Data::Text, false);
    let kinds: [(&str, Vec<Message>); 3] = [
        ("texts", vec![Message::text("x"); 20]),
        ("pings", vec![Message::Ping(Bytes::new()); 20]),
        ("fragments", std::iter::once(first).chain(vec![fragment; 19]).collect()),
    ];
    for (what, messages) in kinds {
        let (mut client, mut socket) = pair(Options { rate: Some(rate), ..Options::default() }).await;
        for message in messages {
            client.feed(message).await.unwrap();
        }
        client.flush().await.unwrap();
        let reading = tokio::spawn(async move {
            loop {
                if let Some(Ok(Message::Close(frame))) = timeout(PATIENCE, client.next()).await.unwrap() {
                    return u16::from(frame.unwrap().code);
                }
            }
        });
        let mut taken = 0;
        let closed = loop {
            match timeout(PATIENCE, socket.recv()).await.unwrap() {
                Ok(_) => taken += 1,
                Err(closed) => break closed,
            }
        };
        assert!(matches!(closed, Closed::Violation(Violation::TooFast(4_429))), "{what}: {closed}");
        assert_eq!(taken, if what == "fragments" { 0 } else { 10 }, "{what} before that are taken");
        assert_eq!(reading.await.unwrap(), 4_429, "{what}");
    }
}

fn tungstenite_frame(kind: Data, last: bool) -> Message {
    Message::Frame(ClientFrame::message("", OpCode::Data(kind), last))
}

#[tokio::test]
async fn while_many_frames_of_one_are_taken_others_have_their_turn() {
    const FRAMES: usize = 10_000;
    let (mut client, mut socket) = pair(Options::default()).await;
    for _ in 0..FRAMES {
        client.feed(Message::text("x")).await.unwrap();
    }
    let sending = tokio::spawn(async move {
        client.flush().await.unwrap();
        client
    });
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = turns.clone();
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let (mut before, mut longest) = (0, 0);
    let mut at = 0;
    for taken in 1..=FRAMES {
        timeout(PATIENCE, socket.recv()).await.unwrap().unwrap();
        let now = turns.load(Relaxed);
        if now != before {
            (before, at) = (now, taken);
        }
        longest = longest.max(taken - at);
    }
    other.abort();
    drop(sending.await.unwrap());
    assert!(longest <= 128, "{longest} frames were taken in one go"); // tokio's budget for a turn
}
