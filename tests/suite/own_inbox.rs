//! What a person's own token opens beside the items: what they want to receive, and the inbox of one category.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_testkit::RedisServer;
use stentor_tests::{
    Dev,
    device::Device,
    eventually,
    serve::{Serve, sqlite},
};

#[tokio::test]
async fn a_person_sets_what_they_want_to_receive() {
    let dev = Dev::start();
    let (api, token) = (&dev.api, dev.api.token("ada").await);
    let path = "/v1/inbox/preferences";
    assert_eq!(api.as_person(Method::GET, path, &token, None).await, (StatusCode::OK, json!({})));
    let wishes = json!({"categories": {"news": {"inbox": false}}});
    assert_eq!(api.as_person(Method::PUT, path, &token, Some(&wishes)).await, (StatusCode::OK, wishes.clone()));
    assert_eq!(api.as_person(Method::GET, path, &token, None).await, (StatusCode::OK, wishes.clone()));
    assert_eq!(api.get("/v1/recipients/ada").await["preferences"], wishes);
    assert_eq!(api.as_person(Method::GET, path, &api.token("bob").await, None).await, (StatusCode::OK, json!({})));

    let about =
        |category: &str| json!({"audience": {"recipients": ["ada"]}, "content": {"title": category}, "category": category});
    for (category, state) in [("news", "skipped"), ("billing", "sent")] {
        let id = api.send(&about(category)).await;
        assert_eq!(api.completed(&id).await["counts"]["inbox"], json!({state: 1}), "{category}");
    }

    let wrong = json!({"categories": {"": {"inbox": false}}});
    let (status, problem) = api.as_person(Method::PUT, path, &token, Some(&wrong)).await;
    assert_eq!(
        (status, &problem["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/categories/")),
        "{problem}"
    );
    assert_eq!(api.as_person(Method::PUT, path, "nonsense", Some(&wishes)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(api.as_person(Method::GET, path, &token, None).await.1, wishes);
}

#[tokio::test]
async fn an_inbox_is_listed_by_category() {
    let dev = Dev::start();
    let (api, token) = (&dev.api, dev.api.token("ada").await);
    // of three categories, one rare, one of them to everyone
    let category = |i: u32| if i == 3 { "rare" } else { ["billing", "news"][(i % 2) as usize] };
    for i in 0..30 {
        let audience = if category(i) == "news" { json!("everyone") } else { json!({"recipients": ["ada"]}) };
        let id = api.send(&json!({"audience": audience, "content": {"title": format!("{i}")}, "category": category(i)})).await;
        api.completed(&id).await; // one after the other: the order is that of writing
    }
    let titles = |page: &Value| -> Vec<u32> {
        page["items"].as_array().unwrap().iter().map(|i| i["title"].as_str().unwrap().parse().unwrap()).collect()
    };
    for name in ["news", "billing", "rare", "unheard-of"] {
        let expected: Vec<u32> = (0..30).rev().filter(|i| category(*i) == name).collect();
        for limit in [1, 4, 100] {
            let (mut found, mut after) = (Vec::new(), String::new());
            loop {
                let path = format!("/v1/inbox?category={name}&limit={limit}{after}");
                let (status, page) = api.as_person(Method::GET, &path, &token, None).await;
                assert_eq!(status, StatusCode::OK, "{page}");
                assert!(titles(&page).len() <= limit, "{page}");
                found.extend(titles(&page));
                let Some(next) = page["next"].as_str() else { break };
                after = format!("&after={next}");
            }
            assert_eq!(found, expected, "{name} by {limit}");
        }
    }
    let (mut device, _) = Device::open(&api.url, &token, None).await;
    device.send(&json!({"type": "list", "ref": "l", "limit": 100, "category": "rare"})).await;
    let page = device.until("page").await;
    assert_eq!((titles(&page), &page["next"]), (vec![3], &Value::Null));
}

#[tokio::test]
async fn what_was_archived_is_listed_and_comes_back() {
    let dev = Dev::start();
    let (api, token) = (&dev.api, dev.api.token("ada").await);
    let audiences = [json!({"recipients": ["ada"]}), json!("everyone"), json!({"recipients": ["ada"]})];
    let mut ids = Vec::new();
    for (audience, category) in audiences.into_iter().zip(["news", "news", "billing"]) {
        ids.push(api.send(&json!({"audience": audience, "content": {"title": category}, "category": category})).await);
        api.completed(&ids[ids.len() - 1]).await;
    }
    let (mut device, _) = Device::open(&api.url, &token, None).await;
    let listed = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let get = async |query: &str| {
        let (status, page) = api.as_person(Method::GET, &format!("/v1/inbox?{query}"), &token, None).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        listed(&page)
    };
    assert!(get("archived=true").await.is_empty());
    device.send(&json!({"type": "archive", "ref": "a", "ids": ids[..2]})).await;
    device.until("state").await;
    let (own, shared, other) = (&ids[0], &ids[1], &ids[2]);
    assert_eq!(get("archived=true").await, [shared.clone(), own.clone()], "newest first");
    assert_eq!(get("archived=true&limit=1").await, std::slice::from_ref(shared));
    assert_eq!(get("archived=true&category=billing").await, [""; 0]);
    assert_eq!(get("archived=false").await, std::slice::from_ref(other));
    device.send(&json!({"type": "list", "ref": "l", "archived": true})).await;
    assert_eq!(listed(&device.until("page").await), [shared.clone(), own.clone()]);

    device.send(&json!({"type": "unarchive", "ref": "u", "ids": [own]})).await;
    device.until("state").await;
    assert_eq!((get("archived=true").await, get("").await), (vec![shared.clone()], vec![other.clone(), own.clone()]));
}

#[tokio::test]
async fn the_profile_of_whoever_opens_their_inbox_is_read_before_they_are_written_to() {
    let (redis, dir) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let serve = Serve::start(&redis.url(), &sqlite(&dir), &[]).await;
    assert_eq!(serve.api.put("/v1/recipients/ada", &json!({"email": "ada@example.com"})).await.0, StatusCode::OK);
    let profile = "stentor:profile:{bank:ada}";
    redis.command(&["DEL", profile]);
    let (_device, _) = Device::open(&serve.api.url, &serve.api.token("ada").await, None).await;
    eventually("it is hot", async || redis.query::<Option<String>>(&["HGET", profile, "complete"])).await;
    assert_eq!(redis.query::<String>(&["HGET", profile, "email"]), r#"0 "ada@example.com""#);
}
