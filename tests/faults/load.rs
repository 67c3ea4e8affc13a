//! A client that sends until everything is accepted, and remembers every 202.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Value, json};
use stentor_tests::Api;
use tokio::{sync::watch, task::JoinHandle};

/// How many people there are.
pub const PEOPLE: usize = 50;
/// How many requests are under way at once.
const CLIENTS: usize = 4;
/// How many notifications a request carries.
const BATCH: usize = 25;

/// The channels of notification `n`.
type Channels = fn(usize) -> &'static [&'static str];

/// Everybody's inbox, and every tenth also by mail and SMS.
pub fn mixed(n: usize) -> &'static [&'static str] {
    if n.is_multiple_of(10) { &["inbox", "email", "sms"] } else { &["inbox"] }
}

/// A load under way.
pub struct Load {
    pub count: usize,
    pub channels: Channels,
    accepted: watch::Receiver<usize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins to send `count` notifications. What is refused, or not answered, is sent again with the same idempotency key.
    pub fn begin(api: &Api, count: usize, channels: Channels, more: Value) -> Self {
        let (tx, accepted) = watch::channel(0);
        let (tx, next, more) = (Arc::new(tx), Arc::new(AtomicUsize::new(0)), Arc::new(more));
        let clients = (0..CLIENTS).map(|_| {
            let (api, tx, next, more) = (api.clone(), tx.clone(), next.clone(), more.clone());
            tokio::spawn(async move {
                loop {
                    let first = next.fetch_add(BATCH, Relaxed);
                    if first >= count {
                        return;
                    }
                    let range = first..(first + BATCH).min(count);
                    let size = range.len();
                    send(&api, range, channels, &more).await;
                    tx.send_modify(|n| *n += size);
                }
            })
        });
        Self { count, channels, clients: clients.collect(), accepted }
    }

    /// Waits until so many are accepted.
    pub async fn reached(&mut self, n: usize) {
        self.accepted.wait_for(|accepted| *accepted >= n).await.unwrap();
    }

    /// Waits until all are accepted.
    pub async fn end(&mut self) {
        self.reached(self.count).await;
        for client in self.clients.drain(..) {
            client.await.unwrap();
        }
    }
}

async fn send(api: &Api, range: Range<usize>, channels: Channels, more: &Value) {
    let mut open: Vec<usize> = range.collect();
    while !open.is_empty() {
        let notifications: Vec<Value> = open.iter().map(|n| notification(*n, channels(*n), more)).collect();
        let request = api.request(reqwest::Method::POST, "/v1/notifications/batch").timeout(Duration::from_secs(20));
        let answer = async { request.json(&json!({ "notifications": notifications })).send().await?.json::<Value>().await };
        if let Ok(answer) = answer.await
            && let Some(results) = answer["results"].as_array()
        {
            for result in results.iter().filter(|result| result["problem"].is_object()) {
                assert_eq!(result["problem"]["status"], 503, "{result}");
            }
            let taken = |at: &usize| results[*at]["id"].is_string();
            open = (0..open.len()).filter(|at| !taken(at)).map(|at| open[at]).collect();
        }
        if !open.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await; // as a client would that was told to come back
        }
    }
}

fn notification(n: usize, channels: &[&str], more: &Value) -> Value {
    let person = format!("p{}", n % PEOPLE);
    let mut body = json!({
        "audience": {"recipients": [{"id": person, "email": format!("{person}@example.com"), "phone": "+491701234567"}]},
        "content": {"title": format!("n-{n}"), "sms": {"text": format!("n-{n}")}},
        "channels": channels,
        "idempotency_key": format!("n-{n}"),
    });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    body
}
