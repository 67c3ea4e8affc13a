//! Redis comes back a little older than it was: whoever looks on, and whoever comes back, sees what is written from then on.

use reqwest::StatusCode;
use serde_json::{Value, json};
use stentor_testkit::RedisServer;
use stentor_tests::{
    Api, PATIENCE,
    device::Device,
    eventually,
    serve::{Serve, sqlite},
};
use tokio::time::timeout;

/// Sends one to everyone and one to bob alone, and gives their ids.
async fn send_both(api: &Api, word: &str) -> [String; 2] {
    let send = async |audience: Value, title: String| {
        let body = json!({"audience": audience, "content": {"title": title}});
        eventually("a 202", async || {
            let (status, answer) = api.post("/v1/notifications", &body).await;
            (status == StatusCode::ACCEPTED).then(|| answer["id"].as_str().unwrap().to_owned())
        })
        .await
    };
    [send(json!("everyone"), word.to_owned()).await, send(json!({"recipients": ["bob"]}), format!("own {word}")).await]
}

/// Takes frames until there is an item of this title.
async fn until(device: &mut Device, title: &str) {
    let shown = async { while device.until("item").await["item"]["title"] != title {} };
    timeout(PATIENCE, shown).await.unwrap_or_else(|_| panic!("nobody shows {title}"));
}

#[tokio::test]
async fn what_is_written_after_redis_lost_its_latest_changes_is_missed_by_nobody() {
    let (mut redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    let api = &serve.api;
    let (ada, bob) = (api.token("ada").await, api.token("bob").await);
    let (mut looks_on, _) = Device::open(&api.url, &ada, None).await;
    let (mut away, _) = Device::open(&api.url, &bob, None).await;
    send_both(api, "old").await;
    until(&mut looks_on, "old").await;
    until(&mut away, "own old").await;
    let saved = redis.save();
    send_both(api, "lost").await;
    until(&mut looks_on, "lost").await;
    until(&mut away, "own lost").await;
    let cursor = away.cursor.clone();
    drop(away);

    redis.restart_from(&saved);
    let [_, own_new] = send_both(api, "new").await;
    eventually("the new one", async || {
        let page = api.as_person(reqwest::Method::GET, "/v1/inbox", &ada, None).await.1;
        page["items"].as_array()?.iter().any(|item| item["title"] == "new").then_some(())
    })
    .await;
    timeout(PATIENCE, looks_on.until("resync")).await.expect("who looks on is told to load again");
    let [_, own_newer] = send_both(api, "newer").await;
    until(&mut looks_on, "newer").await;
    // bob's own are asked for by their ids: a look at his inbox might begin its new life before he shows his cursor
    for id in [own_new, own_newer] {
        api.completed(&id).await;
    }
    let (_, welcome) = Device::open(&api.url, &bob, Some(&cursor)).await;
    assert_eq!(welcome["recovered"], false, "{welcome}");
    let mut titles: Vec<&Value> = welcome["items"].as_array().unwrap().iter().map(|item| &item["title"]).collect();
    titles.sort_unstable_by_key(|title| title.as_str());
    assert_eq!(titles, ["new", "newer", "old", "own new", "own newer", "own old"]);
    assert_eq!(welcome["unread"], 6);
}
