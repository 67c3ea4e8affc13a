//! A push to one person: their item is written in the round trip that accepts it.

use futures_util::StreamExt;
use serde_json::json;
use stentor_testkit::RedisServer;
use stentor_tests::{
    Dev,
    device::Device,
    eventually,
    serve::{Process, Serve, settings, sqlite},
};

#[tokio::test]
async fn whoever_takes_whatever_comes_is_looked_up_and_written_to_in_one_call_and_its_content_is_there() {
    let dev = Dev::start();
    let (mut device, _) = Device::open(&dev.api.url, &dev.api.token("eve").await, None).await;
    let mut push = async |n: u32| {
        let content = json!({"title": format!("No. {n}"), "body_markdown": "All of it."});
        let id = dev.api.send(&json!({"audience": {"recipients": ["eve"]}, "content": content})).await;
        assert_eq!(device.next("item").await["item"]["id"], id);
        device.send(&json!({"type": "open", "ref": "1", "id": id})).await;
        let content = device.until("content").await;
        assert!(content["item"]["body_text"].as_str().unwrap().contains("All of it."), "{content}");
        device.until("state").await;
        dev.api.completed(&id).await;
        id
    };
    push(1).await; // who is written to for the first time is asked for on record

    let redis = redis::Client::open(dev.text("redis_url")).unwrap();
    let monitor = redis.get_async_monitor().await.unwrap();
    let mut ids = Vec::new();
    for n in 2..=6 {
        ids.push(push(n).await);
    }
    let mut last = redis.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("PING").arg("the end").query_async::<String>(&mut last).await.unwrap();
    let until_the_end = monitor.into_on_message().take_while(|line: &String| std::future::ready(!line.contains("the end")));
    let calls: Vec<String> = until_the_end.filter(|line| std::future::ready(!line.contains(" lua] "))).collect().await;
    for id in &ids {
        let writes = calls.iter().filter(|call| call.contains("{demo:eve}") && call.contains(id) && call.contains("No. "));
        assert_eq!(writes.count(), 1, "{calls:#?}");
    }
    // Now and then the worker is busy with something else, and reads for itself.
    let looks = calls.iter().filter(|call| call.contains("\"HGETALL\"") && call.contains("profile:{demo:eve}"));
    assert!(looks.count() < ids.len(), "{calls:#?}");
}

#[tokio::test]
async fn what_was_shown_is_told_as_sent_even_if_the_person_chose_otherwise_before_its_dispatch() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let database = sqlite(&dir);
    let accepting = Serve::start(&redis.url(), &database, &[("STENTOR__ROLES", "api,gateway")]).await;
    let api = &accepting.api;
    api.put("/v1/recipients/ada", &json!({})).await;
    let content = json!({"title": "For you"});
    let send = async || {
        let body = json!({"audience": {"recipients": ["ada"]}, "channels": ["inbox"], "category": "news", "content": content});
        api.send(&body).await
    };
    let (shown, other) = (send().await, send().await);
    assert_eq!(api.get("/v1/recipients/ada/inbox").await["items"], json!([]), "nobody dispatches");
    // As the process that accepted it does, which then died.
    let card =
        json!({"id": shown, "title": "For you", "category": "news", "priority": "normal", "created_at": stentor_tests::at(0.0)});
    let keys = ["head", "items"].map(|part| format!("stentor:inbox:{{bank:ada}}:{part}"));
    let script =
        [include_str!("../../crates/inbox/src/scripts/_write.lua"), include_str!("../../crates/inbox/src/scripts/write.lua")]
            .concat();
    let card = card.to_string();
    let mut write = vec!["EVAL", &script, "3"];
    write.extend(keys.iter().map(String::as_str));
    write.extend(["stentor:live:{bank:ada}", "PUBLISH", "0", &shown, "inline", "0", &card, ""]);
    redis.command(&write);
    api.put("/v1/recipients/ada/preferences", &json!({"categories": {"news": {"inbox": false}}})).await;

    let _working = Process::start(&settings(&redis.url(), &database, &[("STENTOR__ROLES", "worker")])).await;
    let state = async |id: &str| {
        let list = api.get(&format!("/v1/notifications/{id}/deliveries")).await;
        list["items"][0]["state"].as_str().map(str::to_owned)
    };
    assert_eq!(eventually("it is dispatched", async || state(&shown).await).await, "sent");
    assert_eq!(eventually("it is dispatched", async || state(&other).await).await, "skipped");
    let inbox = api.get("/v1/recipients/ada/inbox").await;
    assert_eq!((&inbox["items"][0]["id"], inbox["items"].as_array().unwrap().len()), (&json!(shown), 1), "{inbox}");
}
