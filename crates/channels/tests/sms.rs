//! SMS against a real HTTP gateway.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stentor_channels::{OutboundMessage, Providers, SendError, Sent, SmsConfig, SmsMessage};
use stentor_domain::{Channel, DeliveryId, NotificationId, Timestamp};
use stentor_testkit::{Answer, SmsGateway};

const NASTY: &str = "Say \"hi\" & <b>pay</b>\n100 % = 还款 \\o/ {{to}}";

fn providers(settings: &Value, order: &[&str]) -> Result<Providers, String> {
    let config: SmsConfig =
        serde_json::from_value(json!({ "providers": order, "provider": settings })).map_err(|e| e.to_string())?;
    Providers::sms(&config).map_err(|e| e.to_string())
}

fn provider(settings: &Value) -> Providers {
    providers(&json!({ "gw": settings }), &["gw"]).expect("the settings work")
}

fn sms(text: &str) -> OutboundMessage {
    let notification = NotificationId::new(Timestamp::from_millis(1_790_000_000_000), &[7; 10]);
    let id = DeliveryId::new(notification, &"u1".parse().expect("a recipient"), Channel::Sms);
    OutboundMessage::Sms(SmsMessage::new(id, "+8613800138000".parse().expect("a number"), text.into()))
}

fn json_settings(gateway: &SmsGateway) -> Value {
    json!({
        "url": format!("{}/v1/messages/{{{{id}}}}", gateway.url()),
        "headers": { "authorization": "Bearer secret", "Content-Type": "application/json; charset=utf-8" },
        "body": r#"{"to": "{{to}}", "number": {{digits to}}, "text": "{{text}}", "sender": "{{from}}"}"#,
        "from": "Bank",
        "message_id": "/message/id",
        "deadline_ms": 2_000,
    })
}

fn failure(result: &Result<Sent, SendError>) -> &'static str {
    match result {
        Ok(_) => "sent",
        Err(SendError::Transient { .. }) => "transient",
        Err(SendError::Permanent { .. }) => "permanent",
        Err(SendError::Unknown { .. }) => "unknown",
    }
}

