//! What no worker can do is kept, looked into, replayed and discarded.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_tests::{Dev, answer, eventually, stentor};

async fn bury(dev: &Dev, app: &str) {
    let client = redis::Client::open(dev.text("redis_url")).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let payload = json!({"app": app, "to": "+491701234567", "this is": "no delivery"}).to_string();
    let add = redis::cmd("XADD")
        .arg("stentor:{q:sms}:normal")
        .arg("*")
        .arg("i")
        .arg("j1")
        .arg("a")
        .arg(0)
        .arg("d")
        .arg(payload)
        .to_owned();
    let _: String = add.query_async(&mut redis).await.unwrap();
}

async fn letters(dev: &Dev, n: usize) -> Vec<Value> {
    eventually("the dead letters", async || {
        let page = dev.api.get("/v1/dead-letters").await;
        let items = page["items"].as_array().unwrap().clone();
        (items.len() == n).then_some(items)
    })
    .await
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_a_dead_letter_of_its_app_alone() {
    let dev = Dev::start();
    bury(&dev, "another").await;
    bury(&dev, "demo").await;
    let letter = letters(&dev, 1).await.remove(0);
    assert_eq!((&letter["queue"], &letter["job_id"]), (&json!("sms"), &json!("j1")), "{letter}");
    assert!(letter["reason"].as_str().unwrap().contains("cannot be decoded"), "{letter}");
    assert!(!letter.to_string().contains("+491701234567"), "an address is shown: {letter}");

    // replayed, it dies again, at a place of its own
    let id = letter["id"].as_str().unwrap().to_owned();
    let (status, _) = answer(dev.api.request(Method::POST, &format!("/v1/dead-letters/{id}/replay"))).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let again = eventually("the next death", async || {
        let page = dev.api.get("/v1/dead-letters").await;
        page["items"].as_array().unwrap().iter().find(|l| l["id"] != id).cloned()
    })
    .await;
    let (status, body) = answer(dev.api.request(Method::POST, "/v1/dead-letters/replay")).await;
    assert_eq!((status, &body["replayed"]), (StatusCode::ACCEPTED, &json!(1)));

    // by filter
    letters(&dev, 1).await;
    let replay = async |query: &str| {
        let (status, body) = answer(dev.api.request(Method::POST, &format!("/v1/dead-letters/replay?{query}"))).await;
        (status, body["replayed"].as_u64())
    };
    for none in ["queue=email", "reason=timeout", "since=2999-01-01T00:00:00Z", "until=2020-01-01T00:00:00Z", "limit=0"] {
        assert_eq!(replay(none).await, (StatusCode::ACCEPTED, Some(0)), "{none}");
    }
    assert_eq!(replay("since=yesterday").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(replay("quue=sms").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(dev.api.get("/v1/dead-letters?queue=email&limit=5").await["items"], json!([]));
    assert_eq!(dev.api.get("/v1/dead-letters?queue=sms&reason=decoded").await["items"].as_array().unwrap().len(), 1);
    let seen = letters(&dev, 1).await[0]["id"].clone();
    assert_eq!(replay("queue=sms&reason=decoded&since=2026-01-01T00:00:00Z").await, (StatusCode::ACCEPTED, Some(1)));
    eventually("it died once more", async || {
        let page = dev.api.get("/v1/dead-letters").await;
        page["items"].as_array().unwrap().iter().any(|l| l["id"] != seen).then_some(())
    })
    .await;

    // over the command line: listed, discarded, gone
    letters(&dev, 1).await;
    let cli = |args: &[&str]| {
        let mut command = stentor();
        command
            .args(["--json", "dead-letters"])
            .args(args)
            .env("STENTOR_API_URL", dev.text("api_url"))
            .env("STENTOR_API_KEY", dev.text("api_key"));
        let output = command.output().unwrap();
        (output.status.success(), serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default())
    };
    assert_eq!(cli(&["list", "--queue", "email"]).1, json!([]));
    assert_eq!(cli(&["replay", "--reason", "timeout"]).1["replayed"], 0);
    assert!(!cli(&["replay"]).0, "which?");
    let (_, listed) = cli(&["list"]);
    let id = listed[0]["id"].as_str().unwrap();
    assert_ne!(id, again["id"].as_str().unwrap());
    assert!(cli(&["discard", id]).0);
    letters(&dev, 0).await;
    assert!(!cli(&["discard", id]).0, "it was discarded before");
}
