//! What a mail carries besides its words: the way out, feedback, threads, files, signatures.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command, time::Duration};

use serde_json::{Value, json};
use stentor_channels::{EmailMessage, MailFile, OutboundMessage, Providers, SendError};
use stentor_domain::{AppId, Channel, DeliveryId, NotificationId, Timestamp, id::thread_id};
use stentor_testkit::{MailServer, dkim_verifies, read_mail};

const URL: &str = "https://notify.example.com/unsubscribe/demo.AAAA-BBBB_CCCC";

fn app() -> AppId {
    "demo".parse().unwrap()
}

fn notification() -> NotificationId {
    NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10])
}

fn mail() -> EmailMessage {
    let id = DeliveryId::new(notification(), &"u1".parse().unwrap(), Channel::Email);
    let message = EmailMessage::new(id, app(), "maria@example.org".parse().unwrap(), "Hello".into(), "Hello".into());
    EmailMessage {
        html: Some("<p>Hello <img src=\"cid:logo\"></p>".into()),
        notification: Some(notification()),
        category: Some("News & offers".into()),
        unsubscribe: Some(URL.into()),
        ..message
    }
}

fn file(name: &str, content_id: Option<&str>, content: &'static [u8]) -> MailFile {
    let kind = if content_id.is_some() { "image/png" } else { "application/octet-stream" };
    MailFile {
        name: name.into(),
        content_type: kind.into(),
        content_id: content_id.map(str::to_owned),
        content: bytes::Bytes::from_static(content),
    }
}

fn providers(server: &MailServer, extra: &Value) -> Providers {
    let mut settings = json!({ "url": server.url(), "from": "Bank <no-reply@mail.example.com>" });
    settings.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let config = json!({ "providers": ["main"], "provider": { "main": settings } });
    Providers::email(&serde_json::from_value(config).unwrap()).unwrap()
}

async fn sent(server: &MailServer, providers: &Providers, mail: EmailMessage) -> String {
    let before = server.mails().len();
    providers.send(&OutboundMessage::Email(mail)).await.unwrap();
    server.wait_for(before + 1, Duration::from_secs(10)).await.remove(before)
}

