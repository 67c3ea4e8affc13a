//! What was sent is withdrawn, said otherwise, or its time is over: on every device, with the counts right.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::RedisServer;
use stentor_tests::{
    Dev, at,
    device::Device,
    eventually,
    serve::{Serve, sqlite},
};

#[tokio::test]
async fn a_recalled_notification_vanishes_from_every_device_and_what_is_unsent_is_cancelled() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await; // without providers: nothing leaves
    let api = &serve.api;
    let (mut phone, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    let (mut away, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    let to = json!({"recipients": [{"id": "ada", "email": "ada@example.com", "phone": "+491701234567"}]});
    let send = async |title: &str| {
        let body = json!({"audience": to, "content": {"title": title}, "channels": ["inbox", "email", "sms"]});
        api.send(&body).await
    };
    let wrong = send("wrong").await;
    phone.next("item").await;
    let right = send("right").await;
    assert_eq!(phone.next("item").await["unread"], 2);
    away.until("item").await;
    away.until("item").await;
    phone.send(&json!({"type": "read", "ids": [wrong]})).await;
    assert_eq!(phone.next("state").await["unread"], 1);
    away.until("state").await;
    let cursor = away.cursor.clone();
    drop(away);

    for _ in 0..2 {
        let (status, answer) = api.post(&format!("/v1/notifications/{wrong}/recall"), &json!(null)).await;
        assert_eq!((status, &answer["already_left"]), (StatusCode::ACCEPTED, &json!({})), "{answer}");
    }
    let state = phone.next("state").await;
    assert_eq!((&state["change"], &state["ids"], &state["unread"]), (&json!("recalled"), &json!([wrong]), &json!(1)));
    let (_, welcome) = Device::open(&api.url, &api.token("ada").await, Some(&cursor)).await;
    assert_eq!((&welcome["removed"], &welcome["unread"], &welcome["recovered"]), (&json!([wrong]), &json!(1), &json!(true)));
    let view = eventually("the end", async || {
        let view = api.get(&format!("/v1/notifications/{wrong}")).await;
        view["recalled_at"].is_string().then_some(view)
    })
    .await;
    assert_eq!(
        (&view["counts"]["email"], &view["counts"]["sms"]),
        (&json!({"cancelled": 1}), &json!({"cancelled": 1})),
        "{view}"
    );
    // its item was told before its mail: then both are on record
    eventually("the mail of the other waits", async || {
        let view = api.get(&format!("/v1/notifications/{right}")).await;
        (view["counts"]["email"] == json!({"queued": 1})).then_some(())
    })
    .await;

    // also after Redis has lost everything
    redis.command(&["FLUSHALL"]);
    let inbox = api.get("/v1/recipients/ada/inbox").await;
    let ids: Vec<&Value> = inbox["items"].as_array().unwrap().iter().map(|i| &i["id"]).collect();
    assert_eq!((ids, &inbox["unread"]), (vec![&json!(right)], &json!(1)));
}

#[tokio::test]
async fn a_dispatch_that_begins_anew_after_a_recall_undoes_what_it_wrote_before() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    let api = &serve.api;
    let (mut phone, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    let id = api.send(&json!({"audience": {"recipients": ["ada"]}, "content": {"title": "wrong"}})).await;
    phone.next("item").await;
    eventually("the end", async || (api.get(&format!("/v1/notifications/{id}")).await["status"] == "completed").then_some(()))
        .await;
    // As if its worker had died behind the item, and the recall had looked before it was there.
    let record = format!("stentor:{{q:dispatch}}:job:{id}");
    redis.command(&["HSET", &record, "state", "queued", "cancel", "recalled"]);
    let payload = json!({"app": "bank", "notification": id}).to_string();
    redis.command(&["XADD", "stentor:{q:dispatch}:normal", "*", "i", &id, "a", "0", "d", &payload]);
    eventually("it leaves", async || (api.get("/v1/recipients/ada/inbox").await["items"] == json!([])).then_some(())).await;
    let state = phone.next("state").await;
    assert_eq!((&state["change"], &state["ids"], &state["unread"]), (&json!("recalled"), &json!([id]), &json!(0)));
}

#[tokio::test]
async fn a_page_of_a_topic_that_a_killed_worker_had_begun_is_withdrawn_too() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    let api = &serve.api;
    api.put("/v1/recipients/ada", &json!({"email": "ada@example.com"})).await;
    api.put("/v1/topics/vip", &json!({"name": "Vip"})).await;
    api.put("/v1/topics/vip/recipients/ada", &json!({})).await;
    // No provider is configured: the mail waits.
    let body = json!({"audience": {"topic": "vip"}, "channels": ["email"], "content": {"title": "wrong"}});
    let id = api.send(&body).await;
    let state = async || {
        let list = api.get(&format!("/v1/notifications/{id}/deliveries")).await;
        list["items"][0]["state"].as_str().map(str::to_owned)
    };
    eventually("it waits", async || (state().await.as_deref() == Some("queued")).then_some(())).await;
    eventually("the end", async || {
        let story = api.get(&format!("/v1/notifications/{id}/timeline")).await;
        story["events"].as_array().unwrap().iter().any(|e| e["event"] == "dispatched").then_some(())
    })
    .await;
    // As if its worker had died behind the page, and the recall had looked before it was there.
    let record = format!("stentor:{{q:dispatch}}:job:{id}");
    redis.command(&["HSET", &record, "state", "queued", "cancel", "recalled"]);
    let payload = json!({"app": "bank", "notification": id}).to_string();
    redis.command(&["XADD", "stentor:{q:dispatch}:normal", "*", "i", &id, "a", "0", "d", &payload]);
    eventually("it is withdrawn", async || (state().await.as_deref() == Some("cancelled")).then_some(())).await;
}

