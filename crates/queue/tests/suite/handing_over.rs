//! Handing over: a worker of the process that submits is given the job in the call that adds it, while it has free places.

use std::{sync::Arc, time::Duration};

use stentor_queue::{Idempotency, JobRecord, Lane, Lease, NewJob, Outcome, Queue, Submitted, WorkerConfig};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Fixture, Job, PATIENCE, Worker, config, connect, eventually, new_job, next};

/// A handler that tells what it was given, and waits to be let go on.
fn telling(
    tx: mpsc::UnboundedSender<(u32, Option<JobRecord>)>,
    gate: Arc<Semaphore>,
) -> impl Fn(Job, Lease) -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> + Clone + Send + Sync + 'static {
    move |job, lease| {
        let _ = tx.send((job.n, lease.added()));
        let gate = gate.clone();
        Box::pin(async move {
            drop(gate.acquire().await.expect("it stays open"));
            Outcome::Ended { state: "told" }
        })
    }
}

fn open() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(1))
}

/// The next `n`, by number.
async fn several(rx: &mut mpsc::UnboundedReceiver<(u32, Option<JobRecord>)>, n: usize) -> Vec<(u32, Option<JobRecord>)> {
    let mut all = Vec::new();
    while all.len() < n {
        all.push(next(rx).await);
    }
    all.sort_by_key(|(n, _)| *n);
    all
}

/// A worker whose reader waits for long: it hands over only while it does.
async fn waiting<H, F>(f: &Fixture, places: usize, handle: H) -> Worker
where
    H: Fn(Job, Lease) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let worker = f.work(WorkerConfig { block: PATIENCE, ..config(places) }, handle).await;
    eventually("its reader waits", async || {
        let clients: String = f.command("INFO clients").await;
        clients.contains("blocked_clients:1").then_some(())
    })
    .await;
    worker
}

async fn pending(f: &Fixture) -> usize {
    let (pending, _, _, _): (usize, redis::Value, redis::Value, redis::Value) = f.command("XPENDING @normal workers").await;
    pending
}

#[tokio::test]
async fn what_is_submitted_beside_a_worker_comes_to_it_with_its_record() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let _worker = waiting(&f, 2, telling(tx, open())).await;
    let body: &[u8] = b"body \xff";
    let job = NewJob { body: Some(body), ..new_job("a", Lane::Normal, "{\"n\":1}") };
    let key = Idempotency { key: "k", fingerprint: b"f", ttl: Duration::from_hours(1) };
    assert_eq!(f.queue.submit(&job, Some(key)).await.unwrap(), Submitted::Accepted);
    let (n, record) = next(&mut rx).await;
    let expected =
        JobRecord { state: "queued".into(), attempt: 0, body: Some(body.into()), outcome: None, progress: None, withdrawn: None };
    assert_eq!((n, record), (1, Some(expected)));
    f.drained().await;
    assert_eq!(f.queue.find_job("a").await.unwrap().unwrap().state, "told");

    // A repeat brings nothing, and what waits for its time is nobody's yet.
    let repeat = NewJob { payload: b"{\"n\":2}", ..job };
    assert_eq!(f.queue.submit(&repeat, Some(key)).await.unwrap(), Submitted::Replayed { id: "a".into() });
    let later = NewJob { due: Some(f.now().await + 50), ..new_job("b", Lane::Normal, "{\"n\":3}") };
    f.queue.submit(&later, None).await.unwrap();
    assert_eq!(next(&mut rx).await, (3, None));

    // Another process asks for the record, as after a restart.
    let elsewhere = Queue::new(connect(&f.redis.url()).await, "test");
    elsewhere.submit(&new_job("c", Lane::High, "{\"n\":4}"), None).await.unwrap();
    assert_eq!(next(&mut rx).await, (4, None));
    f.drained().await;
    assert!(rx.try_recv().is_err(), "nothing ran twice");
}

#[tokio::test]
async fn no_more_is_taken_than_there_are_places() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    // Of ten places two are for `high` alone.
    let _worker = waiting(&f, 10, telling(tx, gate.clone())).await;
    let jobs: Vec<_> = (0..20).map(|n| (format!("job-{n}"), format!("{{\"n\":{n}}}"))).collect();
    let jobs: Vec<_> = jobs.iter().map(|(id, payload)| (new_job(id, Lane::Normal, payload), None)).collect();
    f.queue.submit_many(&jobs).await.unwrap();
    let begun = several(&mut rx, 8).await;
    assert!(begun.iter().all(|(_, record)| record.is_some()), "{begun:?}");
    assert_eq!(begun.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    eventually("the reader was woken by the others", async || {
        let clients: String = f.command("INFO clients").await;
        clients.contains("blocked_clients:0").then_some(())
    })
    .await;
    f.queue.submit(&new_job("urgent", Lane::High, "{\"n\":99}"), None).await.unwrap();
    // Where there is a backlog, all goes through the reader, which gives each lane its weight.
    assert_eq!(next(&mut rx).await, (99, None), "it has places of its own");
    gate.add_permits(1);
    let others = several(&mut rx, 12).await;
    assert_eq!(others, (8..20).map(|n| (n, None)).collect::<Vec<_>>(), "they waited on the lane");
    f.drained().await;
}

#[tokio::test]
async fn older_entries_are_not_overtaken() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let _worker = waiting(&f, 1, telling(tx, gate.clone())).await;
    for n in 0..4 {
        let (id, payload) = (format!("job-{n}"), format!("{{\"n\":{n}}}"));
        f.queue.submit(&new_job(&id, Lane::Normal, &payload), None).await.unwrap();
    }
    for n in 0..4 {
        assert_eq!(next(&mut rx).await.0, n);
        gate.add_permits(1);
    }
    f.drained().await;
}

#[tokio::test]
async fn a_worker_that_has_stopped_is_given_nothing() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let worker = f.work(config(4), telling(tx.clone(), open())).await;
    worker.stop().await;
    f.queue.submit(&new_job("a", Lane::Normal, "{\"n\":1}"), None).await.unwrap();
    assert_eq!(pending(&f).await, 0, "it waits for whoever comes");
    let _next = f.work(config(4), telling(tx, open())).await;
    assert_eq!(next(&mut rx).await.0, 1);
}

#[tokio::test]
async fn a_redis_that_lost_everything_takes_what_is_submitted() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let _worker = waiting(&f, 4, telling(tx, open())).await;
    let _: String = f.command("FLUSHALL").await;
    assert_eq!(f.queue.submit(&new_job("a", Lane::Normal, "{\"n\":1}"), None).await.unwrap(), Submitted::Accepted);
    assert_eq!(next(&mut rx).await.0, 1);
}
