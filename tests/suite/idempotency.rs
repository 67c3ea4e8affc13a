//! Idempotency keys: one winner, whatever is repeated and whoever is killed.

use std::collections::HashSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor_tests::{Api, Dev};

fn hello(title: &str) -> Value {
    json!({"audience": {"recipients": ["ada"]}, "content": {"title": title}})
}

/// Status, whether it was a repeat, and the id; nothing if the connection broke.
async fn send(api: &Api, key: &str, body: &Value) -> Option<(StatusCode, bool, Value)> {
    let request = api.request(Method::POST, "/v1/notifications").header("Idempotency-Key", key).json(body);
    let response = request.send().await.ok()?;
    let (status, replayed) = (response.status(), response.headers().contains_key("Idempotency-Replayed"));
    Some((status, replayed, response.json::<Value>().await.ok()?))
}

async fn titles(dev: &Dev) -> Vec<String> {
    let token = dev.api.token("ada").await;
    let (_, page) = dev.api.as_person(Method::GET, "/v1/inbox?limit=100", &token, None).await;
    page["items"].as_array().unwrap().iter().map(|i| i["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn of_a_hundred_parallel_requests_one_wins_and_99_are_told_so() {
    let dev = Dev::start();
    let requests = (0..100).map(|_| {
        let api = dev.api.clone();
        tokio::spawn(async move { send(&api, "k", &hello("Once")).await.unwrap() })
    });
    let (mut ids, mut replays) = (HashSet::new(), 0);
    for request in requests.collect::<Vec<_>>() {
        let (status, replayed, answer) = request.await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        replays += usize::from(replayed);
        ids.insert(answer["id"].as_str().unwrap().to_owned());
    }
    assert_eq!((ids.len(), replays), (1, 99));
    let id = ids.into_iter().next().unwrap();
    dev.api.completed(&id).await;
    assert_eq!(titles(&dev).await, ["Once"]);

    // The same words in other bytes are another body; the app's own key is no other app's.
    let (status, _, answer) = send(&dev.api, "k", &hello("Twice")).await.unwrap();
    assert_eq!((status, &answer["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_conflict")));
    assert!(answer["detail"].as_str().unwrap().contains(&id), "{answer}");
    assert_eq!(titles(&dev).await, ["Once"]);
}

#[tokio::test]
async fn a_repeat_of_what_was_killed_in_flight_sends_it_once() {
    let mut dev = Dev::start();
    let (mut answered, mut replays, mut ids) = (0, 0, Vec::new());
    for n in 0..40 {
        let (key, body) = (format!("k-{n}"), hello(&format!("n-{n}")));
        let (api, first_key, first_body) = (dev.api.clone(), key.clone(), body.clone());
        let first = tokio::spawn(async move { send(&api, &first_key, &first_body).await });
        // Somewhere between the first byte and the answer: a little later each time.
        tokio::time::sleep(std::time::Duration::from_micros(100 * n)).await;
        dev.kill();
        let first = first.await.unwrap();
        dev.restart();
        let (status, replayed, answer) = send(&dev.api, &key, &body).await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED);
        if let Some((_, _, before)) = first {
            answered += 1;
            assert!(replayed && answer["id"] == before["id"], "a 202 was forgotten: {answer}, {before}");
        }
        replays += usize::from(replayed);
        ids.push(answer["id"].as_str().unwrap().to_owned());
    }
    for id in &ids {
        dev.api.completed(id).await;
    }
    // Otherwise nothing was killed in flight.
    assert!(answered < 40 && replays < 40, "{answered} answered, {replays} repeats");
    let mut found = titles(&dev).await;
    found.sort_unstable_by_key(|title| title[2..].parse::<u64>().unwrap());
    assert_eq!(found, (0..40).map(|n| format!("n-{n}")).collect::<Vec<_>>());
}
