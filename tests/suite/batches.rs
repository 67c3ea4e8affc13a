//! Large batches are written as one; to whoever asks for one of their notifications they are as if each had been sent by itself.

use reqwest::StatusCode;
use serde_json::{Value, json};
use stentor_testkit::RedisServer;
use stentor_tests::{
    at, eventually,
    serve::{Process, Serve, settings, sqlite},
};

const N: usize = 300;
const DISPATCH: &str = "stentor:{q:dispatch}:";

fn request(n: usize) -> Value {
    json!({"audience": {"recipients": [format!("u{n}")]}, "channels": ["inbox"], "content": {"title": format!("title {n}")}})
}

fn ids(answer: &Value) -> Vec<String> {
    answer["results"].as_array().unwrap().iter().map(|result| result["id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_large_batch_is_there_at_once_may_be_changed_and_reaches_each_person_once() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let database = sqlite(&dir);
    let accepting = Serve::start(&redis.url(), &database, &[("STENTOR__ROLES", "api")]).await;
    let api = &accepting.api;

    let mut requests: Vec<Value> = (0..N).map(request).collect();
    requests[5]["idempotency_key"] = json!("five");
    requests[6]["priority"] = json!("high");
    requests[7]["send_at"] = json!(at(3_600.0));
    requests[8]["audience"] = json!({"recipients": []}); // good for nothing
    let (status, answer) = api.post("/v1/notifications/batch", &json!({"notifications": requests})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let ids = ids(&answer);
    assert_eq!(answer["results"][7]["status"], "scheduled");
    assert_eq!(answer["results"][8]["problem"]["errors"][0]["code"], "recipient_count");
    let mut sorted: Vec<&String> = ids.iter().filter(|id| !id.is_empty()).collect();
    assert!(sorted.is_sorted(), "{ids:?}");
    sorted.dedup();
    assert_eq!(sorted.len(), N - 1);
    let waiting = |lane: &str| redis.command(&["XLEN", &format!("{DISPATCH}{lane}")]);
    assert_eq!((waiting("high"), waiting("normal")), ("int(1)".into(), "int(2)".into()), "two bundles, and the one with a key");

    // Nobody works, and each is there.
    for n in [0, 5, 299] {
        let view = api.get(&format!("/v1/notifications/{}", ids[n])).await;
        assert_eq!((&view["status"], &view["audience"]), (&json!("accepted"), &requests[n]["audience"]), "{view}");
    }
    let (status, _) = api.post(&format!("/v1/notifications/{}/recall", ids[10]), &json!(null)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(api.get(&format!("/v1/notifications/{}", ids[10])).await["status"], "cancelled");
    let (status, _) = api.patch(&format!("/v1/notifications/{}", ids[280]), &json!({"content": {"title": "otherwise"}})).await;
    assert_eq!(status, StatusCode::ACCEPTED);

    let _working = Process::start(&settings(&redis.url(), &database, &[("STENTOR__ROLES", "worker")])).await;
    for n in (0..N).filter(|n| ![7, 8, 10].contains(n)) {
        api.completed(&ids[n]).await;
        let inbox = api.get(&format!("/v1/recipients/u{n}/inbox")).await;
        let title = if n == 280 { "otherwise".to_owned() } else { format!("title {n}") };
        let items: Vec<_> = inbox["items"].as_array().unwrap().iter().map(|item| (&item["id"], &item["title"])).collect();
        assert_eq!((items, &inbox["unread"]), (vec![(&json!(ids[n]), &json!(title))], &json!(1)), "of {n}");
    }
    assert_eq!(api.get(&format!("/v1/notifications/{}", ids[7])).await["status"], "scheduled");
    eventually("the recall is on record", async || {
        (api.get(&format!("/v1/notifications/{}", ids[10])).await["status"] == "cancelled").then_some(())
    })
    .await;
    assert_eq!(api.get("/v1/recipients/u10/inbox").await["items"], json!([]));

    let again = api.post("/v1/notifications/batch", &json!({"notifications": [requests[5]]})).await.1;
    assert_eq!(again["results"][0]["id"], json!(ids[5]), "a repeat of the one with a key");
}
