//! A real SMTP conversation and a real HTTP gateway.

mod support;

use serde_json::json;
use stentor_testkit::{MailServer, SmsGateway};
use support::Dev;

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
