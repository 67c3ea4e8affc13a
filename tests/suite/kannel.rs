//! SMS through a real Kannel and its fake SMSC: there, the receipt back, and the answer of a person.

use serde_json::{Value, json};
use stentor_testkit::{Kannel, KannelPlan, RedisServer};
use stentor_tests::{
    Api, eventually,
    serve::{Process, bank, settings, sqlite},
};

const SECRET: &str = "0123456789abcdef";
const NUMBER: &str = "+491701234567";

struct Stack {
    api: Api,
    kannel: Kannel,
    _process: Process,
    _redis: RedisServer,
    _data: tempfile::TempDir,
}

async fn start() -> Stack {
    start_by(Kannel::start, "").await
}

/// `more` is added to the gateway's URL.
async fn start_by(start: fn(&KannelPlan, &str) -> Kannel, more: &str) -> Stack {
    let (redis, data, plan) = (RedisServer::start(), tempfile::tempdir().unwrap(), KannelPlan::new());
    let mut settings = settings(&redis.url(), &sqlite(&data), &[]);
    let (_, listen) = settings.iter().find(|(name, _)| name == "STENTOR__HTTP__LISTEN").unwrap();
    let callback = format!("http://{listen}/v1/callbacks/sms/gw");
    let kannel = start(&plan, &format!("{callback}/incoming?secret={SECRET}"));
    let of_sms = [
        ("PROVIDERS", "gw".to_owned()),
        ("PROVIDER__GW__PRESET", "kannel".to_owned()),
        ("PROVIDER__GW__URL", plan.url() + more),
        ("PROVIDER__GW__FROM", "Bank".to_owned()),
        ("PROVIDER__GW__CALLBACK_URL", callback),
        ("PROVIDER__GW__RECEIPTS__SECRET", SECRET.to_owned()),
        ("PROVIDER__GW__INCOMING__APPS", "bank".to_owned()),
    ];
    settings.extend(of_sms.map(|(name, value)| (format!("STENTOR__SMS__{name}"), value)));
    let api = bank(&settings);
    Stack { api, kannel, _process: Process::start(&settings).await, _redis: redis, _data: data }
}

impl Stack {
    async fn send(&self, title: &str) -> String {
        let ada = json!({ "id": "ada", "phone": "0170 1234567", "locale": "de-DE" });
        self.api.send(&json!({ "audience": { "recipients": [ada] }, "content": { "title": title }, "channels": ["sms"] })).await
    }

    async fn ends(&self, id: &str, state: &str) -> Value {
        let path = format!("/v1/notifications/{id}/deliveries");
        eventually(state, async || Some(self.api.get(&path).await["items"][0].clone()).filter(|d| d["state"] == state)).await
    }

    async fn hears(&self, words: &str) -> String {
        let heard = || self.kannel.received().into_iter().find(|message| message.contains(words));
        eventually(words, async || heard()).await
    }
}

#[tokio::test]
async fn a_message_reaches_the_phone_and_its_receipt_says_so_and_stop_stops() {
    let stack = start().await;
    let id = stack.send("Due tomorrow: 5 €").await;
    let delivered = stack.ends(&id, "delivered").await;
    assert_eq!(delivered["provider"], "gw", "{delivered}");
    assert!(stack.hears("Due").await.starts_with(&format!("Bank {NUMBER} ")), "{:?}", stack.kannel.received());
    let id = stack.send("还款提醒").await;
    stack.ends(&id, "delivered").await;
    stack.hears("ucs-2 ").await;

    stack.kannel.send(NUMBER, "12345", "Stop");
    let answer = stack.hears("You will get no more messages").await;
    assert!(answer.starts_with(&format!("12345 {NUMBER} ")), "{answer}");
    let id = stack.send("Not wanted").await;
    assert_eq!(stack.ends(&id, "skipped").await["reason"], "suppressed");
    let listed = stack.api.get("/v1/suppressions").await;
    assert_eq!(
        (&listed["items"][0]["address"], &listed["items"][0]["reason"]),
        (&json!(NUMBER), &json!("unsubscribe")),
        "{listed}"
    );

    stack.kannel.send(NUMBER, "12345", "START");
    stack.hears("You will get our messages again").await;
    let id = stack.send("Wanted again").await;
    stack.ends(&id, "delivered").await;
    assert!(!stack.kannel.received().iter().any(|message| message.contains("Not wanted")));
}

/// No phone is in reach: Kannel takes the message ("3: Queued for later delivery"), and gives it up once it is not valid any more.
#[tokio::test]
async fn a_message_that_was_taken_and_could_not_be_delivered_ends_failed_by_its_receipt() {
    let stack = start_by(Kannel::start_out_of_reach, "&validity=0").await;
    let id = stack.send("Nobody there").await;
    let failed = stack.ends(&id, "failed").await;
    assert_eq!((&failed["provider"], &failed["reason"]), (&json!("gw"), &json!("NACK/validity expired")), "{failed}");
    let timeline = stack.api.get(&format!("/v1/notifications/{id}/timeline")).await;
    let states: Vec<&str> = timeline["events"].as_array().unwrap().iter().filter_map(|e| e["state"].as_str()).collect();
    assert_eq!(states, ["queued", "sent", "failed"]);
}
