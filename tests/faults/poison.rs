//! A job that ends the process that runs it, among many good ones. No payload of Stentor's can do that, so the queue is
//! asked directly: this very program is the worker.

use std::{
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use apalis::prelude::*;
use stentor_connection::Place;
use stentor_queue::{Lane, Lease, NewJob, Outcome, Queue, WorkerConfig};
use stentor_testkit::RedisServer;

use crate::{Row, Scale};

/// The argument that makes this program a worker.
pub const WORKER: &str = "--queue-worker";
/// The job that kills.
const POISON: u32 = 7;
/// How long the good ones may take, whatever their neighbour does.
const WITHIN: Duration = Duration::from_mins(1);

/// Works on the queue until it is killed; by the poison, or by its parent.
pub fn work(url: &str, lease: Duration) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let queue = Queue::new(place(url).connect().await.unwrap(), "faults");
        let config = WorkerConfig { lease, ..WorkerConfig::new(16) };
        let reader = place(url).connect_blocking(config.block).await.unwrap();
        let done = place(url).connect().await.unwrap();
        let worker = move |n| {
            let done = done.clone();
            WorkerBuilder::new(format!("faults-{n}"))
                .backend(queue.backend::<u32>(config.clone(), reader.clone()))
                .concurrency(16)
                .build(move |n: u32, _: Data<Lease>| {
                    let mut done = done.clone();
                    async move {
                        if n == POISON {
                            std::process::abort();
                        }
                        tokio::time::sleep(Duration::from_millis(10)).await; // so that others are under way when it dies
                        let _: () = redis::cmd("SADD").arg("done").arg(n).query_async(&mut done).await.unwrap();
                        Outcome::Done
                    }
                })
        };
        Monitor::new().register(worker).run().await.unwrap();
    });
    ExitCode::SUCCESS
}

pub async fn poisonous(scale: Scale) -> Row {
    let lease = scale.of(Duration::from_secs(2), WorkerConfig::new(1).lease);
    let redis = RedisServer::start();
    let queue = Queue::new(place(&redis.url()).connect().await.unwrap(), "faults");
    let jobs: Vec<(String, String)> = (0..1_001).map(|n: u32| (n.to_string(), n.to_string())).collect();
    let jobs: Vec<NewJob<'_>> = jobs
        .iter()
        .map(|(id, n)| NewJob {
            id,
            lane: Lane::Normal,
            payload: n.as_bytes(),
            body: None,
            due: None,
            expires: None,
            is_new: false,
        })
        .collect();
    queue.enqueue(&jobs).await.unwrap();
    let began = Instant::now();
    let mut conn = place(&redis.url()).connect().await.unwrap();
    let (mut deaths, mut good) = (0, None);
    loop {
        // Whoever watches it starts it again.
        let program = std::env::current_exe().unwrap();
        let mut worker = Command::new(program)
            .args([WORKER, &redis.url(), &lease.as_millis().to_string()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let letter = loop {
            let done: usize = redis::cmd("SCARD").arg("done").query_async(&mut conn).await.unwrap();
            if done == 1_000 {
                good.get_or_insert_with(|| began.elapsed());
            }
            let letter = queue.list_dead_letters(None, 2).await.unwrap().pop();
            if (letter.is_some() && good.is_some()) || worker.try_wait().unwrap().is_some() {
                break letter;
            }
            assert!(began.elapsed() < 5 * WITHIN, "{done} are done, {deaths} processes died");
            tokio::time::sleep(Duration::from_millis(20)).await; // Redis gives no event for it
        };
        let ended = worker.try_wait().unwrap().is_some();
        let _ = worker.kill();
        let _ = worker.wait();
        deaths += usize::from(ended);
        if let (Some(letter), Some(good)) = (letter, good) {
            assert_eq!(letter.job_id, POISON.to_string());
            assert!(good < WITHIN, "the good ones took {good:?}");
            let notes = vec![format!("{deaths} processes died, the good ones took {} s", good.as_secs())];
            return Row { accepted: 1_001, arrived: 1_000, notes, ..Row::default() };
        }
    }
}

fn place(url: &str) -> Place {
    url.parse().unwrap()
}
