//! What is down is said at once, nothing is lost, and all goes on by itself when it is back.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use stentor_testkit::{Postgres, RedisServer};
use stentor_tests::{
    device::Device,
    eventually,
    serve::{Serve, sqlite},
};

fn hello(to: &str) -> Value {
    json!({"audience": {"recipients": [to]}, "content": {"title": "Hello"}})
}

#[tokio::test]
async fn without_redis_it_answers_503_at_once_and_recovers_by_itself() {
    let (mut redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    let before = serve.api.send(&hello("u1")).await;
    serve.api.completed(&before).await;
    let (mut device, _) = Device::open(&serve.api.url, &serve.api.token("u1").await, None).await;
    redis.kill();
    for _ in 0..3 {
        let asked = Instant::now();
        let response = serve.api.request(Method::POST, "/v1/notifications").json(&hello("u1")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    }
    let ready = serve.api.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let ready: Value = ready.json().await.unwrap();
    assert_eq!(ready["dependencies"]["archive"], "ok", "{ready}");
    assert_ne!(ready["dependencies"]["redis"], "ok", "{ready}");
    let live = serve.api.request(Method::GET, "/livez").send().await.unwrap();
    assert_eq!(live.status(), StatusCode::OK);
    redis.restart();
    let after = eventually("a 202 again", async || {
        let (status, body) = serve.api.post("/v1/notifications", &hello("u1")).await;
        (status == StatusCode::ACCEPTED).then(|| body["id"].as_str().unwrap().to_owned())
    })
    .await;
    serve.api.completed(&after).await;
    // the socket was kept and tells it, whether the push came through or had to be caught up
    loop {
        let frame = device.until("item").await;
        if frame["item"]["id"] == after {
            break;
        }
    }
}

#[tokio::test]
async fn on_postgresql_everything_is_archived_also_what_happened_while_it_was_down() {
    let (redis, mut postgres) = (RedisServer::start(), Postgres::start());
    let serve = Serve::start(&redis.url(), &postgres.url(), &[]).await;
    let before = serve.api.send(&hello("u1")).await;
    let view = serve.api.completed(&before).await;
    assert_eq!(view["counts"]["inbox"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 1);
    let token = serve.api.token("u1").await;
    let (mut device, _) = Device::open(&serve.api.url, &token, None).await;
    postgres.kill();
    // accepted and delivered without SQL: the person and the key are known here
    let during = serve.api.send(&hello("u1")).await;
    assert_eq!(device.next("item").await["item"]["id"], during);
    device.send(&json!({"type": "read", "ids": [during]})).await;
    device.next("state").await;
    // Where a number is at home, nobody can say now: it is not called wrong for that, neither alone nor beside others.
    for to in [json!(["u1", {"id": "u2", "phone": "0170 1234567"}]), json!([{"id": "u2", "phone": "0170 1234567"}])] {
        let body = json!({"audience": {"recipients": to}, "content": {"title": "Hello"}, "channels": ["sms"]});
        let (status, problem) = serve.api.post("/v1/notifications", &body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")), "{problem}");
    }
    postgres.restart();
    serve.api.completed(&during).await;
    eventually("the reading is archived", async || {
        let timeline = serve.api.get(&format!("/v1/notifications/{during}/timeline")).await;
        timeline["events"].as_array().unwrap().iter().any(|e| e["item"]["read_at"].is_string()).then_some(())
    })
    .await;
}
