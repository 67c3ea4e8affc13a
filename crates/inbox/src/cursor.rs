//! How far a client is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in the life of an inbox's own part, or of a timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which life: another one, and a greater, after it was lost and rebuilt, or came back and may lack its latest changes.
    pub epoch: u64,
    /// Everything up to this revision is known.
    pub rev: u64,
}

/// A point in the life of an inbox, which is a person's own part and their app's timeline. As text it is opaque: clients keep
/// it and give it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// In the person's own part.
    pub own: Position,
    /// In the timeline.
    pub timeline: Position,
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that this server gave")]
pub struct BadCursor;

impl Cursor {
    /// The most bytes of its text.
    pub const TEXT: usize = 4 * 17;

    /// Writes its text (ASCII) so that it ends before `end`, which is [`TEXT`](Self::TEXT) at least; gives where it begins.
    pub fn write_before(&self, end: usize, text: &mut [u8]) -> usize {
        let (Self { own, timeline }, mut at) = (self, end);
        // By hand: this is done for every frame, and in a broadcast `{:x}` took a measurable part of the time.
        for (part, before) in [(timeline.rev, b'-'), (timeline.epoch, b'-'), (own.rev, b'-'), (own.epoch, b'c')] {
            let mut left = part;
            loop {
                at -= 1;
                text[at] = b"0123456789abcdef"[(left & 15) as usize];
                left >>= 4;
                if left == 0 {
                    break;
                }
            }
            at -= 1;
            text[at] = before;
        }
        at
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::TEXT];
        let at = self.write_before(Self::TEXT, &mut text);
        f.write_str(str::from_utf8(&text[at..]).unwrap_or_default())
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let mut parts = text.strip_prefix('c').ok_or(BadCursor)?.split('-').map(|t| u64::from_str_radix(t, 16));
        let mut part = || parts.next().and_then(Result::ok).ok_or(BadCursor);
        let (own, timeline) = (Position { epoch: part()?, rev: part()? }, Position { epoch: part()?, rev: part()? });
        if parts.next().is_some() { Err(BadCursor) } else { Ok(Self { own, timeline }) }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_text_leads_back_to_it() {
        for (own, timeline) in [((0, 0), (0, 0)), ((1, 0xab), (0x1f0, 10)), ((u64::MAX, u64::MAX), (u64::MAX, u64::MAX))] {
            let position = |(epoch, rev)| Position { epoch, rev };
            let cursor = Cursor { own: position(own), timeline: position(timeline) };
            let expected = format!("c{:x}-{:x}-{:x}-{:x}", own.0, own.1, timeline.0, timeline.1);
            assert_eq!(cursor.to_string(), expected);
            assert_eq!(expected.parse(), Ok(cursor));
        }
    }
}
