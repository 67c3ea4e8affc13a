//! A device: a WebSocket client that speaks `stentor.v1`.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{ClientRequestBuilder, Message, http::Uri},
};

use super::PATIENCE;

pub struct Device {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub unread: u64,
    pub cursor: Value,
}

impl Device {
    /// Connects without authenticating.
    pub async fn connect(api_url: &str) -> Self {
        Self::ask(request(api_url)).await
    }

    /// The same, as a browser does for a page of this origin.
    pub async fn connect_from(origin: &str, api_url: &str) -> Self {
        Self::ask(request(api_url).with_header("origin", origin)).await
    }

    async fn ask(request: ClientRequestBuilder) -> Self {
        let (socket, response) = connect_async(request).await.expect("the socket opens");
        assert_eq!(response.headers()["sec-websocket-protocol"], "stentor.v1");
        Self { socket, unread: 0, cursor: Value::Null }
    }

    /// Connects, authenticates, and gives the `welcome`.
    pub async fn open(api_url: &str, token: &str, cursor: Option<&Value>) -> (Self, Value) {
        let mut device = Self::connect(api_url).await;
        let mut auth = json!({"type": "auth", "token": token});
        if let Some(cursor) = cursor {
            auth["cursor"] = cursor.clone();
        }
        device.send(&auth).await;
        let welcome = device.next("welcome").await;
        (device, welcome)
    }

    pub async fn send(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).await.expect("the socket takes a frame");
    }

    /// The next frame, which must be of this type.
    pub async fn next(&mut self, kind: &str) -> Value {
        let frame = self.frame().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// The next frame of this type; those before it are passed over.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    pub async fn frame(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("a frame in time").expect("the socket is open");
            match message.expect("a whole frame") {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    if let Some(unread) = frame["unread"].as_u64() {
                        self.unread = unread;
                    }
                    if frame["cursor"].is_string() {
                        self.cursor = frame["cursor"].clone();
                    }
                    return frame;
                }
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The next frame; `None` once the connection has ended.
    pub async fn try_frame(&mut self) -> Option<Value> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("a frame or the end in time") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The close code with which the server ends the connection.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("an end in time") {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    }
}

fn request(api_url: &str) -> ClientRequestBuilder {
    let uri: Uri = format!("{}/v1/inbox/ws", api_url.replacen("http", "ws", 1)).parse().expect("a URL");
    ClientRequestBuilder::new(uri).with_sub_protocol("stentor.v1")
}
