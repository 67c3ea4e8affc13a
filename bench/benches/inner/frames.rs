//! WebSocket frames on a connection over loopback: read from a client, and written to it.
//!
//! What both sides have to do for it (the client's own calls, the runtime) is in each of the figures, ours and the others'.

use std::hint::black_box;

use axum::{Router, extract::Request, routing::get};
use bytes::Bytes;
use futures_util::{StreamExt, future::join};
use stentor_socket::{Frame, Handshake, Incoming, Options, Socket};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::mpsc,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use crate::beside::Bench;

/// How many frames are read in a row.
const FRAMES: usize = 1_000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// What a client sends most often.
const READ: &[u8] = br#"{"type":"read","ref":"17","ids":["019ab3c2-7d5e-7a10-8f00-0123456789ab"]}"#;

pub(crate) fn measure(bench: &mut Bench) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    read(bench, &runtime);
    write(bench, &runtime);
}

fn read(bench: &mut Bench, runtime: &Runtime) {
    let sent: Vec<u8> = std::iter::repeat_with(masked).take(FRAMES).flatten().collect();
    let (mut client, mut socket) = runtime.block_on(upgraded());
    let (mut other_client, stream) = runtime.block_on(streams());
    let mut tungstenite = runtime.block_on(WebSocketStream::from_raw_socket(stream, Role::Server, None));
    let (mut bare_client, mut bare) = runtime.block_on(streams());
    let mut buffer = vec![0; sent.len()];
    bench
        .work("read 1000 frames", || {
            runtime.block_on(join(client.write_all(&sent), async {
                for _ in 0..FRAMES {
                    let Ok(Incoming::Text(text)) = socket.recv().await else { panic!("a text") };
                    black_box(text);
                }
            }))
        })
        .beside("tungstenite", || {
            runtime.block_on(join(other_client.write_all(&sent), async {
                for _ in 0..FRAMES {
                    let text = tungstenite.next().await.expect("a message").expect("a frame").into_text().expect("a text");
                    black_box(text);
                }
            }))
        })
        .beside("bytes read and unmasked", || {
            runtime.block_on(join(bare_client.write_all(&sent), bare.read_exact(&mut buffer))).1.expect("it is sent");
            for frame in buffer.chunks_exact_mut(6 + READ.len()) {
                frame[6..].iter_mut().zip(MASK.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
                black_box(frame);
            }
        });
}

fn write(bench: &mut Bench, runtime: &Runtime) {
    let (body, end) = (Bytes::from(vec![b'x'; 520]), [b'y'; 60]);
    let (mut client, socket) = runtime.block_on(upgraded());
    let (mut bare_client, bare) = runtime.block_on(streams());
    runtime.block_on(bare.writable()).expect("a connection"); // tokio knows of room only once it was asked
    let sender = socket.sender();
    let whole = vec![b'x'; Frame::shared_text(body.clone(), &end).len()];
    let (mut read, mut bare_read) = (whole.clone(), whole.clone());
    let mut written = Vec::new();
    bench
        .work("write a frame", || {
            written.clear();
            Frame::write_text(&body, black_box(&end), &mut written);
            sender.send_all(&written, || [Frame::shared_text(body.clone(), &end)]).expect("there is room");
            runtime.block_on(client.read_exact(&mut read)).expect("it was sent")
        })
        .beside("bytes written", || {
            assert_eq!(bare.try_write(black_box(&whole)).expect("there is room"), whole.len());
            runtime.block_on(bare_client.read_exact(&mut bare_read)).expect("it was sent")
        });
}

/// The frame of a client.
fn masked() -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(READ.len()).expect("a short frame")];
    frame.extend(MASK);
    frame.extend(READ.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The two ends of a connection.
async fn streams() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
    let (server, _) = listener.accept().await.expect("a connection");
    server.set_nodelay(true).expect("a socket");
    (client, server)
}

/// The client's end of a WebSocket after the handshake, and ours.
async fn upgraded() -> (TcpStream, Socket) {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let upgrade = move |mut request: Request| {
        let tx = tx.clone();
        async move {
            let (handshake, upgrading) = Handshake::begin(&mut request, &[]).expect("a handshake");
            tokio::spawn(async move { tx.send(upgrading.socket(Options::default()).await.expect("a socket")) });
            handshake.response::<axum::body::Body>()
        }
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(upgrade))).await });
    let mut client = TcpStream::connect(address).await.expect("a connection");
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(request.as_bytes()).await.expect("a connection");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(client.read_u8().await.expect("an answer"));
    }
    (client, rx.recv().await.expect("a socket"))
}
