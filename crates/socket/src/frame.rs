//! Frames as they are written: never masked, never fragmented.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

/// A number that says why a connection ends (RFC 6455 section 7.4; 4000 to 4999 are the application's).
pub type CloseCode = u16;

/// A frame that is ready to be written: a header, a body of its own or one that many share, and a tail of its own.
///
/// Making one from a shared body allocates nothing, as long as the tail is short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    head: SmallVec<[u8; HEAD]>,
    shared: Bytes,
    tail: SmallVec<[u8; TAIL]>,
}

/// The longest header of a frame without a mask.
const HEAD: usize = 10;
/// A tail up to this many bytes lies in the frame itself.
const TAIL: usize = 96;

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
        Self::shared_text(body.into(), &[])
    }

    /// A text message of a body that many share and a tail of its own; together they must be UTF-8.
    pub fn shared_text(shared: Bytes, tail: &[u8]) -> Self {
        Self::new(TEXT, shared, tail)
    }

    /// Writes the text message of a body and a tail as [`shared_text`](Self::shared_text) has it, for who keeps no frame.
    pub fn write_text(body: &[u8], tail: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&header(TEXT, body.len() + tail.len()));
        out.extend_from_slice(body);
        out.extend_from_slice(tail);
    }

    /// A binary message.
    pub fn binary(body: impl Into<Bytes>) -> Self {
        Self::new(BINARY, body.into(), &[])
    }

    /// Asks whether somebody is there.
    pub fn ping() -> Self {
        Self::new(PING, Bytes::new(), &[])
    }

    pub(crate) fn pong(body: &[u8]) -> Self {
        Self::new(PONG, Bytes::copy_from_slice(body), &[])
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
        Self::new(CLOSE, body.freeze(), &[])
    }

    fn new(opcode: u8, shared: Bytes, tail: &[u8]) -> Self {
        Self { head: header(opcode, shared.len() + tail.len()), shared, tail: SmallVec::from_slice(tail) }
    }

    /// All of it, as it is written.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&self.head[..], &self.shared, &self.tail].concat()
    }

    /// Its parts from byte `from` on, to be kept.
    pub(crate) fn parts(&self, from: usize) -> impl Iterator<Item = Bytes> {
        let (head, tail) = (Bytes::copy_from_slice(&self.head), Bytes::copy_from_slice(&self.tail));
        let mut skip = from;
        [head, self.shared.clone(), tail].into_iter().filter_map(move |mut part| {
            let skipped = skip.min(part.len());
            skip -= skipped;
            bytes::Buf::advance(&mut part, skipped);
            (!part.is_empty()).then_some(part)
        })
    }

    /// How many bytes are written.
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.head.len() + self.shared.len() + self.tail.len()
    }
}

fn header(opcode: u8, length: usize) -> SmallVec<[u8; HEAD]> {
    let mut head = SmallVec::new();
    head.push(FINAL | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => head.push(short),
        (_, Ok(medium)) => {
            head.push(126);
            head.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend_from_slice(&(length as u64).to_be_bytes());
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
    fn what_was_written_of_it_is_not_kept() {
        let frame = Frame::shared_text(Bytes::from_static(b"shared"), b"tail");
        let whole = frame.to_bytes();
        for from in 0..=whole.len() {
            assert_eq!(frame.parts(from).collect::<Vec<_>>().concat(), &whole[from..]);
        }
    }

    #[test]
    fn a_text_is_written_as_its_frame_is() {
        for length in [0, 100, 126, 70_000] {
            let (body, mut out) = (vec![b'x'; length], b"before".to_vec());
            Frame::write_text(&body, b"tail", &mut out);
            assert_eq!(out, [&b"before"[..], &Frame::shared_text(body.into(), b"tail").to_bytes()].concat());
        }
    }

    #[test]
    fn a_reason_is_cut_at_a_character() {
        let frame = Frame::close(Some(4_410), &"ü".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
    }
}
