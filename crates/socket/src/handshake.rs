//! The opening handshake (RFC 6455 section 4.2), and the stream that it leaves.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use tokio::net::TcpStream;

use crate::{Options, Socket};

/// The request does not open a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It is not a GET over HTTP/1.1 that asks for an upgrade to `websocket`.
    #[error("send a GET over HTTP/1.1 with Connection: Upgrade and Upgrade: websocket")]
    NoUpgrade,
    /// It is of another version of the protocol.
    #[error("only version 13 of the protocol is spoken: send Sec-WebSocket-Version: 13")]
    Version,
    /// Its key is not 16 bytes in base64.
    #[error("Sec-WebSocket-Key must be 16 bytes in base64")]
    Key,
}

impl HandshakeError {
    /// The status with which it is answered; 426 comes with `Sec-WebSocket-Version: 13`.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::NoUpgrade | Self::Key => StatusCode::BAD_REQUEST,
        }
    }
}

/// What is upgraded is not a TCP stream: there is TLS in this process, and its bytes must go through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is not a bare TCP stream")]
pub struct NotTcp;

/// A request that opens a WebSocket.
#[derive(Clone, Debug)]
pub struct Handshake {
    accept: String,
    protocol: Option<HeaderValue>,
}

/// A connection that is being upgraded.
pub struct Upgrading(OnUpgrade);

impl Handshake {
    /// Checks a request and takes its connection. Of the subprotocols that it names, the first of `protocols` is chosen.
    pub fn begin<B>(request: &mut Request<B>, protocols: &[&'static str]) -> Result<(Self, Upgrading), HandshakeError> {
        let headers = request.headers();
        let upgrades = has_token(headers, &header::CONNECTION, "upgrade") && has_token(headers, &header::UPGRADE, "websocket");
        if request.method() != Method::GET || request.version() != Version::HTTP_11 || !upgrades {
            return Err(HandshakeError::NoUpgrade);
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(HandshakeError::Version);
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).ok_or(HandshakeError::Key)?;
        if !is_16_bytes(key) {
            return Err(HandshakeError::Key);
        }
        let protocol = protocols.iter().find(|p| has_token(headers, &header::SEC_WEBSOCKET_PROTOCOL, p));
        let accept = tungstenite::handshake::derive_accept_key(key);
        let handshake = Self { accept, protocol: protocol.map(|p| HeaderValue::from_static(p)) };
        Ok((handshake, Upgrading(hyper::upgrade::on(request))))
    }

    /// The answer: 101, after which the connection is upgraded.
    pub fn response<B: Default>(self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = self.accept.parse() {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(protocol) = self.protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }
}

impl Upgrading {
    /// The socket, once the answer was sent.
    pub async fn socket(self, options: Options) -> Result<Socket, std::io::Error> {
        let (stream, read) = self.stream().await?;
        Socket::new(stream, &read, options)
    }

    /// The bare stream, once the answer was sent, and what was read of it already.
    pub async fn stream(self) -> Result<(TcpStream, Bytes), std::io::Error> {
        let upgraded = self.0.await.map_err(std::io::Error::other)?;
        let parts = downcast::<TokioIo<TcpStream>>(upgraded).map_err(|_| std::io::Error::other(NotTcp))?;
        Ok((parts.io.into_inner(), parts.read_buf))
    }
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// 16 bytes in base64 are 22 letters and two signs of padding.
fn is_16_bytes(key: &[u8]) -> bool {
    let letter = |b: &u8| b.is_ascii_alphanumeric() || *b == b'+' || *b == b'/';
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(letter)
}
