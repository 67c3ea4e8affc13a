//! Captured mail and SMS: files in a folder, and a page that lists them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{Path as UrlPath, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use mail_parser::{Message, MessageParser, MimeHeaders};
use serde::Serialize;
use serde_json::json;
use stentor_api::pages::{page, script};
use stentor_channels::{EmailConfig, SmsConfig};

/// The most entries of a kind that the page lists, the newest first.
const LISTED: usize = 200;

/// The folder of captured messages: `mail/*.eml` and `sms/*.json`.
#[derive(Clone)]
pub(crate) struct Outbox(PathBuf);

impl Outbox {
    pub(crate) fn create(dir: &Path) -> anyhow::Result<Self> {
        for kind in ["mail", "sms"] {
            std::fs::create_dir_all(dir.join(kind)).with_context(|| format!("{} cannot be made", dir.display()))?;
        }
        Ok(Self(dir.to_owned()))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// Sends mail into the folder.
    pub(crate) fn capture_mail(&self, config: &mut EmailConfig) -> anyhow::Result<()> {
        let provider =
            json!({ "url": format!("capture:{}", self.0.join("mail").display()), "from": "Stentor demo <demo@example.com>" });
        // What else is set, holds.
        config.providers = vec!["capture".to_owned()];
        config.provider.insert("capture".to_owned(), serde_json::from_value(provider)?);
        Ok(())
    }

    /// Sends SMS into the folder.
    pub(crate) fn capture_sms(&self, config: &mut SmsConfig) -> anyhow::Result<()> {
        let provider = json!({ "preset": "capture", "dir": self.0.join("sms"), "from": "Stentor" });
        // What else is set, holds: prices, limits, words.
        config.providers = vec!["capture".to_owned()];
        config.provider.insert("capture".to_owned(), serde_json::from_value(provider)?);
        Ok(())
    }

    pub(crate) fn routes(&self) -> Router {
        Router::new()
            .route("/outbox", get(async || page(include_str!("pages/outbox.html"))))
            .route("/outbox.js", get(async || script(include_str!("pages/outbox.js"))))
            .route("/outbox/list", get(list))
            .route("/outbox/mail/{name}", get(mail))
            .route("/outbox/mail/{name}/html", get(mail_html))
            .route("/outbox/mail/{name}/source", get(mail_source))
            .with_state(self.clone())
    }

    /// The newest files of a kind, with their times in ms.
    fn newest(&self, kind: &str, ending: &str) -> Vec<(i64, PathBuf)> {
        let entries = std::fs::read_dir(self.0.join(kind)).into_iter().flatten().flatten();
        let dated = entries.filter_map(|entry| {
            let path = entry.path();
            let modified = entry.metadata().ok()?.modified().ok()?;
            let millis = modified.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
            (path.extension()? == ending).then_some((i64::try_from(millis).ok()?, path))
        });
        let mut files: Vec<_> = dated.collect();
        files.sort_unstable_by(|a, b| b.cmp(a));
        files.truncate(LISTED);
        files
    }

    /// A captured mail; `None` if there is none of that name.
    fn read_mail(&self, name: &str) -> Option<Vec<u8>> {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !plain || name.starts_with('.') {
            return None; // a name never leads out of the folder
        }
        std::fs::read(self.0.join("mail").join(name)).ok()
    }
}

#[derive(Serialize)]
struct Listed {
    kind: &'static str,
    name: String,
    at: i64,
    to: String,
    title: String,
    text: String,
}

async fn list(State(outbox): State<Outbox>) -> Json<Vec<Listed>> {
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mails = outbox.newest("mail", "eml").into_iter().filter_map(|(at, path)| {
        let bytes = std::fs::read(&path).ok()?;
        let mail = MessageParser::default().parse(&bytes)?;
        let to = mail.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or_default().to_owned();
        let text = mail.body_text(0).unwrap_or_default().chars().take(160).collect();
        Some(Listed { kind: "mail", name: name(&path), at, to, title: mail.subject().unwrap_or_default().to_owned(), text })
    });
    let texts = outbox.newest("sms", "json").into_iter().filter_map(|(at, path)| {
        let sms: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        let field = |key: &str| sms[key].as_str().unwrap_or_default().to_owned();
        Some(Listed { kind: "sms", name: name(&path), at, to: field("to"), title: String::new(), text: field("text") })
    });
    let mut all: Vec<Listed> = mails.chain(texts).collect();
    all.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    Json(all)
}

#[derive(Serialize)]
struct Mail {
    from: String,
    to: String,
    subject: String,
    text: String,
}

async fn mail(State(outbox): State<Outbox>, UrlPath(name): UrlPath<String>) -> Result<Json<Mail>, StatusCode> {
    let bytes = outbox.read_mail(&name).ok_or(StatusCode::NOT_FOUND)?;
    let mail = MessageParser::default().parse(&bytes).ok_or(StatusCode::NOT_FOUND)?;
    let address = |a: Option<&mail_parser::Address<'_>>| {
        let first = a.and_then(|a| a.first());
        let name = first.and_then(|f| f.name()).map(|n| format!("{n} ")).unwrap_or_default();
        format!("{name}<{}>", first.and_then(|f| f.address()).unwrap_or_default())
    };
    Ok(Json(Mail {
        from: address(mail.from()),
        to: address(mail.to()),
        subject: mail.subject().unwrap_or_default().to_owned(),
        text: mail.body_text(0).unwrap_or_default().into_owned(),
    }))
}

/// The HTML part by itself, for a frame: no scripts, no origin, nothing loaded but pictures and its own styles.
async fn mail_html(State(outbox): State<Outbox>, UrlPath(name): UrlPath<String>) -> Result<Response, StatusCode> {
    const POLICY: &str = "sandbox; default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline'";
    let bytes = outbox.read_mail(&name).ok_or(StatusCode::NOT_FOUND)?;
    let mail = MessageParser::default().parse(&bytes).ok_or(StatusCode::NOT_FOUND)?;
    let html = with_images(mail.body_html(0).ok_or(StatusCode::NOT_FOUND)?.into_owned(), &mail);
    let headers: [(HeaderName, &str); 2] =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    Ok((headers, html).into_response())
}

/// The HTML with the pictures that came with the mail in their places, as a mail program shows them.
fn with_images(html: String, mail: &Message<'_>) -> String {
    mail.attachments().fold(html, |html, part| {
        let (Some(id), Some(kind)) = (part.content_id(), part.content_type()) else { return html };
        let kind = format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default());
        html.replace(&format!("cid:{id}"), &format!("data:{kind};base64,{}", BASE64_STANDARD.encode(part.contents())))
    })
}

async fn mail_source(State(outbox): State<Outbox>, UrlPath(name): UrlPath<String>) -> Result<Response, StatusCode> {
    let bytes = outbox.read_mail(&name).ok_or(StatusCode::NOT_FOUND)?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok((headers, bytes).into_response())
}
