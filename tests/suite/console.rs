//! The console, as a browser without scripts uses it: who is let in, what is refused, what is found, and what is put on record.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use stentor_tests::{Api, Dev, device::Device, eventually};

use crate::operator::{Browser, bury, cli, rows};

#[tokio::test]
async fn only_who_has_a_valid_key_is_let_in_and_revoking_it_ends_the_session_at_once() {
    let dev = Dev::start();
    let mut browser = Browser::new(&dev);
    let away = browser.see("/console/audit?app=demo").await;
    assert_eq!(away.place.as_deref(), Some("/console/login?next=%2Fconsole%2Faudit%3Fapp%3Ddemo"));
    for wrong in ["", "stn_oper_a_b", &dev.text("api_key"), &format!("{}x", dev.text("operator_key"))] {
        let refused = browser.sign_in(wrong).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{wrong}");
        assert!(refused.headers.get(header::SET_COOKIE).is_none());
    }
    let key =
        cli(&dev.text("database_url"), &["operator", "create", "Grace Hopper"])["operator_key"].as_str().unwrap().to_owned();
    let seen = browser.sign_in(&key).await;
    let cookie = seen.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["__Host-stentor-console=", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let page = browser.see("/console").await;
    assert!(page.html.contains("Grace Hopper"));
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.html.contains("style=") && !page.html.contains("<script>"), "nothing is inline");
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");

    let id = key.trim_start_matches("stn_oper_").split('_').next().unwrap();
    cli(&dev.text("database_url"), &["operator", "revoke", id]);
    assert_eq!(browser.see("/console").await.status, StatusCode::SEE_OTHER, "a revoked key's session is over");
    assert_eq!(browser.sign_in(&key).await.status, StatusCode::UNAUTHORIZED);
    let listed = cli(&dev.text("database_url"), &["operator", "list"]);
    assert!(listed.as_array().unwrap().iter().any(|o| o["id"] == id && o["revoked_at"].is_string()));
}

#[tokio::test]
async fn what_another_site_sends_is_refused_and_signing_out_ends_the_session() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    let id = dev.api.send(&json!({"audience": {"recipients": ["u1"]}, "content": {"title": "x"}})).await;
    let token = browser.token().await;
    let recall = format!("{}/console/notifications/{id}/recall", browser.url);
    let with_token = || browser.client.post(&recall).form(&[("csrf", token.as_str())]);
    // without an Origin, from another one, without a token, with another's
    assert_eq!(browser.send(with_token(), false).await.status, StatusCode::FORBIDDEN);
    let evil = with_token().header(header::ORIGIN, "https://evil.example");
    assert_eq!(browser.send(evil, false).await.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.send(browser.client.post(&recall), true).await.status, StatusCode::FORBIDDEN);
    let other = Browser::signed_in(&dev).await.token().await;
    assert_ne!(other, token);
    let wrong = browser.client.post(&recall).form(&[("csrf", other.as_str())]);
    assert_eq!(browser.send(wrong, true).await.status, StatusCode::FORBIDDEN);
    assert!(dev.api.get(&format!("/v1/notifications/{id}")).await["recalled_at"].is_null(), "nothing happened");
    let login = browser.client.post(format!("{}/console/login", browser.url)).form(&[("key", dev.text("operator_key"))]);
    assert_eq!(browser.send(login, false).await.status, StatusCode::FORBIDDEN, "nobody is signed in by another site");
    // as a header, as htmx sends it
    let by_header = browser.client.post(&recall).header("x-csrf-token", &token);
    assert_eq!(browser.send(by_header, true).await.status, StatusCode::SEE_OTHER);

    // who comes by a link from elsewhere has no cookie yet, and is asked to come again from here
    let link = browser.client.get(format!("{}/console/queues", browser.url)).header("sec-fetch-site", "cross-site");
    let stranger = Browser::new(&dev).send(link, false).await;
    assert!(stranger.html.contains("url=/console/queues"), "{}", stranger.html);

    let cookie = browser.cookie.clone();
    let out = browser.post("/console/logout", &[]).await;
    assert!(out.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    let thief = Browser { cookie, ..Browser::new(&dev) };
    assert_eq!(thief.see("/console").await.status, StatusCode::SEE_OTHER, "the cookie opens nothing any more");
}

