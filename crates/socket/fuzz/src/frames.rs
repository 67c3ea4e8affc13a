//! Whatever bytes a client sends, in pieces of whatever size: what is told is what tungstenite tells of them, what it refuses
//! is refused, no more is held than the limit, and nothing panics.
#![no_main]

use std::io::{self, Cursor, Read, Write};

use libfuzzer_sys::fuzz_target;
use stentor_socket::fuzzing::{Told, assemble};
use tungstenite::{
    Error, Message,
    error::ProtocolError,
    protocol::{Role, WebSocket, WebSocketConfig},
};

const LIMIT: usize = 512;

/// Gives bytes, and takes whatever is answered.
struct Wire<'a>(Cursor<&'a [u8]>);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite makes of the bytes: data messages up to the first close or error, and whether there was one.
fn expected(bytes: &[u8]) -> (Vec<Told>, bool) {
    let config = WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    let mut socket = WebSocket::from_raw_socket(Wire(Cursor::new(bytes)), Role::Server, Some(config));
    let mut told = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => told.push(Told::Text(text.as_str().to_owned())),
            Ok(Message::Binary(bytes)) => told.push(Told::Binary(bytes.to_vec())),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return (told, false),
            Ok(Message::Close(_)) | Err(_) => return (told, true),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [piece, bytes @ ..] = data else { return };
    let ours = assemble(bytes, usize::from(*piece).max(1), LIMIT);
    assert!(ours.held <= 2 * LIMIT + 14, "{} bytes are held", ours.held); // a message begun, and a frame of it
    let (told, ended) = expected(bytes);
    assert_eq!(ours.told, told);
    // Ours may see it earlier, at a header whose payload has not come.
    assert!(ours.ended || !ended, "tungstenite refuses it");
});
