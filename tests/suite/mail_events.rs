//! What providers report of mails by HTTP: many at once, too early, again, too much.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::{MailServer, RedisServer};
use stentor_tests::{
    Api, PATIENCE, answer, client, eventually,
    serve::{Process, bank, settings, sqlite},
};

const SECRET: &str = "0123456789abcdef";

/// The token in a return path, which reports carry.
fn token(sender: &str) -> &str {
    sender.split(['+', '@']).nth(1).unwrap()
}

async fn report(api: &Api, events: &Value) -> (StatusCode, Value) {
    let url = format!("{}/v1/callbacks/email/main?secret={SECRET}&more=1", api.url);
    answer(client().request(Method::POST, url).json(events)).await
}

#[tokio::test]
async fn one_report_that_is_too_early_holds_up_no_other_and_a_repeat_brings_back_nothing() {
    let (redis, dir, smtp) = (RedisServer::start(), tempfile::tempdir().unwrap(), MailServer::start());
    let config = dir.path().join("events.toml");
    let rules =
        r#"[{ when = { "/event" = "bounce" }, is = "hard_bounce" }, { when = { "/event" = "out" }, is = "unsubscribe" }]"#;
    std::fs::write(
        &config,
        format!(
            "[email]\nproviders = [\"main\"]\n[email.provider.main]\nurl = \"{}\"\nfrom = \"no-reply@example.com\"\n\
             return_path = \"bounce@bounces.example.com\"\n\
             events = {{ secret = \"{SECRET}\", reference = [\"/token\"], addresses = [\"/email\"], rules = {rules} }}\n",
            smtp.url()
        ),
    )
    .unwrap();
    let settings = settings(&redis.url(), &sqlite(&dir), &[("STENTOR_CONFIG", config.to_str().unwrap())]);
    let api = bank(&settings);
    let _stentor = Process::start(&settings).await;
    let send = async |id: &str, email: &str| {
        let body =
            json!({"audience": {"recipients": [{"id": id, "email": email}]}, "content": {"title": "x"}, "channels": ["email"]});
        api.send(&body).await
    };
    let waiting = send("early", "greylist-early@example.com").await;
    smtp.wait_for_refusals(1, PATIENCE).await;
    let early = token(&smtp.put_off_senders()[0]).to_owned();
    let sent = send("gone", "gone@example.com").await;
    api.completed(&sent).await;
    let gone = token(&smtp.senders()[0]).to_owned();

    // Of the first nobody knows yet how it ends.
    let events = json!([
        {"event": "bounce", "token": early, "email": "greylist-early@example.com"},
        {"event": "bounce", "token": gone, "email": "gone@example.com"},
        {"event": "bounce", "token": "nobody"}, {"event": "opened", "token": gone}, 7, null,
    ]);
    let (status, problem) = report(&api, &events).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("too_early")), "to be repeated");
    let state = async |id: &str| api.get(&format!("/v1/notifications/{id}/deliveries")).await["items"][0]["state"].clone();
    eventually("a bounce", async || (state(&sent).await == "bounced").then_some(())).await;
    assert_ne!(state(&waiting).await, "bounced");
    let listed = async || api.get("/v1/suppressions").await["items"].as_array().unwrap().clone();
    assert_eq!(listed().await.iter().map(|s| &s["address"]).collect::<Vec<_>>(), [&json!("gone@example.com")]);

    // The mailbox works again, says the app; the provider, which was not answered, says once more what it said.
    let lift = format!("/v1/suppressions/{}", listed().await[0]["id"].as_str().unwrap());
    assert_eq!(answer(api.request(Method::DELETE, &lift)).await.0, StatusCode::NO_CONTENT);
    let again = json!([{"event": "bounce", "token": gone, "email": "gone@example.com"}]);
    assert_eq!(report(&api, &again).await.0, StatusCode::NO_CONTENT);
    assert_eq!(listed().await, Vec::<Value>::new());
    // Another report of the same mail is another matter.
    let out = json!({"event": "out", "token": gone, "email": "gone@example.com"});
    assert_eq!(report(&api, &out).await.0, StatusCode::NO_CONTENT);
    assert_eq!(listed().await[0]["reason"], "unsubscribe");

    // Whatever is wrong with a call is said as every problem is.
    let url = format!("{}/v1/callbacks/email/main?secret={SECRET}", api.url);
    for (url, body, expected) in [
        (url.clone(), "x".repeat(3_000_000), StatusCode::PAYLOAD_TOO_LARGE),
        (url.clone(), "{".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        (format!("{url}&secret=x"), "[]".to_owned(), StatusCode::NO_CONTENT),
        (url.replace("secret=", "secret=%zz"), "[]".to_owned(), StatusCode::NOT_FOUND),
    ] {
        let (status, problem) = answer(client().request(Method::POST, url).body(body)).await;
        assert_eq!(status, expected, "{problem}");
        assert!(status.is_success() || problem["code"].is_string(), "{problem}");
    }
}
