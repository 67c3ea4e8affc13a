//! One notification to a topic or to everyone: one write, and each inbox right.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::RedisServer;
use stentor_tests::{
    Api, Dev,
    device::Device,
    eventually,
    serve::{Process, Serve, bank, settings, sqlite},
};

fn broadcast(audience: &Value, title: &str) -> Value {
    json!({"audience": audience, "content": {"title": title, "body_markdown": format!("about **{title}**")}, "category": "news"})
}

async fn register(api: &Api, people: &[&str]) {
    for person in people {
        let (status, body) = api.put(&format!("/v1/recipients/{person}"), &json!({})).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}

async fn titles(api: &Api, person: &str) -> (Vec<String>, u64) {
    let page = api.get(&format!("/v1/recipients/{person}/inbox?limit=100")).await;
    let title = |item: &Value| item["title"].as_str().unwrap().to_owned();
    (page["items"].as_array().unwrap().iter().map(title).collect(), page["unread"].as_u64().unwrap())
}

/// Waits until a notification is dispatched.
async fn dispatched(api: &Api, id: &str) {
    eventually("the dispatch", async || {
        (api.get(&format!("/v1/notifications/{id}")).await["status"] == "completed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn everyone_gets_a_broadcast_live_and_later_and_who_comes_after_it_does_not() {
    let dev = Dev::start();
    register(&dev.api, &["ada", "bob"]).await;
    let ada = dev.api.token("ada").await;
    let (mut phone, welcome) = Device::open(&dev.api.url, &ada, None).await;
    assert_eq!(welcome["unread"], 0);
    let (mut laptop, _) = Device::open(&dev.api.url, &ada, None).await;

    let id = dev.api.send(&broadcast(&json!("everyone"), "news")).await;
    for device in [&mut phone, &mut laptop] {
        let frame = device.next("item").await;
        assert_eq!((&frame["item"]["id"], &frame["item"]["title"], &frame["unread"]), (&json!(id), &json!("news"), &json!(1)));
    }
    assert_eq!(titles(&dev.api, "bob").await, (vec!["news".to_owned()], 1), "bob was not there and finds it");
    register(&dev.api, &["carl"]).await;
    assert_eq!(titles(&dev.api, "carl").await, (vec![], 0), "carl came later");
    assert_eq!(titles(&dev.api, "dora").await, (vec![], 0), "dora was never seen before");

    // opening loads the content and marks it read, on every device and for ada alone
    phone.send(&json!({"type": "open", "ref": "1", "id": id})).await;
    let content = phone.until("content").await;
    assert!(content["item"]["body_html"].as_str().unwrap().contains("<strong>news</strong>"), "{content}");
    let state = laptop.next("state").await;
    assert_eq!((&state["change"], &state["ids"], &state["unread"]), (&json!("read"), &json!([id]), &json!(0)));
    assert_eq!(titles(&dev.api, "bob").await.1, 1);
    let story = eventually("the story", async || {
        let story = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
        let events: Vec<_> =
            story["events"].as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap().to_owned()).collect();
        ["accepted", "timeline_entry", "timeline_marked", "dispatched"]
            .iter()
            .all(|e| events.iter().any(|x| x == e))
            .then_some(())
    });
    story.await;
}

#[tokio::test]
async fn a_topic_reaches_its_members_and_leaving_keeps_what_was_written_before() {
    let dev = Dev::start();
    let api = &dev.api;
    let (status, topic) = api.put("/v1/topics/vip", &json!({"name": "Very important"})).await;
    assert_eq!((status, &topic["members"]), (StatusCode::OK, &json!(0)), "{topic}");
    let (status, body) = api.post("/v1/topics/vip/recipients/batch", &json!({"recipients": ["ada", "bob"]})).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    assert_eq!(api.get("/v1/topics/vip").await["members"], 2);
    assert_eq!(api.get("/v1/topics/vip/recipients").await["items"], json!(["ada", "bob"]));
    assert_eq!(api.get("/v1/recipients/ada/topics").await["items"], json!(["vip"]));

    let (mut ada, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    let first = api.send(&broadcast(&json!({"topic": "vip"}), "first")).await;
    assert_eq!(ada.next("item").await["item"]["id"], json!(first));
    let (status, _) = api.put("/v1/topics/vip/recipients/carl", &json!(null)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = stentor_tests::answer(api.request(Method::DELETE, "/v1/topics/vip/recipients/ada")).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let second = api.send(&broadcast(&json!({"topic": "vip"}), "second")).await;
    dispatched(api, &second).await;
    let list = |titles: &[&str]| titles.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    assert_eq!(titles(api, "ada").await, (list(&["first"]), 1));
    assert_eq!(titles(api, "bob").await, (list(&["second", "first"]), 2));
    assert_eq!(titles(api, "carl").await, (list(&["second"]), 1));
    assert_eq!(titles(api, "dora").await, (list(&[]), 0));

    // ada's own news still come, and in the order of writing
    let own = api.send(&json!({"audience": {"recipients": ["ada", "bob"]}, "content": {"title": "own"}})).await;
    assert_eq!(ada.next("item").await["item"]["id"], json!(own));
    dispatched(api, &own).await;
    assert_eq!(titles(api, "bob").await, (list(&["own", "second", "first"]), 3));

    // one who reads all on one device has read it on all
    let (status, read) = api.as_person(Method::POST, "/v1/inbox/read-all", &api.token("ada").await, Some(&json!({}))).await;
    assert_eq!((status, &read["unread"]), (StatusCode::OK, &json!(0)), "{read}");
    let state = ada.next("state").await;
    assert_eq!((&state["change"], &state["unread"]), (&json!("read"), &json!(0)));
    let mut ids: Vec<&str> = state["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [first.as_str(), own.as_str()]);
}

#[tokio::test]
async fn a_device_that_was_away_learns_what_was_broadcast_read_and_muted_meanwhile() {
    let dev = Dev::start();
    let api = &dev.api;
    register(api, &["ada"]).await;
    let token = api.token("ada").await;
    let (phone, _) = Device::open(&api.url, &token, None).await;
    let (mut laptop, _) = Device::open(&api.url, &token, None).await;
    let cursor = phone.cursor.clone();
    drop(phone);
    let one = api.send(&broadcast(&json!("everyone"), "one")).await;
    laptop.next("item").await;
    let two = api.send(&broadcast(&json!("everyone"), "two")).await;
    laptop.next("item").await;
    laptop.send(&json!({"type": "read", "ref": "r", "ids": [one]})).await;
    assert_eq!(laptop.next("state").await["ref"], "r");
    let (phone, welcome) = Device::open(&api.url, &token, Some(&cursor)).await;
    assert_eq!((&welcome["recovered"], &welcome["unread"]), (&json!(true), &json!(1)), "{welcome}");
    let item = |id: &str| welcome["items"].as_array().unwrap().iter().find(|i| i["id"] == json!(id)).unwrap().clone();
    assert!(item(&one)["read_at"].is_string());
    assert!(item(&two)["read_at"].is_null());

    // what is muted is in no inbox, and the devices load it again
    let cursor = phone.cursor.clone();
    drop(phone);
    let (status, _) = api.put("/v1/recipients/ada/preferences", &json!({"categories": {"news": {"inbox": false}}})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(laptop.next("resync").await["unread"], 0);
    assert_eq!(titles(api, "ada").await, (vec![], 0));
    let (_, welcome) = Device::open(&api.url, &token, Some(&cursor)).await;
    assert_eq!((&welcome["recovered"], &welcome["unread"]), (&json!(false), &json!(0)), "{welcome}");
}

#[tokio::test]
async fn two_gateways_behave_as_one() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let (one, database) = (settings(&redis.url(), &sqlite(&dir), &[]), sqlite(&dir));
    let two = settings(&redis.url(), &database, &[("STENTOR__ROLES", "gateway")]);
    let api = bank(&one);
    let (_one, _two) = (Process::start(&one).await, Process::start(&two).await);
    let (_, listen) = two.iter().find(|(name, _)| name == "STENTOR__HTTP__LISTEN").unwrap();
    let other = format!("http://{listen}");
    let token = api.token("ada").await;
    let (mut here, _) = Device::open(&api.url, &token, None).await;
    let (mut there, _) = Device::open(&other, &token, None).await;
    let everyone = api.send(&broadcast(&json!("everyone"), "to all")).await;
    let own = api.send(&json!({"audience": {"recipients": ["ada"]}, "content": {"title": "own"}})).await;
    for device in [&mut here, &mut there] {
        let mut ids =
            [device.next("item").await, device.next("item").await].map(|f| f["item"]["id"].as_str().unwrap().to_owned());
        ids.sort_unstable();
        assert_eq!((ids, device.unread), ([everyone.clone(), own.clone()], 2));
    }
    there.send(&json!({"type": "read", "ids": [everyone, own]})).await;
    for device in [&mut here, &mut there] {
        assert_eq!(device.next("state").await["unread"], 0);
    }
    // one goes on at the other from where it was
    let cursor = there.cursor.clone();
    drop(there);
    let more = api.send(&broadcast(&json!("everyone"), "more")).await;
    here.next("item").await;
    let (_, welcome) = Device::open(&api.url, &token, Some(&cursor)).await;
    assert_eq!((&welcome["recovered"], &welcome["items"][0]["id"]), (&json!(true), &json!(more)), "{welcome}");
    // and the most connections of a person are those to both
    let token = api.token("many").await;
    let mut many = Vec::new();
    for n in 0..64 {
        many.push(Device::open(if n % 3 == 0 { &other } else { &api.url }, &token, None).await);
    }
    for url in [&api.url, &other] {
        let mut one_too_many = Device::connect(url).await;
        one_too_many.send(&json!({"type": "auth", "token": token})).await;
        assert_eq!(one_too_many.closed().await, 4409);
    }
    many.truncate(32);
    eventually("others may come", async || {
        let mut next = Device::connect(&other).await;
        next.send(&json!({"type": "auth", "token": token})).await;
        next.try_frame().await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn who_is_connected_while_redis_loses_everything_is_told_to_load_again_and_nothing_is_wrong() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    let api = &serve.api;
    let token = api.token("ada").await;
    let (mut ada, _) = Device::open(&api.url, &token, None).await;
    let mut ids = Vec::new();
    for (n, audience) in [json!("everyone"), json!({"recipients": ["ada"]}), json!("everyone")].iter().enumerate() {
        ids.push(api.send(&broadcast(audience, &format!("n-{n}"))).await);
        ada.next("item").await;
    }
    ada.send(&json!({"type": "read", "ids": [ids[0]]})).await;
    assert_eq!(ada.next("state").await["unread"], 2);
    // all of it is on record before Redis loses it
    for id in &ids {
        api.completed(id).await;
    }
    eventually("the record", async || {
        let events = api.get(&format!("/v1/notifications/{}/timeline", ids[0])).await["events"].as_array().unwrap().clone();
        events.iter().any(|e| e["event"] == "timeline_marked").then_some(())
    })
    .await;
    let cursor = ada.cursor.clone();
    redis.command(&["FLUSHALL"]);
    let resync = ada.next("resync").await; // without anybody doing anything
    assert_eq!(resync["unread"], 2, "{resync}");
    assert_eq!(titles(api, "ada").await, (["n-2", "n-1", "n-0"].map(str::to_owned).to_vec(), 2));
    let after = api.send(&broadcast(&json!("everyone"), "after")).await;
    let frame = ada.until("item").await;
    assert_eq!((&frame["item"]["id"], &frame["unread"]), (&json!(after), &json!(3)));
    let (_, welcome) = Device::open(&api.url, &token, Some(&cursor)).await;
    assert_eq!((&welcome["recovered"], &welcome["unread"]), (&json!(false), &json!(3)), "{welcome}");
}
