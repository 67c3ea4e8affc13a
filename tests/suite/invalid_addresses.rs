//! One address that is none among many recipients: it is told, and holds up nobody else.

use std::collections::HashSet;

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use stentor_testkit::{MailServer, RedisServer, SmsGateway};
use stentor_tests::{
    Api, Dev, PATIENCE, eventually, files,
    serve::{Serve, sqlite},
};

/// The most people whom one request may name.
const RECIPIENTS: usize = 1_000;
/// Which of them has no mailbox: in the second page of dispatch.
const BAD: usize = 777;
const NO_MAILBOX: &str = "not an email address of the form name@example.com";

fn warning(place: usize, field: &str, message: &str) -> Value {
    json!({"pointer": format!("/audience/recipients/{place}/{field}"), "code": "invalid_address", "message": message})
}

async fn deliveries(api: &Api, id: &str, query: &str) -> Vec<Value> {
    api.get(&format!("/v1/notifications/{id}/deliveries?{query}")).await["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn of_a_thousand_recipients_of_whom_one_is_bad_999_mails_arrive_and_the_one_is_on_record() {
    let (redis, dir, smtp) = (RedisServer::start(), tempfile::tempdir().unwrap(), MailServer::start());
    let own = [
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &smtp.url()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "no-reply@example.com"),
    ];
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &own).await;
    let address = |n: usize| if n == BAD { "u777@@example.com".to_owned() } else { format!("u{n}@example.com") };
    let recipients: Vec<Value> = (0..RECIPIENTS).map(|n| json!({"id": format!("u{n}"), "email": address(n)})).collect();
    let body = json!({"audience": {"recipients": recipients}, "content": {"title": "Hello"}, "channels": ["email", "inbox"]});
    let (status, answer) = serve.api.post("/v1/notifications", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert_eq!(answer["warnings"], json!([warning(BAD, "email", NO_MAILBOX)]));

    let mails = smtp.wait_for(RECIPIENTS - 1, PATIENCE).await;
    let to = |mail: &String| mail.lines().find_map(|line| line.strip_prefix("To: ")).unwrap_or_default().trim().to_owned();
    let expected: HashSet<String> = (0..RECIPIENTS).filter(|n| *n != BAD).map(address).collect();
    assert_eq!(mails.iter().map(to).collect::<HashSet<_>>(), expected);
    let id = answer["id"].as_str().unwrap();
    let counts = serve.api.completed(id).await["counts"].clone();
    assert_eq!(counts, json!({"email": {"sent": 999, "skipped": 1}, "inbox": {"sent": 1_000}}));
    let skipped = eventually("the story of the one", async || {
        let timeline = serve.api.get(&format!("/v1/notifications/{id}/timeline")).await;
        timeline["events"].as_array()?.iter().find(|event| event["state"] == "skipped").cloned()
    })
    .await;
    let said = ["recipient", "channel", "reason"].map(|field| skipped[field].as_str().unwrap());
    assert_eq!(said, ["u777", "email", "invalid_address"], "{skipped}");
    assert_eq!(serve.api.get("/v1/recipients/u777/inbox").await["items"][0]["title"], "Hello", "on their other channels");
}