#[tokio::test]
async fn who_stands_on_a_page_that_had_not_begun_when_it_was_recalled_hears_nothing() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    let api = &serve.api;
    let everyone: Vec<String> = (0..1_000).map(|n| format!("p{n:04}")).collect();
    // The recall has to come while the first page of two is written; it may come too late or too early.
    for _ in 0..20 {
        let id = api.send(&json!({"audience": {"recipients": everyone}, "content": {"title": "wrong"}})).await;
        api.post(&format!("/v1/notifications/{id}/recall"), &json!(null)).await;
        let written = eventually("the end", async || {
            let view = api.get(&format!("/v1/notifications/{id}")).await;
            let story = api.get(&format!("/v1/notifications/{id}/timeline?limit=5000")).await;
            let is_over = view["recalled_at"].is_string() && story.to_string().contains("\"dispatched\"");
            is_over.then(|| view["counts"]["inbox"].as_object().map_or(0, |n| n.values().filter_map(Value::as_u64).sum::<u64>()))
        })
        .await;
        if written == 500 {
            return;
        }
    }
    panic!("the second page was always written, or never the first");
}

#[tokio::test]
async fn what_is_recalled_before_its_time_costs_nobody_their_inbox() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    let api = &serve.api;
    api.put("/v1/recipients/ada", &json!({"email": "ada@example.com"})).await;
    let id = api.send(&json!({"audience": "everyone", "content": {"title": "x"}, "send_at": at(3_600.0)})).await;
    api.post(&format!("/v1/notifications/{id}/recall"), &json!(null)).await;
    eventually("its end", async || {
        let story = api.get(&format!("/v1/notifications/{id}/timeline")).await;
        story["events"].as_array().unwrap().iter().any(|e| e["event"] == "dispatched").then_some(())
    })
    .await;
    assert!(!redis.query::<bool>(&["EXISTS", "stentor:inbox:{bank:ada}:head"]), "nothing had been begun");
}

