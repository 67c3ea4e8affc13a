//! Who stays over plain HTTP and neither reads nor sends on is let go, and holds no process up that stops.

use serde_json::json;
use stentor_tests::{Api, Dev, PATIENCE, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

fn address(api: &Api) -> &str {
    api.url.strip_prefix("http://").unwrap()
}

/// A connection whose kernel takes little of what is not read, and that has sent this.
async fn sent(api: &Api, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address(api).parse().unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until this was said.
async fn heard(stream: &mut TcpStream, what: &str) {
    let mut text = String::new();
    while !text.contains(what) {
        let mut bytes = [0; 64];
        let read = timeout(PATIENCE, stream.read(&mut bytes)).await.expect("an answer in time").unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
}

/// Opens a stream of events for `ada` and reads only its beginning; sends her more than the kernel and the gateway hold.
async fn stalled(api: &Api) -> TcpStream {
    let token = api.token("ada").await;
    let request = format!("GET /v1/inbox/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut stream = sent(api, &request).await;
    heard(&mut stream, "event:").await;
    let content = json!({"title": "x".repeat(190), "summary": "s".repeat(480)});
    let one = json!({"audience": {"recipients": ["ada"]}, "channels": ["inbox"], "content": content});
    let mut batches = 0;
    while api.metric("stentor_sockets_too_slow_total").await == 0 {
        assert!(batches < 200, "nobody was found too slow");
        batches += 1;
        api.post("/v1/notifications/batch", &json!({"notifications": vec![one.clone(); 100]})).await;
    }
    stream
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_cut_off() {
    let dev = Dev::start();
    let _stream = stalled(&dev.api).await;
    eventually("it is gone", async || (dev.api.metric("stentor_sockets").await == 0).then_some(())).await;
}

#[tokio::test]
async fn who_neither_reads_nor_sends_on_holds_no_process_up() {
    let mut dev = Dev::start();
    let mut half_a_head = sent(&dev.api, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    heard(&mut half_a_head, "200 OK").await;
    half_a_head.write_all(b"POST /v1/callbacks/sms/x HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let request = "POST /v1/callbacks/sms/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    let mut half_a_body = sent(&dev.api, request).await;
    heard(&mut half_a_body, "100 Continue").await;
    half_a_body.write_all(b"{").await.unwrap();
    let _unread = stalled(&dev.api).await;
    let stopping = tokio::task::spawn_blocking(move || dev.stop());
    // What is in flight has 30 s.
    let ended = timeout(PATIENCE, stopping).await.expect("it ends although they stay");
    assert_eq!(ended.unwrap(), Some(0));
}
