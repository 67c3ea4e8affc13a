//! Whom not to write to.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::{MailServer, Postgres, RedisServer};
use stentor_tests::{Dev, answer, eventually, serve};

fn mail(category: Option<&str>) -> Value {
    let mut body = json!({
        "audience": {"recipients": [{"id": "eve", "email": "Eve@Example.com"}]}, "content": {"title": "Hello"}, "channels": ["email"],
    });
    if let Some(category) = category {
        body["category"] = json!(category);
    }
    body
}

#[tokio::test]
async fn who_is_suppressed_is_skipped_until_it_is_lifted() {
    let dev = Dev::start();
    let api = &dev.api;
    let (status, made) = api.post("/v1/suppressions", &json!({"channel": "email", "address": "eve@example.COM"})).await;
    assert_eq!((status, &made["reason"], &made["address"]), (StatusCode::CREATED, &json!("manual"), &json!("eve@example.com")));
    let (status, _) = api
        .post(
            "/v1/suppressions",
            &json!({"channel": "email", "address": "bob@example.com", "category": "news", "reason": "unsubscribe"}),
        )
        .await;
    assert_eq!(status, StatusCode::CREATED);

    let id = api.send(&mail(None)).await;
    let view = api.completed(&id).await;
    assert_eq!(view["counts"], json!({"email": {"skipped": 1}}), "{view}");
    let deliveries = api.get(&format!("/v1/notifications/{id}/deliveries")).await;
    assert_eq!(deliveries["items"][0]["reason"], "suppressed");

    let listed = api.get("/v1/suppressions?limit=1").await;
    assert_eq!(listed["items"][0]["address"], "bob@example.com", "the newest first");
    let next = listed["next"].as_str().unwrap().to_owned();
    let listed = api.get(&format!("/v1/suppressions?limit=1&after={next}")).await;
    assert_eq!(listed["items"], json!([made]));
    let listed = api.get("/v1/suppressions?channel=email&address=EVE%40example.com").await;
    assert_eq!(listed["items"], json!([made]));

    let path = format!("/v1/suppressions/{}", made["id"].as_str().unwrap());
    let (status, _) = answer(api.request(Method::DELETE, &path)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, problem) = answer(api.request(Method::DELETE, &path)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let view = api.completed(&api.send(&mail(None)).await).await;
    assert_eq!(view["counts"], json!({"email": {"sent": 1}}), "{view}");
}

#[tokio::test]
async fn a_category_holds_for_itself_alone() {
    let dev = Dev::start();
    let body = json!({"channel": "email", "address": "eve@example.com", "category": "news"});
    assert_eq!(dev.api.post("/v1/suppressions", &body).await.0, StatusCode::CREATED);
    for (category, state) in [(Some("news"), "skipped"), (Some("billing"), "sent"), (None, "sent")] {
        let view = dev.api.completed(&dev.api.send(&mail(category)).await).await;
        assert_eq!(view["counts"], json!({"email": {state: 1}}), "{category:?}: {view}");
    }
}

#[tokio::test]
async fn what_is_no_address_is_refused_by_name() {
    let dev = Dev::start();
    for (body, pointer) in [
        (json!({"channel": "email", "address": "nobody"}), "/address"),
        (json!({"channel": "sms", "address": "a@example.com"}), "/address"),
        (json!({"channel": "email", "address": "a@x>\r\nDATA"}), "/address"),
        (json!({"channel": "inbox", "address": "eve"}), "/channel"),
        (json!({"channel": "email", "address": "a@example.com", "category": "a\nb"}), "/category"),
        (json!({"channel": "email", "address": "a@example.com", "reason": "because"}), "/reason"),
        (json!({"channel": "email", "address": "a@example.com", "why": "x"}), "/why"),
    ] {
        let (status, problem) = dev.api.post("/v1/suppressions", &body).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)),
            "{body} {problem}"
        );
    }
    for query in ["?limit=0", "?address=a%40b.cd", "?channel=email&address=x", "?after=x", "?chanel=email"] {
        let (status, _) = answer(dev.api.request(Method::GET, &format!("/v1/suppressions{query}"))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
    }
    assert_eq!(dev.api.get("/v1/suppressions").await["items"], json!([]));
}

/// It holds from the answer on: for what waits in the queue, while SQL is down, and after Redis has lost everything.
#[tokio::test]
async fn it_holds_for_what_is_queued_and_across_every_loss() {
    let (redis, mut sql, smtp) = (RedisServer::start(), Postgres::start(), MailServer::start());
    let settings = [
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &smtp.url()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "Bank <no-reply@example.com>"),
    ];
    let serve = serve::Serve::start(&redis.url(), &sql.url(), &settings).await;
    let api = &serve.api;
    // it waits for its next attempt
    let mut body = mail(None);
    body["audience"] = json!({"recipients": [{"id": "eve", "email": "greylist-eve@example.com"}]});
    let waiting = api.send(&body).await;
    smtp.wait_for_refusals(1, stentor_tests::PATIENCE).await;
    sql.kill();
    let (status, _) = api.post("/v1/suppressions", &json!({"channel": "email", "address": "greylist-eve@example.com"})).await;
    assert_eq!(status, StatusCode::CREATED, "also while SQL is down");
    sql.restart();
    let view = api.completed(&waiting).await;
    assert_eq!(view["counts"], json!({"email": {"skipped": 1}}), "{view}");
    eventually("the record", async || (!api.get("/v1/suppressions").await["items"].as_array()?.is_empty()).then_some(())).await;
    redis.command(&["FLUSHALL"]);
    let view = api.completed(&api.send(&body).await).await;
    assert_eq!(view["counts"], json!({"email": {"skipped": 1}}), "{view}");
    assert!(smtp.mails().is_empty());
}
