//! A mail server that falls silent at one step of the conversation, whichever: it is given up at the deadline, and only where the text
//! was handed over is the mail's fate open.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use serde_json::json;
use stentor_channels::{EmailMessage, OutboundMessage, Providers, SendError};
use stentor_domain::{Channel, DeliveryId, NotificationId, Timestamp};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

const DEADLINE: u64 = 300;

/// A server that answers every step before `silent`, and then nothing; gives its port.
async fn server(silent: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                if silent == "greeting" {
                    return std::future::pending().await;
                }
                let _ = stream.get_mut().write_all(b"220 slow.test ESMTP\r\n").await;
                let (mut line, mut in_text) = (String::new(), false);
                while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                    let word = line.split([' ', ':']).next().unwrap_or_default().trim().to_owned();
                    let step = if in_text { if line == ".\r\n" { "dot" } else { "" } } else { word.as_str() };
                    if step == silent {
                        return std::future::pending().await;
                    }
                    if step == "STARTTLS" {
                        let _ = stream.get_mut().write_all(b"220 go ahead\r\n").await;
                        return std::future::pending().await; // what comes next is the handshake
                    }
                    let answer = match step {
                        "" => "",
                        "EHLO" => "250-slow.test\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
                        "DATA" => "354 go on\r\n",
                        "AUTH" => "235 welcome\r\n",
                        _ => "250 OK\r\n",
                    };
                    in_text = step == "DATA" || (in_text && step != "dot");
                    let _ = stream.get_mut().write_all(answer.as_bytes()).await;
                    line.clear();
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_falls_silent_at_any_step_is_given_up_in_time() {
    for (silent, url, kind) in [
        ("greeting", "smtp://localhost:PORT?tls=none", "transient"),
        ("EHLO", "smtp://localhost:PORT?tls=none", "transient"),
        ("STARTTLS", "smtp://localhost:PORT?tls=required", "transient"),
        ("handshake", "smtp://localhost:PORT?tls=required", "transient"),
        ("greeting", "smtps://localhost:PORT", "transient"),
        ("AUTH", "smtp://bob:secret@localhost:PORT?tls=none", "transient"),
        ("MAIL", "smtp://localhost:PORT?tls=none", "transient"),
        ("RCPT", "smtp://localhost:PORT?tls=none", "transient"),
        ("DATA", "smtp://localhost:PORT?tls=none", "transient"),
        ("dot", "smtp://localhost:PORT?tls=none", "unknown"),
    ] {
        let url = url.replace("PORT", &server(silent).await.to_string());
        let settings = json!({ "url": url, "from": "a@example.com", "deadline_ms": DEADLINE });
        let config = json!({ "providers": ["main"], "provider": { "main": settings } });
        let providers = Providers::email(&serde_json::from_value(config).unwrap()).unwrap();
        let notification = NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]);
        let id = DeliveryId::new(notification, &"u1".parse().unwrap(), Channel::Email);
        let (app, to) = ("demo".parse().unwrap(), "maria@example.com".parse().unwrap());
        let mail = OutboundMessage::Email(EmailMessage::new(id, app, to, "Hello".into(), "Hello".into()));
        let begun = Instant::now();
        let result = providers.send(&mail).await;
        let is = match &result {
            Err(SendError::Transient { .. }) => "transient",
            Err(SendError::Unknown { .. }) => "unknown",
            _ => "another",
        };
        assert_eq!(is, kind, "{silent}: {result:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{silent}: {:?}", begun.elapsed());
    }
}
