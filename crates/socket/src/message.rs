//! From bytes to messages: frames are parsed, unmasked and put together, and what the protocol forbids is refused.
//!
//! Headers are parsed by `tungstenite`, which is well kept and compliant; its buffers are not used.

use std::{io::Cursor, time::Instant};

use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{CloseCode as Code, Control, Data, OpCode},
};

use crate::{frame::CloseCode, pace::Pace};

/// What the other side did that the protocol forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Frames that RFC 6455 does not allow.
    #[error("not a frame that RFC 6455 allows: {0}")]
    Protocol(&'static str),
    /// A text that is not UTF-8.
    #[error("a text that is not UTF-8")]
    NotUtf8,
    /// A message beyond the limit.
    #[error("a message beyond the limit")]
    TooLarge,
    /// More frames than its [`Rate`](crate::Rate) allows, whose code this is.
    #[error("frames faster than they are taken")]
    TooFast(CloseCode),
}

impl Violation {
    /// The code with which the connection is closed for it.
    pub fn code(self) -> CloseCode {
        match self {
            Self::Protocol(_) => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
            Self::TooFast(code) => code,
        }
    }
}

/// A whole message, or a control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<CloseCode>, String),
}

/// Puts messages together. Between two messages it holds nothing.
#[derive(Debug)]
pub(crate) struct Assembler {
    /// Bytes of a frame that is not whole yet.
    rest: Vec<u8>,
    /// The fragments of a message that is not whole yet.
    message: Option<(Data, Vec<u8>)>,
    limit: usize,
    /// How many frames may come, of whatever kind: a fragment is work as well.
    pace: Option<Pace>,
}

impl Assembler {
    pub(crate) fn new(limit: usize, pace: Option<Pace>) -> Self {
        Self { rest: Vec::new(), message: None, limit, pace }
    }

    /// Takes bytes as they come, in pieces of any size, and tells the messages that are whole by them. What came before a
    /// violation is told as well.
    pub(crate) fn take(&mut self, bytes: &mut [u8], told: &mut impl Extend<Message>) -> Result<(), Violation> {
        if self.rest.is_empty() {
            let used = self.frames(bytes, told)?;
            self.rest = bytes[used..].to_vec();
            return Ok(());
        }
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let used = self.frames(&mut all, told)?;
        all.drain(..used);
        if !all.is_empty() {
            self.rest = all;
        }
        Ok(())
    }

    /// Handles the whole frames in `bytes`; tells how many bytes they took.
    fn frames(&mut self, bytes: &mut [u8], told: &mut impl Extend<Message>) -> Result<usize, Violation> {
        let mut used = 0;
        let now = self.pace.is_some().then(Instant::now);
        loop {
            let mut cursor = Cursor::new(&bytes[used..]);
            let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Protocol("a reserved opcode"))?;
            let Some((header, length)) = parsed else { return Ok(used) };
            let head = usize::try_from(cursor.position()).map_err(|_| Violation::TooLarge)?;
            let length = self.check(&header, length)?; // before any of the payload is waited for
            let Some(payload) = bytes.get_mut(used + head..used + head + length) else { return Ok(used) };
            let mask = header.mask.ok_or(Violation::Protocol("a frame without a mask"))?;
            if let (Some(pace), Some(now)) = (&mut self.pace, now) {
                pace.take(now)?;
            }
            unmask(payload, mask);
            told.extend(self.frame(&header, payload)?);
            used += head + length;
        }
    }

    fn check(&self, header: &FrameHeader, length: u64) -> Result<usize, Violation> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::Protocol("a reserved bit"));
        }
        if header.mask.is_none() {
            return Err(Violation::Protocol("a frame without a mask"));
        }
        match (header.opcode, &self.message) {
            (OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)), _) => {
                return Err(Violation::Protocol("a reserved opcode"));
            }
            (OpCode::Control(_), _) if !header.is_final || length > 125 => {
                return Err(Violation::Protocol("a control frame that is fragmented or longer than 125 bytes"));
            }
            (OpCode::Data(Data::Continue), None) => return Err(Violation::Protocol("a continuation of nothing")),
            (OpCode::Data(Data::Text | Data::Binary), Some(_)) => {
                return Err(Violation::Protocol("a new message within another"));
            }
            _ => {}
        }
        let length = usize::try_from(length).map_err(|_| Violation::TooLarge)?;
        let before = match (header.opcode, &self.message) {
            (OpCode::Data(Data::Continue), Some((_, fragments))) => fragments.len(),
            _ => 0,
        };
        if length.saturating_add(before) > self.limit.max(125) { Err(Violation::TooLarge) } else { Ok(length) }
    }

    fn frame(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Message>, Violation> {
        let data = match header.opcode {
            OpCode::Control(Control::Ping) => return Ok(Some(Message::Ping(payload.to_vec()))),
            OpCode::Control(Control::Pong) => return Ok(Some(Message::Pong)),
            OpCode::Control(Control::Close | Control::Reserved(_)) => return close(payload).map(Some),
            OpCode::Data(data) => data,
        };
        let (kind, mut body) = match self.message.take() {
            Some(begun) => begun,
            None if header.is_final => return whole(data, payload.to_vec()).map(Some),
            None => (data, Vec::new()),
        };
        body.extend_from_slice(payload);
        if header.is_final {
            return whole(kind, body).map(Some);
        }
        if kind == Data::Text {
            may_become_utf8(&body)?;
        }
        self.message = Some((kind, body));
        Ok(None)
    }
}