#[tokio::test]
async fn notifications_are_found_by_each_filter_and_in_pages() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    let due = json!({"amount": {"value": "1.00", "currency": "EUR"}, "due_date": "2026-12-05", "card": "6222"});
    let batch: Vec<Value> =
        (0..60).map(|n| json!({"audience": {"recipients": [format!("u{n}")]}, "content": {"title": format!("n-{n}")}})).collect();
    dev.api.post("/v1/notifications/batch", &json!({"notifications": batch})).await;
    let mail = json!({"audience": {"recipients": ["u7"]}, "template": "card-repayment-due", "channels": ["email"], "data": due});
    let last = dev.api.send(&mail).await;
    dev.api.completed(&last).await;
    eventually("all are archived", async || {
        let first = browser.page("/console/notifications").await;
        let older = first.split("href=\"/console/notifications?").find(|part| part.contains("before="))?;
        let older = older.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        assert_eq!(rows(&first), 50);
        let second = browser.page(&format!("/console/notifications?{older}")).await;
        (rows(&second) == 11 && !second.contains("before=")).then_some(())
    })
    .await;
    let count = async |query: &str| rows(&browser.page(&format!("/console/notifications?app=demo&{query}")).await);
    for (query, n) in [
        ("recipient=u7", 2),
        ("recipient=u7&channel=email", 1),
        ("recipient=nobody", 0),
        ("template=card-repayment-due", 1),
        ("template=card-repayment-due&channel=inbox", 0),
        ("channel=email", 1),
        ("state=skipped", 1),
        ("state=skipped&reason=no_addr", 1),
        ("reason=no%25addr", 0),
        ("channel=inbox&state=sent&template=card-repayment-due", 0),
        ("until=2020-01-01", 0),
        ("from=2020-01-01&recipient=u7", 2),
        ("within=1h&recipient=u7", 2),
    ] {
        assert_eq!(count(query).await, n, "{query}");
    }
    assert_eq!(count("channel=inbox").await, 50);
    let wrong = browser.see("/console/notifications?app=demo&from=yesterday").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.html.contains("write a time in UTC"), "{}", wrong.html);
    assert_eq!(browser.see("/console/notifications?app=another").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn one_notification_tells_its_story_is_sent_again_and_recalled() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    let content = json!({"title": "Hello <b>you</b>", "body_markdown": "Some *words*."});
    let request = json!({"audience": {"recipients": [{"id": "u1", "email": "u1@example.com"}]}, "content": content,
        "channels": ["inbox", "email"], "metadata": {"ticket": "OPS-42"}});
    let id = dev.api.send(&request).await;
    let place = format!("/console/notifications/{id}");
    assert!(browser.page(&place).await.contains("accepted"), "it is there at once");
    dev.api.completed(&id).await;
    let page = browser.page(&place).await;
    for part in ["Hello &#60;b&#62;you", "OPS-42", "capture", "item written", "dispatched", "completed"] {
        assert!(page.contains(part), "{part} is missing: {page}");
    }
    assert!(!page.contains("u1@example.com"), "an address is shown");
    let mail = browser.page(&format!("{place}/rendered?app=demo&channel=email")).await;
    assert!(mail.contains("Subject") && mail.contains("sandbox"), "{mail}");
    let frame = browser.see(&format!("{place}/html?app=demo&channel=email")).await;
    assert!(frame.html.contains("<em>words</em>"), "{}", frame.html);
    assert!(frame.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("sandbox;"));

    // to one person on one channel, by the address of today
    dev.api.put("/v1/recipients/u1", &json!({"email": "new@example.com"})).await;
    let again = browser.post(&format!("{place}/send-again?app=demo"), &[("recipient", "u1"), ("channel", "email")]).await;
    let new = again.place.unwrap();
    assert!(browser.page(&new).await.contains("Sent again to u1."));
    assert!(!browser.page(&new).await.contains("Sent again to u1."), "it is said once");
    let new_id = new.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let view = dev.api.completed(&new_id).await;
    assert_eq!(view["counts"], json!({"email": {"sent": 1}}), "{view}");
    let mails = stentor_tests::files(&dev.outbox("mail"), "eml");
    let to = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap().contains("new@example.com");
    assert_eq!((mails.len(), mails.iter().filter(|mail| to(mail)).count()), (2, 1));

    let recalled = browser.post(&format!("{place}/recall?app=demo"), &[]).await;
    let page = browser.page(&recalled.place.unwrap()).await;
    assert!(page.contains("What had left already cannot be taken back: 1 email."), "{page}");
    eventually("it is withdrawn", async || {
        dev.api.get(&format!("/v1/notifications/{id}")).await["recalled_at"].is_string().then_some(())
    })
    .await;
    let unknown = browser.see(&place.replace(&id, "01890000-0000-7000-8000-000000000000")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let log = browser.page("/console/audit?app=demo").await;
    for deed in ["notification.send_again", "to u1 by email", "notification.recall"] {
        assert!(log.contains(deed), "{deed} is not on record");
    }
}

#[tokio::test]
async fn addresses_are_masked_until_somebody_asks_who_is_then_on_record() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    dev.api.put("/v1/recipients/a%2Fb", &json!({"email": "maria@example.com", "attributes": {"iban": "DE02"}})).await;
    assert!(browser.page("/console/recipients").await.contains("ma***@example.com"));
    let place = "/console/recipients/a%2Fb";
    let page = browser.page(place).await;
    assert!(page.contains("ma***@example.com") && page.contains("iban") && !page.contains("DE02"), "{page}");
    assert_eq!(rows(&browser.page("/console/audit?action=address.reveal").await), 0);
    // a GET shows nothing, and records nothing
    assert_eq!(browser.see(&format!("{place}/addresses")).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let shown = browser.post(&format!("{place}/addresses?app=demo"), &[]).await;
    assert!(shown.html.contains("maria@example.com") && shown.html.contains("DE02"), "{}", shown.html);
    let log = browser.page("/console/audit?action=address.reveal").await;
    assert_eq!(rows(&log), 1);
    assert!(log.contains("a/b") && log.contains("dev") && !log.contains("maria@"), "{log}");
    assert_eq!(browser.see("/console/recipients/nobody").await.status, StatusCode::NOT_FOUND);
    let straight = browser.see("/console/recipients?id=a%2Fb").await;
    assert_eq!(straight.place.as_deref(), Some("/console/recipients/a%2Fb?app=demo"));
}

#[tokio::test]
async fn dead_letters_of_all_apps_are_looked_into_replayed_and_discarded() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    assert!(browser.page("/console/dead-letters").await.contains("nothing was given up"));
    for (app, job) in [("demo", "j1"), ("other", "j2")] {
        bury(&dev.text("redis_url"), app, [job.to_owned()]).await;
    }
    let dead = async |n: usize| {
        eventually("the dead letters", async || {
            let page = browser.page("/console/dead-letters").await;
            (rows(&page) == n).then_some(page)
        })
        .await
    };
    let ids = |page: &str| -> Vec<String> {
        page.split("name=\"id\" value=\"").skip(1).map(|part| part.split('"').next().unwrap().to_owned()).collect()
    };
    let page = dead(2).await;
    assert!(page.contains("cannot be decoded") && page.contains("j1") && !page.contains("+491701234567"), "{page}");
    assert_eq!(rows(&browser.page("/console/dead-letters?app=demo").await), 1);
    assert_eq!(rows(&browser.page("/console/dead-letters?queue=email").await), 0);
    assert_eq!(rows(&browser.page("/console/dead-letters?reason=decoded").await), 2);

    // one is replayed, and dies again at a place of its own
    let first = ids(&page).remove(0);
    let replayed = browser.post("/console/dead-letters", &[("act", "replay"), ("id", &first)]).await;
    assert!(browser.page(&replayed.place.unwrap()).await.contains("1 letter was put back"));
    let again = eventually("the next death", async || {
        let ids = ids(&browser.page("/console/dead-letters").await);
        (ids.len() == 2 && !ids.contains(&first)).then_some(ids)
    })
    .await;
    // nothing ticked, then one that is gone, then all of an app
    browser.post("/console/dead-letters", &[("act", "discard")]).await;
    browser.post("/console/dead-letters", &[("act", "discard"), ("id", &first)]).await;
    dead(2).await;
    browser.post("/console/dead-letters?app=demo", &[("act", "discard_all")]).await;
    let left = dead(1).await;
    assert!(left.contains("other") && again.contains(&ids(&left)[0]));
    browser.post("/console/dead-letters", &[("act", "discard"), ("id", &ids(&left)[0])]).await;
    dead(0).await;
    let log = browser.page("/console/audit").await;
    assert!(log.contains("dead_letter.replay") && log.contains("dead_letter.discard") && log.contains("all that fit"), "{log}");
}

