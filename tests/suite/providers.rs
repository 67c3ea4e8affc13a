//! A real SMTP conversation and a real HTTP gateway.

use serde_json::json;
use stentor_testkit::{Answer, MailServer, SmsGateway};
use stentor_tests::Dev;

#[tokio::test]
async fn mail_goes_over_smtp_and_sms_through_a_gateway_described_by_settings_alone() {
    let (smtp, gateway) = (MailServer::start(), SmsGateway::start());
    let dev = Dev::start_with(&[
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &format!("smtp://127.0.0.1:{}?tls=none", smtp.port())),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "Example Bank <no-reply@example.com>"),
        ("STENTOR__SMS__PROVIDERS", "gw"),
        ("STENTOR__SMS__PROVIDER__GW__METHOD", "POST"),
        ("STENTOR__SMS__PROVIDER__GW__URL", &format!("{}/send", gateway.url())),
        ("STENTOR__SMS__PROVIDER__GW__HEADERS__CONTENT-TYPE", "application/json"),
        ("STENTOR__SMS__PROVIDER__GW__BODY", r#"{"to":"{{to}}","text":"{{text}}","from":"{{from}}","reference":"{{id}}"}"#),
        ("STENTOR__SMS__PROVIDER__GW__FROM", "Bank"),
    ]);
    let id = dev
        .api
        .send(&json!({
            "audience": {"recipients": [{"id": "grace", "email": "grace@example.com", "phone": "+491701234567", "locale": "en"}]},
            "template": "card-repayment-due", "channels": ["email", "sms"],
            "data": {"amount": {"value": "1234.50", "currency": "CNY"}, "due_date": "2026-12-05", "card": "6222"},
        }))
        .await;
    let view = dev.api.completed(&id).await;
    assert_eq!(view["counts"], json!({"email": {"sent": 1}, "sms": {"sent": 1}}), "{view}");
    let mails = smtp.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("To: grace@example.com") && mails[0].contains("Example Bank"), "{}", mails[0]);
    let requests = gateway.requests();
    assert_eq!(requests.len(), 1);
    let sms: serde_json::Value = serde_json::from_str(requests[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!((&sms["to"], &sms["from"]), (&json!("+491701234567"), &json!("Bank")));
    assert!(sms["text"].as_str().unwrap().contains("1,234.50"), "{sms}");
}

/// `dev` with SMS through `gateway`.
fn with_gateway(gateway: &SmsGateway) -> Dev {
    Dev::start_with(&[
        ("STENTOR__SMS__PROVIDERS", "gw"),
        ("STENTOR__SMS__PROVIDER__GW__URL", &format!("{}/send?to={{{{to}}}}&text={{{{text}}}}", gateway.url())),
    ])
}

fn sms() -> serde_json::Value {
    json!({"audience": {"recipients": ["ada"]}, "content": {"title": "Your code", "sms": {"text": "4711"}}, "channels": ["sms"]})
}

async fn states(dev: &Dev, id: &str) -> Vec<(String, serde_json::Value)> {
    let timeline = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
    let events = timeline["events"].as_array().unwrap().iter().filter(|e| e["channel"] == "sms");
    events.map(|e| (e["state"].as_str().unwrap().to_owned(), e["attempt"].clone())).collect()
}

#[tokio::test]
async fn a_gateway_that_is_busy_is_asked_again_and_the_story_tells_it() {
    let gateway = SmsGateway::start();
    gateway.answer(&[Answer::status(429).with_header("Retry-After", "1"), Answer::status(200)]);
    let dev = with_gateway(&gateway);
    let id = dev.api.send(&sms()).await;
    let view = dev.api.completed(&id).await;
    assert_eq!(view["counts"]["sms"], json!({"sent": 1}), "{view}");
    assert_eq!(gateway.requests().len(), 2);
    let told = states(&dev, &id).await;
    let expected = [("queued", json!(null)), ("scheduled", json!(1)), ("sent", json!(2))];
    assert_eq!(told, expected.map(|(state, attempt)| (state.to_owned(), attempt)));
}

#[tokio::test]
async fn an_sms_whose_answer_is_lost_is_unknown_and_never_sent_again() {
    let gateway = SmsGateway::start();
    gateway.answer(&[Answer::Drop]);
    let dev = with_gateway(&gateway);
    let id = dev.api.send(&sms()).await;
    let view = dev.api.completed(&id).await;
    assert_eq!(view["counts"]["sms"], json!({"unknown": 1}), "{view}");
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn a_gateway_that_refuses_is_not_asked_again() {
    let gateway = SmsGateway::start();
    gateway.answer(&[Answer::status(400)]);
    let dev = with_gateway(&gateway);
    let id = dev.api.send(&sms()).await;
    let view = dev.api.completed(&id).await;
    assert_eq!(view["counts"]["sms"], json!({"failed": 1}), "{view}");
    assert_eq!(gateway.requests().len(), 1);
    assert_eq!(dev.api.get("/v1/dead-letters").await["items"], json!([]), "a refusal is no dead letter");
}
