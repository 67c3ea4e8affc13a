//! The archive: facts into SQL by the batch writer, beside `insert_many` of the same rows; and how far the archiver of a running process is
//! behind while facts come at a steady rate.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use stentor_archive::Archive;
use stentor_connection::Place;
use stentor_domain::{Event, EventKind, Timestamp};
use stentor_queue::EventLog;
use stentor_testkit::Postgres;
use stentor_tests::serve;

use super::inbox::card;
use crate::{
    floors,
    measure::{median, quantile_ms, rounds, sized},
    report::{Goal, Report},
    stentor::Stentor,
    subject,
};

/// Facts of one transaction, as the archiver's.
pub(crate) const BATCH: usize = 500;
/// How often facts are appended while the lag is taken, and looked how far the archiver is.
const TICK: Duration = Duration::from_millis(5);
/// The events log of a process.
const LOG: &str = "0";
const STREAM: &str = "stentor:{events:0}:log";

pub(crate) async fn run() -> Report {
    let postgres = Postgres::start();
    let mut report = Report::default();
    let n = sized(100_000, 2_000).to_string();
    let mut databases = 0;
    for kind in ["SQLite", "PostgreSQL"] {
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..rounds() {
            for (name, found) in [("archive-stentor", &mut ours), ("archive-floor", &mut floor)] {
                let dir = tempfile::tempdir().expect("a directory");
                databases += 1;
                let url = match kind {
                    "SQLite" => serve::sqlite(&dir),
                    _ => postgres.create_database(&format!("rows{databases}")),
                };
                let written = subject::run(name, &[url, n.clone()]);
                found.push(subject::figure(&written, "per_second"));
            }
        }
        let floor = ("insert_many of 500", median(floor));
        report.ratio(format!("archive: rows on {kind}"), median(ours), floor, "rows/s", Goal::AtLeast(0.7));
    }
    let rate = sized(10_000, 1_000);
    for kind in ["SQLite", "PostgreSQL"] {
        let mut found = Vec::new();
        for _ in 0..rounds() {
            let dir = tempfile::tempdir().expect("a directory");
            databases += 1;
            let url = match kind {
                "SQLite" => serve::sqlite(&dir),
                _ => postgres.create_database(&format!("lag{databases}")),
            };
            let stentor = Stentor::start_on(&url, dir, &[("STENTOR__ROLES", "worker")]);
            found.push(lag(&stentor, rate).await);
        }
        let work = format!("archive: lag at {rate} events/s on {kind}, p99");
        report.figure(work, median(found), "ms", Goal::AtMost(1_000.0));
    }
    report.note(format!(
        "A fact that an item was written makes two rows (the fact and the item), in transactions of {BATCH} facts; the floor's are made \
         before its time begins, Stentor's are made of events within it. SQLite in WAL mode, synchronous=NORMAL; PostgreSQL without fsync, on the other \
         core. The lag is from the answer of XADD to the acknowledgement that follows the commit, looked at every {} ms.",
        TICK.as_millis()
    ));
    report
}

/// What runs in a process of its own.
pub(crate) async fn subject(name: &str, args: &[String]) -> Value {
    let (url, n) = (&args[0], args[1].parse().expect("a number"));
    let archive = Archive::connect(url).await.expect("the database answers");
    archive.migrate().await.expect("the schema is there");
    let events: Vec<Event> = (0..n).map(written).collect();
    if name == "archive-floor" {
        drop(archive);
        return floors::archive::write(url, &events).await;
    }
    let begun = Instant::now();
    for batch in events.chunks(BATCH) {
        let written = archive.write_events(batch).await.expect("they are written");
        assert!(written.buried.is_empty(), "{written:?}");
    }
    json!({ "per_second": (2 * n) as f64 / begun.elapsed().as_secs_f64() })
}

/// The fact that item `i` was written.
fn written(i: usize) -> Event {
    let kind = EventKind::ItemWritten {
        recipient: format!("customer-{}", i % 10_000).parse().expect("an id"),
        card: Box::new(card(i)),
        seq: (i / 10_000 + 1) as u64,
        rev: (i / 10_000 + 1) as u64,
        variant: "en".to_owned(),
    };
    Event::new("bank".parse().expect("an id"), Timestamp::from_millis(1_795_694_400_000), kind)
}

type Id = (u64, u64);

fn id(text: &str) -> Id {
    let (ms, n) = text.split_once('-').expect("an id of a stream");
    (ms.parse().expect("a number"), n.parse().expect("a number"))
}

/// Appends facts at a steady rate, and watches when they are archived. The p99, in ms.
async fn lag(stentor: &Stentor, rate: usize) -> f64 {
    let place: Place = stentor.redis.url().parse().expect("an address");
    let log = EventLog::new(place.connect().await.expect("Redis answers"), LOG);
    let client = redis::Client::open(stentor.redis.url()).expect("an address");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let (some, seconds) = (rate * TICK.as_millis() as usize / 1_000, sized(10, 2));
    let mut facts = (0..rate * seconds).map(|i| serde_json::to_vec(&written(i)).expect("plain values"));
    let mut waiting: VecDeque<(Id, Instant)> = VecDeque::new();
    let mut took = Vec::new();
    let mut ticks = tokio::time::interval(TICK);
    let patience = Instant::now() + Duration::from_mins(3);
    loop {
        ticks.tick().await;
        let batch: Vec<Vec<u8>> = facts.by_ref().take(some).collect();
        log.append(&batch).await.expect("Redis takes them");
        let now = Instant::now();
        // Nobody else writes: the last of the log is the last of these.
        let last = log.newest(1).await.expect("Redis answers").pop().map(|(place, _)| id(&place));
        waiting.extend(batch.iter().zip(last.into_iter().cycle()).map(|(_, place)| (place, now)));
        let archived = archived(&mut redis).await;
        let seen = Instant::now();
        while let Some((_, at)) = waiting.pop_front_if(|(place, _)| archived.is_some_and(|archived| *place <= archived)) {
            took.push(seen - at);
        }
        if waiting.is_empty() && batch.is_empty() {
            break;
        }
        assert!(seen < patience, "{} facts are not archived", waiting.len());
    }
    took.sort_unstable();
    quantile_ms(&took, 0.99)
}

/// Up to which entry everything is acknowledged. What was delivered is asked before what of it is pending, so that nothing is taken for
/// acknowledged that is not.
async fn archived(redis: &mut MultiplexedConnection) -> Option<Id> {
    let groups: redis::RedisResult<Vec<HashMap<String, redis::Value>>> =
        redis::cmd("XINFO").arg("GROUPS").arg(STREAM).query_async(redis).await;
    let group = groups.ok()?.pop()?;
    let delivered: String = redis::from_redis_value(group.get("last-delivered-id")?.clone()).ok()?;
    let pending: (u64, Option<String>, Option<String>, redis::Value) =
        redis::cmd("XPENDING").arg(STREAM).arg("archive").query_async(redis).await.ok()?;
    let below = |(ms, n): Id| if n > 0 { (ms, n - 1) } else { (ms - 1, u64::MAX) };
    Some(pending.1.map_or_else(|| id(&delivered), |first| below(id(&first)).min(id(&delivered))))
}