#[tokio::test]
async fn a_provider_is_seen_at_work_and_tested_by_a_worker() {
    let gateway = "http://127.0.0.1:9/cgi-bin/sendsms?username=u&password=s3cret-of-the-gateway";
    let dev = Dev::start_with(&[
        ("STENTOR__SMS__PROVIDERS", "gateway"),
        ("STENTOR__SMS__PROVIDER__GATEWAY__PRESET", "kannel"),
        ("STENTOR__SMS__PROVIDER__GATEWAY__URL", gateway),
    ]);
    let browser = Browser::signed_in(&dev).await;
    eventually("the workers' reports", async || {
        let page = browser.page("/console/providers").await;
        (page.contains("capture") && page.contains("gateway") && page.contains("works")).then_some(())
    })
    .await;
    let test = async |channel: &str, provider: &str, to: &str| {
        let fields = [("channel", channel), ("provider", provider), ("to", to)];
        let mut html = browser.post("/console/providers/test?app=demo", &fields).await.html;
        eventually("the test's end", async || {
            let Some(again) = html.split("hx-get=\"").nth(1) else { return Some(html.clone()) };
            let place = again.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
            html = browser.page(&place).await;
            None
        })
        .await
    };
    let sent = test("email", "capture", "somebody@example.com").await;
    assert!(sent.contains("sent") && sent.contains("the provider took it"), "{sent}");
    let mails = stentor_tests::files(&dev.outbox("mail"), "eml");
    assert!(std::fs::read_to_string(&mails[0]).unwrap().contains("A test from Stentor"));
    let failed = test("sms", "gateway", "+8613800138000").await;
    assert!(failed.contains("failed") && failed.contains("cannot be reached"), "{failed}");
    let none = test("sms", "another", "+8613800138000").await;
    assert!(none.contains("no provider of that name"), "{none}");
    let wrong =
        browser.post("/console/providers/test?app=demo", &[("channel", "sms"), ("provider", "gateway"), ("to", "5")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    eventually("trouble is reported", async || {
        browser.page("/console/providers").await.contains("the last call failed").then_some(())
    })
    .await;
    assert!(!browser.page("/console/audit?action=provider.test").await.contains("+8613800138000"));
    let settings = browser.page("/console/settings").await;
    assert!(settings.contains("connects_per_second") && !settings.contains("s3cret-of-the-gateway"), "{settings}");
}

#[tokio::test]
async fn keys_are_made_and_revoked_and_the_overview_counts_live() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    let made = browser.post("/console/keys?app=demo", &[("name", "billing"), ("scope", "send"), ("scope", "read")]).await;
    let key = made
        .html
        .split("stn_live_")
        .find(|part| part.split('_').nth(1).is_some_and(|s| s.starts_with(|c: char| c.is_ascii_alphanumeric())))
        .unwrap();
    let key = format!("stn_live_{}", key.split('<').next().unwrap());
    let api = Api::new(&dev.api.url, &key);
    assert!(!browser.page("/console/keys").await.contains(&key), "it is shown once");

    // the stream draws anew what happens
    let mut live = browser.client.get(format!("{}/console/live?app=demo", browser.url));
    live = live.header(header::COOKIE, browser.cookie.clone().unwrap());
    let mut stream = live.send().await.unwrap();
    assert_eq!(stream.headers()[header::CONTENT_TYPE], "text/event-stream");
    let id = api.send(&json!({"audience": {"recipients": ["watched"]}, "content": {"title": "x"}})).await;
    let seen = async {
        let mut text = String::new();
        while !text.contains("watched") {
            text.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap()));
        }
        text
    };
    let text = tokio::time::timeout(stentor_tests::PATIENCE, seen).await.expect("the step is shown in time");
    assert!(text.contains(&id), "{text}");
    eventually("it is counted", async || {
        let page = browser.page("/console").await;
        page.contains("inbox, last hour: 1 sent, 0 failed").then_some(())
    })
    .await;

    let id = key.trim_start_matches("stn_live_").split('_').next().unwrap().to_owned();
    let revoked = browser.post(&format!("/console/keys/{id}/revoke?app=demo"), &[]).await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER);
    eventually("the key is refused", async || {
        (api.request(Method::GET, "/v1/topics").send().await.unwrap().status() == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    for path in ["/console/queues", "/console/topics", "/console/templates", "/console/audit?operator=x"] {
        browser.page(path).await;
    }
    assert_eq!(browser.see("/console/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_is_connected_to_any_app_is_one_question_however_many_apps_there_are() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    let database = dev.text("database_url");
    for n in 0..5 {
        cli(&database, &["app", "create", &format!("shop-{n}")]);
    }
    let key = cli(&database, &["key", "create", "--app", "shop-3", "--scopes", "manage"]);
    let shop = Api::new(&dev.api.url, key["api_key"].as_str().unwrap());
    let ada = dev.api.token("ada").await;
    let _devices = [
        Device::open(&dev.api.url, &ada, None).await,
        Device::open(&dev.api.url, &ada, None).await,
        Device::open(&dev.api.url, &shop.token("bob").await, None).await,
    ];
    for (path, people) in [
        ("/console", "people, on 3 connections"),
        ("/console?app=demo", "person, on 2 connections"),
        ("/console?app=shop-3", "person, on 1 connection<"),
        ("/console?app=shop-1", "people, on 0 connections"),
    ] {
        eventually(people, async || browser.page(path).await.contains(people).then_some(())).await;
    }

    let mut redis = redis::Client::open(dev.text("redis_url")).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut sums = async || {
        let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
        let calls =
            stats.lines().find_map(|line| line.strip_prefix("cmdstat_hvals:calls=")?.split(',').next()?.parse::<u32>().ok());
        calls.unwrap_or(0)
    };
    let before = sums().await;
    browser.page("/console").await;
    assert_eq!(sums().await - before, 1, "what the gateways said is read once, not once an app");
}

#[tokio::test]
async fn what_is_scheduled_and_what_went_to_many_is_found_before_its_time_and_by_whose_it_is() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    dev.api.put("/v1/recipients/u1", &json!({"locale": "en"})).await;
    dev.api.put("/v1/topics/red/recipients/u1", &json!({})).await;
    let content = |title: &str| json!({"title": title});
    let tomorrow = stentor_tests::at(86_400.0);
    let later = json!({"audience": {"recipients": ["u9"]}, "content": content("tomorrow"), "send_at": tomorrow});
    let id = dev.api.send(&later).await;
    let batch = json!({"notifications": [
        {"audience": {"topic": "red"}, "content": content("to the topic")},
        {"audience": "everyone", "content": content("to all")},
        {"audience": {"recipients": ["u9"]}, "content": content("tomorrow too"), "send_at": tomorrow},
        {"audience": {"recipients": ["u2"]}, "content": content("to another")},
    ]});
    dev.api.post("/v1/notifications/batch", &batch).await;
    let titles = async |query: &str| -> Vec<String> {
        let html = browser.page(&format!("/console/notifications?app=demo&{query}")).await;
        let cells = html.split("<td class=\"clip lead\">").skip(1).map(|part| part.split("</a>").next().unwrap());
        let mut titles: Vec<String> = cells.map(|link| link.rsplit('>').next().unwrap().to_owned()).collect();
        titles.sort();
        titles
    };
    eventually("all are on record", async || (titles("").await.len() == 5).then_some(())).await;
    assert_eq!(titles("state=scheduled").await, ["tomorrow", "tomorrow too"]);
    eventually("what went to many is found", async || {
        (titles("recipient=u1").await == ["to all", "to the topic"] && titles("channel=inbox").await.len() == 5).then_some(())
    })
    .await;
    assert_eq!(titles("recipient=u1&state=sent").await, [""; 0]);
    // before its time it is found by whose it will be: by name, by topic, by being there
    eventually("it is found by its recipient", async || {
        (titles("recipient=u9").await == ["tomorrow", "tomorrow too"]).then_some(())
    })
    .await;
    assert_eq!(titles("recipient=u9&state=scheduled").await, ["tomorrow", "tomorrow too"]);
    for (audience, title) in [(json!({"topic": "red"}), "tomorrow to red"), (json!("everyone"), "tomorrow to all")] {
        dev.api.send(&json!({"audience": audience, "content": content(title), "send_at": tomorrow})).await;
    }
    eventually("what will go to many is found", async || {
        (titles("recipient=u1&state=scheduled").await == ["tomorrow to all", "tomorrow to red"]).then_some(())
    })
    .await;
    assert_eq!(titles("recipient=u2&state=scheduled").await, ["tomorrow to all"]);
    // and by the channels that it asks for, or that its template has
    let bill = json!({
        "audience": {"recipients": ["u8"]}, "template": "card-repayment-due", "send_at": tomorrow,
        "data": {"amount": {"value": "1234.50", "currency": "CNY"}, "due_date": "2026-12-05", "card": "6222"},
    });
    dev.api.send(&bill).await;
    let by_mail =
        json!({"audience": {"recipients": ["u8"]}, "content": content("by mail"), "channels": ["email"], "send_at": tomorrow});
    dev.api.send(&by_mail).await;
    eventually("they are found by their channel", async || {
        (titles("channel=email&state=scheduled").await == ["by mail", "card-repayment-due"]).then_some(())
    })
    .await;
    assert_eq!(titles("channel=email&recipient=u8").await, ["by mail", "card-repayment-due"]);
    assert_eq!(titles("channel=inbox&recipient=u9").await, ["tomorrow", "tomorrow to all", "tomorrow too"]);
    assert!(!titles("channel=inbox&state=scheduled").await.contains(&"by mail".to_owned()));
    // and whoever has nothing but that has a page, which says so
    let page = browser.page("/console/recipients/u9?app=demo").await;
    assert!(page.contains("To be sent later") && page.contains("tomorrow too"), "{page}");
    assert_eq!(browser.see("/console/recipients?id=..").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(browser.page("/console/queues").await.contains("next in 23 h"), "it waits in its queue");
    let list = browser.page("/console/notifications?app=demo").await;
    assert!(list.contains("scheduled</span>") && list.contains(&tomorrow[..16]), "{list}");
    let one = browser.page(&format!("/console/notifications/{id}?app=demo")).await;
    assert!(one.contains("scheduled</span>") && one.contains("next at"), "{one}");
    let recalled = browser.post(&format!("/console/notifications/{id}/recall?app=demo"), &[]).await;
    assert!(browser.page(&recalled.place.unwrap()).await.contains("cancelled"), "it says so at once");
    eventually("it is scheduled no more", async || {
        (titles("recipient=u9&state=scheduled").await == ["tomorrow to all", "tomorrow too"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_overview_begins_with_what_happened_last() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    assert!(browser.page("/console").await.contains("Nothing happened yet"));
    let id = dev.api.send(&json!({"audience": {"recipients": ["early"]}, "content": {"title": "x"}})).await;
    dev.api.completed(&id).await;
    let page = browser.page("/console").await;
    assert!(page.contains(&id) && page.contains("early"), "{page}");
    assert_eq!(page.matches(&format!("/console/notifications/{id}?")).count(), 2, "accepted and sent, each once: {page}");
}

#[tokio::test]
async fn a_suppression_is_lifted_by_whose_it_is_and_that_is_on_record() {
    let dev = Dev::start();
    let browser = Browser::signed_in(&dev).await;
    for person in ["maria", "jo"] {
        dev.api.put(&format!("/v1/recipients/{person}"), &json!({"email": format!("{person}@example.com")})).await;
    }
    let (status, _) = dev.api.post("/v1/suppressions", &json!({"channel": "email", "address": "maria@example.com"})).await;
    assert!(status.is_success());
    let lift = eventually("it is on record", async || {
        let page = browser.page("/console/recipients/maria?app=demo").await;
        let action = page.split("action=\"").find(|part| part.contains("/lift"))?;
        Some(action.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&"))
    })
    .await;
    assert!(!browser.page("/console/recipients/jo?app=demo").await.contains("/lift"));
    let wrong = browser.post(&lift.replace("maria", "jo"), &[]).await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND, "it is not theirs");
    assert_eq!(rows(&browser.page("/console/audit?action=suppression.lift").await), 0);
    let lifted = browser.post(&lift, &[]).await;
    assert!(browser.page(&lifted.place.unwrap()).await.contains("this address is written to again"));
    eventually("it is lifted", async || {
        (!browser.page("/console/recipients/maria?app=demo").await.contains("/lift")).then_some(())
    })
    .await;
    let log = browser.page("/console/audit?action=suppression.lift").await;
    assert!(rows(&log) == 1 && log.contains("maria") && log.contains("email, manual") && !log.contains("@example"), "{log}");
    let id =
        dev.api.send(&json!({"audience": {"recipients": ["maria"]}, "content": {"title": "x"}, "channels": ["email"]})).await;
    assert_eq!(dev.api.completed(&id).await["counts"], json!({"email": {"sent": 1}}));
}
