//! How cost grows: the same call as what it works on becomes larger. What should be flat is drawn flat or not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stentor_tests::Api;

use super::{
    inbox::Hotly,
    live::{self, Kind},
    queue,
};
use crate::{
    curve::Curve,
    measure::{median, quick, rounds, sized},
    report::{Goal, Report},
    stentor::{Stentor, redis},
    subject,
};

/// Calls of which the median counts.
const CALLS: usize = 50;
/// How long one waits before it is looked again.
const MOMENT: Duration = Duration::from_millis(1);

pub(crate) async fn run() -> Report {
    let mut report = Report::default();
    let stentor = Stentor::start(&[("STENTOR__REALTIME__CONNECTS_PER_SECOND", "100000")]);
    recipients(&stentor.api, &mut report).await;
    topics(&stentor.api, &mut report).await;
    templates(&stentor.api, &mut report).await;
    drop(stentor);
    inbox(&mut report);
    backlog(&mut report);
    report.note("Each point is the median of its calls in one run, not of rounds; a backlog's is that of rounds.");
    report
}

/// Powers of ten from 1 up to `most`.
fn powers(most: usize) -> Vec<usize> {
    std::iter::successors(Some(1), |n| Some(n * 10)).take_while(|n| *n <= most).collect()
}

/// How the last point compares with an earlier one.
fn compare(report: &mut Report, work: &str, points: &[(f64, f64)], unit: &str, goal: Goal) {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    let number = crate::report::number;
    let work = format!("{work}, {} beside {}", number(last.0), number(first.0));
    report.ratio(work, last.1, ("itself", first.1), unit, goal);
}

/// One notification to more and more people, until it is in every inbox.
async fn recipients(api: &Api, report: &mut Report) {
    let mut curve = Curve::new(
        "recipients",
        "A notification to a list of people",
        "recipients",
        "µs a recipient, from the POST to the last inbox",
    );
    for n in powers(sized(1_000_000, 1_000)) {
        let mut took = Vec::new();
        for _ in 0..(20_000 / n).clamp(1, 7) {
            let begun = Instant::now();
            let mut ids = Vec::new();
            // One request names 1,000 at the most.
            for first in (0..n).step_by(1_000) {
                let people: Vec<String> = (first..n.min(first + 1_000)).map(|i| format!("r{i}")).collect();
                let one = json!({"audience": {"recipients": people}, "channels": ["inbox"], "content": {"title": "For you"}});
                ids.push(api.send(&one).await);
            }
            for id in ids {
                // Each look counts a thousand deliveries in SQL: too many of them would hold up the archiver, which is waited for.
                completed(api, &id, Duration::from_micros(n as u64 / 10).max(MOMENT)).await;
            }
            took.push(begun.elapsed().as_secs_f64() * 1e6 / n as f64);
        }
        curve.points.push((n as f64, median(took)));
    }
    compare(report, "growth: a recipient of a notification to so many", &curve.points, "µs", Goal::AtMost(1.0));
    report.curves.push(curve);
}

/// Asks, again after each `pause`, until a notification is dispatched. There is no event to wait for.
async fn completed(api: &Api, id: &str, pause: Duration) {
    let end = Instant::now() + stentor_tests::PATIENCE * 10;
    while api.get(&format!("/v1/notifications/{id}")).await["status"] != "completed" {
        assert!(Instant::now() < end, "{id} is not completed");
        tokio::time::sleep(pause).await;
    }
}

/// The unread count of a person in more and more topics, each with a notification.
async fn topics(api: &Api, report: &mut Report) {
    let mut curve = Curve::new("topics", "The unread count of a person in many topics", "topics", "ms a call");
    let token = api.token("member").await;
    let mut joined = 0;
    for n in [1_usize, 10, 30, 100] {
        while joined < n {
            let (status, body) = api.put(&format!("/v1/topics/t{joined}"), &json!({"name": format!("Topic {joined}")})).await;
            assert!(status.is_success(), "{body}");
            let (status, body) = api.put(&format!("/v1/topics/t{joined}/recipients/member"), &json!({})).await;
            assert!(status.is_success(), "{body}");
            let one =
                json!({"audience": {"topic": format!("t{joined}")}, "channels": ["inbox"], "content": {"title": "For all"}});
            let id = api.send(&one).await;
            completed(api, &id, MOMENT).await;
            joined += 1;
        }
        let mut took = Vec::new();
        for _ in 0..CALLS {
            let begun = Instant::now();
            let (status, body) = api.as_person(reqwest::Method::GET, "/v1/inbox/unread", &token, None).await;
            took.push(begun.elapsed().as_secs_f64() * 1e3);
            assert!(status.is_success(), "{body}");
            assert_eq!(body["unread"], n, "{body}");
        }
        curve.points.push((n as f64, median(took)));
    }
    compare(report, "growth: the unread count in so many topics", &curve.points, "ms", Goal::AtMost(2.0));
    report.curves.push(curve);
}

