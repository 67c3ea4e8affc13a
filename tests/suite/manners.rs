//! Who may connect, how many at once, and how a connection ends.

use reqwest::{Method, StatusCode};
use serde_json::json;
use stentor_tests::{Dev, PATIENCE, client, device::Device, eventually};
use tokio::time::timeout;

#[tokio::test]
async fn only_pages_of_listed_origins_open_an_inbox() {
    let dev = Dev::start_with(&[("STENTOR__REALTIME__ORIGINS", "https://app.example.com")]);
    let url = &dev.api.url;
    let mut listed = Device::connect_from("https://app.example.com", url).await;
    listed.send(&json!({"type": "auth", "token": dev.api.token("ada").await})).await;
    listed.next("welcome").await;
    // a page is told why: of a handshake that is refused its script would know nothing
    let mut stranger = Device::connect_from("https://evil.example.com", url).await;
    assert_eq!(stranger.closed().await, 4403);
    let no_socket = client().get(format!("{url}/v1/inbox/ws")).header("origin", "https://evil.example.com");
    assert_eq!(no_socket.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    // the same over plain HTTP: a browser asks first, and reads only what it is allowed to
    let ask = async |origin: &str, path: &str| {
        let request = client().request(Method::OPTIONS, format!("{url}{path}")).header("origin", origin);
        let request =
            request.header("access-control-request-method", "GET").header("access-control-request-headers", "authorization");
        let answer = request.send().await.unwrap();
        answer.headers().get("access-control-allow-origin").map(|origin| origin.to_str().unwrap().to_owned())
    };
    assert_eq!(ask("https://app.example.com", "/v1/inbox").await.as_deref(), Some("https://app.example.com"));
    assert_eq!(ask("https://evil.example.com", "/v1/inbox").await, None);
    assert_eq!(ask("https://app.example.com", "/v1/recipients").await, None, "app keys are not for browsers");
}

#[tokio::test]
async fn who_is_connected_is_counted_and_a_storm_is_asked_to_come_back() {
    let dev = Dev::start_with(&[("STENTOR__REALTIME__CONNECTS_PER_SECOND", "5")]);
    let api = &dev.api;
    let (ada, bob) = (api.token("ada").await, api.token("bob").await);
    let (one, _) = Device::open(&api.url, &ada, None).await;
    let (_two, _) = Device::open(&api.url, &ada, None).await;
    let (_three, _) = Device::open(&api.url, &bob, None).await;
    let counted = async |connections: u64, people: u64| {
        eventually("the count", async || {
            (api.get("/v1/presence").await == json!({"connections": connections, "people": people})).then_some(())
        })
        .await;
    };
    counted(3, 2).await;
    drop(one);
    counted(2, 2).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..60 {
        asking.spawn(client().get(format!("{}/v1/inbox/events", api.url)).bearer_auth(&ada).send());
    }
    let answers: Vec<_> = asking.join_all().await.into_iter().map(Result::unwrap).collect();
    let refused: Vec<_> = answers.iter().filter(|a| a.status() == StatusCode::SERVICE_UNAVAILABLE).collect();
    assert!((20..60).contains(&refused.len()), "{} of 60 at once, at 5 a second", refused.len());
    for answer in refused {
        let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn a_page_that_is_refused_holds_no_more_sockets_than_may_begin() {
    let dev = Dev::start_with(&[
        ("STENTOR__REALTIME__CONNECTS_PER_SECOND", "5"),
        ("STENTOR__REALTIME__ORIGINS", "https://app.example.com"),
    ]);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let upgrade = client().get(format!("{}/v1/inbox/ws", dev.api.url)).header("origin", "https://evil.example.com");
        let upgrade = upgrade.header("connection", "Upgrade").header("upgrade", "websocket");
        asking
            .spawn(upgrade.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==").send());
    }
    let statuses: Vec<_> = asking.join_all().await.into_iter().map(|answer| answer.unwrap().status()).collect();
    let with = |status| statuses.iter().filter(|s| **s == status).count();
    let (opened, refused) = (with(StatusCode::SWITCHING_PROTOCOLS), with(StatusCode::FORBIDDEN));
    assert!((1..40).contains(&opened) && opened + refused == 60, "{opened} opened and {refused} refused, at 5 a second");
}

#[tokio::test]
async fn who_sends_frames_without_pause_is_let_go_and_whoever_sends_many_at_once_is_not() {
    let dev = Dev::start();
    let api = &dev.api;
    let (mut bob, _) = Device::open(&api.url, &api.token("bob").await, None).await;
    let (mut ada, _) = Device::open(&api.url, &api.token("ada").await, None).await;
    // what somebody did in hours without a network
    for n in 0..300 {
        ada.send(&json!({"type": "read", "ref": format!("{n}"), "ids": ["01900000-0000-7000-8000-000000000000"]})).await;
    }
    for n in 0..300 {
        assert_eq!(ada.frame().await["ref"], format!("{n}"));
    }
    for _ in 0..2_000 {
        ada.send(&json!({"type": "ping"})).await;
    }
    assert_eq!(timeout(PATIENCE, ada.closed()).await.expect("it is closed"), 4429);
    api.send(&json!({"audience": {"recipients": ["bob"]}, "content": {"title": "news"}})).await;
    bob.next("item").await;
}

#[tokio::test]
async fn when_the_process_stops_each_connection_is_told_when_to_come_back() {
    let mut dev = Dev::start();
    let (mut ada, _) = Device::open(&dev.api.url, &dev.api.token("ada").await, None).await;
    let stopping = std::thread::spawn(move || dev.stop());
    let bye = ada.next("bye").await;
    assert_eq!(bye["reason"], "restart");
    assert!(bye["reconnect_after_ms"].as_u64().unwrap() < 10_000, "{bye}");
    assert_eq!(ada.closed().await, 1012);
    assert_eq!(stopping.join().unwrap(), Some(0));
}
