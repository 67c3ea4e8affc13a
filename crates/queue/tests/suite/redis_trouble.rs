//! Redis trouble: it is waited out, no handler is cancelled, no worker ends, and all jobs are done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stentor_queue::{Lane, Lease, NewJob, Outcome, QueueError, WorkerConfig};
use stentor_testkit::RedisServer;
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Fixture, Job, PATIENCE, Worker, config, connect, eventually, next, next_sorted, short_lease};

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
async fn without_memory_nothing_is_submitted_and_what_is_there_is_worked_off() {
    let f = Fixture::new().await;
    let (count, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let (seen, open, queue) = (count.clone(), gate.clone(), f.queue.clone());
    let handle = move |job: Job, lease: Lease| {
        let (seen, open, queue) = (seen.clone(), open.clone(), queue.clone());
        async move {
            drop(open.acquire().await);
            lease.claim().await.unwrap();
            lease.begin_sending().await.unwrap();
            if job.n < 50 {
                let (id, payload) = (format!("after-{}", job.n), format!("{{\"n\":{}}}", job.n + 50));
                queue.enqueue(&[crate::support::new_job(&id, Lane::Normal, &payload)]).await.unwrap();
            }
            lease.settle("sent", b"").await;
            let first = seen.fetch_add(1, SeqCst) == 0;
            if first { Outcome::RetryAfter { wait: Duration::ZERO, reason: String::new() } } else { Outcome::Done }
        }
    };
    let worker = f.work(config(5), handle).await;
    f.add(Lane::Normal, 0..50).await;
    eventually("some are under way", async || {
        let pending: redis::RedisResult<(usize, String, String, redis::Value)> = f.try_command("XPENDING @normal workers").await;
        pending.is_ok_and(|(pending, ..)| pending > 0).then_some(())
    })
    .await;
    f.command::<()>("CONFIG SET maxmemory 1").await;
    let more = crate::support::new_job("more", Lane::High, "{\"n\":1}");
    let key = stentor_queue::Idempotency { key: "k", fingerprint: b"f", ttl: Duration::from_mins(1) };
    for key in [None, Some(key)] {
        let refused = f.queue.submit(&more, key).await.unwrap_err();
        assert!(matches!(refused, QueueError::OutOfMemory), "{refused:?}");
        let refused = f.queue.submit_many(&[(more, key)]).await.unwrap_err();
        assert!(matches!(refused, QueueError::OutOfMemory), "{refused:?}");
    }
    gate.close();
    f.drained().await;
    assert_eq!((count.load(SeqCst), f.queue.find_job("more").await.unwrap()), (101, None), "half of a job was added");
    f.command::<()>("CONFIG SET maxmemory 0").await;
    f.queue.submit(&more, None).await.unwrap();
    f.drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_replicated_submission_is_answered_when_the_replica_has_it() {
    let f = Fixture::new().await;
    let own = async || connect(&f.redis.url()).await;
    let queue = async |patience| stentor_queue::Queue::new(own().await, "test").replicated(own().await, 1, patience);
    let (hasty, patient) = (queue(Duration::from_millis(300)).await, queue(Duration::from_secs(4)).await);
    let job = crate::support::new_job("a", Lane::High, "{\"n\":1}");
    let key = stentor_queue::Idempotency { key: "k", fingerprint: b"f", ttl: Duration::from_mins(1) };
    let refused = hasty.submit(&job, Some(key)).await.unwrap_err();
    assert!(matches!(refused, QueueError::NotReplicated { have: 0, want: 1 }), "{refused:?}");

    f.command::<()>("CONFIG SET repl-diskless-sync-delay 0").await;
    let replica = RedisServer::start_with(&[("replicaof", &format!("127.0.0.1 {}", f.redis.port()))]);
    eventually("the replica is there, and a repeat is answered", async || {
        let answer = hasty.submit(&job, Some(key)).await;
        assert!(!matches!(answer, Ok(stentor_queue::Submitted::Accepted)), "added twice");
        answer.ok()
    })
    .await;
    let conn = connect(&replica.url()).await;
    assert!(stentor_queue::Queue::new(conn, "test").find_job("a").await.unwrap().is_some());
    assert_eq!(patient.submit(&job, None).await.unwrap(), stentor_queue::Submitted::Accepted);
}

#[tokio::test]
async fn what_too_few_replicas_have_is_handed_to_the_worker_all_the_same() {
    let f = Fixture::new().await;
    let own = async || connect(&f.redis.url()).await;
    let queue = stentor_queue::Queue::new(own().await, "test").replicated(own().await, 1, Duration::from_millis(1));
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, _: Lease| {
        let _ = tx.send(job.n);
        async { Outcome::Done }
    };
    let config = WorkerConfig { block: PATIENCE, lease: PATIENCE * 2, ..config(8) };
    let _worker = Worker::start(queue.clone(), &f.redis.url(), config, 8, handle).await;
    eventually("its reader waits", async || {
        let clients: String = f.command("INFO clients").await;
        clients.contains("blocked_clients:1").then_some(())
    })
    .await;
    let names: Vec<_> = (0..5).map(|n| (format!("job-{n:02}"), format!("{{\"n\":{n}}}"))).collect();
    let new = |(id, payload)| (NewJob { is_new: true, ..crate::support::new_job(id, Lane::Normal, payload) }, None);
    let jobs: Vec<_> = names.iter().map(|(id, payload)| new((id, payload))).collect();
    // Four go together, one by itself.
    for some in [&jobs[..4], &jobs[4..]] {
        let refused = queue.submit_many(some).await.unwrap_err();
        assert!(matches!(refused, QueueError::NotReplicated { have: 0, want: 1 }), "{refused:?}");
    }
    assert_eq!(next_sorted(&mut rx, 5).await, [0, 1, 2, 3, 4], "nobody waits for the end of a lease");
}