#[tokio::test]
async fn a_json_gateway_by_settings_alone() {
    let gateway = SmsGateway::start();
    gateway.answer(&[Answer::body(202, r#"{"message":{"id":"abc-7"}}"#)]);
    let message = sms(NASTY);
    let sent = provider(&json_settings(&gateway)).send(&message).await.unwrap();
    assert_eq!(sent, Sent { provider: "gw".into(), message_id: Some("abc-7".into()) });
    let requests = gateway.wait_for(1, Duration::from_secs(10)).await;
    assert_eq!(requests[0]["method"], "POST");
    assert_eq!(requests[0]["path"], format!("/v1/messages/{}", message.id()));
    assert_eq!(requests[0]["headers"]["authorization"], "Bearer secret");
    let body: Value = serde_json::from_str(requests[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({ "to": "+8613800138000", "number": 8_613_800_138_000_u64, "text": NASTY, "sender": "Bank" }));
}

#[tokio::test]
async fn values_are_escaped_for_the_url_a_form_and_xml() {
    let gateway = SmsGateway::start();
    let get = json!({ "url": format!("{}/send?to={{{{to}}}}&text={{{{text}}}}", gateway.url()) });
    provider(&get).send(&sms(NASTY)).await.unwrap();
    let form = json!({ "url": gateway.url(), "method": "PUT", "body": "to={{to}}&text={{text}}",
        "headers": { "content-type": "application/x-www-form-urlencoded" } });
    provider(&form).send(&sms(NASTY)).await.unwrap();
    let xml =
        json!({ "url": gateway.url(), "body": "<sms to=\"{{to}}\">{{text}}</sms>", "headers": { "content-type": "text/xml" } });
    provider(&xml).send(&sms(NASTY)).await.unwrap();

    let requests = gateway.requests();
    assert_eq!(requests[0]["method"], "GET");
    assert_eq!(requests[0]["query"], json!({ "to": "+8613800138000", "text": NASTY }));
    assert_eq!(requests[1]["method"], "PUT");
    let body = requests[1]["body"].as_str().unwrap();
    assert!(body.starts_with("to=%2B8613800138000&text=Say+%22hi%22+%26+%3Cb%3E"), "{body}");
    let body = requests[2]["body"].as_str().unwrap();
    assert!(body.contains("&lt;b&gt;pay&lt;/b&gt;&#10;100 % = 还款"), "{body}");
}

#[tokio::test]
async fn only_where_nothing_can_have_been_sent_it_may_be_tried_again() {
    let gateway = SmsGateway::start();
    let cases = [
        (Answer::status(429).with_header("Retry-After", "7"), "transient"),
        (Answer::status(429), "transient"),
        (Answer::status(503).with_header("Retry-After", "7"), "transient"),
        (Answer::status(503), "unknown"),
        (Answer::status(500), "unknown"),
        (Answer::body(400, "unknown number +8613800138000"), "permanent"),
        (Answer::body(200, "<!DOCTYPE html><html>Sign in to the network, +8613800138000</html>"), "unknown"),
        (Answer::Stall, "unknown"),
        (Answer::Drop, "unknown"),
    ];
    let count = cases.len();
    for (answer, kind) in cases {
        gateway.answer(std::slice::from_ref(&answer));
        let start = Instant::now();
        let result = provider(&json_settings(&gateway)).send(&sms("hello")).await; // a new one has seen no trouble yet
        assert!(start.elapsed() < Duration::from_secs(5), "{answer:?}: {:?}", start.elapsed());
        let shown = format!("{result:?}");
        assert!(!shown.contains("138001") && !shown.contains("hello"), "{shown}");
        if let (Answer::Reply { headers, .. }, Err(SendError::Transient { retry_after, .. })) = (&answer, &result) {
            assert_eq!(*retry_after, headers.get("Retry-After").map(|_| Duration::from_secs(7)));
        }
        assert_eq!(failure(&result), kind, "{answer:?}");
    }
    assert_eq!(gateway.requests().len(), count, "each was asked once");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let gateway = SmsGateway::start();
    for status in [302, 307, 308] {
        gateway.answer(&[Answer::status(status).with_header("Location", "/elsewhere"), Answer::status(200)]);
        assert_eq!(failure(&provider(&json_settings(&gateway)).send(&sms("hello")).await), "permanent");
    }
    assert!(gateway.requests().iter().all(|request| request["path"] != "/elsewhere"));
    assert_eq!(gateway.requests().len(), 3);
}

#[tokio::test]
async fn of_a_huge_answer_no_more_than_its_status_counts() {
    let gateway = SmsGateway::start();
    let long = format!(r#"{{"message":{{"id":"abc-7"}},"pad":"{}"}}"#, "x".repeat(10 * 1024 * 1024));
    gateway.answer(&[Answer::body(200, long)]);
    let mut settings = json_settings(&gateway);
    assert_eq!(provider(&settings).send(&sms("hello")).await.unwrap().message_id, None);
    settings["success"] = json!({ "pointer": "/message/id", "equals": "abc-7" });
    assert_eq!(failure(&provider(&settings).send(&sms("hello")).await), "unknown");
}

#[tokio::test]
async fn a_rule_says_what_success_is() {
    let gateway = SmsGateway::start();
    let mut settings = json_settings(&gateway);
    settings["success"] = json!({ "pointer": "/status", "equals": 0 });
    settings["message_id"] = json!({ "regex": "\"id\": ?\"(\\w+)\"" });
    gateway.answer(&[Answer::body(200, r#"{"status":"0","id":"m1"}"#), Answer::body(200, r#"{"status":"9"}"#)]);
    let providers = provider(&settings);
    assert_eq!(providers.send(&sms("hello")).await.unwrap().message_id.as_deref(), Some("m1"));
    assert_eq!(failure(&providers.send(&sms("hello")).await), "permanent");
}

#[tokio::test]
async fn a_gateway_that_cannot_be_reached_is_transient() {
    let nobody = json!({ "url": format!("http://127.0.0.1:{}/", stentor_testkit::free_port()) });
    assert_eq!(failure(&provider(&nobody).send(&sms("hello")).await), "transient");
    let mut gateway = SmsGateway::start();
    let providers = provider(&json_settings(&gateway));
    gateway.kill();
    assert_eq!(failure(&providers.send(&sms("hello")).await), "transient");
    gateway.restart();
    assert_eq!(failure(&providers.send(&sms("hello")).await), "sent");
    // It accepts the connection and never shakes hands: nothing can have been sent before TLS stands.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = json!({ "url": format!("https://{}/", silent.local_addr().unwrap()), "deadline_ms": 600 });
    assert_eq!(failure(&provider(&silent).send(&sms("hello")).await), "transient");
}

#[tokio::test]
async fn the_next_gateway_is_asked_only_where_nothing_was_sent() {
    let (first, second) = (SmsGateway::start(), SmsGateway::start());
    let settings = json!({ "first": json_settings(&first), "second": json_settings(&second) });
    let providers = providers(&settings, &["first", "second"]).unwrap();
    first.answer(&[Answer::status(429), Answer::status(500), Answer::Stall, Answer::Drop, Answer::status(400)]);
    assert_eq!(providers.send(&sms("hello")).await.unwrap().provider, "second");
    for kind in ["unknown", "unknown", "unknown", "permanent"] {
        assert_eq!(failure(&providers.send(&sms("hello")).await), kind);
    }
    assert_eq!((first.requests().len(), second.requests().len()), (5, 1));
}

#[tokio::test]
async fn a_gateway_in_trouble_is_left_alone_and_the_next_is_asked_at_once() {
    let (first, second) = (SmsGateway::start(), SmsGateway::start());
    let settings = json!({ "first": json_settings(&first), "second": json_settings(&second) });
    let one = providers(&settings, &["first"]).unwrap();
    let both = providers(&settings, &["first", "second"]).unwrap();
    for providers in [&one, &both] {
        first.answer(&std::array::from_fn::<_, 5, _>(|_| Answer::status(500)));
        for _ in 0..5 {
            assert_eq!(failure(&providers.send(&sms("hello")).await), "unknown");
        }
    }
    let Err(SendError::Transient { detail, retry_after: Some(wait), .. }) = one.send(&sms("hello")).await else {
        panic!("the only gateway is asked a sixth time")
    };
    assert_eq!(detail, "first failed several times in a row and is left alone");
    assert!(wait > Duration::from_secs(3) && wait <= Duration::from_secs(5), "{wait:?}");
    assert_eq!(both.send(&sms("hello")).await.unwrap().provider, "second");
    assert_eq!((first.requests().len(), second.requests().len()), (10, 1));
}

#[tokio::test]
async fn a_message_that_is_refused_is_no_trouble_of_the_gateway() {
    let gateway = SmsGateway::start();
    let providers = provider(&json_settings(&gateway));
    gateway.answer(&std::array::from_fn::<_, 8, _>(|_| Answer::status(400)));
    for _ in 0..8 {
        assert_eq!(failure(&providers.send(&sms("hello")).await), "permanent");
    }
    assert_eq!(gateway.requests().len(), 8);
}

#[tokio::test]
async fn a_gateway_that_asks_for_time_gets_it() {
    let gateway = SmsGateway::start();
    let providers = provider(&json_settings(&gateway));
    gateway.answer(&[Answer::status(429).with_header("Retry-After", "40")]);
    assert_eq!(failure(&providers.send(&sms("hello")).await), "transient");
    let Err(SendError::Transient { retry_after: Some(wait), .. }) = providers.send(&sms("hello")).await else { panic!() };
    assert!(wait > Duration::from_secs(35), "{wait:?}");
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn no_more_calls_than_the_cap_are_under_way() {
    let gateway = SmsGateway::start();
    let mut settings = json_settings(&gateway);
    settings["max_concurrency"] = json!(2);
    settings["deadline_ms"] = json!(3_000);
    let providers = provider(&settings);
    gateway.answer(&[Answer::Stall, Answer::Stall, Answer::status(202)]);
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let providers = providers.clone();
            tokio::spawn(async move { failure(&providers.send(&sms("hello")).await) })
        })
        .collect();
    gateway.wait_for(2, Duration::from_secs(10)).await;
    let Err(SendError::Transient { detail, .. }) = providers.send(&sms("hello")).await else { panic!("a third call") };
    assert_eq!(detail, "too many calls at once");
    assert_eq!(gateway.requests().len(), 2);
    for call in calls {
        assert_eq!(call.await.unwrap(), "unknown");
    }
    providers.send(&sms("hello")).await.unwrap();
}

#[tokio::test]
async fn captured_messages_are_whole_files_one_for_each_send() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = dir.path().join("outbox/sms");
    let providers = provider(&json!({ "preset": "capture", "dir": outbox, "from": "Bank" }));
    let message = sms(NASTY);
    for _ in 0..2 {
        providers.send(&message).await.unwrap();
    }
    let files: Vec<_> = std::fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for path in files {
        assert_eq!(path.extension().unwrap(), "json");
        let mut captured: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(captured.as_object_mut().unwrap().remove("at").unwrap().as_str().unwrap().ends_with('Z'));
        assert_eq!(captured, json!({ "to": "+8613800138000", "text": NASTY, "from": "Bank", "id": message.id().to_string() }));
    }
}

#[tokio::test]
async fn control_characters_are_refused_before_anything_is_sent() {
    let gateway = SmsGateway::start();
    let mut settings = json_settings(&gateway);
    assert_eq!(failure(&provider(&settings).send(&sms("a\0b")).await), "permanent");
    settings["headers"]["x-text"] = "{{text}}".into();
    assert_eq!(failure(&provider(&settings).send(&sms("a\r\nx-admin: 1")).await), "permanent");
    assert!(gateway.requests().is_empty());
}

#[tokio::test]
async fn settings_that_cannot_work_are_named_at_the_start() {
    let problem = |settings: Value| providers(&json!({ "gw": settings }), &["gw"]).unwrap_err();
    let json = json!({ "content-type": "application/json" });
    for (settings, expected) in [
        (json!({}), "sms.provider.gw.url: is needed"),
        (json!({ "url": "ftp://x/" }), "sms.provider.gw.url: must be an http:// or https:// URL"),
        (json!({ "url": "http://x/?t={{message}}" }), "sms.provider.gw.url: knows to, text, from, id"),
        (json!({ "url": "http://x/?f={{from}}" }), "sms.provider.gw.url: uses {{from}}, but `from` is not set"),
        (json!({ "url": "http://x/", "body": "{{text}}" }), "sms.provider.gw.headers: a body needs a header Content-Type"),
        (json!({ "url": "http://x/", "headers": json, "body": "{\"t\": {{text}}}" }), "sms.provider.gw.body: is not JSON"),
        (
            json!({ "url": "http://x/", "headers": json, "body": "\"{{{text}}}\"" }),
            "sms.provider.gw.body: must not switch the escaping off",
        ),
        (json!({ "url": "http://x/", "success": {} }), "sms.provider.gw.success: must be"),
        (json!({ "url": "http://x/", "message_id": "id" }), "sms.provider.gw.message_id: a JSON pointer starts with a slash"),
        (json!({ "preset": "kannel" }), "sms.provider.gw.url: is needed"),
        (
            json!({ "preset": "capture", "dir": "/tmp", "body": "x" }),
            "sms.provider.gw.body: the preset capture has no such setting",
        ),
        (json!({ "url": "http://x/", "dir": "/tmp" }), "sms.provider.gw.dir: a gateway has no such setting"),
        (
            json!({ "preset": "aliyun", "username": "a", "password": "b" }),
            "uses {{values.sign_name}}, but `values.sign_name` is not set",
        ),
        (json!({ "url": "http://x/", "query": "s={{part \"s\"}}" }), "sms.provider.gw.query: there is no part \"s\" before it"),
        (json!({ "url": "http://x/", "errors": [{ "when": {}, "means": "busy" }] }), "sms.provider.gw.errors: must be"),
        (json!({ "url": "http://x/", "errors": [{ "when": {}, "means": "good" }] }), "unknown variant `good`"),
        (json!({ "url": "http://x/", "callback_url": "x" }), "sms.provider.gw.callback_url: must be the whole address"),
        (json!({ "preset": "capture" }), "sms.provider.gw.dir: names the folder"),
        (json!({ "url": "http://x/", "max_concurrency": 0 }), "sms.provider.gw.max_concurrency: must be at least 1"),
        (json!({ "url": "http://x/", "rate_per_second": 0 }), "sms.provider.gw.rate_per_second: must be a number from"),
        (json!({ "ulr": "http://x/" }), "unknown field `ulr`"),
    ] {
        let problem = problem(settings);
        assert!(problem.contains(expected), "{problem} instead of {expected}");
    }
    let none = providers(&json!({}), &[]).unwrap();
    assert!(none.is_empty());
    assert_eq!(failure(&none.send(&sms("hello")).await), "permanent");
}
