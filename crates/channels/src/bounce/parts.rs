//! The parts of a mail that comes from anybody, no deeper than a report goes.
//!
//! `mail-parser` keeps mails within mails as such, and copies and drops them by recursion: some ten thousand of them, which are a few
//! hundred kB, would overflow the stack and end the process. So it is given headers alone, and never a body.

use std::borrow::Cow;

use mail_parser::{
    Message, MessageParser, MimeHeaders,
    decoders::{base64::base64_decode, quoted_printable::quoted_printable_decode},
};

/// How deep parts are looked for within parts.
const MAX_DEPTH: usize = 8;
/// The most parts that are looked at.
const MAX_PARTS: usize = 100;

/// A part that is no list of parts; a mail that is quoted is one.
pub(super) struct Part<'a> {
    kind: String,
    encoding: String,
    body: &'a [u8],
}

impl Part<'_> {
    /// Whether it is of this type, and of which of these subtypes.
    pub(super) fn is(&self, kind: &str, subtypes: &[&str]) -> bool {
        let own = self.kind.split_once('/');
        own.is_some_and(|(own, subtype)| own == kind && subtypes.contains(&subtype))
    }

    /// What it says.
    pub(super) fn text(&self) -> String {
        let bytes = match self.encoding.as_str() {
            "base64" => base64_decode(self.body).map(Cow::Owned),
            "quoted-printable" => quoted_printable_decode(self.body).map(Cow::Owned),
            _ => None,
        };
        String::from_utf8_lossy(&bytes.unwrap_or(Cow::Borrowed(self.body))).into_owned()
    }
}

/// The headers of a mail or a part; none if it begins with no header.
pub(super) fn headers(raw: &[u8]) -> Option<Message<'_>> {
    MessageParser::default().parse_headers(split(raw).0)
}

/// The parts of a mail, in order.
pub(super) fn parts(raw: &[u8]) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    look(raw, MAX_DEPTH, &mut found);
    found
}

fn look<'a>(raw: &'a [u8], depth: usize, found: &mut Vec<Part<'a>>) {
    let body = split(raw).1;
    let headers = headers(raw);
    let kind = headers.as_ref().and_then(|headers| headers.content_type());
    if let Some(boundary) =
        kind.filter(|kind| kind.ctype().eq_ignore_ascii_case("multipart")).and_then(|k| k.attribute("boundary"))
    {
        if depth > 0 {
            for part in between(body, boundary) {
                if found.len() < MAX_PARTS {
                    look(part, depth - 1, found);
                }
            }
        }
        return;
    }
    let lower = |text: Option<&str>| text.unwrap_or_default().trim().to_ascii_lowercase();
    let kind = kind.map_or_else(String::new, |kind| format!("{}/{}", lower(Some(kind.ctype())), lower(kind.subtype())));
    let encoding = lower(headers.as_ref().and_then(|headers| headers.content_transfer_encoding()));
    found.push(Part { kind, encoding, body });
}

/// What stands before the first empty line, that line with it, and what stands behind.
fn split(raw: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if line.trim_ascii().is_empty() {
            break;
        }
    }
    raw.split_at(end)
}

/// What stands between the lines of a boundary (RFC 2046 section 5.1.1).
fn between<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let (mut parts, mut begin, mut at) = (Vec::new(), None, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let rest = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary.as_bytes())).map(<[u8]>::trim_ascii_end);
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || *rest == b"--") {
            parts.extend(begin.map(|begin| &body[begin..at]));
            begin = rest.is_empty().then_some(at + line.len());
            if begin.is_none() || parts.len() == MAX_PARTS {
                return parts;
            }
        }
        at += line.len();
    }
    parts.extend(begin.map(|begin| &body[begin..])); // it was cut off
    parts
}
