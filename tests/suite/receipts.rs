//! Receipts: what a gateway reports later settles what its answer left open.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::{Answer, SmsGateway};
use stentor_tests::{Dev, answer, eventually};

const SECRET: &str = "0123456789abcdef";

fn start(gateway: &SmsGateway) -> Dev {
    Dev::start_with(&[
        ("STENTOR__SMS__PROVIDERS", "gw"),
        ("STENTOR__SMS__PROVIDER__GW__URL", &format!("{}/send?to={{{{to}}}}&text={{{{text}}}}&ref={{{{id}}}}", gateway.url())),
        ("STENTOR__SMS__PROVIDER__GW__DEADLINE_MS", "500"),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__SECRET", SECRET),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__REFERENCE", "ref"),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__STATUS", "status"),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__DELIVERED", "1"),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__FAILED", "2,16"),
        ("STENTOR__SMS__PROVIDER__GW__RECEIPTS__REASON", "why"),
    ])
}

async fn send(dev: &Dev) -> String {
    let body = json!({"audience": {"recipients": ["ada"]}, "content": {"title": "Hello"}, "channels": ["sms"]});
    let id = dev.api.send(&body).await;
    dev.api.completed(&id).await;
    id
}

async fn delivery(dev: &Dev, id: &str) -> Value {
    dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await["items"][0].clone()
}

/// Calls back as the gateway does, with the reference that it was given.
async fn report(dev: &Dev, reference: &str, more: &str) -> StatusCode {
    let url = format!("{}/v1/callbacks/sms/gw?ref={reference}&{more}", dev.api.url);
    answer(stentor_tests::client().request(Method::GET, url)).await.0
}

async fn settled(dev: &Dev, id: &str, state: &str) -> Value {
    eventually(state, async || Some(delivery(dev, id).await).filter(|delivery| delivery["state"] == state)).await
}

#[tokio::test]
async fn a_receipt_settles_what_was_unknown_and_is_taken_once() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    gateway.answer(&[Answer::Drop]);
    let id = send(&dev).await;
    assert_eq!(delivery(&dev, &id).await["state"], "unknown");
    let reference = gateway.requests()[0]["query"]["ref"].as_str().unwrap().to_owned();

    assert_eq!(report(&dev, &reference, "status=1").await, StatusCode::NOT_FOUND, "without the secret");
    assert_eq!(report(&dev, &reference, "status=1&secret=0123456789abcdeX").await, StatusCode::NOT_FOUND);
    let secret = format!("secret={SECRET}");
    assert_eq!(report(&dev, "x", &format!("{secret}&status=1")).await, StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = "019a0000-0000-5000-8000-000000000000";
    assert_eq!(report(&dev, nobody, &format!("{secret}&status=1")).await, StatusCode::NOT_FOUND);
    assert_eq!(report(&dev, &reference, &format!("{secret}&status=8")).await, StatusCode::NO_CONTENT, "under way");
    assert_eq!(delivery(&dev, &id).await["state"], "unknown", "nothing of this changed anything");

    for _ in 0..2 {
        assert_eq!(report(&dev, &reference, &format!("{secret}&status=1")).await, StatusCode::NO_CONTENT);
    }
    let delivered = settled(&dev, &id, "delivered").await;
    assert_eq!(delivered["provider"], "gw", "{delivered}");
    // It was delivered: nobody can say any more that it was not.
    assert_eq!(report(&dev, &reference, &format!("{secret}&status=2")).await, StatusCode::NO_CONTENT);
    let timeline = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
    let states: Vec<&str> = timeline["events"].as_array().unwrap().iter().filter_map(|e| e["state"].as_str()).collect();
    assert_eq!(states.iter().filter(|state| **state == "delivered").count(), 1, "{timeline}");
    assert!(!states.contains(&"failed"), "{timeline}");
    assert_eq!(gateway.requests().len(), 1);
}

#[tokio::test]
async fn a_message_that_was_taken_may_fail_after_all_and_the_reason_is_told() {
    let gateway = SmsGateway::start();
    let dev = start(&gateway);
    let id = send(&dev).await;
    assert_eq!(delivery(&dev, &id).await["state"], "sent");
    let reference = gateway.requests()[0]["query"]["ref"].as_str().unwrap().to_owned();
    let form = [("ref", reference.as_str()), ("status", "16"), ("why", "absent subscriber")];
    let url = format!("{}/v1/callbacks/sms/gw?secret={SECRET}", dev.api.url);
    let (status, _) = answer(stentor_tests::client().request(Method::POST, url).form(&form)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(settled(&dev, &id, "failed").await["reason"], "absent subscriber");
}