#[tokio::test]
async fn what_is_recalled_before_its_time_is_never_sent() {
    let dev = Dev::start();
    let in_an_hour = at(3_600.0);
    let body = json!({"audience": {"recipients": ["ada"]}, "content": {"title": "x"}, "send_at": in_an_hour});
    let id = dev.api.send(&body).await;
    let (status, _) = dev.api.post(&format!("/v1/notifications/{id}/recall"), &json!(null)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let view = eventually("its time is not waited for", async || {
        let view = dev.api.get(&format!("/v1/notifications/{id}")).await;
        assert_eq!(view["status"], "cancelled");
        view["error"].is_string().then_some(view)
    })
    .await;
    assert_eq!((&view["send_at"], &view["error"]), (&json!(in_an_hour), &json!("recalled")), "{view}");
    let story = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
    let told: Vec<&str> = story["events"].as_array().unwrap().iter().filter_map(|e| e["event"].as_str()).collect();
    assert_eq!(told[..2], ["accepted", "scheduled"], "{story}");
    assert!(story["events"][1]["next_attempt_at"] == json!(in_an_hour), "{story}");
    // Its dispatch comes at once, for whomever it was, and writes nothing.
    for audience in [json!({"recipients": ["bob"]}), json!("everyone")] {
        let body = json!({"audience": audience, "content": {"title": "x"}, "send_at": in_an_hour});
        let id = dev.api.send(&body).await;
        dev.api.post(&format!("/v1/notifications/{id}/recall"), &json!(null)).await;
        eventually("its end", async || {
            let story = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
            story["events"].as_array().unwrap().iter().any(|e| e["event"] == "dispatched").then_some(())
        })
        .await;
        assert_eq!(dev.api.get(&format!("/v1/notifications/{id}")).await["status"], "cancelled");
        assert_eq!(dev.api.get("/v1/recipients/bob/inbox").await["items"], json!([]));
    }
    let (status, _) = dev.api.post("/v1/notifications/00000000-0000-7000-8000-000000000000/recall", &json!(null)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // What was withdrawn is not said otherwise: nobody would see it, and the record would tell what nobody saw.
    let (status, problem) = dev.api.patch(&format!("/v1/notifications/{id}"), &json!({"content": {"title": "y"}})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("recalled")), "{problem}");
}

#[tokio::test]
async fn a_recalled_broadcast_leaves_every_inbox_and_a_mail_that_left_is_told() {
    let dev = Dev::start();
    let api = &dev.api;
    for person in ["ada", "bob"] {
        api.put(&format!("/v1/recipients/{person}"), &json!({"email": format!("{person}@example.com")})).await;
    }
    let (mut ada, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    let body = json!({"audience": "everyone", "content": {"title": "oops"}, "channels": ["inbox", "email"]});
    let id = api.send(&body).await;
    assert_eq!(ada.next("item").await["unread"], 1);
    let view = api.completed(&id).await;
    let sent = view["counts"]["email"]["sent"].as_u64().unwrap();
    assert!(sent >= 2, "everyone with an address: {view}");
    let (_, answer) = api.post(&format!("/v1/notifications/{id}/recall"), &json!(null)).await;
    assert_eq!(answer["already_left"], json!({"email": sent}), "{answer}");
    let state = ada.next("state").await;
    assert_eq!((&state["change"], &state["ids"], &state["unread"]), (&json!("recalled"), &json!([id]), &json!(0)));
    let bob = api.get("/v1/recipients/bob/inbox").await;
    assert_eq!((&bob["items"], &bob["unread"]), (&json!([]), &json!(0)));
}

#[tokio::test]
async fn a_device_is_told_when_the_time_of_an_item_is_over() {
    let dev = Dev::start();
    let api = &dev.api;
    let (mut ada, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    for audience in [json!({"recipients": ["ada"]}), json!("everyone")] {
        let soon = at(4.0);
        let id = api.send(&json!({"audience": audience, "content": {"title": "brief"}, "expires_at": soon})).await;
        assert_eq!(ada.next("item").await["unread"], 1);
        let state = ada.next("state").await;
        assert_eq!((&state["change"], &state["ids"], &state["unread"]), (&json!("expired"), &json!([id]), &json!(0)));
    }
}

#[tokio::test]
async fn an_update_is_shown_on_every_device_and_leaves_read_what_was_read() {
    let dev = Dev::start();
    let api = &dev.api;
    let (mut ada, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    let words = |title: &str| json!({"title": title, "body_markdown": format!("about {title}")});
    for audience in [json!({"recipients": ["ada"]}), json!("everyone")] {
        let id = api.send(&json!({"audience": audience, "content": words("befor")})).await;
        ada.next("item").await;
        ada.send(&json!({"type": "read", "ids": [id]})).await;
        ada.next("state").await;
        let (status, answer) = api.patch(&format!("/v1/notifications/{id}"), &json!({"content": words("after")})).await;
        assert_eq!((status, &answer["id"]), (StatusCode::ACCEPTED, &json!(id)), "{answer}");
        let state = ada.next("state").await;
        assert_eq!((&state["change"], &state["ids"], &state["unread"]), (&json!("updated"), &json!([id]), &json!(0)));
        assert_eq!(state["items"][0]["title"], "after", "{state}");
        assert!(state["items"][0]["read_at"].is_string(), "{state}");
        let item = async || {
            let token = api.token("ada").await;
            api.as_person(Method::GET, &format!("/v1/inbox/items/{id}"), &token, None).await.1
        };
        let shown = item().await;
        assert_eq!(shown["title"], "after");
        assert!(shown["body_html"].as_str().unwrap().contains("about after"), "{shown}");
        // it stands in the record too
        eventually("the record", async || {
            let story = api.get(&format!("/v1/notifications/{id}/timeline")).await;
            story["events"].as_array().unwrap().iter().any(|e| e["event"] == "updated").then_some(())
        })
        .await;
    }
    let id = api.send(&json!({"audience": {"recipients": ["ada"]}, "content": words("x")})).await;
    for (wrong, pointer) in
        [(json!({}), ""), (json!({"data": {}}), "/data"), (json!({"content": {"title": ""}}), "/content/title")]
    {
        let (status, problem) = api.patch(&format!("/v1/notifications/{id}"), &wrong).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)), "{problem}");
    }
}

#[tokio::test]
async fn what_was_put_away_is_not_brought_back_by_an_update() {
    let dev = Dev::start();
    let api = &dev.api;
    let token = api.token("ada").await;
    let (mut ada, _) = Device::open(&api.url, &token, None).await;
    for audience in [json!({"recipients": ["ada"]}), json!("everyone")] {
        let id = api.send(&json!({"audience": audience, "content": {"title": "before"}})).await;
        ada.next("item").await;
        ada.send(&json!({"type": "archive", "ids": [id]})).await;
        assert_eq!(ada.next("state").await["change"], "archived");
        let (status, body) = api.patch(&format!("/v1/notifications/{id}"), &json!({"content": {"title": "after"}})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        let state = ada.next("state").await;
        assert_eq!(
            (&state["change"], &state["ids"], &state["items"]),
            (&json!("updated"), &json!([id]), &json!(null)),
            "{state}"
        );
        assert_eq!(state["unread"], 0);
        let (_, item) = api.as_person(Method::GET, &format!("/v1/inbox/items/{id}"), &token, None).await;
        assert_eq!(item["title"], "after", "{item}");
    }
}

#[tokio::test]
async fn an_update_reaches_those_whom_a_dispatch_under_way_is_still_writing_to() {
    let dev = Dev::start();
    let api = &dev.api;
    let named: Vec<String> = (0..1_000).map(|n| format!("p{n}")).collect();
    let words = |title: &str| json!({"title": title});
    let id = api.send(&json!({"audience": {"recipients": named}, "channels": ["inbox"], "content": words("before")})).await;
    let (status, answer) = api.patch(&format!("/v1/notifications/{id}"), &json!({"content": words("after")})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    api.completed(&id).await;
    for person in ["p0", "p499", "p500", "p750", "p999"] {
        eventually("the new words", async || {
            let page = api.get(&format!("/v1/recipients/{person}/inbox")).await;
            (page["items"][0]["title"] == "after").then_some(())
        })
        .await;
    }
}
