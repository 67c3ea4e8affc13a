//! Frames as they are written: never masked, never fragmented.

use bytes::{BufMut, Bytes, BytesMut};

/// A number that says why a connection ends (RFC 6455 section 7.4; 4000 to 4999 are the application's).
pub type CloseCode = u16;

/// A frame that is ready to be written: a header, a body of its own or one that many share, and a tail of its own.
///
/// Cloning it copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The header, and what stands before the shared body.
    head: Bytes,
    shared: Bytes,
    tail: Bytes,
}

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
/// The last (and only) frame of its message.
const FINAL: u8 = 0x80;

impl Frame {
    /// A text message, which must be UTF-8.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::shared_text(body.into(), Bytes::new())
    }

    /// A text message of a body that many share and a tail of its own; together they must be UTF-8.
    pub fn shared_text(shared: Bytes, tail: Bytes) -> Self {
        let head = header(TEXT, shared.len() + tail.len()).freeze();
        Self { head, shared, tail }
    }

    /// A binary message.
    pub fn binary(body: impl Into<Bytes>) -> Self {
        let shared = body.into();
        Self { head: header(BINARY, shared.len()).freeze(), shared, tail: Bytes::new() }
    }

    /// Asks whether somebody is there.
    pub fn ping() -> Self {
        Self { head: header(PING, 0).freeze(), shared: Bytes::new(), tail: Bytes::new() }
    }

    pub(crate) fn pong(body: &[u8]) -> Self {
        Self::control(PONG, body)
    }

    /// Ends the connection. What is too long for a control frame (123 bytes) is cut off.
    pub(crate) fn close(code: Option<CloseCode>, reason: &str) -> Self {
        let mut body = BytesMut::new();
        if let Some(code) = code {
            body.put_u16(code);
            let mut end = reason.len().min(123);
            while !reason.is_char_boundary(end) {
                end -= 1;
            }
            body.extend_from_slice(&reason.as_bytes()[..end]);
        }
        Self::control(CLOSE, &body)
    }

    fn control(opcode: u8, body: &[u8]) -> Self {
        let mut head = header(opcode, body.len());
        head.extend_from_slice(body);
        Self { head: head.freeze(), shared: Bytes::new(), tail: Bytes::new() }
    }

    /// Its parts, in the order in which they are written.
    pub(crate) fn parts(self) -> [Bytes; 3] {
        [self.head, self.shared, self.tail]
    }

    /// How many bytes are written.
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.head.len() + self.shared.len() + self.tail.len()
    }
}

fn header(opcode: u8, length: usize) -> BytesMut {
    let mut head = BytesMut::with_capacity(10);
    head.put_u8(FINAL | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => head.put_u8(short),
        (_, Ok(medium)) => {
            head.put_u8(126);
            head.put_u16(medium);
        }
        _ => {
            head.put_u8(127);
            head.put_u64(length as u64);
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_takes_as_many_bytes_as_it_needs() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            assert_eq!(Frame::text(vec![b'x'; length]).len(), length + header);
        }
    }

    #[test]
    fn a_reason_is_cut_at_a_character() {
        let frame = Frame::close(Some(4_410), &"ü".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
    }
}
