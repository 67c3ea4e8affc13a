//! A worker that is killed between a provider's answer and its record: nobody can say whether it was sent, and what is known later
//! counts.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::{Answer, MailServer, RedisServer, SmsGateway};
use stentor_tests::{
    Api, PATIENCE, answer, client, eventually,
    serve::{Process, bank, settings, sqlite},
};

const SECRET: &str = "0123456789abcdef";
const TO: &str = "stall-data@example.com";

async fn settled(api: &Api, id: &str, state: &str) -> Value {
    let path = format!("/v1/notifications/{id}/deliveries");
    eventually(state, async || Some(api.get(&path).await["items"][0].clone()).filter(|d| d["state"] == state)).await
}

/// The mail is not sent once more, since its address was suppressed meanwhile, and cannot be said to be skipped either; the SMS is settled
/// by its receipt, which came while nobody was there who knew of it.
#[tokio::test]
async fn a_worker_killed_in_mid_call_leaves_open_what_is_open_and_sends_nothing_to_who_was_suppressed() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let (smtp, gateway) = (MailServer::start(), SmsGateway::start());
    gateway.answer(&[Answer::Stall]);
    let own = [
        ("STENTOR__EMAIL__PROVIDERS", "main".to_owned()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", smtp.url()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "no-reply@example.com".to_owned()),
        ("STENTOR__SMS__PROVIDERS", "tc".to_owned()),
        ("STENTOR__SMS__PROVIDER__TC__PRESET", "tencent".to_owned()),
        ("STENTOR__SMS__PROVIDER__TC__URL", gateway.url() + "/"),
        ("STENTOR__SMS__PROVIDER__TC__USERNAME", "id".to_owned()),
        ("STENTOR__SMS__PROVIDER__TC__PASSWORD", "key".to_owned()),
        ("STENTOR__SMS__PROVIDER__TC__VALUES__SDK_APP_ID", "2400006666".to_owned()),
        ("STENTOR__SMS__PROVIDER__TC__VALUES__SIGN_NAME", "Bank".to_owned()),
        ("STENTOR__SMS__PROVIDER__TC__VALUES__TEMPLATE_ID", "1234".to_owned()),
        ("STENTOR__SMS__PROVIDER__TC__RECEIPTS__SECRET", SECRET.to_owned()),
    ];
    let process = |roles: &'static str| {
        let more: Vec<(&str, &str)> =
            own.iter().map(|(name, value)| (*name, value.as_str())).chain([("STENTOR__ROLES", roles)]).collect();
        settings(&redis.url(), &sqlite(&dir), &more)
    };
    let front = process("api");
    let api = bank(&front);
    let (_front, mut worker) = (Process::start(&front).await, Process::start(&process("worker")).await);
    let send = async |channel: &str| {
        let to = json!({"id": "eve", "email": TO, "phone": "+8613711112222"});
        api.send(&json!({"audience": {"recipients": [to]}, "content": {"title": "Hello"}, "channels": [channel]})).await
    };
    let (mail, sms) = (send("email").await, send("sms").await);
    smtp.wait_for_stalls(1, PATIENCE).await; // it has the whole text
    let asked = gateway.wait_for(1, PATIENCE).await;
    worker.kill();

    assert_eq!(api.post("/v1/suppressions", &json!({"channel": "email", "address": TO})).await.0, StatusCode::CREATED);
    let asked: Value = serde_json::from_str(asked[0]["body"].as_str().unwrap()).unwrap();
    let receipt = json!([{"user_receive_time": "2026-11-26 08:03:04", "nationcode": "86", "mobile": "13711112222",
        "report_status": "SUCCESS", "errmsg": "DELIVRD", "description": "x", "sid": "5000:7", "ext": asked["SessionContext"]}]);
    let url = format!("{}/v1/callbacks/sms/tc?secret={SECRET}", api.url);
    let heard = answer(client().request(Method::POST, url).json(&receipt)).await;
    assert_eq!(heard, (StatusCode::OK, json!({"result": 0, "errmsg": "OK"})));

    worker.restart().await;
    assert_eq!(settled(&api, &mail, "unknown").await["reason"], "suppressed");
    assert_eq!(settled(&api, &sms, "delivered").await["provider"], "tc");
    assert_eq!((smtp.connections(), smtp.mails().len(), gateway.requests().len()), (1, 0, 1), "nothing went out twice");
}

/// A mail of which nobody knows whether it went out is recalled before it is tried again: nobody can say that it was not sent.
#[tokio::test]
async fn a_mail_in_doubt_that_is_recalled_is_not_said_to_be_cancelled() {
    let (redis, dir, smtp) = (RedisServer::start(), tempfile::tempdir().unwrap(), MailServer::start());
    let own = [
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &smtp.url()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "no-reply@example.com"),
    ];
    let process = |roles: &'static str| {
        let more: Vec<(&str, &str)> = own.into_iter().chain([("STENTOR__ROLES", roles)]).collect();
        settings(&redis.url(), &sqlite(&dir), &more)
    };
    let front = process("api");
    let api = bank(&front);
    let (_front, mut worker) = (Process::start(&front).await, Process::start(&process("worker")).await);
    let to = json!({"id": "eve", "email": TO});
    let id = api.send(&json!({"audience": {"recipients": [to]}, "content": {"title": "Hello"}, "channels": ["email"]})).await;
    smtp.wait_for_stalls(1, PATIENCE).await; // it has the whole text
    worker.kill();
    // As its provider's answer was, for a worker that lives: the attempt is let go of, in doubt.
    let record = redis.query::<Vec<String>>(&["KEYS", "stentor:{q:email}:job:*"]).remove(0);
    redis.command(&["HSET", &record, "state", "queued", "holder", "", "until", "0", "doubt", "1"]);
    let (status, _) = api.post(&format!("/v1/notifications/{id}/recall"), &Value::Null).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    worker.restart().await;
    assert_eq!(settled(&api, &id, "unknown").await["reason"], "recalled");
    eventually("the entry is over", async || (redis.query::<u32>(&["XLEN", "stentor:{q:email}:normal"]) == 0).then_some(()))
        .await;
    assert_eq!(settled(&api, &id, "unknown").await["attempts"], 2, "the claim that was refused says so, too");
    assert!(smtp.mails().is_empty(), "it was sent once more");
}
