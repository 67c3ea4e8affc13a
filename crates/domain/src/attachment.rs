//! Files that go with a mail: given in the request, or by a URL from which they are fetched when the mail is sent.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Violation,
    content::{WEB, check_url},
    text::check_line,
};

/// The most files of one notification.
pub const MAX_FILES: usize = 10;

/// What mail servers refuse, and mail programs run when they are clicked (Gmail's list of blocked types, less archives).
const REFUSED: [&str; 40] = [
    "ade", "adp", "apk", "appx", "bat", "cab", "chm", "cmd", "com", "cpl", "dll", "dmg", "exe", "hta", "ins", "iso", "isp",
    "jar", "js", "jse", "lib", "lnk", "mde", "msc", "msi", "msix", "msp", "mst", "nsh", "ps1", "scr", "sct", "shb", "sys", "vb",
    "vbe", "vbs", "vxd", "wsc", "wsf",
];
const REFUSED_TYPES: [&str; 6] = [
    "application/x-msdownload",
    "application/x-msdos-program",
    "application/x-sh",
    "application/java-archive",
    "application/javascript",
    "text/javascript",
];

/// A file that goes with the mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Its name: `invoice.pdf`. One line, at most 200 bytes, without slashes.
    pub name: String,
    /// Its media type: `application/pdf`. Of what is fetched, the server's word if absent.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What is in it, in base64. Exactly one of `content` and `url` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Where it is fetched when the mail is sent: `https` or `http`, to a public address, without redirects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// For a picture that the mail shows as `cid:…`: that id. Letters, digits, `-`, `.` and `_`, at most 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
}

impl Attachment {
    /// The bytes that came with the request; `None` if there are none, or they are no base64.
    pub fn decoded(&self) -> Option<Vec<u8>> {
        BASE64_STANDARD.decode(self.content.as_deref()?).ok()
    }

    /// Adds to `found` what is wrong; `at` is the JSON pointer at which it stands.
    fn check(&self, at: &str, found: &mut Vec<Violation>) {
        let mut wrong =
            |field: &str, code: &str, message: &str| found.push(Violation::new(format!("{at}{field}"), code, message));
        if let Err(e) = check_line(&self.name, 200) {
            wrong("/name", e.code(), &e.to_string());
        } else if self.name.contains(['/', '\\', '"']) {
            wrong("/name", "bad_name", "must be a file's name, without slashes and quotes");
        } else if is_refused(&self.name) {
            wrong("/name", "refused_type", "mail servers refuse programs; send a link instead");
        }
        if let Some(kind) = &self.content_type {
            if !is_media_type(kind) {
                wrong("/type", "bad_type", "must be a media type, such as application/pdf");
            } else if is_refused_type(kind) {
                wrong("/type", "refused_type", "mail servers refuse programs; send a link instead");
            }
        }
        match (&self.content, &self.url) {
            (Some(_), Some(_)) => wrong("/url", "ambiguous", "give either content or url, not both"),
            (None, None) => wrong("", "missing_field", "give content (base64) or url"),
            (Some(_), None) if self.decoded().is_none() => wrong("/content", "bad_base64", "must be base64 (RFC 4648 section 4)"),
            (Some(_), None) if self.content_type.is_none() => wrong("/type", "missing_field", "say of which type the content is"),
            (Some(_), None) => {}
            (None, Some(url)) => {
                if let Err(message) = check_url(url, WEB) {
                    wrong("/url", "bad_link", &message);
                }
            }
        }
        if self.content_id.as_deref().is_some_and(|id| !is_content_id(id)) {
            wrong("/content_id", "bad_content_id", "must be 1 to 64 letters, digits, `-`, `.` and `_`");
        }
    }
}

/// Whether `id` can be the `content_id` of a file.
pub fn is_content_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// Whether `url` shows a picture that came with the mail (RFC 2392).
pub fn shows_file(url: &str) -> bool {
    url.strip_prefix("cid:").is_some_and(is_content_id)
}

/// Adds to `found` what is wrong with the files of a request.
pub fn check(files: &[Attachment], found: &mut Vec<Violation>) {
    if files.len() > MAX_FILES {
        found.push(Violation::new("/attachments", "too_many", format!("at most {MAX_FILES} files")));
        return;
    }
    for (i, file) in files.iter().enumerate() {
        file.check(&format!("/attachments/{i}"), found);
    }
}

/// Whether a file of this name would be refused by mail servers.
pub fn is_refused(name: &str) -> bool {
    let extension = name.trim_end_matches(['.', ' ']).rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| REFUSED.contains(&extension.as_str()))
}

/// Whether a file of this media type would be refused by mail servers.
pub fn is_refused_type(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    REFUSED_TYPES.contains(&essence.as_str())
}

/// `type/subtype` with parameters or not, of characters that may stand in a header.
fn is_media_type(kind: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
    let mut halves = kind.split(';').next().unwrap_or_default().trim().split('/');
    let good = |half: Option<&str>| half.is_some_and(|half| !half.is_empty() && half.bytes().all(token));
    check_line(kind, 200).is_ok() && kind.is_ascii() && good(halves.next()) && good(halves.next()) && halves.next().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn violations(file: Value) -> Vec<(String, String)> {
        let mut found = Vec::new();
        check(&[serde_json::from_value(file).unwrap()], &mut found);
        found.into_iter().map(|v| (v.pointer.trim_start_matches("/attachments/0").to_owned(), v.code)).collect()
    }

    #[test]
    fn good_files() {
        for file in [
            json!({"name": "Rechnung Größe 7.pdf", "type": "application/pdf", "content": "AAEC"}),
            json!({"name": "a.txt", "type": "text/plain; charset=utf-8", "content": ""}),
            json!({"name": "logo.png", "url": "https://example.com/logo.png", "content_id": "logo"}),
        ] {
            assert_eq!(violations(file.clone()), [], "{file}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |field: &str, value: &str| {
            let mut file = json!({"name": "a.pdf", "type": "application/pdf", "content": "AAEC"});
            file[field] = json!(value);
            violations(file)
        };
        for (field, value, code) in [
            ("name", "a\r\nb.pdf", "control_character"),
            ("name", "a\0.pdf", "control_character"),
            ("name", "../a.pdf", "bad_name"),
            ("name", "run.EXE", "refused_type"),
            ("name", "run.exe. ", "refused_type"),
            ("type", "pdf", "bad_type"),
            ("type", "a/b\r\nBcc: x", "bad_type"),
            ("type", "application/x-msdownload", "refused_type"),
            ("content", "!", "bad_base64"),
            ("url", "https://example.com/a", "ambiguous"),
            ("content_id", "a b", "bad_content_id"),
        ] {
            assert_eq!(with(field, value), [(format!("/{field}"), code.to_owned())], "{field} {value:?}");
        }
        assert_eq!(violations(json!({"name": "a", "type": "a/b"})), [(String::new(), "missing_field".into())]);
        assert_eq!(violations(json!({"name": "a", "url": "file:///etc/passwd"})), [("/url".into(), "bad_link".into())]);
        let mut found = Vec::new();
        let one: Attachment = serde_json::from_value(json!({"name": "a", "url": "https://example.com/a"})).unwrap();
        check(&vec![one; 11], &mut found);
        assert_eq!(found[0].pointer, "/attachments");
    }
}
