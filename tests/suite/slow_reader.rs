//! One who does not read: is told to list again, then let go, and costs nobody else anything.

use std::time::Duration;

use serde_json::json;
use stentor_tests::{Dev, PATIENCE, device::Device, eventually};
use tokio::time::{Instant, timeout_at};

#[tokio::test]
async fn who_reads_too_slowly_is_told_to_list_again_and_who_reads_nothing_is_let_go() {
    let dev = Dev::start();
    let api = &dev.api;
    let (mut slow, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    let (mut stalled, _) = Device::open(&api.url, &api.token("bob").await, None).await;
    let (mut reader, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    let summary = "x".repeat(300);
    let mut sent = 0;
    // Far more than the kernel and the gateway hold for one who does not read, in one request after the other.
    while api.metric("stentor_sockets_too_slow_total").await < 2 {
        let one = json!({"audience": "everyone", "content": {"title": format!("n-{sent}"), "summary": summary}});
        let (_, answer) = api.post("/v1/notifications/batch", &json!({"notifications": vec![one; 100]})).await;
        assert_eq!(answer["results"].as_array().unwrap().len(), 100);
        sent += 100;
        for _ in 0..100 {
            assert!(["item", "resync"].contains(&reader.frame().await["type"].as_str().unwrap()));
        }
        assert!(sent < 50_000, "nobody was found too slow");
    }
    // The slow one reads again: whole frames, one of which says to list again, and the count is right in the end.
    let mut told = false;
    while slow.unread < sent {
        told |= slow.frame().await["type"] == "resync";
    }
    assert!(told, "it had missed something");
    // The other is let go, and nobody else is.
    eventually("bob is let go", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        (api.metric("stentor_sockets").await == 2).then_some(())
    })
    .await;
    // What had left for it before was whole as well.
    while let Some(frame) = stalled.try_frame().await {
        assert!(["item", "resync"].contains(&frame["type"].as_str().unwrap()), "{frame}");
    }
}

#[tokio::test]
async fn who_asks_and_reads_too_slowly_is_told_of_each_answer_that_was_dropped() {
    const ASKED: usize = 100;
    let dev = Dev::start();
    let api = &dev.api;
    let one = json!({"audience": "everyone", "content": {"title": "x".repeat(190), "summary": "s".repeat(480)}});
    let (mut ada, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    api.post("/v1/notifications/batch", &json!({"notifications": vec![one; 100]})).await;
    for _ in 0..100 {
        ada.next("item").await;
    }
    for n in 0..ASKED {
        ada.send(&json!({"type": "list", "limit": 100, "ref": format!("{n}")})).await;
    }
    eventually("it was too slow", async || (api.metric("stentor_sockets_too_slow_total").await > 0).then_some(())).await;
    let (mut answered, mut dropped) = (vec![false; ASKED], 0);
    let end = Instant::now() + PATIENCE;
    while answered.contains(&false) {
        let frame = timeout_at(end, ada.frame()).await.expect("each is answered");
        let Some(reference) = frame["ref"].as_str() else {
            assert_eq!(frame["type"], "resync", "{frame}");
            continue;
        };
        answered[reference.parse::<usize>().unwrap()] = true;
        if frame["type"] != "page" {
            assert_eq!((&frame["type"], &frame["code"]), (&json!("error"), &json!("too_slow")), "{frame}");
            dropped += 1;
        }
    }
    assert!(dropped > 0);
}
