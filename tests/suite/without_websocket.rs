//! The same frames and the same cursor where no WebSocket gets through: server-sent events, and long poll.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stentor_tests::{Api, Dev, PATIENCE, client, eventually};
use tokio::time::timeout;

struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn open(api: &Api, token: &str, last: Option<&str>) -> Self {
        let mut request = client().get(format!("{}/v1/inbox/events", api.url)).bearer_auth(token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event: its type, its id, and its frame.
    async fn next(&mut self) -> (String, String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start_matches(':').trim().to_owned()).unwrap_or_default()
                };
                let found = (field("event"), field("id"), field("data"));
                let rest = rest.to_owned();
                self.text = rest;
                if !found.2.is_empty() {
                    return (found.0, found.1, serde_json::from_str(&found.2).unwrap());
                }
                continue;
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("an event in time").unwrap().expect("it is open");
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

fn item(audience: &Value, title: &str) -> Value {
    json!({"audience": audience, "content": {"title": title}})
}

#[tokio::test]
async fn events_tell_what_happens_and_go_on_after_a_break() {
    let dev = Dev::start();
    let api = &dev.api;
    let token = api.token("ada").await;
    let mut events = Events::open(api, &token, None).await;
    let (kind, _, welcome) = events.next().await;
    assert_eq!((kind.as_str(), &welcome["unread"], &welcome["recovered"]), ("welcome", &json!(0), &json!(false)));
    let first = api.send(&item(&json!({"recipients": ["ada"]}), "first")).await;
    let (kind, last, frame) = events.next().await;
    assert_eq!((kind.as_str(), &frame["item"]["id"], &frame["unread"]), ("item", &json!(first), &json!(1)));
    assert_eq!(frame["cursor"], json!(last));
    drop(events);
    let second = api.send(&item(&json!("everyone"), "second")).await;
    dev.api.completed(&second).await;
    let (status, _) = api.as_person(Method::POST, &format!("/v1/inbox/items/{first}/read"), &token, None).await;
    assert_eq!(status, StatusCode::OK);
    let mut events = Events::open(api, &token, Some(&last)).await;
    let (_, _, welcome) = events.next().await;
    assert_eq!((&welcome["recovered"], &welcome["unread"]), (&json!(true), &json!(1)), "{welcome}");
    let ids: Vec<&Value> = welcome["items"].as_array().unwrap().iter().map(|i| &i["id"]).collect();
    assert_eq!(ids, [&json!(first), &json!(second)]);
}

#[tokio::test]
async fn a_poll_waits_for_what_happens_and_misses_nothing_between_two() {
    let dev = Dev::start();
    let api = &dev.api;
    let token = api.token("ada").await;
    let poll = async |query: &str| {
        let (status, polled) = api.as_person(Method::GET, &format!("/v1/inbox/poll{query}"), &token, None).await;
        assert_eq!(status, StatusCode::OK, "{polled}");
        polled
    };
    let polled = poll("").await;
    assert_eq!(polled["frames"][0]["type"], "welcome");
    let mut cursor = polled["cursor"].as_str().unwrap().to_owned();
    assert_eq!(poll(&format!("?wait=0&cursor={cursor}")).await, json!({"frames": [], "cursor": cursor}));
    // One that waits is woken. It is counted a moment before it looks, so what is sent then may still come with its welcome: then
    // the next one has to be woken.
    let polls = async |n: u64| {
        eventually("so many polls", async || (api.metric("stentor_sockets").await == n).then_some(())).await;
    };
    let mut sent = 0;
    loop {
        assert!(sent < 20, "none was woken");
        polls(0).await; // the one before may not have left yet
        let query = format!("?cursor={cursor}");
        let send = async {
            polls(1).await;
            api.send(&item(&json!({"recipients": ["ada"]}), "news")).await
        };
        let (polled, id) = tokio::join!(poll(&query), send);
        sent += 1;
        cursor = polled["cursor"].as_str().unwrap().to_owned();
        let frame = &polled["frames"][0];
        if frame["type"] == "item" {
            assert_eq!(frame["item"]["id"], json!(id), "{polled}");
            break;
        }
        let told = (&frame["type"], &frame["recovered"], &frame["items"][0]["id"]);
        assert_eq!(told, (&json!("welcome"), &json!(true), &json!(id)), "{polled}");
    }
    // what happened between two polls comes with the next, at once
    let second = api.send(&item(&json!({"recipients": ["ada"]}), "more")).await;
    api.completed(&second).await;
    let polled = poll(&format!("?cursor={cursor}")).await;
    let welcome = &polled["frames"][0];
    let told = (&welcome["type"], &welcome["recovered"], &welcome["unread"]);
    assert_eq!(told, (&json!("welcome"), &json!(true), &json!(sent + 1)), "{welcome}");
    assert_eq!(welcome["items"][0]["id"], json!(second));

    for (query, status) in [("?cursor=x", 422), ("?wait=61", 422), ("?wat=1", 422)] {
        let (answered, problem) = api.as_person(Method::GET, &format!("/v1/inbox/poll{query}"), &token, None).await;
        assert_eq!(answered, status, "{problem}");
    }
    let (status, _) = api.as_person(Method::GET, "/v1/inbox/events", "nonsense", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}
