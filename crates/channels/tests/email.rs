//! Email against a real mail server.

use std::{
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stentor_channels::{ConfigError, EmailConfig, EmailMessage, OutboundMessage, Providers, SendError, Sent};
use stentor_domain::{Channel, DeliveryId, NotificationId, Timestamp};
use stentor_testkit::{MailOptions, MailServer, MailTls, dkim_verifies, read_mail};

const SHORT: u64 = 2_000;

/// A channel with one provider; `extra` are further settings of it.
fn provider(url: &str, extra: &Value) -> Providers {
    providers(&json!({ "main": settings(url, extra) }), &["main"])
}

fn settings(url: &str, extra: &Value) -> Value {
    let mut settings = json!({ "url": url, "from": "示例银行, Inc. <no-reply@example.com>" });
    settings.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    settings
}

fn providers(settings: &Value, order: &[&str]) -> Providers {
    Providers::email(&config(settings, order)).expect("the settings work")
}

fn config(settings: &Value, order: &[&str]) -> EmailConfig {
    serde_json::from_value(json!({ "providers": order, "provider": settings })).expect("the settings are well-formed")
}

fn mail(to: &str) -> EmailMessage {
    let notification = NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]);
    let id = DeliveryId::new(notification, &"u1".parse().expect("a recipient"), Channel::Email);
    let (app, to) = ("demo".parse().expect("an app"), to.parse().expect("a mailbox"));
    let message = EmailMessage::new(id, app, to, "还款提醒: due on 1 December".into(), "Größe 7\n.\nend".into());
    EmailMessage { html: Some("<p>Größe <b>7</b></p>".into()), ..message }
}

async fn send(providers: &Providers, mail: EmailMessage) -> Result<Sent, SendError> {
    providers.send(&OutboundMessage::Email(mail)).await
}

/// `transient`, `permanent` or `unknown`, and the detail.
fn failure(result: Result<Sent, SendError>) -> (&'static str, String) {
    match result {
        Ok(_) => ("sent", String::new()),
        Err(SendError::Transient { detail, .. }) => ("transient", detail),
        Err(SendError::Permanent { detail, .. }) => ("permanent", detail),
        Err(SendError::Unknown { detail, .. }) => ("unknown", detail),
    }
}

#[tokio::test]
async fn a_mail_arrives_whole() {
    let server = MailServer::start();
    let providers = provider(&server.url(), &json!({ "reply_to": "help@example.com" }));
    let message = mail("maria@例子.公司");
    let id = message.id;
    let sent = send(&providers, message).await.unwrap();
    assert_eq!(sent, Sent { provider: "main".into(), message_id: Some(format!("{id}@example.com")) });

    let mails = server.wait_for(1, Duration::from_secs(10)).await;
    assert!(mails[0].is_ascii(), "a server without 8BITMIME could not take it");
    let read = read_mail(&mails[0]);
    let headers = &read["headers"];
    assert_eq!(headers["message-id"], format!("<{id}@example.com>"));
    assert_eq!(headers["from"], "\"示例银行, Inc.\" <no-reply@example.com>");
    assert_eq!(headers["to"], "maria@xn--fsqu00a.xn--55qx5d");
    assert_eq!(headers["reply-to"], "help@example.com");
    assert_eq!(headers["subject"], "还款提醒: due on 1 December");
    assert_eq!(headers["auto-submitted"], "auto-generated");
    assert_eq!(headers["mime-version"], "1.0");
    assert!(headers["date"].as_str().unwrap().ends_with("+0000"), "{}", headers["date"]);
    assert_eq!(read["defects"], json!([]));
    assert_eq!(read["type"], "multipart/alternative");
    let parts: Vec<_> = read["parts"].as_array().unwrap().iter().map(|part| (&part["type"], text(part))).collect();
    let expected = [(&json!("text/plain"), "Größe 7\n.\nend"), (&json!("text/html"), "<p>Größe <b>7</b></p>")];
    assert_eq!(parts, expected.map(|(kind, text)| (kind, text.to_owned())));
}

fn text(part: &Value) -> String {
    part["text"].as_str().expect("text").replace("\r\n", "\n").trim_end().to_owned()
}

#[tokio::test]
async fn a_mail_without_html_is_plain_text() {
    let server = MailServer::start();
    let message = EmailMessage { html: None, ..mail("maria@example.com") };
    send(&provider(&server.url(), &json!({})), message).await.unwrap();
    let read = read_mail(&server.wait_for(1, Duration::from_secs(10)).await[0]);
    assert_eq!(read["type"], "text/plain");
    assert_eq!(text(&read["parts"][0]), "Größe 7\n.\nend");
}

