//! What an operator does is on record before it is done, whenever the process dies; and then what came of it is.

use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::json;
use stentor_testkit::{MailServer, Postgres, RedisServer, SmsGateway};
use stentor_tests::{
    Api, eventually,
    serve::{Process, bank, settings},
};

use crate::operator::{Browser, Seen, bury, cli};

/// The things on which an operator is to act.
struct Things {
    recalled: String,
    again: String,
    key: String,
    letters: Vec<String>,
    suppression: String,
}

async fn things(api: &Api, redis: &RedisServer, browser: &Browser) -> Things {
    api.put("/v1/recipients/maria", &json!({"email": "maria@example.com"})).await;
    let say = |to: &str| json!({"audience": {"recipients": [to]}, "content": {"title": "Hello"}});
    let (recalled, again) = (api.send(&say("u1")).await, api.send(&say("u2")).await);
    api.completed(&recalled).await;
    api.completed(&again).await;
    let (_, suppression) = api.post("/v1/suppressions", &json!({"channel": "email", "address": "maria@example.com"})).await;
    let made = browser.post("/console/keys?app=bank", &[("name", "old"), ("scope", "read")]).await.html;
    let key = made.split("<pre class=\"key\">stn_live_").nth(1).unwrap().split('_').next().unwrap().to_owned();
    bury(&redis.url(), "bank", (0..3).map(|n| format!("j{n}"))).await;
    let letters = eventually("the dead letters", async || {
        let page = api.get("/v1/dead-letters").await;
        let ids: Vec<String> = page["items"].as_array()?.iter().map(|l| l["id"].as_str().unwrap().to_owned()).collect();
        (ids.len() == 3).then_some(ids)
    })
    .await;
    let suppression = suppression["id"].as_str().unwrap().to_owned();
    eventually("the suppression is on record", async || {
        browser.page("/console/recipients/maria").await.contains("/lift").then_some(())
    })
    .await;
    Things { recalled, again, key, letters, suppression }
}

/// One request for each kind of deed, with the action that its entry names.
fn deeds(browser: &Browser, token: &str, on: &Things) -> Vec<(&'static str, RequestBuilder)> {
    let post = |path: String, fields: &[(&str, &str)]| {
        let fields: Vec<_> = fields.iter().copied().chain([("csrf", token)]).collect();
        browser.client.post(format!("{}{path}", browser.url)).form(&fields)
    };
    let files = json!({"template.toml": "title = \"T\"\nchannels = [\"inbox\"]\ndefault_locale = \"en\"\n",
        "schema.json": "{\"type\": \"object\", \"additionalProperties\": false}", "samples/a.json": "{}",
        "en/content.md": "+++\ntitle = \"T\"\nsummary = \"x\"\n+++\n\nWords.\n"});
    let put = browser.client.put(format!("{}/console/api/v1/templates/made-here?app=bank", browser.url));
    let put = put.header("x-csrf-token", token).json(&json!({"files": files, "publish": true}));
    let notification = |id: &str, what: &str| format!("/console/notifications/{id}/{what}?app=bank");
    let letters = || "/console/dead-letters?app=bank".to_owned();
    vec![
        ("key.create", post("/console/keys?app=bank".into(), &[("name", "new"), ("scope", "read")])),
        ("key.revoke", post(format!("/console/keys/{}/revoke?app=bank", on.key), &[])),
        ("notification.recall", post(notification(&on.recalled, "recall"), &[])),
        ("notification.send_again", post(notification(&on.again, "send-again"), &[])),
        ("dead_letter.replay", post(letters(), &[("act", "replay"), ("id", &on.letters[0])])),
        ("dead_letter.discard", post(letters(), &[("act", "discard"), ("id", &on.letters[1])])),
        ("address.reveal", post("/console/recipients/maria/addresses?app=bank".into(), &[])),
        ("suppression.lift", post(format!("/console/recipients/maria/suppressions/{}/lift?app=bank", on.suppression), &[])),
        (
            "provider.test",
            post("/console/providers/test?app=bank".into(), &[("channel", "email"), ("provider", "main"), ("to", "a@b.example")]),
        ),
        ("template.put", put),
    ]
}

/// What of all that is done by now.
async fn done(api: &Api, sql: &Postgres, mails: &MailServer, on: &Things) -> Vec<&'static str> {
    let count = |query: &str| sql.query(query)[0] != "0";
    let letters = api.get("/v1/dead-letters").await.to_string();
    let suppressions = api.get("/v1/suppressions").await.to_string();
    let template = api.request(Method::GET, "/v1/templates/made-here").send().await.unwrap().status();
    [
        ("key.create", count("SELECT count(*) FROM api_keys WHERE name = 'new'")),
        ("key.revoke", count(&format!("SELECT count(*) FROM api_keys WHERE id = '{}' AND revoked_at IS NOT NULL", on.key))),
        ("notification.recall", !api.get(&format!("/v1/notifications/{}", on.recalled)).await["recalled_at"].is_null()),
        ("notification.send_again", api.get("/v1/recipients/u2/inbox?limit=10").await["items"].as_array().unwrap().len() > 1),
        ("dead_letter.replay", !letters.contains(&on.letters[0])),
        ("dead_letter.discard", !letters.contains(&on.letters[1])),
        ("suppression.lift", !suppressions.contains(&on.suppression)),
        ("provider.test", !mails.mails().is_empty()),
        ("template.put", template == StatusCode::OK),
    ]
    .into_iter()
    .filter_map(|(action, done)| done.then_some(action))
    .collect()
}

