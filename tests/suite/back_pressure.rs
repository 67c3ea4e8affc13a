//! A Redis that fills up: what can wait is turned away first, nothing is lost, and all goes on by itself.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use stentor_testkit::RedisServer;

use stentor_tests::{
    Api, eventually,
    serve::{Serve, sqlite},
};

const MEGABYTE: usize = 1024 * 1024;

struct Memory(redis::aio::MultiplexedConnection);

impl Memory {
    async fn of(redis: &RedisServer) -> Self {
        Self(redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap())
    }

    /// Sets `maxmemory` so that what is used now is so many percent of it.
    async fn fill(&mut self, percent: usize) {
        let info: redis::InfoDict = redis::cmd("INFO").arg("memory").query_async(&mut self.0).await.unwrap();
        let limit = info.get::<usize>("used_memory").unwrap() * 100 / percent;
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(limit).query_async::<()>(&mut self.0).await.unwrap();
    }

    async fn hold(&mut self, bytes: usize) {
        redis::cmd("SETRANGE").arg("ballast").arg(bytes).arg("x").query_async::<()>(&mut self.0).await.unwrap();
    }
}

fn hello(priority: &str) -> Value {
    json!({"audience": {"recipients": [{"id": "u1", "email": "u1@example.com"}]}, "content": {"title": "Hello"}, "priority": priority})
}

/// Which of bulk, normal and high are taken.
async fn taken(api: &Api) -> Vec<&'static str> {
    let mut taken = Vec::new();
    for priority in ["bulk", "normal", "high"] {
        let response = api.request(Method::POST, "/v1/notifications").json(&hello(priority)).send().await.unwrap();
        if response.status() == StatusCode::ACCEPTED {
            taken.push(priority);
            continue;
        }
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(response.json::<Value>().await.unwrap()["code"], "overloaded");
    }
    taken
}

#[tokio::test]
async fn bulk_is_turned_away_first_then_normal_and_a_full_redis_takes_nothing_and_loses_nothing() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    let mut memory = Memory::of(&redis).await;
    memory.hold(100 * MEGABYTE).await; // so that a percent is more than what a few requests need
    for (percent, expected) in [(85, vec!["normal", "high"]), (94, vec!["high"]), (70, vec!["bulk", "normal", "high"])] {
        memory.fill(percent).await;
        eventually("the right ones are turned away", async || (taken(&serve.api).await == expected).then_some(())).await;
    }

    // A batch is judged one by one.
    memory.fill(85).await;
    eventually("bulk is turned away", async || (taken(&serve.api).await == ["normal", "high"]).then_some(())).await;
    let (status, answer) =
        serve.api.post("/v1/notifications/batch", &json!({"notifications": [hello("bulk"), hello("high"), hello("bulk")]})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert_eq!(answer["results"][0]["problem"]["code"], "overloaded");
    assert_eq!(answer["results"][1]["status"], "accepted");
    assert_eq!(answer["results"][2]["problem"]["code"], "overloaded");

    // Full: what was accepted is done all the same, and no 202 is said that is not kept.
    memory.fill(60).await;
    eventually("all are taken", async || (taken(&serve.api).await.len() == 3).then_some(())).await;
    let mut accepted: Vec<String> = Vec::new();
    for n in 0..200 {
        if n == 100 {
            memory.fill(120).await;
        }
        let (status, answer) = serve.api.post("/v1/notifications", &hello("high")).await;
        match status {
            StatusCode::ACCEPTED => accepted.push(answer["id"].as_str().unwrap().to_owned()),
            _ => assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("overloaded"))),
        }
    }
    assert_eq!(accepted.len(), 100);
    for id in &accepted {
        let view = eventually("it is done though Redis is full", async || {
            let view = serve.api.get(&format!("/v1/notifications/{id}")).await;
            (view["status"] == "completed" || view["counts"]["inbox"]["sent"] == 1).then_some(view)
        })
        .await;
        assert_eq!(view["counts"]["inbox"].as_object().unwrap().len(), 1, "{view}");
    }
    memory.fill(50).await;
    eventually("all are taken again, without a restart", async || (taken(&serve.api).await.len() == 3).then_some(())).await;
}

#[tokio::test]
async fn replicated_durability_answers_202_only_when_the_replica_has_it() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let settings = [("STENTOR__REDIS__DURABILITY", "replicated"), ("STENTOR__REDIS__REPLICATED_WITHIN_MS", "300")];
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &settings).await;
    let send = async || {
        let request = serve.api.request(Method::POST, "/v1/notifications").header("Idempotency-Key", "k").json(&hello("high"));
        let response = request.send().await.unwrap();
        (response.status(), response.headers().contains_key(header::RETRY_AFTER), response.json::<Value>().await.unwrap())
    };
    let (status, retry_after, answer) = send().await;
    assert_eq!((status, retry_after, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, true, &json!("not_replicated")));
    let replica = RedisServer::start_with(&[("replicaof", &format!("127.0.0.1 {}", redis.port()))]);
    let id = eventually("the repeat is answered when the replica is there", async || {
        let (status, _, answer) = send().await;
        (status == StatusCode::ACCEPTED).then(|| answer["id"].as_str().unwrap().to_owned())
    })
    .await;
    assert_eq!(replica.command(&["EXISTS", &format!("stentor:{{q:dispatch}}:job:{id}")]), "int(1)");
    serve.api.completed(&id).await;
}
