//! A frame on its way to one person: a body that others may share, and what is theirs alone.

use std::time::Duration;

use bytes::Bytes;
use stentor_inbox::Cursor;
use stentor_socket::Frame;

use super::frame::ServerFrame;

/// A frame, encoded but for its end.
///
/// The frames with a count all end with `"unread":N,"cursor":"C"}`. What stands before is the same for many: for all devices
/// of a person, and for all who read a broadcast in one language.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Its `type`.
    pub name: &'static str,
    /// The revision of the person's own part at which somebody marked items, if that is what it tells.
    pub change: Option<u64>,
    /// When to come back, if it says so.
    pub pause: Option<Duration>,
    body: Bytes,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    /// The body is whole. Where it leaves the client, if it says so.
    Whole(Option<Cursor>),
    /// How many are unread, and where it leaves the client.
    Counted(u64, Cursor),
}

/// What a frame with a count begins with.
const TYPE_OF_STATE: &[u8] = br#"{"type":"state","#;

impl Told {
    /// A frame that is for one connection alone.
    pub(crate) fn whole(frame: &ServerFrame) -> Self {
        let pause = match frame {
            ServerFrame::Bye { reconnect_after_ms, .. } => Some(Duration::from_millis(*reconnect_after_ms)),
            _ => None,
        };
        Self { name: frame.name(), change: None, pause, body: encode(frame), end: End::Whole(frame.cursor().copied()) }
    }

    /// A frame with a count, for some to share: whatever it says of the count and the cursor is to be given by [`counted`](Self::counted).
    pub(crate) fn shared(frame: &ServerFrame) -> Self {
        let mut body = encode(frame);
        let (unread, cursor) = frame.count().unwrap_or_default();
        let end = end_of(unread, &cursor);
        if body.ends_with(end.as_bytes()) {
            body.truncate(body.len() - end.as_bytes().len());
            return Self { name: frame.name(), change: None, pause: None, body, end: End::Counted(unread, cursor) };
        }
        Self { name: frame.name(), change: None, pause: None, body, end: End::Whole(Some(cursor)) }
    }

    /// The same with another count and cursor.
    pub(crate) fn counted(self, unread: u64, cursor: Cursor) -> Self {
        Self { end: End::Counted(unread, cursor), ..self }
    }

    /// Sets the count of a frame that has one.
    pub(crate) fn set_unread(&mut self, now: u64) {
        if let End::Counted(unread, _) = &mut self.end {
            *unread = now;
        }
    }

    /// The same as the answer to a request, if it is of the kind that answers.
    pub(crate) fn answering(&self, reference: &str) -> Self {
        let Some(rest) = self.body.strip_prefix(TYPE_OF_STATE) else { return self.clone() };
        let reference = serde_json::to_vec(reference).unwrap_or_default();
        let body = [TYPE_OF_STATE, br#""ref":"#, &reference, b",", rest].concat();
        Self { body: body.into(), ..self.clone() }
    }

    /// The request that it answers, if it is an answer.
    pub(crate) fn reference(&self) -> Option<String> {
        reference_of(&self.body)
    }

    /// Where it leaves the client, if it says so.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        match self.end {
            End::Whole(cursor) => cursor,
            End::Counted(_, cursor) => Some(cursor),
        }
    }

    /// As a frame of a WebSocket.
    pub(crate) fn frame(&self) -> Frame {
        match &self.end {
            End::Whole(_) => Frame::text(self.body.clone()),
            End::Counted(unread, cursor) => Frame::shared_text(self.body.clone(), end_of(*unread, cursor).as_bytes()),
        }
    }

    /// Writes what [`frame`](Self::frame) is.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match &self.end {
            End::Whole(_) => Frame::write_text(&self.body, &[], out),
            End::Counted(unread, cursor) => Frame::write_text(&self.body, end_of(*unread, cursor).as_bytes(), out),
        }
    }

    /// As JSON.
    pub(crate) fn json(&self) -> String {
        let mut json = String::from_utf8_lossy(&self.body).into_owned();
        if let End::Counted(unread, cursor) = &self.end {
            json.push_str(&String::from_utf8_lossy(end_of(*unread, cursor).as_bytes()));
        }
        json
    }

    /// How many bytes it takes, roughly.
    pub(crate) fn len(&self) -> usize {
        self.body.len() + 96
    }
}

