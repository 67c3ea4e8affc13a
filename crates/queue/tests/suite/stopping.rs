//! Stopping: what runs is finished, what was fetched and not started goes back at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use stentor_queue::{Lane, Outcome, WorkerConfig};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Fixture, Job, Worker, config, eventually, next, next_sorted};

/// A lease that no test waits for.
const LONG: Duration = Duration::from_secs(30);

fn long_lease() -> WorkerConfig {
    WorkerConfig { lease: LONG, ..config(10) }
}

#[tokio::test]
async fn what_runs_is_finished_and_what_did_not_start_runs_elsewhere_long_before_its_lease_ends() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    f.add(Lane::Normal, 0..8).await;
    let (told, open) = (tx.clone(), gate.clone());
    let handle = move |job: Job, _| {
        let (tx, open) = (told.clone(), open.clone());
        async move {
            let _ = tx.send(job.n);
            drop(open.acquire().await);
            Outcome::Done
        }
    };
    // The backend has more places than apalis uses: so it holds jobs that do not start.
    let worker = Worker::start(f.queue.clone(), &f.redis.url(), long_lease(), 1, handle).await;
    let running = next(&mut rx).await;
    eventually("all are fetched", async || {
        let (pending, _, _, _): (usize, String, String, redis::Value) = f.command("XPENDING @normal workers").await;
        (pending == 8).then_some(())
    })
    .await;

    let stopping = tokio::spawn(worker.stop());
    let (told, began) = (tx.clone(), Instant::now());
    let handle = move |job: Job, lease: stentor_queue::Lease| {
        let _ = told.send(job.n);
        async move {
            assert_eq!(lease.attempt(), 1);
            Outcome::Done
        }
    };
    let _other = f.work(long_lease(), handle).await;
    let expected: Vec<_> = (0..8).filter(|n| *n != running).collect();
    assert_eq!(next_sorted(&mut rx, 7).await, expected);
    assert!(began.elapsed() < LONG / 2, "they were waited for until their leases ended");
    assert!(!stopping.is_finished(), "the running one is waited for");
    gate.add_permits(1);
    stopping.await.unwrap();
    f.drained().await;
    assert!(rx.try_recv().is_err(), "nothing ran twice");
}

#[tokio::test]
async fn a_worker_that_stops_leaves_no_consumer_behind() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    f.add(Lane::Normal, [1]).await;
    let handle = move |job: Job, _| {
        let _ = tx.send(job.n);
        async { Outcome::Done }
    };
    let worker = f.work(config(2), handle).await;
    next(&mut rx).await;
    worker.stop().await;
    let consumers: Vec<redis::Value> = f.command("XINFO CONSUMERS @normal workers").await;
    assert_eq!(consumers, []);
}