#[tokio::test]
async fn no_deed_is_done_before_it_is_on_record_and_none_is_forgotten_however_the_process_dies() {
    let (sql, redis, mails, gateway) = (Postgres::start(), RedisServer::start(), MailServer::start(), SmsGateway::start());
    let settings = settings(
        &redis.url(),
        &sql.url(),
        &[
            ("STENTOR__EMAIL__PROVIDERS", "main"),
            ("STENTOR__EMAIL__PROVIDER__MAIN__URL", &format!("smtp://127.0.0.1:{}?tls=none", mails.port())),
            ("STENTOR__EMAIL__PROVIDER__MAIN__FROM", "bank@example.com"),
            ("STENTOR__SMS__PROVIDERS", "gw"),
            ("STENTOR__SMS__PROVIDER__GW__URL", &format!("{}/send?to={{{{to}}}}&text={{{{text}}}}", gateway.url())),
        ],
    );
    let api = bank(&settings);
    let key = cli(&sql.url(), &["operator", "create", "Grace"])["operator_key"].as_str().unwrap().to_owned();
    let mut process = Process::start(&settings).await;
    let browser = Browser::signed_in_at(&api.url, &key).await;
    let on = things(&api, &redis, &browser).await;
    let token = browser.token().await;
    let outcomes =
        |sql: &Postgres| sql.query("SELECT action || ' ' || coalesce(outcome, '?') FROM audit WHERE name = 'Grace' ORDER BY id");
    let before = outcomes(&sql).len();
    let by_command = sql.query("SELECT action || ' ' || outcome FROM audit WHERE name = 'command line' ORDER BY id");
    assert_eq!(by_command, ["app.create done", "key.create done", "operator.create done"], "the command line is on record, too");

    // Nobody can write the record: each deed waits for it, and the process dies in that moment.
    let hold = sql.hold("LOCK TABLE audit IN EXCLUSIVE MODE");
    let cookie = browser.cookie.clone().unwrap();
    let asked: Vec<_> = deeds(&browser, &token, &on)
        .into_iter()
        .map(|(_, request)| tokio::spawn(request.header(header::COOKIE, &cookie).header(header::ORIGIN, &browser.url).send()))
        .collect();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO \"audit\"%'";
    eventually("all of them wait", async || (sql.query(waiting)[0] == asked.len().to_string()).then_some(())).await;
    assert_eq!(done(&api, &sql, &mails, &on).await, [""; 0], "something was done without a record");
    assert!(asked.iter().all(|request| !request.is_finished()), "somebody was answered without a record");
    process.kill();
    drop(hold);
    process.restart().await;
    for request in asked {
        assert!(request.await.unwrap().is_err(), "nobody was answered");
    }
    assert_eq!(done(&api, &sql, &mails, &on).await, [""; 0]);
    let log = browser.page("/console/audit?app=bank").await;
    let unknown = outcomes(&sql);
    assert!(unknown[before..].iter().all(|entry| entry.ends_with(" ?")), "{unknown:?}");
    assert_eq!(
        log.matches("not known").count(),
        unknown.len() - before,
        "of these it is not known whether they were done: {log}"
    );

    // The same, with a record: the process dies as soon as each is answered.
    let mut expected = Vec::new();
    for n in 0..deeds(&browser, &token, &on).len() {
        let (action, request) = deeds(&browser, &token, &on).remove(n);
        let Seen { status, html, .. } = browser.send(request, true).await;
        process.restart().await;
        assert!(status.is_success() || status.is_redirection(), "{action}: {status} {html}");
        expected.push(format!("{action} done"));
    }
    // and what cannot be done says so
    let again =
        deeds(&browser, &token, &on).into_iter().filter(|(action, _)| matches!(*action, "key.revoke" | "dead_letter.discard"));
    for (_, request) in again {
        browser.send(request, true).await;
    }
    expected.extend(["key.revoke not_found".to_owned(), "dead_letter.discard not_found".to_owned()]);
    let found = outcomes(&sql).split_off(unknown.len());
    assert_eq!(found, expected);
    // whether the test was sent that a dying worker had in hand, nobody knows
    let all = [
        "key.create",
        "key.revoke",
        "notification.recall",
        "notification.send_again",
        "dead_letter.replay",
        "dead_letter.discard",
        "suppression.lift",
        "template.put",
    ];
    eventually("all was done", async || {
        let done = done(&api, &sql, &mails, &on).await;
        all.iter().all(|action| done.contains(action)).then_some(())
    })
    .await;
    let log = browser.page("/console/audit?app=bank").await;
    assert!(log.contains(">done<") && log.matches("not done: not found").count() == 2, "{log}");
}
