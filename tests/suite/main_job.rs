//! One call reaches an inbox, a mailbox and a phone.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_tests::{Dev, at, device::Device, eventually, files};

fn repayment(recipients: &Value) -> Value {
    json!({
        "audience": {"recipients": recipients},
        "template": "card-repayment-due",
        "channels": ["inbox", "email", "sms"],
        "data": {"amount": {"value": "1234.50", "currency": "CNY"}, "due_date": "2026-12-05", "card": "6222"},
    })
}

#[tokio::test]
async fn one_call_reaches_an_inbox_a_mailbox_and_a_phone_in_the_persons_language() {
    let dev = Dev::start();
    let token = dev.api.token("ada").await;
    let (mut phone, welcome) = Device::open(&dev.api.url, &token, None).await;
    assert_eq!((&welcome["unread"], &welcome["recovered"]), (&json!(0), &json!(false)));
    let (mut laptop, _) = Device::open(&dev.api.url, &token, None).await;

    let id = dev.api.send(&repayment(&json!(["ada"]))).await;

    // the title card is pushed to every device, without the content
    for device in [&mut phone, &mut laptop] {
        let frame = device.next("item").await;
        assert_eq!((&frame["item"]["id"], &frame["unread"]), (&json!(id), &json!(1)));
        assert!(frame["item"]["title"].as_str().unwrap().contains("还款"), "{frame}");
        assert!(frame["item"].get("body_html").is_none(), "{frame}");
    }
    // opening loads the content, marks it read, and every device agrees
    phone.send(&json!({"type": "open", "ref": "1", "id": id})).await;
    let content = phone.until("content").await;
    assert_eq!(content["ref"], "1");
    assert!(content["item"]["body_html"].as_str().unwrap().contains("1,234.50"), "{content}");
    for device in [&mut phone, &mut laptop] {
        if device.unread != 0 {
            let state = device.until("state").await;
            assert_eq!((&state["change"], &state["ids"], &state["unread"]), (&json!("read"), &json!([id]), &json!(0)));
        }
    }
    // the mail and the SMS are in the outbox, in Chinese
    let mail = eventually("a mail", async || files(&dev.outbox("mail"), "eml").pop()).await;
    let mail = std::fs::read_to_string(mail).unwrap();
    assert!(mail.contains("ada@example.com") && mail.contains("multipart/alternative"), "{mail}");
    let sms = eventually("an SMS", async || files(&dev.outbox("sms"), "json").pop()).await;
    let sms: Value = serde_json::from_slice(&std::fs::read(sms).unwrap()).unwrap();
    assert_eq!(sms["to"], "+8613800138000");
    assert!(sms["text"].as_str().unwrap().contains("还款"), "{sms}");

    // the whole story can be told
    let view = dev.api.completed(&id).await;
    assert_eq!(view["counts"]["email"], json!({"sent": 1}));
    assert_eq!(view["counts"]["sms"], json!({"sent": 1}));
    let story = eventually("the whole story", async || {
        let timeline = dev.api.get(&format!("/v1/notifications/{id}/timeline")).await;
        let read = |e: &Value| e["event"] == "items_changed" && e["item"]["read_at"].is_string();
        let delivered = |e: &Value| e["channel"] == "inbox" && e["state"] == "delivered";
        let events = timeline["events"].as_array().unwrap().clone();
        (events.iter().any(read) && events.iter().any(delivered)).then_some(events)
    })
    .await;
    let told: Vec<String> = story
        .iter()
        .map(|e| [&e["event"], &e["channel"], &e["state"]].into_iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "accepted",
        "dispatched",
        "delivery email queued",
        "delivery email sent",
        "delivery sms sent",
        "item_written inbox",
        "delivery inbox sent",
    ];
    for expected in expected {
        assert!(told.iter().any(|t| t == expected), "{expected} is missing in {told:?}");
    }
    assert_eq!(told[0], "accepted");
    let deliveries = dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await;
    assert_eq!(deliveries["items"].as_array().unwrap().len(), 3, "{deliveries}");
}

#[tokio::test]
async fn fields_of_a_recipient_given_in_the_request_hold_for_it_and_are_kept() {
    let dev = Dev::start();
    let to = json!([{"id": "bob", "email": "bob@example.com", "locale": "en"}]);
    let id = dev.api.send(&repayment(&to)).await;
    let view = dev.api.completed(&id).await;
    assert_eq!(view["counts"], json!({"inbox": {"sent": 1}, "email": {"sent": 1}, "sms": {"skipped": 1}}));
    let deliveries = dev.api.get(&format!("/v1/notifications/{id}/deliveries")).await;
    let sms = deliveries["items"].as_array().unwrap().iter().find(|d| d["channel"] == "sms").unwrap().clone();
    assert_eq!(sms["reason"], "no_address");
    let profile = dev.api.get("/v1/recipients/bob").await;
    assert_eq!((&profile["email"], &profile["locale"]), (&json!("bob@example.com"), &json!("en")));
    let mail = eventually("a mail", async || files(&dev.outbox("mail"), "eml").pop()).await;
    let mail = std::fs::read_to_string(mail).unwrap();
    assert!(mail.contains("bob@example.com") && !mail.contains("ada@example.com"), "{mail}");
}

