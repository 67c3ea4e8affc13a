//! A large audience: in the app it is one write, by mail it is expanded in pages, and neither is lost or repeated.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::json;
use stentor_testkit::{MailServer, Postgres, RedisServer};
use stentor_tests::{
    device::Device,
    eventually,
    serve::{Process, Serve, bank, settings, sqlite},
};

#[tokio::test]
async fn a_million_people_are_one_entry_in_redis_and_the_few_who_are_online_are_told() {
    let (redis, postgres) = (RedisServer::start(), Postgres::start());
    let serve = Serve::start(&redis.url(), &postgres.url(), &[]).await;
    let api = &serve.api;
    postgres.query(
        "INSERT INTO recipients (app, id, joined, email_at, phone_at, locale_at, timezone_at, attributes_at, preferences_at) \
         SELECT 'bank', 'm' || n, 0, 0, 0, 0, 0, 0, 0 FROM generate_series(1, 1000000) AS n",
    );
    let mut online = Vec::new();
    for n in 1..=100 {
        online.push(Device::open(&api.url, &api.token(&format!("m{n}")).await, None).await.0);
    }
    let keys = || -> u64 { redis.command(&["DBSIZE"]).trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap() };
    let memory = || -> u64 {
        let info = redis.command(&["INFO", "memory"]);
        let (_, rest) = info.split_once("used_memory_dataset:").unwrap();
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let send = async |online: &mut [Device]| {
        let id = api.send(&json!({"audience": "everyone", "content": {"title": "to a million"}})).await;
        for device in online {
            assert_eq!(device.next("item").await["item"]["id"], json!(id));
        }
        api.completed(&id).await;
    };
    send(&mut online).await; // what a timeline and a dispatch cost at all
    let before = (keys(), memory());
    for _ in 0..10 {
        send(&mut online).await;
    }
    let (keys, bytes) = (keys() - before.0, memory().saturating_sub(before.1));
    // Its record, its content: keys of the notification. Nothing for any person.
    assert!(keys <= 10 * 3, "{keys} keys for 10 broadcasts");
    assert!(bytes < 10 * 16 * 1024, "{bytes} bytes for 10 broadcasts");
    let unread = api.get("/v1/recipients/m999999/inbox").await["unread"].clone();
    assert_eq!(unread, 11, "and everyone has it");
}

#[tokio::test]
async fn mail_to_a_topic_is_expanded_in_pages_and_goes_on_after_a_kill() {
    const MEMBERS: usize = 1_300;
    let (redis, dir, mail) = (RedisServer::start(), tempfile::tempdir().unwrap(), MailServer::start());
    let smtp = format!("smtp://127.0.0.1:{}?tls=none", mail.port());
    let providers = [
        ("STENTOR__EMAIL__PROVIDERS", "main"),
        ("STENTOR__EMAIL__PROVIDER__MAIN__URL", smtp.as_str()),
        ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "no-reply@example.com"),
    ];
    let settings = settings(&redis.url(), &sqlite(&dir), &providers);
    let api = bank(&settings);
    let mut process = Process::start(&settings).await;
    let people: Vec<String> = (0..MEMBERS).map(|n| format!("p{n:04}")).collect();
    for page in people.chunks(1_000) {
        let profiles: Vec<_> =
            page.iter().map(|p| json!({"id": p, "email": format!("{p}@example.com"), "locale": "en"})).collect();
        let (status, body) = api.post("/v1/recipients/batch", &json!({"recipients": profiles})).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
        let (status, body) = api.post("/v1/topics/all/recipients/batch", &json!({"recipients": page})).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    }
    let id =
        api.send(&json!({"audience": {"topic": "all"}, "content": {"title": "hello"}, "channels": ["inbox", "email"]})).await;
    eventually("the first mails", async || (mail.mails().len() > 100).then_some(())).await;
    process.kill();
    process.restart().await;
    let view = eventually("the end", async || {
        let view = api.get(&format!("/v1/notifications/{id}")).await;
        (view["status"] == "completed" && view["counts"]["email"]["sent"] == json!(MEMBERS)).then_some(view)
    })
    .await;
    assert_eq!(view["counts"], json!({"email": {"sent": MEMBERS}}), "the inbox needs no delivery each");
    let mut came: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in mail.mails() {
        let header = |name: &str| mail.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
        came.entry(header("To:")).or_default().push(header("Message-ID:"));
    }
    assert_eq!(came.len(), MEMBERS);
    for (to, ids) in &came {
        assert!(ids.len() <= 2 && ids.iter().all(|id| *id == ids[0]), "{to}: {ids:?}");
    }
    assert_eq!(api.get("/v1/recipients/p0007/inbox").await["unread"], 1);
}

#[tokio::test]
async fn a_template_that_speaks_to_each_by_name_is_written_for_each() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let templates = dir.path().join("templates");
    let en = templates.join("hello/en");
    std::fs::create_dir_all(&en).unwrap();
    std::fs::write(templates.join("hello/template.toml"), "title = \"Hello\"\ndefault_locale = \"en\"\n").unwrap();
    std::fs::write(templates.join("hello/schema.json"), r#"{"type": "object", "additionalProperties": false}"#).unwrap();
    std::fs::write(en.join("content.md"), "+++\ntitle = \"Hello {{recipient.id}}\"\n+++\nHow are you, {{recipient.id}}?\n")
        .unwrap();
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[("STENTOR__TEMPLATES__DIR", templates.to_str().unwrap())]).await;
    let api = &serve.api;
    let (status, body) = api.post("/v1/topics/all/recipients/batch", &json!({"recipients": ["ada", "bob"]})).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    let id = api.send(&json!({"audience": {"topic": "all"}, "template": "hello"})).await;
    let view = api.completed(&id).await;
    assert_eq!(view["counts"]["inbox"]["sent"], 2, "{view}");
    for person in ["ada", "bob"] {
        let inbox = api.get(&format!("/v1/recipients/{person}/inbox")).await;
        assert_eq!((&inbox["items"][0]["title"], &inbox["unread"]), (&json!(format!("Hello {person}")), &json!(1)));
    }
}