async fn refused(providers: &Providers, mail: EmailMessage) -> String {
    match providers.send(&OutboundMessage::Email(mail)).await {
        Err(SendError::Permanent { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_mail_says_how_to_get_no_more_of_it_and_whose_it_is() {
    let server = MailServer::start();
    let providers = providers(&server, &json!({ "senders": { "shop": "Shop <hello@shop.example>" } }));
    let headers = read_mail(&sent(&server, &providers, mail()).await)["headers"].clone();
    assert_eq!(headers["list-unsubscribe"], format!("<{URL}>"));
    assert_eq!(headers["list-unsubscribe-post"], "List-Unsubscribe=One-Click");
    assert_eq!(headers["feedback-id"], format!("{}:News---offers:demo:stentor", notification().as_uuid().simple()));
    assert_eq!(headers["from"], "Bank <no-reply@mail.example.com>");
    assert!(headers.get("references").is_none());

    let other = read_mail(&sent(&server, &providers, EmailMessage { app: "shop".parse().unwrap(), ..mail() }).await);
    assert_eq!(other["headers"]["from"], "Shop <hello@shop.example>");
    assert!(other["headers"]["message-id"].as_str().unwrap().ends_with("@shop.example>"));
    let plain = EmailMessage { unsubscribe: None, notification: None, ..mail() };
    let headers = read_mail(&sent(&server, &providers, plain).await)["headers"].clone();
    assert!(headers.get("list-unsubscribe").is_none() && headers.get("feedback-id").is_none());
}

#[tokio::test]
async fn mails_of_one_thread_refer_to_the_same_root() {
    let server = MailServer::start();
    let providers = providers(&server, &json!({}));
    let thread = thread_id(&app(), &"u1".parse().unwrap(), "repayment-42");
    let headers = read_mail(&sent(&server, &providers, EmailMessage { thread: Some(thread), ..mail() }).await)["headers"].clone();
    assert_eq!(headers["references"], format!("<{thread}@mail.example.com>"));
    assert_eq!(headers["in-reply-to"], headers["references"]);
    assert_ne!(thread, thread_id(&app(), &"u2".parse().unwrap(), "repayment-42"));
}

#[tokio::test]
async fn a_bounce_comes_back_to_an_address_that_names_the_mail() {
    let server = MailServer::start();
    let providers = providers(&server, &json!({ "return_path": "bounce@bounces.example.com" }));
    let token = "a".repeat(52);
    sent(&server, &providers, EmailMessage { return_token: Some(token.clone()), ..mail() }).await;
    sent(&server, &providers, mail()).await;
    assert_eq!(server.senders(), [format!("bounce+{token}@bounces.example.com"), "bounce@bounces.example.com".into()]);
}

#[tokio::test]
async fn pictures_stand_beside_the_html_and_files_beside_both_byte_for_byte() {
    let server = MailServer::start();
    let providers = providers(&server, &json!({}));
    let all: &'static [u8] = Box::leak((0..=255u8).cycle().take(5_000).collect::<Vec<_>>().into_boxed_slice());
    let files =
        vec![file("Größe \"7\".bin", None, all), file("logo.png", Some("logo"), b"\x89PNG\r\n\n\r"), file("empty", None, b"")];
    let read = read_mail(&sent(&server, &providers, EmailMessage { files, ..mail() }).await);
    assert_eq!(read["defects"], json!([]));
    assert_eq!(
        read["structure"],
        json!([
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "multipart/related",
            "text/html",
            "image/png",
            "application/octet-stream",
            "application/octet-stream"
        ])
    );
    let parts = read["parts"].as_array().unwrap();
    let (picture, first) = (&parts[2], &parts[3]);
    assert_eq!(
        (&picture["content_id"], &picture["disposition"], &picture["name"]),
        (&json!("<logo>"), &json!("inline"), &json!("logo.png"))
    );
    assert_eq!(picture["base64"], "iVBORw0KCg0=");
    assert_eq!((&first["name"], &first["disposition"]), (&json!("Größe \"7\".bin"), &json!("attachment")));
    assert_eq!(first["base64"], base64(all));
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(bytes)
}

#[tokio::test]
async fn what_would_break_out_of_a_header_is_refused_wherever_it_stands() {
    let server = MailServer::start();
    let providers = providers(&server, &json!({}));
    for url in ["https://x.test/\r\nBcc: a@b.cd", "https://x.test/ a", "https://x.test/>", "https://x.test/é"] {
        refused(&providers, EmailMessage { unsubscribe: Some(url.into()), ..mail() }).await;
    }
    for (name, id, kind) in [
        ("a\r\nBcc: x@y.zz", None, "a/b"),
        ("a\0", None, "a/b"),
        ("a", None, "a/b\r\nBcc: x@y.zz"),
        ("a", Some("x>\r\nBcc: y"), "a/b"),
    ] {
        let bad = MailFile { content_type: kind.into(), content_id: id.map(str::to_owned), ..file(name, None, b"x") };
        refused(&providers, EmailMessage { files: vec![bad], ..mail() }).await;
    }
    // A category may hold anything; it is made harmless. So is a bare CR in a body.
    let odd = EmailMessage { category: Some("a\r\nBcc: x".into()), text: "a\rb\r\n.\rc".into(), ..mail() };
    let raw = sent(&server, &providers, odd).await;
    let read = read_mail(&raw);
    assert!(read["headers"].get("bcc").is_none());
    assert_eq!(read["parts"][0]["text"].as_str().unwrap().replace("\r\n", "\n").trim_end(), "a\nb\n.\nc");
    assert!(!raw.replace("\r\n", "").contains('\r'), "no CR without its LF");
}

#[tokio::test]
async fn while_one_key_replaces_another_both_sign_and_each_is_good() {
    let (dir, server) = (tempfile::tempdir().unwrap(), MailServer::start());
    let key = |name: &str, arguments: &[&str]| {
        let path = dir.path().join(name);
        std::fs::write(&path, openssl(arguments)).unwrap();
        path
    };
    let old = key("old.pem", &["genrsa", "-traditional", "1024"]);
    let new = key("new.pem", &["genpkey", "-algorithm", "ed25519"]);
    let other = key("other.pem", &["genpkey", "-algorithm", "ed25519"]);
    let dkim = json!([
        { "domain": "example.com", "selector": "old", "key_file": old },
        { "domain": "example.com", "selector": "new", "key_file": new },
        { "domain": "example.org", "selector": "other", "key_file": other },
    ]);
    let providers = providers(&server, &json!({ "dkim": dkim }));
    let raw = sent(&server, &providers, EmailMessage { files: vec![file("a", None, b"a")], ..mail() }).await;
    assert_eq!(raw.matches("DKIM-Signature:").count(), 2, "not of a domain that is not the sender's\n{raw}");
    let record = format!("v=DKIM1; k=rsa; p={}", public_key(&old, 0));
    assert!(dkim_verifies(&raw, "old._domainkey.example.com", &record), "{raw}");
    let (name, record) = ("new._domainkey.example.com", format!("v=DKIM1; k=ed25519; p={}", public_key(&new, 16)));
    assert!(dkim_verifies(&raw, name, &record), "{raw}");
    for (what, instead) in
        [("One-Click", "No-Click"), (URL, "https://evil.test/"), ("stentor", "another"), ("multipart/mixed", "text/plain")]
    {
        assert!(raw.contains(what), "{what}");
        assert!(!dkim_verifies(&raw.replace(what, instead), name, &record), "{what} is signed");
    }
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let out = Command::new("openssl").args(arguments).output().expect("openssl runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// The record's `p=`: for RSA the whole `SubjectPublicKeyInfo`, for Ed25519 what follows its first 16 letters.
fn public_key(key_file: &Path, skip: usize) -> String {
    let pem = openssl(&["pkey", "-pubout", "-in", key_file.to_str().unwrap()]);
    let text: String = String::from_utf8(pem).unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    text[skip..].to_owned()
}
