//! The files of a mail: those that came with the request, and those that are fetched.
//!
//! A thousand mails of one notification fetch a file once: it is kept, a few dozen megabytes for a few minutes.

use std::time::Duration;

use bytes::Bytes;
use stentor_channels::{
    MailFile,
    outbound::{HttpBody, HttpClient, HttpError, HttpRequest},
};
use stentor_domain::{
    Notification, NotificationId,
    attachment::{Attachment, is_refused_type},
};

use crate::fetched::{Fetched, Keep};

/// How long a fetch may take; an attempt has 30 s in all.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many bytes are kept, and how long.
const KEPT_BYTES: usize = 32 * 1024 * 1024;
const KEPT_FOR: Duration = Duration::from_mins(5);

/// Why there are no files. The words name the file by its place, never its URL: it may carry a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoFiles {
    /// It would be so again.
    Refused(String),
    /// It may be there later.
    Trouble(String),
}

/// Gathers the files of mails.
#[derive(Clone)]
pub(crate) struct Files {
    client: HttpClient,
    max_bytes: usize,
    fetched: Fetched<Key, Result<MailFile, NoFiles>>,
}

/// Which file of which notification.
type Key = (NotificationId, usize);

impl Files {
    /// Files that are fetched with `client`, of at most `max_bytes` a mail.
    pub(crate) fn new(client: HttpClient, max_bytes: usize) -> Self {
        Self { client, max_bytes, fetched: Fetched::new(KEPT_BYTES) }
    }

    /// All files of a notification, in order.
    pub(crate) async fn of(&self, n: &Notification) -> Result<Vec<MailFile>, NoFiles> {
        let mut files = Vec::with_capacity(n.request.attachments.len());
        let mut bytes = 0;
        for (i, attachment) in n.request.attachments.iter().enumerate() {
            let file = match attachment.decoded() {
                Some(content) => made(attachment, None, content.into()),
                None => self.fetched((n.id, i), attachment).await.map_err(|e| e.about(i))?,
            };
            bytes += file.content.len();
            if bytes > self.max_bytes {
                return Err(NoFiles::Refused(format!("its attachments are larger than {} bytes", self.max_bytes)));
            }
            files.push(file);
        }
        Ok(files)
    }

    async fn fetched(&self, key: Key, attachment: &Attachment) -> Result<MailFile, NoFiles> {
        let keep = |file: &Result<MailFile, NoFiles>| Some(Keep { life: KEPT_FOR, bytes: file.as_ref().ok()?.content.len() });
        self.fetched.get(key, self.fetch(attachment), keep).await
    }

    async fn fetch(&self, attachment: &Attachment) -> Result<MailFile, NoFiles> {
        let refused = |why: String| NoFiles::Refused(why);
        let url = attachment.url.as_deref().and_then(|url| url.parse().ok());
        let url = url.ok_or_else(|| refused("has a URL that cannot be read".into()))?;
        let answer = self.client.call(HttpRequest::get(url), PATIENCE).await.map_err(|error| match error {
            HttpError::Refused(why) => NoFiles::Refused(why.to_owned()),
            error => NoFiles::Trouble(error.to_string()),
        })?;
        match answer.status {
            200..=299 => {}
            300..=399 => return Err(refused("redirects, which is not followed".into())),
            408 | 425 | 429 | 500.. => return Err(NoFiles::Trouble(format!("is answered with {}", answer.status))),
            status => return Err(refused(format!("is answered with {status}"))),
        }
        let kind = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
        if kind.is_some_and(is_refused_type) {
            return Err(refused("is a program, which mail servers refuse".into()));
        }
        match answer.body {
            HttpBody::Whole(content) => Ok(made(attachment, kind, content.into())),
            HttpBody::TooLong => Err(refused(format!("is larger than {} bytes", self.max_bytes))),
            HttpBody::Lost => Err(NoFiles::Trouble("was cut off".into())),
        }
    }
}

impl NoFiles {
    fn about(self, i: usize) -> Self {
        match self {
            Self::Refused(why) => Self::Refused(format!("attachment {} {why}", i + 1)),
            Self::Trouble(why) => Self::Trouble(format!("attachment {} {why}", i + 1)),
        }
    }
}

fn made(attachment: &Attachment, kind: Option<&str>, content: Bytes) -> MailFile {
    let kind = attachment.content_type.as_deref().or(kind).unwrap_or("application/octet-stream");
    MailFile { name: attachment.name.clone(), content_type: kind.to_owned(), content_id: attachment.content_id.clone(), content }
}