#[tokio::test]
async fn what_is_no_address_is_never_sent_to_and_all_else_that_was_said_holds() {
    let gateway = SmsGateway::start();
    let dev = Dev::start_with(&[
        ("STENTOR__SMS__PROVIDERS", "gw"),
        ("STENTOR__SMS__PROVIDER__GW__URL", &format!("{}/send?to={{{{to}}}}&text={{{{text}}}}", gateway.url())),
    ]);
    let (status, _) = dev.api.put("/v1/recipients/bob", &json!({"email": "older@example.com"})).await;
    assert_eq!(status, StatusCode::OK);
    let body = |dry_run: bool| {
        let recipients = json!([
            {"id": "ann", "email": "ann@example.com"},
            {"id": "bob", "email": "bob@example.com\r\nBcc: eve@example.com", "phone": "+491701234567", "locale": "de"},
            {"id": "cleo", "email": "cleo\0@example.com", "phone": "call me"},
            {"id": "dora", "phone": "+491701234568\r\n"},
        ]);
        let channels = ["inbox", "email", "sms"];
        json!({"audience": {"recipients": recipients}, "content": {"title": "Hello"}, "channels": channels, "dry_run": dry_run})
    };
    let no_number = "not a phone number in E.164, such as +8613800138000: a plus sign and 8 to 15 digits, the first not 0";
    let warnings = json!([
        warning(1, "email", NO_MAILBOX),
        warning(2, "email", NO_MAILBOX),
        warning(2, "phone", no_number),
        warning(3, "phone", no_number),
    ]);
    let skipped = [("bob", "email"), ("cleo", "email"), ("cleo", "sms"), ("dora", "sms")];

    let (status, run) = dev.api.post("/v1/notifications", &body(true)).await;
    assert_eq!((status, &run["warnings"]), (StatusCode::OK, &warnings), "{run}");
    let of = |items: &[Value], state: &str| -> Vec<(String, String)> {
        let found = items.iter().filter(|d| d["reason"] == "invalid_address" && d[state].as_str().unwrap().starts_with("skip"));
        let mut found: Vec<_> =
            found.map(|d| [&d["recipient"], &d["channel"]].map(|text| text.as_str().unwrap().to_owned())).collect();
        found.sort();
        found.into_iter().map(|[recipient, channel]| (recipient, channel)).collect()
    };
    let skipped: Vec<_> = skipped.iter().map(|(recipient, channel)| ((*recipient).to_owned(), (*channel).to_owned())).collect();
    assert_eq!(of(run["deliveries"].as_array().unwrap(), "decision"), skipped, "{run}");

    let description = dev.api.get("/openapi.json").await;
    for answer in ["Receipt", "DryRun"] {
        let field = &description["components"]["schemas"][answer]["properties"]["warnings"];
        assert_eq!(field["items"]["$ref"], "#/components/schemas/Violation", "{field}");
    }

    // Repeats get the very same answer; a batch says it of each.
    let keyed = dev.api.request(Method::POST, "/v1/notifications").header("Idempotency-Key", "k").json(&body(false));
    let first = keyed.try_clone().unwrap().send().await.unwrap().text().await.unwrap();
    let again = keyed.send().await.unwrap();
    assert!(again.headers().contains_key("idempotency-replayed"));
    assert_eq!(again.text().await.unwrap(), first);
    let answer: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(answer["warnings"], warnings);
    let good = json!({"audience": {"recipients": ["ann"]}, "content": {"title": "x"}, "channels": ["inbox"]});
    let batch = json!({"notifications": [body(false), good, body(true)]});
    let (status, results) = dev.api.post("/v1/notifications/batch", &batch).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{results}");
    let told: Vec<_> = results["results"].as_array().unwrap().iter().map(|result| result.get("warnings")).collect();
    assert_eq!(told, [Some(&warnings), None, Some(&warnings)]);

    let id = answer["id"].as_str().unwrap();
    let counts = dev.api.completed(id).await["counts"].clone();
    assert_eq!(counts["inbox"], json!({"sent": 4}));
    assert_eq!((&counts["email"]["skipped"], &counts["email"]["sent"]), (&json!(3), &json!(1)), "{counts}");
    assert_eq!(of(&deliveries(&dev.api, id, "limit=100").await, "state"), skipped);
    // Nobody was written to at an older address, or at a part of what was given.
    let mails: Vec<String> =
        files(&dev.outbox("mail"), "eml").iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(!mails.is_empty() && mails.iter().all(|mail| mail.contains("To: ann@example.com")), "{mails:?}");
    let numbers: HashSet<_> = gateway.requests().iter().map(|r| r["query"]["to"].as_str().unwrap().to_owned()).collect();
    assert_eq!(numbers, HashSet::from(["+491701234567".to_owned()]));
    // What was right of the same people is on record, and what was not has changed nothing.
    let bob = eventually("what was said of Bob", async || {
        Some(dev.api.get("/v1/recipients/bob").await).filter(|bob| bob["phone"].is_string())
    })
    .await;
    assert_eq!(["email", "phone", "locale"].map(|f| bob[f].as_str().unwrap()), ["older@example.com", "+491701234567", "de"]);
    let stored = dev.api.get(&format!("/v1/notifications/{id}")).await.to_string();
    assert!(!stored.contains("eve@") && !stored.contains("call me"), "{stored}");
}

