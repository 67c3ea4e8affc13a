//! The queue by itself: adding jobs, and running handlers that do nothing, beside raw streams and beside other queues on Redis, each at its
//! best settings and with the same payload.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use apalis::prelude::*;
use apalis_redis::RedisStorage;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stentor_connection::Place;
use stentor_queue::{Lane, NewJob, Queue, WorkerConfig};
use stentor_testkit::RedisServer;

use crate::{
    floors,
    measure::{median, rounds, sized},
    peers,
    report::{Goal, Report},
    stentor::redis,
    subject,
};

/// Handlers at once, of whoever can have so many.
const CONCURRENCY: usize = 256;
/// Jobs of one call.
const STEP: usize = 200;

/// A job of the size of one that sends a notification.
#[derive(Clone, Deserialize, Serialize)]
struct Job {
    notification: String,
    text: String,
}

pub(crate) fn payload() -> String {
    let job = Job { notification: "01a2b3c4-0000-7000-8000-000000000000".to_owned(), text: "x".repeat(200) };
    serde_json::to_string(&job).expect("plain values")
}

/// A queue under measurement: how much it is given, and who runs it.
struct Contestant {
    name: &'static str,
    jobs: usize,
    /// The goal of our rates beside its.
    goal: f64,
    peer: Option<&'static str>,
}

pub(crate) fn run() -> Report {
    let many = sized(200_000, 20_000);
    // Slower ones are given fewer jobs, so that each runs for seconds.
    let all = [
        Contestant { name: "stentor", jobs: many, goal: 0.0, peer: None },
        Contestant { name: "stentor, job by job", jobs: many, goal: 0.0, peer: None },
        Contestant { name: "raw streams", jobs: many, goal: 0.7, peer: None },
        Contestant { name: "apalis-redis", jobs: many / 2, goal: 2.0, peer: None },
        Contestant { name: "BullMQ", jobs: many / 4, goal: 5.0, peer: Some("bullmq.mjs") },
        Contestant { name: "Celery", jobs: many / 40, goal: 100.0, peer: Some("celery_queue.py") },
        Contestant { name: "RQ", jobs: many / 100, goal: 100.0, peer: Some("rq_queue.py") },
    ];
    let mut report = Report::default();
    let mut found: Vec<[Vec<f64>; 2]> = vec![Default::default(); all.len()];
    for _ in 0..rounds() {
        for (contestant, found) in all.iter().zip(&mut found) {
            let redis = redis();
            for (step, found) in ["push", "consume"].into_iter().zip(found) {
                found.extend(measure_one(contestant, step, &redis));
            }
        }
    }
    let [push, consume] = [0, 1].map(|step| median(found[0][step].clone()));
    let by_job = [0, 1].map(|step| median(found[1][step].clone()));
    for (contestant, [pushed, consumed]) in all.iter().zip(found).skip(2) {
        if pushed.is_empty() || consumed.is_empty() {
            report.note(format!("{} is not installed (`scripts/bench-peers.sh`), or failed.", contestant.name));
            continue;
        }
        let goal = Goal::AtLeast(contestant.goal);
        report.ratio("queue: push", push, (contestant.name, median(pushed)), "jobs/s", goal);
        report.ratio("queue: consume an empty job", consume, (contestant.name, median(consumed)), "jobs/s", goal);
    }
    report.figure("queue: push, job by job", by_job[0], "jobs/s", Goal::None);
    report.figure("queue: consume an empty job, job by job", by_job[1], "jobs/s", Goal::None);
    report.note(format!(
        "Stentor keeps jobs that are added together, under ids that were made for them, as one record and one entry (a bundle); each can be \
         withdrawn, fails and is tried again by itself. \"Job by job\" is the same for jobs under any ids, which get a record and an entry each. Jobs of {} bytes, added {STEP} a call. apalis-redis: batches of {CONCURRENCY}, no locks, no results, no events; BullMQ: addBulk, concurrency \
         {CONCURRENCY}, removeOnComplete; Celery: solo pool, no results, prefetch unbounded; RQ: enqueue_many, SimpleWorker (no fork), no results.",
        payload().len()
    ));
    report
}

fn measure_one(contestant: &Contestant, step: &str, redis: &RedisServer) -> Option<f64> {
    let n = contestant.jobs.to_string();
    let args = [redis.url(), n, payload()];
    let found = match contestant.peer {
        Some(file) => {
            // Their clients know no protocol in an address.
            let url = format!("redis://127.0.0.1:{}/0", redis.port());
            peers::run(file, &[step.to_owned(), url, args[1].clone(), args[2].clone()])?
        }
        None => subject::run(&format!("queue-{step}-{}", contestant.name.replace(", ", "-").replace(' ', "-")), &args),
    };
    Some(subject::figure(&found, "per_second"))
}

