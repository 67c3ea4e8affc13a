//! Sends back what it is sent: what the Autobahn cases ask of a server. Prints its address.
#![allow(clippy::print_stdout, reason = "it tells where it listens")]

use axum::{Router, extract::Request, response::Response, routing::get};
use stentor_socket::{Frame, Handshake, Incoming, Options};

async fn upgrade(mut request: Request) -> Response {
    let (handshake, upgrading) = match Handshake::begin(&mut request, &[]) {
        Ok(begun) => begun,
        Err(error) => {
            let mut response = Response::new(error.to_string().into());
            *response.status_mut() = error.status();
            return response;
        }
    };
    tokio::spawn(async move {
        // The cases send up to 16 MiB and read slowly.
        let options = Options { max_message: 64 << 20, max_waiting: 64 << 20, ..Options::default() };
        let Ok(mut socket) = upgrading.socket(options).await else { return };
        let sender = socket.sender();
        while let Ok(incoming) = socket.recv().await {
            let _ = match incoming {
                Incoming::Text(text) => sender.send(Frame::text(text)),
                Incoming::Binary(bytes) => sender.send(Frame::binary(bytes)),
                Incoming::Alive => Ok(()),
            };
        }
    });
    handshake.response()
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/", get(upgrade))).await
}