#[tokio::test]
async fn a_repeated_mail_has_the_same_message_id() {
    let server = MailServer::start();
    let providers = provider(&server.url(), &json!({}));
    for _ in 0..2 {
        send(&providers, mail("maria@example.com")).await.unwrap();
    }
    let ids: Vec<_> = server.mails().iter().map(|mail| read_mail(mail)["headers"]["message-id"].clone()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn refusals_are_told_apart_and_name_nobody() {
    let server = MailServer::start();
    let providers = provider(&server.url(), &json!({}));
    for (to, kind, detail) in [
        ("refuse-450@example.com", "transient", "450 5.1.1 [hidden] no thanks"),
        ("refuse-550@example.com", "permanent", "550 5.1.1 [hidden] no thanks"),
        ("refuse-530@example.com", "transient", "530 5.1.1 [hidden] no thanks"),
        ("data-452@example.com", "transient", "452 5.6.0 the text is not wanted"),
        ("data-554@example.com", "permanent", "554 5.6.0 the text is not wanted"),
    ] {
        assert_eq!(failure(send(&providers, mail(to)).await), (kind, detail.to_owned()), "{to}");
    }
    assert!(server.mails().is_empty());
    assert_eq!(server.connections(), 1, "a refusal is no reason to hang up");
    send(&providers, mail("maria@example.com")).await.expect("what was refused is forgotten");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up_at_the_deadline() {
    let server = MailServer::start();
    let providers = provider(&server.url(), &json!({ "deadline_ms": SHORT }));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}?tls=none", silent.local_addr().unwrap());
    let silent = provider(&url, &json!({ "deadline_ms": SHORT }));
    for (providers, to, kind) in [
        (&providers, "stall-rcpt@example.com", "transient"),
        (&providers, "stall-data@example.com", "unknown"),
        (&silent, "maria@example.com", "transient"),
    ] {
        let start = Instant::now();
        assert_eq!(failure(send(providers, mail(to)).await).0, kind, "{to}");
        assert!(start.elapsed() < Duration::from_secs(5), "{to}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_connection_lost_after_the_text_leaves_it_open() {
    let server = MailServer::start();
    let (kind, detail) = failure(send(&provider(&server.url(), &json!({})), mail("drop-data@example.com")).await);
    assert_eq!(kind, "unknown", "{detail}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_transient() {
    let port = stentor_testkit::free_port();
    let providers = provider(&format!("smtp://127.0.0.1:{port}?tls=none"), &json!({}));
    assert_eq!(failure(send(&providers, mail("maria@example.com")).await).0, "transient");
}

#[tokio::test]
async fn what_would_break_out_of_a_header_is_refused_before_anything_is_sent() {
    let server = MailServer::start();
    let providers = provider(&server.url(), &json!({}));
    for subject in ["a\r\nBcc: x@example.com", "a\nb", "a\rb", "a\0b", &"x".repeat(999)] {
        let message = EmailMessage { subject: subject.into(), ..mail("maria@example.com") };
        assert_eq!(failure(send(&providers, message).await).0, "permanent", "{subject:?}");
    }
    let message = EmailMessage { text: "a\0b".into(), ..mail("maria@example.com") };
    assert_eq!(failure(send(&providers, message).await).0, "permanent");
    assert_eq!(server.connections(), 0);

    for (name, value) in
        [("X-A\r\nBcc", "x"), ("X-A", "x\r\nBcc: y"), ("X-A", "x\0"), ("Bcc", "x@example.com"), ("X-Größe", "1"), ("", "x")]
    {
        let error = Providers::email(&config(
            &json!({ "main": settings(&server.url(), &json!({ "headers": { name: value } })) }),
            &["main"],
        ));
        assert!(
            matches!(error, Err(ConfigError::Invalid { key, .. }) if key.starts_with("email.provider.main.headers.")),
            "{name:?}"
        );
    }
    let error = Providers::email(&config(
        &json!({ "main": settings(&server.url(), &json!({ "from": "A\r\nBcc: x@y.z <a@example.com>" })) }),
        &["main"],
    ));
    assert!(matches!(error, Err(ConfigError::Invalid { key, .. }) if key == "email.provider.main.from"));
}

#[tokio::test]
async fn connections_are_kept_and_replaced_when_they_are_gone() {
    let mut server = MailServer::start();
    let providers = provider(&server.url(), &json!({}));
    for _ in 0..5 {
        send(&providers, mail("maria@example.com")).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    let (a, b) = tokio::join!(send(&providers, mail("a@example.com")), send(&providers, mail("b@example.com")));
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(server.connections(), 2);
    server.restart();
    for _ in 0..3 {
        send(&providers, mail("maria@example.com")).await.unwrap();
    }
    assert_eq!((server.mails().len(), server.connections()), (3, 1));
}

#[tokio::test]
async fn under_load_the_connections_are_as_many_as_the_senders_and_no_more() {
    const SENDERS: usize = 24;
    const MAILS: usize = 600;
    let server = MailServer::start();
    let providers = provider(&server.url(), &json!({}));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..SENDERS {
        let providers = providers.clone();
        senders.spawn(async move {
            for _ in 0..MAILS / SENDERS {
                send(&providers, mail("maria@example.com")).await.unwrap();
            }
        });
    }
    senders.join_all().await;
    assert_eq!(server.mails().len(), MAILS);
    // A connection carries 100 mails at the most, then another takes its place.
    assert!(server.connections() <= SENDERS + MAILS / 100, "{} connections", server.connections());
}

#[tokio::test]
async fn without_tls_nothing_is_sent_unless_it_was_said() {
    let server = MailServer::start();
    let url = |tls: &str, login: &str| format!("smtp://{login}localhost:{}{tls}", server.port());
    for required in ["", "?tls=required"] {
        let (kind, detail) = failure(send(&provider(&url(required, ""), &json!({})), mail("maria@example.com")).await);
        assert_eq!(kind, "transient", "{detail}");
    }
    let with_password = provider(&url("?tls=opportunistic", "bob:hunter2@"), &json!({}));
    assert_eq!(failure(send(&with_password, mail("maria@example.com")).await).0, "transient");
    assert!(server.mails().is_empty());
    send(&provider(&url("?tls=opportunistic", ""), &json!({})), mail("maria@example.com")).await.unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn tls_checks_the_server_and_the_server_the_password() {
    for tls in [MailTls::StartTls, MailTls::Wrapped] {
        let server = MailServer::start_with(MailOptions { tls, login: Some(("bob", "hunter2")), utf8: false });
        let trusted = json!({ "ca_file": server.ca_file() });
        send(&provider(&server.url(), &trusted), mail("maria@example.com")).await.unwrap();
        assert_eq!(server.mails().len(), 1, "{tls:?}");

        let stranger = failure(send(&provider(&server.url(), &json!({})), mail("maria@example.com")).await);
        assert_eq!(stranger.0, "transient", "{tls:?}: {}", stranger.1);
        let wrong = json!({ "ca_file": server.ca_file(), "username": "bob", "password": "wrong" });
        let (kind, detail) = failure(send(&provider(&server.url(), &wrong), mail("maria@example.com")).await);
        assert_eq!(kind, "transient", "a wrong password is no reason to drop mails: {detail}");
        assert!(detail.starts_with("535"), "{detail}");
        assert_eq!(server.mails().len(), 1, "{tls:?}");
    }
}

#[tokio::test]
async fn addresses_beyond_ascii_need_a_server_that_takes_them() {
    let (plain, utf8) = (MailServer::start(), MailServer::start_with(MailOptions { utf8: true, ..MailOptions::default() }));
    assert_eq!(failure(send(&provider(&plain.url(), &json!({})), mail("用户@例子.公司")).await).0, "permanent");
    send(&provider(&utf8.url(), &json!({})), mail("用户@例子.公司")).await.unwrap();
    assert!(utf8.mails()[0].contains("用户@xn--fsqu00a.xn--55qx5d"));
}

#[tokio::test]
async fn signatures_are_good_with_each_kind_of_key() {
    let dir = tempfile::tempdir().unwrap();
    let server = MailServer::start();
    let pkcs8 = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    for (kind, generate) in
        [("rsa", &["genrsa", "-traditional", "2048"][..]), ("rsa", &pkcs8), ("ed25519", &["genpkey", "-algorithm", "ed25519"])]
    {
        let key_file = dir.path().join("key.pem");
        std::fs::write(&key_file, openssl(generate)).unwrap();
        let record = format!("v=DKIM1; k={kind}; p={}", public_key(&key_file, kind));
        let dkim = json!({ "dkim": { "domain": "example.com", "selector": "s1", "key_file": key_file } });
        let providers = provider(&server.url(), &dkim);
        // The longest subject: what signs walks through the headers.
        for subject in ["Hello", &"还款提醒 ".repeat(76)] {
            let before = server.mails().len();
            let message = EmailMessage { subject: subject.trim().into(), ..mail("maria@example.com") };
            send(&providers, message).await.unwrap();
            let mails = server.mails();
            let mail = &mails[before];
            assert!(mail.contains(&format!("a={kind}-sha256")), "{generate:?}");
            assert!(dkim_verifies(mail, "s1._domainkey.example.com", &record), "{generate:?} {mail}");
            assert!(!dkim_verifies(&mail.replace("auto-generated", "no"), "s1._domainkey.example.com", &record));
        }
    }
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let out = Command::new("openssl").args(arguments).output().expect("openssl runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// The record's `p=`: for RSA the whole `SubjectPublicKeyInfo`, for Ed25519 its last 32 bytes (RFC 8463 section 4).
fn public_key(key_file: &Path, kind: &str) -> String {
    let pem = openssl(&["pkey", "-pubout", "-in", key_file.to_str().expect("UTF-8")]);
    let pem = String::from_utf8(pem).expect("PEM is ASCII");
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    // 12 bytes stand before the key: exactly 16 characters of base64.
    if kind == "ed25519" { text[16..].to_owned() } else { text }
}

#[tokio::test]
async fn a_key_that_is_none_is_named_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let key_file = dir.path().join("key.pem");
    for content in ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        std::fs::write(&key_file, content).unwrap();
        let dkim = json!({ "dkim": { "domain": "example.com", "selector": "s1", "key_file": key_file } });
        let config = config(&json!({ "main": settings("smtp://localhost?tls=none", &dkim) }), &["main"]);
        let error = Providers::email(&config).unwrap_err();
        assert!(error.to_string().starts_with("email.provider.main.dkim.key_file: "), "{error}");
    }
    let error = Providers::email(&config(&json!({}), &["main"])).unwrap_err();
    assert_eq!(error.to_string(), "email.providers names \"main\", but there is no [email.provider.main]");
}

#[tokio::test]
async fn the_next_server_is_asked_only_where_nothing_was_sent() {
    let (first, second) = (MailServer::start(), MailServer::start());
    let port = stentor_testkit::free_port();
    let all = json!({
        "down": settings(&format!("smtp://127.0.0.1:{port}?tls=none"), &json!({})),
        "first": settings(&first.url(), &json!({ "deadline_ms": SHORT })),
        "second": settings(&second.url(), &json!({})),
    });
    let providers = providers(&all, &["down", "first", "second"]);
    assert_eq!(send(&providers, mail("maria@example.com")).await.unwrap().provider, "first");
    for (to, kind) in
        [("refuse-550@example.com", "permanent"), ("stall-data@example.com", "unknown"), ("drop-data@example.com", "unknown")]
    {
        assert_eq!(failure(send(&providers, mail(to)).await).0, kind);
    }
    assert_eq!(second.connections(), 0);
    // The first time for each server: the second refuses it as well, and its word is the last.
    assert_eq!(failure(send(&providers, mail("greylist-1@example.com")).await).0, "transient");
    assert_eq!(second.connections(), 1);
    assert_eq!((first.mails().len(), second.mails().len()), (1, 0));
}

#[tokio::test]
async fn a_mail_that_is_put_off_is_taken_the_second_time() {
    let server = MailServer::start();
    let providers = provider(&server.url(), &json!({}));
    let greylisted = mail("greylist-1@example.com");
    assert_eq!(failure(send(&providers, greylisted.clone()).await).0, "transient");
    server.wait_for_refusals(1, Duration::from_secs(10)).await;
    send(&providers, greylisted).await.unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn captured_mails_are_whole_files_one_for_each_send() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = dir.path().join("outbox/mail");
    let providers = provider(&format!("capture:{}", outbox.display()), &json!({}));
    for _ in 0..2 {
        send(&providers, mail("maria@example.com")).await.unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    for path in names {
        assert_eq!(path.extension().unwrap(), "eml");
        let read = read_mail(&std::fs::read_to_string(path).unwrap());
        assert_eq!(read["headers"]["to"], "maria@example.com");
        assert_eq!(read["parts"].as_array().unwrap().len(), 2);
    }
}