/// What runs in a process of its own.
pub(crate) async fn subject(name: &str, args: &[String]) -> Value {
    let (url, n, payload) = (&args[0], args[1].parse().expect("a number"), &args[2]);
    match name {
        "queue-push-stentor" => push(url, n, payload, true).await,
        "queue-push-stentor-job-by-job" => push(url, n, payload, false).await,
        "queue-consume-stentor" | "queue-consume-stentor-job-by-job" => consume(url, n, true).await,
        // Not all, but the first so many of a long line.
        "queue-first-stentor" => consume(url, n, false).await,
        "queue-push-raw-streams" => floors::queue::push(url, n, payload).await,
        "queue-consume-raw-streams" => floors::queue::consume(url, n).await,
        "queue-push-apalis-redis" => apalis_push(url, n, payload).await,
        "queue-consume-apalis-redis" => apalis_consume(url, n).await,
        other => panic!("no subject {other}"),
    }
}

async fn queue(url: &str) -> (Place, Queue) {
    let place: Place = url.parse().expect("an address");
    let queue = Queue::new(place.connect().await.expect("Redis answers"), "bench");
    (place, queue)
}

async fn push(url: &str, n: usize, payload: &str, is_new: bool) -> Value {
    let (_, queue) = queue(url).await;
    let begun = Instant::now();
    let mut pushers = tokio::task::JoinSet::new();
    for i in 0..floors::queue::AT_ONCE {
        let (queue, payload) = (queue.clone(), payload.to_owned());
        pushers.spawn(async move {
            for first in (i * STEP..n).step_by(STEP * floors::queue::AT_ONCE) {
                let ids: Vec<String> = (first..first + STEP).map(|k| format!("01a2b3c4-0000-7000-8000-{k:012}")).collect();
                let job = |id| NewJob {
                    id,
                    lane: Lane::Normal,
                    payload: payload.as_bytes(),
                    body: None,
                    due: None,
                    expires: None,
                    is_new,
                };
                let jobs: Vec<(NewJob<'_>, _)> = ids.iter().map(|id| (job(id), None)).collect();
                queue.submit_many(&jobs).await.expect("Redis takes it");
            }
        });
    }
    pushers.join_all().await;
    json!({ "per_second": n as f64 / begun.elapsed().as_secs_f64() })
}

/// Handlers that count.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    async fn reaches(&self, n: usize) {
        let end = Instant::now() + Duration::from_mins(5);
        while self.0.load(Relaxed) < n {
            assert!(Instant::now() < end, "{} of {n} jobs ran", self.0.load(Relaxed));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn consume(url: &str, n: usize, all: bool) -> Value {
    let (place, queue) = queue(url).await;
    let reader = place.connect_blocking(WorkerConfig::new(CONCURRENCY).block).await.expect("Redis answers");
    let count = Count::default();
    let counted = count.clone();
    let worker = WorkerBuilder::new("bench")
        .backend(queue.backend::<Job>(WorkerConfig::new(CONCURRENCY), reader))
        .concurrency(CONCURRENCY)
        .build(move |_: Job| {
            counted.0.fetch_add(1, Relaxed);
            async { stentor_queue::Outcome::Done }
        });
    let begun = Instant::now();
    tokio::spawn(async move { worker.run().await });
    count.reaches(n).await;
    while all && queue.depth().await.expect("Redis answers").normal > 0 {} // until the last is acknowledged
    json!({ "per_second": n as f64 / begun.elapsed().as_secs_f64() })
}

async fn storage(url: &str) -> RedisStorage<Job> {
    let config = apalis_redis::Config::default()
        .queue("bench")
        .batch_size(CONCURRENCY)
        .lock_tasks(false)
        .persist_results(false)
        .emit_events(false);
    RedisStorage::new(apalis_redis::connect(url).await.expect("Redis answers")).with_config(config)
}

async fn apalis_push(url: &str, n: usize, payload: &str) -> Value {
    let mut storage = storage(url).await;
    let job: Job = serde_json::from_str(payload).expect("a job");
    let begun = Instant::now();
    for _ in (0..n).step_by(STEP) {
        storage.push_bulk(vec![job.clone(); STEP]).await.expect("Redis takes it");
    }
    json!({ "per_second": n as f64 / begun.elapsed().as_secs_f64() })
}

async fn apalis_consume(url: &str, n: usize) -> Value {
    let mut storage = storage(url).await;
    // More than 8,000 jobs that are due at once stop it for good: they are moved to its list for it, and this is not counted.
    let (due, list) = (storage.get_config().scheduled_jobs_set(), storage.get_config().active_jobs_list());
    loop {
        let some: Vec<(String, f64)> =
            redis::cmd("ZPOPMIN").arg(&due).arg(STEP).query_async(storage.get_connection()).await.expect("Redis answers");
        if some.is_empty() {
            break;
        }
        let ids: Vec<String> = some.into_iter().map(|(id, _)| id).collect();
        let moved: redis::RedisResult<usize> =
            redis::cmd("RPUSH").arg(&list).arg(ids).query_async(storage.get_connection()).await;
        moved.expect("Redis takes it");
    }
    let count = Count::default();
    let counted = count.clone();
    let worker = WorkerBuilder::new("bench").backend(storage).concurrency(CONCURRENCY).build(move |_: Job| {
        counted.0.fetch_add(1, Relaxed);
        async { Ok::<(), BoxDynError>(()) }
    });
    let begun = Instant::now();
    tokio::select! {
        ended = worker.run() => panic!("the worker ended: {:?}", ended.map(drop)),
        () = count.reaches(n) => {}
    }
    json!({ "per_second": n as f64 / begun.elapsed().as_secs_f64() })
}