#[tokio::test]
async fn a_preference_skips_a_channel_and_says_so() {
    let dev = Dev::start();
    let (status, body) = dev.api.put("/v1/recipients/ada/preferences", &json!({"channels": {"sms": false}})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let id = dev.api.send(&repayment(&json!(["ada"]))).await;
    let view = dev.api.completed(&id).await;
    assert_eq!(view["counts"]["sms"], json!({"skipped": 1}), "{view}");
    assert_eq!(files(&dev.outbox("sms"), "json").len(), 0);
}

#[tokio::test]
async fn every_device_agrees_after_each_change_whatever_way_it_was_made() {
    let dev = Dev::start();
    let token = dev.api.token("eve").await;
    let (mut a, _) = Device::open(&dev.api.url, &token, None).await;
    let (mut b, _) = Device::open(&dev.api.url, &token, None).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let body = json!({"audience": {"recipients": ["eve"]}, "content": {"title": format!("number {n}")}});
        ids.push(dev.api.send(&body).await);
        for device in [&mut a, &mut b] {
            assert_eq!(device.next("item").await["unread"], n + 1);
        }
    }
    // a change asked for by one device is answered to it by name, and told to the other
    a.send(&json!({"type": "read", "ref": "r", "ids": [ids[0], ids[1]]})).await;
    let (own, other) = (a.next("state").await, b.next("state").await);
    assert_eq!((&own["ref"], &own["unread"], &own["change"]), (&json!("r"), &json!(3), &json!("read")));
    assert_eq!((other.get("ref"), &other["unread"], &other["cursor"]), (None, &json!(3), &own["cursor"]));
    // a change that changes nothing is answered and told to nobody
    a.send(&json!({"type": "read", "ref": "again", "ids": [ids[0]]})).await;
    assert_eq!((&a.next("state").await["ref"], a.unread), (&json!("again"), 3));
    b.send(&json!({"type": "unread", "ref": "u", "ids": [ids[0]]})).await;
    assert_eq!((&b.next("state").await["ref"], b.unread), (&json!("u"), 4));
    assert_eq!((&a.next("state").await["change"], a.unread), (&json!("unread"), 4));
    // over REST as well
    let (status, body) = dev.api.as_person(Method::POST, &format!("/v1/inbox/items/{}/archive", ids[4]), &token, None).await;
    assert_eq!((status, &body["unread"]), (StatusCode::OK, &json!(3)));
    for device in [&mut a, &mut b] {
        assert_eq!((&device.next("state").await["ids"], device.unread), (&json!([ids[4]]), 3));
    }
    let (_, page) = dev.api.as_person(Method::GET, "/v1/inbox", &token, None).await;
    let listed: Vec<&str> = page["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect();
    assert_eq!(listed, [&ids[3], &ids[2], &ids[1], &ids[0]]);
    a.send(&json!({"type": "read_all", "ref": "all", "cursor": a.cursor})).await;
    assert_eq!((&a.next("state").await["ref"], a.unread), (&json!("all"), 0));
    assert_eq!((b.next("state").await["unread"].clone(), b.unread), (json!(0), 0));
    let (_, unread) = dev.api.as_person(Method::GET, "/v1/inbox/unread", &token, None).await;
    assert_eq!((&unread["unread"], &unread["cursor"]), (&json!(0), &b.cursor));
}

#[tokio::test]
async fn a_device_that_was_away_is_told_what_it_missed() {
    let dev = Dev::start();
    let token = dev.api.token("eve").await;
    let send = async |title: &str| dev.api.send(&json!({"audience": {"recipients": ["eve"]}, "content": {"title": title}})).await;
    let (mut device, _) = Device::open(&dev.api.url, &token, None).await;
    let first = send("before").await;
    device.next("item").await;
    let cursor = device.cursor.clone();
    drop(device);
    let (mut other, _) = Device::open(&dev.api.url, &token, None).await;
    let second = send("meanwhile").await;
    other.next("item").await;
    other.send(&json!({"type": "archive", "ids": [first]})).await;
    other.next("state").await;
    let (_, welcome) = Device::open(&dev.api.url, &token, Some(&cursor)).await;
    assert_eq!(welcome["recovered"], true, "{welcome}");
    let items: Vec<&Value> = welcome["items"].as_array().unwrap().iter().map(|i| &i["id"]).collect();
    assert_eq!((items, &welcome["removed"], &welcome["unread"]), (vec![&json!(second)], &json!([first]), &json!(1)));
}

#[tokio::test]
async fn what_is_scheduled_waits_and_what_is_expired_is_not_delivered() {
    let dev = Dev::start();
    let body = |title: &str| json!({"audience": {"recipients": ["eve"]}, "content": {"title": title}});
    let mut soon = body("soon");
    soon["send_at"] = json!(at(6.0));
    let (status, answer) = dev.api.post("/v1/notifications", &soon).await;
    assert_eq!((status, &answer["status"]), (StatusCode::ACCEPTED, &json!("scheduled")), "{answer}");
    let soon_id = answer["id"].as_str().unwrap().to_owned();
    assert_eq!(dev.api.get(&format!("/v1/notifications/{soon_id}")).await["status"], "scheduled");
    let mut later = body("later");
    later["send_at"] = json!(at(86_400.0));
    let later_id = dev.api.send(&later).await;
    let (mut device, welcome) = Device::open(&dev.api.url, &dev.api.token("eve").await, None).await;
    assert_eq!(welcome["items"], json!([]));
    assert_eq!(device.next("item").await["item"]["id"], soon_id);
    assert_eq!(dev.api.get(&format!("/v1/notifications/{later_id}")).await["status"], "scheduled");
}
