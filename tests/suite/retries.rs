//! Schedules of retries: days pass in milliseconds, because all that waits is in Redis and can be moved there.

use serde_json::{Value, json};
use stentor_testkit::{Answer, MailServer, SmsGateway};
use stentor_tests::{Dev, eventually};

/// The due set of a queue, whose times are moved instead of waited for.
struct Due {
    redis: redis::aio::MultiplexedConnection,
    key: String,
}

impl Due {
    async fn of(dev: &Dev, queue: &str) -> Self {
        let redis = redis::Client::open(dev.text("redis_url")).unwrap().get_multiplexed_async_connection().await.unwrap();
        Self { redis, key: format!("stentor:{{q:{queue}}}:due") }
    }

    /// Waits until one waits there, and gives how many seconds it has to.
    async fn wait(&mut self) -> f64 {
        let (mut redis, key) = (self.redis.clone(), self.key.clone());
        eventually("a retry is scheduled", async || {
            let time: (f64, f64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
            let due: Vec<(String, f64)> =
                redis::cmd("ZRANGE").arg(&key).arg(0).arg(0).arg("WITHSCORES").query_async(&mut redis).await.unwrap();
            // What was made due lies there for a moment yet.
            due.first().map(|(_, at)| at / 1_000.0 - time.0 - time.1 / 1e6).filter(|wait| *wait > 0.0)
        })
        .await
    }

    /// Makes it due now.
    async fn pass(&mut self) {
        let due: Vec<String> = redis::cmd("ZRANGE").arg(&self.key).arg(0).arg(0).query_async(&mut self.redis).await.unwrap();
        redis::cmd("ZADD").arg(&self.key).arg("XX").arg(0).arg(&due[0]).query_async::<u8>(&mut self.redis).await.unwrap();
    }
}

async fn failed(dev: &Dev, id: &str, channel: &str) -> Value {
    let view = dev.api.completed(id).await;
    assert_eq!(view["counts"][channel], json!({"failed": 1}), "{view}");
    let deliveries = dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await;
    deliveries["items"][0].clone()
}

#[tokio::test]
async fn mail_is_tried_eight_times_in_27_hours_across_restarts_and_then_given_up() {
    let smtp = MailServer::start();
    let mut dev = Dev::start_with(&[
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &smtp.url()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "no-reply@example.com"),
    ]);
    let to = json!([{"id": "u1", "email": "refuse-450@example.com"}]);
    let body = json!({"audience": {"recipients": to}, "content": {"title": "Hello"}, "channels": ["email"]});
    let id = dev.api.send(&body).await;
    let mut due = Due::of(&dev, "email").await;
    for (n, seconds) in [5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 36_000.0].into_iter().enumerate() {
        let wait = due.wait().await;
        assert!(wait > seconds * 0.8 - 10.0 && wait <= seconds * 1.2, "wait {n}: {wait} s instead of about {seconds} s");
        if n == 3 {
            dev.kill();
            dev.restart();
            due = Due::of(&dev, "email").await;
            assert!(due.wait().await > seconds * 0.8 - 20.0, "a restart shortened it");
        }
        due.pass().await;
    }
    let delivery = failed(&dev, &id, "email").await;
    assert_eq!(delivery["attempts"], 8, "{delivery}");
    assert!(delivery["reason"].as_str().unwrap().starts_with("8 attempts, the last: 450"), "{delivery}");
    let letters = dev.api.get("/v1/dead-letters?queue=email").await;
    let letter = &letters["items"][0];
    assert_eq!(letter["attempts"], 8, "{letter}");
    assert!(letter["reason"].as_str().unwrap().contains("450") && letter["payload"]["notification"] == id.as_str(), "{letter}");
    assert!(!letters.to_string().contains("refuse-450@"), "an address is shown: {letters}");

    // Replayed, it has all its attempts again, and goes on counting.
    let (status, _) = stentor_tests::answer(
        dev.api.request(reqwest::Method::POST, &format!("/v1/dead-letters/{}/replay", letter["id"].as_str().unwrap())),
    )
    .await;
    assert_eq!(status, reqwest::StatusCode::ACCEPTED);
    assert!(due.wait().await < 6.5);
    let timeline = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
    eventually("the ninth attempt is told", async || {
        let timeline = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
        timeline["events"].as_array().unwrap().iter().any(|e| e["attempt"] == 9).then_some(())
    })
    .await;
    assert!(!timeline.to_string().contains("refuse-450@"), "an address is shown: {timeline}");

    // Given up again, and replayed when it is recalled since and the record of its job is gone: it is not sent any more.
    for _ in 0..7 {
        due.wait().await;
        due.pass().await;
    }
    let letter = eventually("it is given up again", async || {
        let letters = dev.api.get("/v1/dead-letters?queue=email").await;
        letters["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    failed(&dev, &id, "email").await;
    let delivery =
        dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await["items"][0]["id"].as_str().unwrap().to_owned();
    let del = redis::cmd("DEL").arg(format!("stentor:{{q:email}}:job:{delivery}")).to_owned();
    assert_eq!(del.query_async::<u8>(&mut due.redis).await.unwrap(), 1, "a day has passed");
    dev.api.post(&format!("/v1/notifications/{id}/recall"), &Value::Null).await;
    dev.api.request(reqwest::Method::POST, &format!("/v1/dead-letters/{letter}/replay")).send().await.unwrap();
    eventually("it is refused", async || {
        let list = dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await;
        (list["items"][0]["state"] == "cancelled").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_sms_waits_as_long_as_its_gateway_asks() {
    let gateway = SmsGateway::start();
    let dev = Dev::start_with(&[
        ("STENTOR__SMS__PROVIDERS", "gw"),
        ("STENTOR__SMS__PROVIDER__GW__URL", &format!("{}/send?to={{{{to}}}}&text={{{{text}}}}", gateway.url())),
    ]);
    gateway.answer(&[Answer::status(429).with_header("Retry-After", "1000"), Answer::status(429)]);
    let body = json!({"audience": {"recipients": ["ada"]}, "content": {"title": "Hello"}, "channels": ["sms"]});
    let id = dev.api.send(&body).await;
    let mut due = Due::of(&dev, "sms").await;
    let asked = due.wait().await;
    assert!(asked > 980.0 && asked <= 1_000.0, "{asked}");
    // The gateway is left alone for a minute after that word; each time that the delivery looks, it is held and not counted.
    let attempts = async || {
        let deliveries = dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await;
        deliveries["items"][0]["attempts"].clone()
    };
    due.pass().await;
    eventually("it is told that the gateway is left alone", async || {
        let timeline = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
        timeline.to_string().contains("is left alone").then_some(())
    })
    .await;
    let held = due.wait().await;
    assert!(held > 20.0 && held <= 61.0, "{held}");
    assert_eq!((attempts().await, gateway.requests().len()), (json!(1), 1));
}