#[tokio::test]
async fn where_nobodys_address_is_right_or_something_else_is_wrong_nothing_is_accepted() {
    let dev = Dev::start();
    let bad = |id: &str| json!({"id": id, "email": "a@@b"});
    let with = |recipients: Value, more: Value| {
        let mut body = json!({"audience": {"recipients": recipients}, "content": {"title": "Hello"}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (what, body, pointers) in [
        ("one alone", with(json!([bad("ann")]), json!({})), vec!["/audience/recipients/0/email"]),
        (
            "all of them",
            with(json!([bad("ann"), bad("bob")]), json!({})),
            vec!["/audience/recipients/0/email", "/audience/recipients/1/email"],
        ),
        (
            "the request, too",
            with(json!(["ann", bad("bob")]), json!({"send_at": "2001-01-01T00:00:00Z"})),
            vec!["/send_at", "/audience/recipients/1/email"],
        ),
        (
            "the data, too",
            with(json!(["ann", bad("bob")]), json!({"content": null, "template": "nothing"})),
            vec!["/template", "/audience/recipients/1/email"],
        ),
        ("of a wrong type", with(json!(["ann", {"id": "bob", "email": 5}]), json!({})), vec!["/audience/recipients/1/email"]),
        ("of nobody", with(json!(["ann", {"email": "a@@b"}]), json!({})), vec!["/audience/recipients/1"]),
        ("not an address", with(json!(["ann", {"id": "bob", "locale": "??"}]), json!({})), vec!["/audience/recipients/1/locale"]),
    ] {
        for dry_run in [false, true] {
            let mut body = body.clone();
            body["dry_run"] = json!(dry_run);
            let response = dev.api.request(Method::POST, "/v1/notifications").json(&body).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{what}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{what}");
            let problem: Value = response.json().await.unwrap();
            let told: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
            assert_eq!(told, pointers, "{what}: {problem}");
        }
    }
    assert_eq!(dev.api.get("/v1/recipients/ann/inbox").await["items"], json!([]));
    let metrics = dev.api.get("/metrics").await;
    assert!(!metrics.as_str().unwrap().contains("stentor_notifications_accepted_total"), "{metrics}");
}

/// A number as it is dialled at home is completed by what is on record, which may change between a call and its repeat.
#[tokio::test]
async fn a_repeat_is_answered_as_the_first_was_whatever_is_on_record_since() {
    let dev = Dev::start();
    let body = json!({"audience": {"recipients": ["ann", {"id": "bob", "phone": "0170 1234567"}]}, "content": {"title": "Hello"},
        "channels": ["sms", "inbox"]});
    let send = async || {
        let keyed = dev.api.request(Method::POST, "/v1/notifications").header("Idempotency-Key", "k").json(&body);
        let response = keyed.send().await.unwrap();
        (response.headers().contains_key("idempotency-replayed"), response.json::<Value>().await.unwrap())
    };
    let (replayed, first) = send().await;
    assert!(!replayed);
    assert_eq!(first["warnings"][0]["pointer"], "/audience/recipients/1/phone");
    assert!(first["warnings"][0]["message"].as_str().unwrap().starts_with("a phone number without its country"), "{first}");
    assert_eq!(dev.api.put("/v1/recipients/bob", &json!({"locale": "de-DE"})).await.0, StatusCode::OK);
    assert_eq!(send().await, (true, first.clone()));
    dev.api.completed(first["id"].as_str().unwrap()).await;
    let skipped = deliveries(&dev.api, first["id"].as_str().unwrap(), "limit=10").await;
    let bobs = skipped.iter().find(|d| d["recipient"] == "bob" && d["channel"] == "sms").unwrap();
    assert_eq!((&bobs["state"], &bobs["reason"]), (&json!("skipped"), &json!("invalid_address")));
    // Another call knows it.
    let (_, second) = dev.api.post("/v1/notifications", &body).await;
    assert_eq!(second.get("warnings"), None, "{second}");
}
