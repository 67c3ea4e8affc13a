//! A long inbox: hot state stays small, older pages come from SQL with the same places, unread stays exact.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_tests::{Dev, at, device::Device, eventually, is_archived};

const ITEMS: usize = 300;

#[tokio::test]
async fn old_items_leave_redis_and_are_listed_opened_and_marked_all_the_same() {
    let dev = Dev::start();
    let mut ids = Vec::new();
    for chunk in 0..ITEMS / 100 {
        let one = |n: usize| json!({"audience": {"recipients": ["eve"]}, "content": {"title": format!("number {n}"), "body_markdown": format!("body *{n}*")}});
        let batch: Vec<Value> = (chunk * 100..(chunk + 1) * 100).map(one).collect();
        let (_, answer) = dev.api.post("/v1/notifications/batch", &json!({"notifications": batch})).await;
        ids.extend(answer["results"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()));
    }
    for id in &ids {
        dev.api.completed(id).await;
    }
    // the sweep trims the hot list down to what it keeps
    let client = redis::Client::open(dev.text("redis_url")).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    eventually("a trimmed inbox", async || {
        let keys: Vec<String> = redis::cmd("KEYS").arg("stentor:inbox:{demo:eve}:*").query_async(&mut redis).await.unwrap();
        let order = keys.iter().find(|k| k.ends_with(":order"))?;
        let hot: usize = redis::cmd("ZCARD").arg(order).query_async(&mut redis).await.unwrap();
        (hot <= 128).then_some(())
    })
    .await;

    let token = dev.api.token("eve").await;
    let (mut device, welcome) = Device::open(&dev.api.url, &token, None).await;
    assert_eq!(welcome["unread"], ITEMS, "unread is not what was trimmed");
    // every page, over the socket
    let mut listed: Vec<String> =
        welcome["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect();
    let mut next = welcome["next"].clone();
    while next.is_string() {
        device.send(&json!({"type": "list", "after": next, "limit": 77})).await;
        let page = device.next("page").await;
        listed.extend(page["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
        next = page["next"].clone();
    }
    let mut unique = listed.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((listed.len(), unique.len()), (ITEMS, ITEMS), "an item is missing or twice");

    // the oldest one is in SQL only: opened and marked like any other
    let oldest = listed.last().unwrap().clone();
    device.send(&json!({"type": "open", "ref": "o", "id": oldest})).await;
    let content = device.until("content").await;
    assert!(content["item"]["body_html"].as_str().unwrap().contains("<em>"), "{content}");
    if device.unread == ITEMS as u64 {
        device.until("state").await;
    }
    assert_eq!(device.unread, ITEMS as u64 - 1);
    let (_, unread) = dev.api.as_person(Method::GET, "/v1/inbox/unread", &token, None).await;
    assert_eq!(unread["unread"], ITEMS - 1);

    // so is the expiry of the next that is in SQL only
    let next = listed[ITEMS - 2].clone();
    let (status, body) = dev.api.patch(&format!("/v1/notifications/{next}"), &json!({"expires_at": at(5.0)})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    eventually("the end of its time", async || {
        let (_, unread) = dev.api.as_person(Method::GET, "/v1/inbox/unread", &token, None).await;
        (unread["unread"] == ITEMS - 2).then_some(())
    })
    .await;
    let state = device.until("state").await;
    assert_eq!((&state["change"], &state["ids"], &state["unread"]), (&json!("updated"), &json!([next]), &json!(ITEMS - 1)));
    let state = device.until("state").await;
    assert_eq!((&state["change"], &state["ids"], &state["unread"]), (&json!("expired"), &json!([next]), &json!(ITEMS - 2)));

    // a lost Redis: once it is on record, the inbox is cold and not empty
    eventually("the record", async || {
        let story = dev.api.get(&format!("/v1/notifications/{oldest}/timeline")).await;
        story["events"].as_array().unwrap().iter().any(|e| e["event"] == "items_changed").then_some(())
    })
    .await;
    eventually("all on record", async || is_archived(&mut redis).await.unwrap().then_some(())).await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
    let (_, page) = dev.api.as_person(Method::GET, "/v1/inbox?limit=100", &token, None).await;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["unread"]), (100, &json!(ITEMS - 2)), "{}", page["unread"]);
}