/// The request that a frame answers, by how its JSON begins: `ref` stands right after `type`.
pub(crate) fn reference_of(json: &[u8]) -> Option<String> {
    let name = json.strip_prefix(br#"{"type":""#)?;
    let rest = name[memchr::memchr(b'"', name)?..].strip_prefix(br#"","ref":"#)?;
    serde_json::Deserializer::from_slice(rest).into_iter().next()?.ok()
}

/// What a frame with a count ends with.
struct Ending {
    text: [u8; LONGEST],
    begin: usize,
}

/// The longest of them: 20 digits, a cursor, and what stands around them.
const LONGEST: usize = 128;

impl Ending {
    fn as_bytes(&self) -> &[u8] {
        &self.text[self.begin..]
    }
}

/// Written backwards, and by hand: it is done for every frame, and formatting is more than half of it.
fn end_of(unread: u64, cursor: &Cursor) -> Ending {
    fn put(text: &mut [u8; LONGEST], before: usize, word: &[u8]) -> usize {
        text[before - word.len()..before].copy_from_slice(word);
        before - word.len()
    }
    let mut text = [0; LONGEST];
    let mut at = put(&mut text, LONGEST, b"\"}");
    at = cursor.write_before(at, &mut text);
    at = put(&mut text, at, br#","cursor":""#);
    let mut left = unread;
    loop {
        at -= 1;
        text[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    Ending { begin: put(&mut text, at, br#","unread":"#), text }
}

fn encode(frame: &ServerFrame) -> Bytes {
    match serde_json::to_vec(frame) {
        Ok(json) => json.into(),
        Err(error) => {
            tracing::error!(%error, "a frame cannot be written as JSON");
            Bytes::from_static(b"{}")
        }
    }
}

#[cfg(test)]
mod tests {
    use stentor_domain::Timestamp;
    use stentor_inbox::Position;

    use super::*;

    fn state(reference: Option<&str>, unread: u64, cursor: Cursor) -> ServerFrame {
        let (reference, change) = (reference.map(str::to_owned), "read".to_owned());
        ServerFrame::State { reference, ids: Vec::new(), change, items: Vec::new(), unread, cursor }
    }

    /// What is written of it, behind the header of its frame.
    fn written(told: &Told) -> String {
        let mut out = Vec::new();
        told.write(&mut out);
        assert_eq!(out.len(), told.frame().len());
        String::from_utf8(out.split_off(told.frame().len() - told.json().len())).unwrap()
    }

    #[test]
    fn what_is_put_together_is_what_the_frame_says() {
        let greatest = Position { epoch: u64::MAX, rev: u64::MAX };
        let cursor = Cursor { own: greatest, timeline: greatest };
        let shared = Told::shared(&state(None, 0, Cursor::default()));
        let expected = |frame: &ServerFrame| serde_json::to_string(frame).unwrap();
        for unread in [0, 7, u64::MAX] {
            let told = shared.clone().counted(unread, cursor);
            assert_eq!(told.json(), expected(&state(None, unread, cursor)));
            assert_eq!(written(&told), told.json());
            assert_eq!(told.answering("a\"b").json(), expected(&state(Some("a\"b"), unread, cursor)));
            assert_eq!((told.answering("a\"b").reference().as_deref(), told.reference()), (Some("a\"b"), None));
            assert_eq!(told.frame(), Frame::shared_text(shared.body.clone(), end_of(unread, &cursor).as_bytes()));
            assert_eq!(told.cursor(), Some(cursor));
        }
        let resync = ServerFrame::Resync { unread: 3, cursor };
        assert_eq!(Told::shared(&resync).json(), expected(&resync));
        assert_eq!(Told::whole(&resync).json(), expected(&resync));
        assert_eq!(written(&Told::whole(&resync)), expected(&resync));
        let reference = || Some("7".to_owned());
        for answer in [
            ServerFrame::Page { reference: reference(), items: Vec::new(), next: None },
            ServerFrame::Pong { reference: reference() },
            ServerFrame::Ok { reference: reference(), expires_at: Timestamp::from_millis(0) },
            ServerFrame::Error { reference: reference(), code: String::new(), message: String::new() },
        ] {
            assert_eq!(Told::whole(&answer).reference(), reference(), "{answer:?}");
        }
    }
}