/// Four bytes at a time, which compilers make sixteen and more of.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let (fours, rest) = payload.as_chunks_mut::<4>();
    let key = u32::from_ne_bytes(mask);
    for four in fours {
        *four = (u32::from_ne_bytes(*four) ^ key).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

fn whole(kind: Data, body: Vec<u8>) -> Result<Message, Violation> {
    match kind {
        Data::Text => String::from_utf8(body).map(Message::Text).map_err(|_| Violation::NotUtf8),
        Data::Binary | Data::Continue | Data::Reserved(_) => Ok(Message::Binary(body)),
    }
}

/// Fails early on what no further fragment can make right.
fn may_become_utf8(body: &[u8]) -> Result<(), Violation> {
    match std::str::from_utf8(body) {
        Err(error) if error.error_len().is_some() => Err(Violation::NotUtf8),
        _ => Ok(()),
    }
}

fn close(payload: &[u8]) -> Result<Message, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        let empty = payload.is_empty();
        return if empty { Ok(Message::Close(None, String::new())) } else { Err(Violation::Protocol("half a close code")) };
    };
    let code = u16::from_be_bytes(*code);
    if !Code::from(code).is_allowed() {
        return Err(Violation::Protocol("a close code that may not be sent"));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
    Ok(Message::Close(Some(code), reason.to_owned()))
}

