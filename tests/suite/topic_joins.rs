//! Who joins a topic while it is written to sees all that is theirs: the live line, and whoever comes back.

use reqwest::StatusCode;
use serde_json::{Value, json};
use stentor_testkit::{Postgres, RedisServer};
use stentor_tests::{device::Device, eventually, serve::Serve};

#[tokio::test]
async fn what_is_written_to_a_topic_while_one_joins_it_is_missed_by_nobody() {
    let (redis, sql) = (RedisServer::start(), Postgres::start());
    let serve = Serve::start(&redis.url(), &sql.url(), &[]).await;
    let api = &serve.api;
    api.put("/v1/topics/vip", &json!({"name": "Vip"})).await;
    let token = api.token("ada").await;
    let (mut ada, _) = Device::open(&api.url, &token, None).await;
    let say = async |audience: &Value, title: &str| api.send(&json!({"audience": audience, "content": {"title": title}})).await;

    // Her place in the topic is settled, and cannot be written yet.
    let hold = sql.hold("LOCK TABLE topic_members IN EXCLUSIVE MODE");
    let joining = api.request(reqwest::Method::PUT, "/v1/topics/vip/recipients/ada").send();
    let joining = tokio::spawn(joining);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%topic_members%'";
    eventually("it waits", async || (sql.query(waiting)[0] == "1").then_some(())).await;
    let theirs = say(&json!({"topic": "vip"}), "theirs").await;
    api.completed(&theirs).await; // two that are under way at once are written in any order
    say(&json!("everyone"), "behind it").await;
    assert_eq!(ada.until("item").await["item"]["title"], "behind it", "the other was passed by");
    let cursor = ada.cursor.clone();
    drop(hold);
    assert_eq!(joining.await.unwrap().unwrap().status(), StatusCode::NO_CONTENT);

    assert_eq!(ada.until("resync").await["unread"], 2, "who looks on is told to load again");
    let (_, welcome) = Device::open(&api.url, &token, Some(&cursor)).await;
    let titles: Vec<&Value> = welcome["items"].as_array().unwrap().iter().map(|item| &item["title"]).collect();
    assert_eq!((&welcome["recovered"], titles), (&json!(false), vec![&json!("behind it"), &json!("theirs")]), "{welcome}");

    // What comes later needs no loading again.
    say(&json!({"topic": "vip"}), "later").await;
    assert_eq!(ada.next("item").await["item"]["title"], "later");
}
