//! The pictures that a mail brings along: fetched, and left as links where that fails.
//!
//! A picture is a decoration: whatever becomes of it, the mail goes out. So no failure is tried again for the sake of a picture,
//! and who does not answer is left alone for a while, so that a thousand mails do not wait for the same silence.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use stentor_channels::{
    MailFile,
    outbound::{HttpBody, HttpClient, HttpError, HttpRequest},
};
use stentor_domain::AppId;
use stentor_templates::MailImage;

use crate::fetched::{Fetched, Keep};

/// How long a picture may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// How many of a mail are fetched at once, and how many it may bring along.
const AT_ONCE: usize = 5;
const MOST: usize = 20;
/// How large one may be.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// How many bytes are kept, and how long: they may be drawn anew under the same URL.
const KEPT_BYTES: usize = 32 * 1024 * 1024;
const KEPT_FOR: Duration = Duration::from_mins(5);
/// How long one that did not come is not asked for again, nor any other of a server that does not answer.
const LEFT_ALONE: Duration = Duration::from_mins(1);
/// What is counted for one that did not come.
const NOTHING: usize = 256;

/// Fetches the pictures of mails. A cheap handle.
#[derive(Clone)]
pub(crate) struct Images {
    client: HttpClient,
    max_bytes: usize,
    fetched: Fetched<(AppId, String), Answer>,
    silent: Arc<Mutex<HashMap<(AppId, String), Instant>>>,
}

/// A picture and its media type, or why there is none: never with its URL, which may carry a token.
type Answer = Result<(Bytes, &'static str), String>;

/// The pictures of a mail.
#[derive(Default)]
pub(crate) struct MailImages {
    /// Those that came.
    pub files: Vec<MailFile>,
    /// What is to be said of those that did not.
    pub note: Option<String>,
}

impl Images {
    /// Pictures that are fetched with `client`, for mails whose files have at most `room` bytes.
    pub(crate) fn new(client: &HttpClient, room: usize) -> Self {
        let max_bytes = MAX_BYTES.min(room);
        let client = client.reading_at_most(max_bytes);
        Self { client, max_bytes, fetched: Fetched::new(KEPT_BYTES), silent: Arc::default() }
    }

    /// Those of `images` that there are, as far as they fit into `room` bytes.
    pub(crate) async fn of(&self, app: &AppId, images: &[MailImage], room: usize) -> MailImages {
        let asked: Vec<_> = images.iter().take(MOST).map(|image| self.get(app, &image.url)).collect();
        let answers: Vec<Answer> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        let (mut files, mut left, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (n, (image, answer)) in (1..).zip(images.iter().zip(answers)) {
            match answer {
                Ok((content, kind)) if bytes + content.len() <= room => {
                    bytes += content.len();
                    let name = format!("image-{n}.{}", kind.trim_start_matches("image/"));
                    let content_id = Some(image.content_id.clone());
                    files.push(MailFile { name, content_type: kind.to_owned(), content_id, content });
                }
                Ok(_) => left.push(format!("picture {n} makes the mail too large")),
                Err(why) => left.push(format!("picture {n} {why}")),
            }
        }
        if images.len() > MOST {
            left.push(format!("a mail brings along {MOST} pictures, not {}", images.len()));
        }
        let note = (!left.is_empty()).then(|| format!("linked, not brought along: {}", left.join("; ")));
        MailImages { files, note }
    }

    async fn get(&self, app: &AppId, url: &str) -> Answer {
        let keep = |answer: &Answer| {
            Some(match answer {
                Ok((content, _)) => Keep { life: KEPT_FOR, bytes: content.len() },
                Err(_) => Keep { life: LEFT_ALONE, bytes: NOTHING },
            })
        };
        self.fetched.get((app.clone(), url.to_owned()), self.fetch(app, url), keep).await
    }

    async fn fetch(&self, app: &AppId, url: &str) -> Answer {
        let request = HttpRequest::get(url.parse().map_err(|_| "has a URL that cannot be read")?);
        let server = (app.clone(), request.url.origin().ascii_serialization());
        if self.silent().get(&server).is_some_and(|until| *until > Instant::now()) {
            return Err("is on a server that did not answer a moment ago".to_owned());
        }
        let answer = self.client.call(request, PATIENCE).await.map_err(|error| {
            if matches!(error, HttpError::Unreachable | HttpError::TimedOut(_)) {
                let (mut silent, now) = (self.silent(), Instant::now());
                silent.retain(|_, until| *until > now);
                silent.insert(server, now + LEFT_ALONE);
            }
            error.to_string()
        })?;
        match answer.status {
            200..=299 => {}
            300..=399 => return Err("redirects, which is not followed".to_owned()),
            status => return Err(format!("is answered with {status}")),
        }
        match answer.body {
            HttpBody::Whole(content) => match kind_of(&content) {
                Some(kind) => Ok((content.into(), kind)),
                None => Err("is no picture that mail programs show (PNG, JPEG, GIF or WebP)".to_owned()),
            },
            HttpBody::TooLong => Err(format!("is larger than {} bytes", self.max_bytes)),
            HttpBody::Lost => Err("was cut off".to_owned()),
        }
    }

    fn silent(&self) -> MutexGuard<'_, HashMap<(AppId, String), Instant>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a picture is, by its first bytes: what servers call it is often wrong, and what is none must not pass for one.
fn kind_of(content: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 4] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
    ];
    if content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    KINDS.iter().find(|(begin, _)| content.starts_with(begin)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_what_its_bytes_say() {
        for (content, kind) in [
            (b"\x89PNG\r\n\x1a\n....".as_slice(), Some("image/png")),
            (b"\xff\xd8\xff\xe0....", Some("image/jpeg")),
            (b"GIF89a....", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>", None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(kind_of(content), kind);
        }
    }
}
