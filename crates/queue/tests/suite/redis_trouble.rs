//! Redis trouble: it is waited out, no handler is cancelled, no worker ends, and all jobs are done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stentor_queue::{Lane, Lease, Outcome, QueueError};
use stentor_testkit::RedisServer;
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Fixture, Job, config, eventually, next, short_lease};

#[tokio::test]
async fn killed_and_restarted_redis_neither_ends_a_worker_nor_cancels_a_handler() {
    let mut f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let open = gate.clone();
    let handle = move |job: Job, _: Lease| {
        let (tx, open) = (tx.clone(), open.clone());
        async move {
            let _ = tx.send(("begun", job.n));
            drop(open.acquire().await);
            let _ = tx.send(("ended", job.n));
            Outcome::Done
        }
    };
    let worker = f.work(config(2), handle).await;
    for round in 0..5 {
        f.add(Lane::High, [2 * round]).await;
        assert_eq!(next(&mut rx).await, ("begun", 2 * round));
        f.redis.kill();
        gate.add_permits(1); // it ends while Redis is away: that is remembered
        assert_eq!(next(&mut rx).await, ("ended", 2 * round), "a handler was cancelled");
        f.redis.restart();
        eventually("what ended is acknowledged", async || {
            (f.queue.depth().await.ok()? == stentor_queue::Depth::default()).then_some(())
        })
        .await;
        gate.forget_permits(1);
        assert!(worker.is_running());
    }
    assert!(rx.try_recv().is_err(), "nothing ran twice");
    worker.stop().await;
}

#[tokio::test]
async fn a_redis_that_forgot_everything_is_filled_anew() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, _: Lease| {
        let _ = tx.send(job.n);
        async { Outcome::Done }
    };
    let _worker = f.work(config(2), handle).await;
    f.add(Lane::Normal, [1]).await;
    assert_eq!(next(&mut rx).await, 1);
    f.command::<()>("FLUSHALL").await;
    f.command::<()>("SCRIPT FLUSH").await;
    f.add(Lane::Normal, [2]).await;
    assert_eq!(next(&mut rx).await, 2);
    f.drained().await;
}

#[tokio::test]
async fn a_frozen_redis_is_waited_out() {
    let f = Fixture::new().await;
    let (done, count) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (ended, begun) = (done.clone(), count.clone());
    let handle = move |_: Job, lease: Lease| {
        let (ended, begun) = (ended.clone(), begun.clone());
        async move {
            begun.fetch_add(1, SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await; // the work itself
            let _ = lease.settle("sent", b"").await;
            ended.fetch_add(1, SeqCst);
            Outcome::Done
        }
    };
    f.add(Lane::Normal, 0..400).await;
    let workers = (f.work(short_lease(5), handle.clone()).await, f.work(short_lease(5), handle).await);
    eventually("some are done", async || (done.load(SeqCst) > 50).then_some(())).await;
    frozen(&f.redis, Duration::from_secs(4)).await; // longer than an answer may take, and than six leases
    f.drained().await;
    assert!(workers.0.is_running() && workers.1.is_running());
    assert_eq!(done.load(SeqCst), count.load(SeqCst), "a handler was cancelled");
    assert!(done.load(SeqCst) >= 400);
    workers.0.stop().await;
    workers.1.stop().await;
}

async fn frozen(redis: &RedisServer, time: Duration) {
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([name, &redis.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    signal("-STOP");
    tokio::time::sleep(time).await; // the fault itself
    signal("-CONT");
}

#[tokio::test]
async fn without_memory_nothing_is_added_and_what_is_there_is_done() {
    let f = Fixture::new().await;
    f.add(Lane::Normal, 0..50).await;
    let used: redis::InfoDict = f.command("INFO memory").await;
    let used: u64 = used.get("used_memory").unwrap();
    f.command::<()>(&format!("CONFIG SET maxmemory {}", used / 2)).await;
    let refused = f.queue.enqueue(&[crate::support::new_job("more", Lane::High, "{\"n\":1}")]).await.unwrap_err();
    assert!(matches!(refused, QueueError::OutOfMemory), "{refused:?}");
    let count = Arc::new(AtomicU32::new(0));
    let seen = count.clone();
    let handle = move |_: Job, _: Lease| {
        seen.fetch_add(1, SeqCst);
        async { Outcome::Done }
    };
    let worker = f.work(config(5), handle).await;
    f.command::<()>("CONFIG SET maxmemory 0").await;
    f.drained().await;
    assert_eq!((count.load(SeqCst), f.queue.find_job("more").await.unwrap()), (50, None), "half of a job was added");
    assert!(worker.is_running());
}
