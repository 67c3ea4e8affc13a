//! No address, text or password reaches a log, at any level.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::json;
use stentor_channels::{EmailMessage, OutboundMessage, Providers, SmsMessage};
use stentor_domain::{Channel, DeliveryId, NotificationId, Timestamp};
use stentor_testkit::{Answer, MailOptions, MailServer, MailTls, SmsGateway};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_address_text_or_password_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let levels = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    levels.with_writer(move || writer.clone()).init();

    let server = MailServer::start_with(MailOptions { tls: MailTls::StartTls, login: Some(("bob", "hunter2")), utf8: false });
    let gateway = SmsGateway::start();
    let email = json!({ "url": server.url(), "from": "no-reply@example.com", "ca_file": server.ca_file() });
    let email = json!({ "providers": ["main"], "provider": { "main": email } });
    let email = Providers::email(&serde_json::from_value(email).unwrap()).unwrap();
    let sms = json!({ "url": format!("{}/?password=hunter2&to={{{{to}}}}&text={{{{text}}}}", gateway.url()) });
    let sms = json!({ "providers": ["gw"], "provider": { "gw": sms } });
    let sms = Providers::sms(&serde_json::from_value(sms).unwrap()).unwrap();

    let notification = NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]);
    let id = DeliveryId::new(notification, &"u1".parse().unwrap(), Channel::Email);
    for to in ["maria@example.org", "refuse-450-maria@example.org", "refuse-550-maria@example.org"] {
        let (app, to) = ("demo".parse().unwrap(), to.parse().unwrap());
        let mail = EmailMessage::new(id, app, to, "secret-subject".into(), "secret-body".into());
        let mail = EmailMessage { html: Some("secret-body".into()), ..mail };
        let _ = email.send(&OutboundMessage::Email(mail)).await;
    }
    for status in [200, 429, 400] {
        gateway.answer(&[Answer::body(status, "+8613800138000 secret-body")]);
        let message = SmsMessage::new(id, "+8613800138000".parse().unwrap(), "secret-body".into());
        let _ = sms.send(&OutboundMessage::Sms(message)).await;
    }
    assert_eq!((server.mails().len(), gateway.requests().len()), (1, 3));

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a mail was handed over") && log.contains(&id.to_string()), "something is logged: {log}");
    for secret in ["maria", "example.org", "13800138000", "secret-", "hunter2", "aHVudGVyMg", "AGJvYgBodW50ZXIy"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
