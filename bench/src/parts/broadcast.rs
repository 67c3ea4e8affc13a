//! A broadcast in the app to everyone, of whom nobody is online: its time, and what it takes of Redis, whatever their number.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use stentor_tests::{PATIENCE, is_archived};

use crate::{
    curve::Curve,
    measure::{median, sized},
    report::{Goal, Report},
    stentor::Stentor,
};

/// Broadcasts of each size, of which the median counts: enough for the beat of a machine, which is seconds long, not to hit one size alone.
const BROADCASTS: usize = 1_000;
/// The most recipients of one call.
const STEP: usize = 1_000;

pub(crate) async fn run() -> Report {
    let stentor = Stentor::start(&[]);
    let mut report = Report::default();
    let mut curve =
        Curve::new("broadcast", "A broadcast to everyone, none online", "registered people", "ms from the POST to the publish");
    let (mut people, mut first) = (0, None);
    for size in [100, 10_000, sized(1_000_000, 20_000)] {
        while people < size {
            let step = STEP.min(size - people);
            let some: Vec<_> = (people..people + step).map(|i| json!({"id": format!("u{i}")})).collect();
            let (status, body) = stentor.api.post("/v1/recipients/batch", &json!({"recipients": some})).await;
            assert!(status.is_success(), "{body}");
            people += step;
        }
        settled(&stentor).await;
        let measured = measure(&stentor).await;
        curve.points.push((size as f64, measured.ms));
        let who = crate::report::number(size as f64);
        report.figure(format!("broadcast to {who} registered, none online"), measured.ms, "ms", Goal::AtMost(10.0));
        report.figure(format!("broadcast to {who}: its entry"), measured.entry, "bytes of Redis", Goal::AtMost(1_024.0));
        report.figure(format!("broadcast to {who}: all that is kept"), measured.all, "bytes of Redis", Goal::None);
        let (few, ms) = *first.get_or_insert((size, measured.ms));
        if size > few {
            report.ratio(format!("broadcast to {who}, of that to {few}"), measured.ms, ("itself", ms), "ms", Goal::AtMost(1.25));
        }
    }
    report.curves.push(curve);
    report.note(format!(
        "{BROADCASTS} broadcasts one after the other, medians; from the POST until its entry is written and published. \"All that is kept\" are \
         besides the entry the job's record, its content and its request, for 24 hours, as for any notification."
    ));
    report
}

struct Measured {
    ms: f64,
    entry: f64,
    all: f64,
}

async fn measure(stentor: &Stentor) -> Measured {
    let client = redis::Client::open(stentor.redis.url()).expect("an address");
    let mut heard = client.get_async_pubsub().await.expect("Redis answers");
    heard.psubscribe("stentor:timeline:*:live").await.expect("it is heard");
    let mut heard = heard.into_on_message();
    let one = json!({"audience": "everyone", "channels": ["inbox"],
        "content": {"title": "The news of the day", "summary": "It is what it is."}});
    let (mut took, mut before) = (Vec::new(), (0.0, 0.0));
    for i in 0..=BROADCASTS {
        if i == 1 {
            settled(stentor).await; // what the first one loads is no cost of each
            before = (used(stentor), entries(stentor));
        }
        let begun = Instant::now();
        let sent = stentor.api.send(&one);
        let published = tokio::time::timeout(PATIENCE, heard.next());
        let (_, published) = tokio::join!(sent, async { (published.await.expect("it is published"), begun.elapsed()) });
        assert!(published.0.is_some(), "Redis is there");
        if i > 0 {
            took.push(published.1.as_secs_f64() * 1e3);
        }
    }
    settled(stentor).await;
    let each = |now: f64, before: f64| (now - before) / BROADCASTS as f64;
    Measured { ms: median(took), entry: each(entries(stentor), before.1), all: each(used(stentor), before.0) }
}

/// Waits until all facts are archived.
async fn settled(stentor: &Stentor) {
    let client = redis::Client::open(stentor.redis.url()).expect("an address");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let end = Instant::now() + PATIENCE * 20;
    while !is_archived(&mut redis).await.expect("Redis tells") {
        assert!(Instant::now() < end, "there are facts that are not archived");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// All that Redis holds for its data.
fn used(stentor: &Stentor) -> f64 {
    let info: String = stentor.redis.query(&["INFO", "memory"]);
    let field = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:")).expect("a size");
    field.trim().parse().expect("a number")
}

/// What the timeline's keys take.
fn entries(stentor: &Stentor) -> f64 {
    let keys: Vec<String> = stentor.redis.query(&["KEYS", "stentor:timeline:*"]);
    keys.iter().map(|key| stentor.redis.query::<f64>(&["MEMORY", "USAGE", key, "SAMPLES", "0"])).sum()
}