/// What the fuzz target feeds and compares.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use super::{Assembler, Message};

    /// A data message.
    #[derive(Debug, PartialEq, Eq)]
    pub enum Told {
        /// Of text.
        Text(String),
        /// Of bytes.
        Binary(Vec<u8>),
    }

    /// What became of some bytes.
    #[derive(Debug)]
    pub struct Assembled {
        /// The data messages before the end.
        pub told: Vec<Told>,
        /// True if they ended with a close or a violation.
        pub ended: bool,
        /// How much was held at most between two pieces.
        pub held: usize,
    }

    /// Takes `bytes` in pieces of `piece`.
    pub fn assemble(bytes: &[u8], piece: usize, limit: usize) -> Assembled {
        let (mut assembler, mut told, mut held, mut ended) = (Assembler::new(limit, None), Vec::new(), 0, false);
        for piece in bytes.chunks(piece) {
            let taken = assembler.take(&mut piece.to_vec(), &mut told);
            held = held.max(assembler.rest.len() + assembler.message.as_ref().map_or(0, |(_, body)| body.len()));
            if taken.is_err() {
                ended = true;
                break;
            }
        }
        ended |= told.iter().any(|message| matches!(message, Message::Close(..)));
        let data = |message| match message {
            Message::Text(text) => Some(Told::Text(text)),
            Message::Binary(bytes) => Some(Told::Binary(bytes)),
            _ => None,
        };
        let open = told.into_iter().take_while(|message| !matches!(message, Message::Close(..)));
        Assembled { told: open.filter_map(data).collect(), ended, held }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            n @ 0..=125 => bytes.push(0x80 | u8::try_from(n).unwrap()),
            n @ 126..=65_535 => {
                bytes.push(0xFE);
                bytes.extend(u16::try_from(n).unwrap().to_be_bytes());
            }
            n => {
                bytes.push(0xFF);
                bytes.extend((n as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ MASK[i & 3]));
        bytes
    }

    fn told(pieces: &[&[u8]], limit: usize) -> (Vec<Message>, Result<(), Violation>, Assembler) {
        let (mut assembler, mut told) = (Assembler::new(limit, None), Vec::new());
        for piece in pieces {
            if let Err(violation) = assembler.take(&mut piece.to_vec(), &mut told) {
                return (told, Err(violation), assembler);
            }
        }
        (told, Ok(()), assembler)
    }

    fn refused(bytes: &[u8]) -> Option<u16> {
        told(&[bytes], 1_000).1.err().map(Violation::code)
    }

    #[test]
    fn what_the_protocol_forbids_is_refused_with_its_code() {
        let mut unmasked = frame(0x81, b"x");
        unmasked[1] &= 0x7f;
        let cases = [
            (unmasked, 1002, "no mask"),
            (frame(0xC1, b"x"), 1002, "a reserved bit"),
            (frame(0x83, b"x"), 1002, "a reserved opcode"),
            (frame(0x8B, b"x"), 1002, "a reserved control opcode"),
            (frame(0x09, b"x"), 1002, "a fragmented ping"),
            (frame(0x89, &[0; 126]), 1002, "a long ping"),
            (frame(0x80, b"x"), 1002, "a continuation of nothing"),
            ([frame(0x01, b"x"), frame(0x81, b"x")].concat(), 1002, "a message within another"),
            (frame(0x88, &[3]), 1002, "half a close code"),
            (frame(0x88, &1005_u16.to_be_bytes()), 1002, "a close code for nobody to send"),
            (frame(0x88, &[0x03, 0xe8, 0xff]), 1007, "a close reason that is not UTF-8"),
            (frame(0x81, &[0xc3, 0x28]), 1007, "a text that is not UTF-8"),
            (frame(0x01, &[0xff]), 1007, "a fragment that no other makes right"),
            (frame(0x82, &[0; 1_001]), 1009, "a message that is too large"),
            ([frame(0x02, &[0; 900]), frame(0x80, &[0; 101])].concat(), 1009, "fragments that are too large together"),
        ];
        for (bytes, code, what) in cases {
            assert_eq!(refused(&bytes), Some(code), "{what}");
        }
        // too large is told from the header alone
        assert_eq!(refused(&frame(0x82, &vec![0; 70_000])[..14]), Some(1009));
        assert_eq!(refused(&frame(0x01, &[0xe2, 0x82])), None, "the rest of the character may follow");
    }

    #[test]
    fn between_two_messages_nothing_is_held() {
        let bytes = [frame(0x01, b"ab"), frame(0x89, b"?"), frame(0x80, b"c"), frame(0x88, &1000_u16.to_be_bytes())].concat();
        let (told, result, assembler) = told(&[&bytes[..5], &bytes[5..]], 100);
        let close = Message::Close(Some(1000), String::new());
        assert_eq!((told, result), (vec![Message::Ping(b"?".to_vec()), Message::Text("abc".into()), close], Ok(())));
        assert!(assembler.rest.capacity() == 0 && assembler.message.is_none());
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_split_the_messages_are_the_same(
            messages in prop::collection::vec(("\\PC{0,60}", 1..4_usize), 1..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let mut bytes = Vec::new();
            for (text, fragments) in &messages {
                let size = text.len().div_ceil(*fragments).max(1);
                let pieces: Vec<&[u8]> = if text.is_empty() { vec![&[]] } else { text.as_bytes().chunks(size).collect() };
                for (i, piece) in pieces.iter().enumerate() {
                    let last = if i + 1 == pieces.len() { 0x80 } else { 0 };
                    bytes.extend(frame(last | u8::from(i == 0), piece));
                    bytes.extend(frame(0x8A, b"pong"));
                }
            }
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let (told, result, _) = told(&pieces, 1_000);
            prop_assert_eq!(result, Ok(()));
            let texts: Vec<_> = told.into_iter().filter(|m| *m != Message::Pong).collect();
            prop_assert_eq!(texts, messages.into_iter().map(|(text, _)| Message::Text(text)).collect::<Vec<_>>());
        }

        #[test]
        fn whatever_comes_it_neither_panics_nor_holds_more_than_the_limit(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
        ) {
            let limit = 500;
            let mut assembler = Assembler::new(limit, None);
            let whole: Vec<u8> = pieces.concat();
            let mut all = Vec::new();
            let mut result = Ok(());
            for piece in &pieces {
                result = assembler.take(&mut piece.clone(), &mut all);
                prop_assert!(assembler.rest.len() <= limit + 14 + 200);
                prop_assert!(assembler.message.as_ref().is_none_or(|(_, body)| body.len() <= limit));
                if result.is_err() { break; }
            }
            let mut at_once = Vec::new();
            let again = Assembler::new(limit, None).take(&mut whole.clone(), &mut at_once);
            prop_assert_eq!((all, result), (at_once, again));
        }
    }
}
