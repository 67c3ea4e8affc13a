//! Accepting notifications: the real handler (key, checks, idempotency record, job record, entry; AOF everysec) beside axum, serde and
//! one XADD on the same Redis settings. One POST a notification, and batches of a hundred.
//!
//! Only the role `api` runs: what is accepted waits in Redis, as it would for workers on other machines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    load::{self, Request},
    measure::{median, quantile_ms, rounds, sized},
    report::{Goal, Report},
    server::Server,
    stentor::{Stentor, redis},
};

/// Callers that wait for their answers at the same time.
const CALLERS: usize = 64;
/// Callers of batches.
const BATCHING: usize = 8;
const BATCH: usize = 100;
/// At how many calls a second the time of one is taken: what both can do without standing in line.
const RATE: u64 = 2_000;

/// What one system did in one round.
struct Measured {
    per_second: f64,
    per_cpu: f64,
    p50: f64,
    p99: f64,
    items: f64,
}

pub(crate) async fn run() -> Report {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        let stentor = Stentor::start(&[("STENTOR__ROLES", "api")]);
        let (key, server) = (&stentor.api.key, &stentor.server);
        ours.push(measure(server, key, "/v1/notifications", "/v1/notifications/batch").await);
        drop(stentor);
        let redis = redis();
        let own = std::env::current_exe().expect("a path");
        let server = Server::start(&own, &["floor", "accept", &redis.url()], &[], |line| Some(line.to_owned()));
        floor.push(measure(&server, "none", "/one", "/batch").await);
    }
    let of = |field: fn(&Measured) -> f64| {
        let middle = |all: &[Measured]| median(all.iter().map(field).collect());
        (middle(&ours), ("axum + serde + XADD", middle(&floor)))
    };
    let mut report = Report::default();
    let mut row = |work: &str, (ours, floor): (f64, (&str, f64)), unit: &str, goal| report.ratio(work, ours, floor, unit, goal);
    row("accept one POST", of(|m| m.per_second), "requests/s", Goal::AtLeast(0.7));
    row("accept one POST, per CPU second of the server", of(|m| m.per_cpu), "requests", Goal::None);
    row(&format!("its p99 at {RATE}/s"), of(|m| m.p99), "ms", Goal::AtMost(2.0));
    row(&format!("its p50 at {RATE}/s"), of(|m| m.p50), "ms", Goal::None);
    row("accept in batches of 100", of(|m| m.items), "items/s", Goal::AtLeast(0.35));
    report.figure("accept in batches of 100, by itself", of(|m| m.items).0, "items/s", Goal::AtLeast(200_000.0));
    report.note(format!(
        "{CALLERS} callers, {BATCHING} of batches; each single POST with an Idempotency-Key of its own, the items of batches without: \
         these are one bundle, as they are one entry of the floor, and the single ones go as bundles of what gathers while two calls \
         are under way, or of 24. Redis and the callers share the other core. The 200,000 items/s are meant for a machine whose floor makes 600,000."
    ));
    report
}

async fn measure(server: &Server, key: &str, one: &str, batch: &str) -> Measured {
    let long = Duration::from_secs(sized(5, 1) as u64);
    let address = &server.address;
    let item = |i: usize| -> Value {
        json!({"audience": {"recipients": [format!("customer-{i}")]}, "channels": ["inbox"], "content": {"title": "Your card is due",
            "summary": "Your card ending in 6222 is due for repayment on 5 December 2026: 1,234.50 CNY."}})
    };
    let single = Request::post(address, one, key, &item(7).to_string());
    let body = json!({"notifications": (0..BATCH).map(item).collect::<Vec<_>>()});
    let many = Request::post(address, batch, key, &body.to_string());
    load::steady(address, &single, RATE, Duration::from_millis(500)).await.expect("it answers"); // what is loaded once
    let steady = load::steady(address, &single.again(1), RATE, long).await.expect("it answers");
    let before = server.cpu();
    let flood = load::flood(address, &single.again(2), CALLERS, long).await.expect("it answers");
    let spent = server.cpu().saturating_sub(before).as_secs_f64();
    let batches = load::flood(address, &many, BATCHING, long).await.expect("it answers");
    Measured {
        per_second: flood.per_second,
        per_cpu: flood.took.len() as f64 / spent,
        p50: quantile_ms(&steady.took, 0.5),
        p99: quantile_ms(&steady.took, 0.99),
        items: batches.per_second * BATCH as f64,
    }
}
