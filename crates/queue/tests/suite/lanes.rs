//! Lanes: shares by weight, a way for `high` past everything, and never more fetched than can start.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use stentor_queue::{Lane, Outcome};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Fixture, config, eventually, next};

#[tokio::test]
async fn lanes_are_served_by_weight() {
    let f = Fixture::new().await;
    for (i, lane) in Lane::ALL.into_iter().enumerate() {
        let first = u32::try_from(i).unwrap() * 1_000;
        f.add(lane, first..first + 600).await;
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = order.clone();
    let handle = move |job: crate::support::Job, _| {
        seen.lock().unwrap().push(job.n / 1_000);
        async { Outcome::Done }
    };
    let _worker = f.work(config(20), handle).await;
    f.drained().await;
    let order = order.lock().unwrap();
    assert_eq!(order.len(), 1_800);
    // While all three had work: 6, 3 and 1 of ten.
    let of = |lane: u32| order[..600].iter().filter(|n| **n == lane).count();
    let (high, normal, bulk) = (of(0), of(1), of(2));
    assert!((300..=420).contains(&high) && (120..=240).contains(&normal) && (30..=120).contains(&bulk), "{high} {normal} {bulk}");
}

#[tokio::test]
async fn high_finds_a_place_while_bulk_fills_the_worker_and_no_more_is_fetched_than_can_start() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    f.add(Lane::Bulk, 1_000..1_100).await;
    let (open, running) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let most = running.clone();
    let handle = move |job: crate::support::Job, _| {
        let (tx, open, running) = (tx.clone(), open.clone(), running.clone());
        async move {
            assert!(running.fetch_add(1, SeqCst) < 10, "more run at once than there are places");
            let _ = tx.send(job.n);
            drop(open.acquire().await);
            running.fetch_sub(1, SeqCst);
            Outcome::Done
        }
    };
    let worker = f.work(config(10), handle).await;
    for _ in 0..8 {
        assert!(next(&mut rx).await >= 1_000);
    }
    f.add(Lane::High, [1]).await;
    assert_eq!(next(&mut rx).await, 1, "a fifth of the places is kept for high");
    let pending: redis::Value = f.command("XPENDING @bulk workers").await;
    let (pending, _, _, _): (usize, String, String, redis::Value) = redis::from_redis_value(pending).unwrap();
    assert_eq!((pending, most.load(SeqCst)), (8, 9), "fetched, and waiting in this process");
    gate.add_permits(1_000);
    f.drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn many_jobs_that_are_due_at_once_all_come() {
    let f = Fixture::new().await;
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    let jobs: Vec<_> = (0..5_000).map(|n| (format!("{n}"), format!("{{\"n\":{n}}}"))).collect();
    let due = Some(f.now().await + 2_000);
    let jobs: Vec<_> =
        jobs.iter().map(|(id, p)| stentor_queue::NewJob { due, ..crate::support::new_job(id, Lane::Normal, p) }).collect();
    f.queue.enqueue(&jobs).await.unwrap();
    assert_eq!(f.queue.depth().await.unwrap().due, 5_000, "added before they are due");
    let handle = move |_, _| {
        seen.fetch_add(1, SeqCst);
        async { Outcome::Done }
    };
    let _worker = f.work(config(50), handle).await;
    eventually("all have run", async || (count.load(SeqCst) == 5_000).then_some(())).await;
    f.drained().await;
}