/// Accepting while more and more templates are in use.
async fn templates(api: &Api, report: &mut Report) {
    let mut curve = Curve::new("templates", "Accepting with one of many templates", "templates of an app", "ms a POST");
    let mut published = 0;
    for n in powers(sized(1_000, 10)) {
        while published < n {
            let files = json!({
                "template.toml": "title = \"Of the benchmark\"\ncategory = \"bench\"\nchannels = [\"inbox\"]\ndefault_locale = \"en\"\n",
                "schema.json": r#"{"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"], "additionalProperties": false}"#,
                "samples/one.json": r#"{"what": "it"}"#,
                "en/content.md": format!("+++\ntitle = \"Number {published}: {{{{what}}}}\"\nsummary = \"It is {{{{what}}}}.\"\n+++\nIt is {{{{what}}}}.\n"),
            });
            let url = format!("/v1/templates/bench-{published}");
            let (status, body) = api.put(&url, &json!({"files": files, "publish": true})).await;
            assert!(status.is_success(), "{body}");
            published += 1;
        }
        let send = async |i: usize| {
            let key = format!("bench-{}", (i * 7) % n);
            let one =
                json!({"audience": {"recipients": ["r1"]}, "channels": ["inbox"], "template": key, "data": {"what": "this"}});
            api.send(&one).await
        };
        let mut last = String::new();
        for i in 0..n {
            last = send(i).await; // each is loaded once
        }
        api.completed(&last).await; // what these leave to do is not in the time of the others
        let mut took = Vec::new();
        for i in 0..CALLS {
            let begun = Instant::now();
            send(i).await;
            took.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        curve.points.push((n as f64, median(took)));
    }
    compare(report, "growth: a POST with one of so many templates", &curve.points, "ms", Goal::AtMost(1.25));
    report.curves.push(curve);
}

/// The first page and one more write of a longer and longer hot inbox.
fn inbox(report: &mut Report) {
    let mut page = Curve::new("inbox-page", "The first page of a long inbox", "hot items", "µs a call, alone");
    let mut write = Curve::new("inbox-write", "One more item into a long inbox", "hot items", "µs a call, alone");
    let sizes = powers(sized(10_000, 100));
    let redis = redis();
    let of_sizes = sizes.iter().map(usize::to_string);
    let found = subject::run("growth-inbox", &std::iter::once(redis.url()).chain(of_sizes).collect::<Vec<_>>());
    for (at, n) in sizes.into_iter().enumerate() {
        page.points.push((n as f64, subject::figure(&found["page_us"], at)));
        write.points.push((n as f64, subject::figure(&found["write_us"], at)));
    }
    compare(report, "growth: one more item into an inbox of so many", &write.points, "µs", Goal::AtMost(1.25));
    report.curves.extend([page, write]);
}

/// What runs in a process of its own.
pub(crate) async fn subject(name: &str, args: &[String]) -> Value {
    assert_eq!(name, "growth-inbox");
    let sizes: Vec<usize> = args[1..].iter().map(|n| n.parse().expect("a number")).collect();
    let hot = Hotly::warm(&args[0], &sizes).await;
    let (mut page, mut write) = (vec![Vec::new(); sizes.len()], vec![Vec::new(); sizes.len()]);
    // They take turns: the machine's pace is another by the minute.
    for i in 0..200 {
        for (person, n) in sizes.iter().enumerate() {
            let begun = Instant::now();
            assert_eq!(hot.page(person, 20).await, 20.min(n + i));
            page[person].push(begun.elapsed().as_secs_f64() * 1e6);
            let begun = Instant::now();
            hot.write(person, i).await;
            write[person].push(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    let medians = |of: Vec<Vec<f64>>| of.into_iter().map(median).collect::<Vec<_>>();
    json!({ "page_us": medians(page), "write_us": medians(write) })
}

/// How fast jobs are consumed before a longer and longer line.
fn backlog(report: &mut Report) {
    let mut curve = Curve::new("backlog", "Consuming before a backlog", "jobs that wait", "jobs a second");
    let some = sized(20_000, 2_000);
    let sizes = [some, some * 5, sized(1_000_000, some * 10)];
    let mut found = sizes.map(|_| Vec::new());
    // Of one size, one run differs from the next by a third: they take turns.
    for _ in 0..rounds() {
        for (waiting, found) in sizes.into_iter().zip(&mut found) {
            let redis = redis();
            let args = |n: usize| [redis.url(), n.to_string(), queue::payload()];
            subject::run("queue-push-stentor", &args(waiting));
            rustix::fs::sync(); // a backlog has long been on the disk
            found.push(subject::figure(&subject::run("queue-first-stentor", &args(some)), "per_second"));
        }
    }
    curve.points.extend(sizes.into_iter().map(|waiting| waiting as f64).zip(found.map(median)));
    compare(report, "growth: consuming before so many jobs", &curve.points, "jobs/s", Goal::AtLeast(0.9));
    report.curves.push(curve);
}

/// A broadcast to more and more sockets: a part of its own, since it takes long.
pub(crate) async fn sockets() -> Report {
    let mut report = Report::default();
    let mut rate = Curve::new("sockets", "A broadcast to many sockets", "sockets", "deliveries per CPU second");
    let mut memory = Curve::new("socket-memory", "An idle socket among many", "sockets", "KiB a socket");
    let sizes: &[usize] = if quick() { &[100, 500] } else { &[100, 1_000, 5_000, 10_000, 19_000] };
    for n in sizes {
        let measured = live::measure(Kind::Stentor, *n, &mut 0).await;
        rate.points.push((*n as f64, measured.single));
        memory.points.push((*n as f64, measured.memory / 1_024.0));
    }
    report.curves.extend([rate, memory]);
    report
}
