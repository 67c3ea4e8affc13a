//! Leases: what a dead worker held is taken over, what a living one holds is not, and who lost a lease changes nothing.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc as blocking,
    },
    time::Duration,
};

use stentor_queue::{Begin, Claim, Lane, Lease, Outcome, WorkerConfig};
use tokio::sync::mpsc;

use crate::support::{Fixture, Job, SHORT, config, eventually, next, next_sorted, short_lease};

/// A handler that tells its job and never ends.
fn endless(
    tx: &mpsc::UnboundedSender<u32>,
) -> impl Fn(Job, Lease) -> std::future::Pending<Outcome> + Clone + Send + Sync + use<> {
    let tx = tx.clone();
    move |job, _| {
        let _ = tx.send(job.n);
        std::future::pending()
    }
}

#[tokio::test]
async fn what_a_dead_worker_held_is_done_by_another() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    f.add(Lane::High, 0..3).await;
    f.add(Lane::Bulk, 3..8).await;
    let dying = f.work_apart(short_lease(10), endless(&tx));
    assert_eq!(next_sorted(&mut rx, 8).await, (0..8).collect::<Vec<_>>());
    drop(dying);
    let handle = move |job: Job, lease: Lease| {
        let _ = tx.send(job.n);
        async move {
            assert_eq!(lease.attempt(), 1, "a death is no failure of the job");
            Outcome::Done
        }
    };
    let _worker = f.work(short_lease(10), handle).await;
    assert_eq!(next_sorted(&mut rx, 8).await, (0..8).collect::<Vec<_>>());
    f.drained().await;
    assert!(rx.try_recv().is_err(), "each once more");
}

#[tokio::test]
async fn a_great_deal_of_what_was_abandoned_is_taken_over_at_once() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    f.add(Lane::Normal, 0..3_000).await;
    let dying = f.work_apart(short_lease(4_000), endless(&tx));
    assert_eq!(next_sorted(&mut rx, 3_000).await.len(), 3_000);
    drop(dying);
    let handle = move |job: Job, _: Lease| {
        let _ = tx.send(job.n);
        async { Outcome::Done }
    };
    // Forty places: a few at each look would take minutes.
    let _worker = f.work(short_lease(40), handle).await;
    assert_eq!(next_sorted(&mut rx, 3_000).await, (0..3_000).collect::<Vec<_>>());
    f.drained().await;
}

#[tokio::test]
async fn a_living_worker_keeps_its_lease_however_long_it_works() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    f.add(Lane::Normal, [1]).await;
    let handle = move |_: Job, lease: Lease| {
        let tx = tx.clone();
        async move {
            let _ = tx.send(false);
            tokio::time::sleep(SHORT * 4).await; // the work itself
            let _ = tx.send(!lease.is_lost());
            Outcome::Done
        }
    };
    // Two reapers that look every 50 ms.
    let _workers = (f.work(short_lease(2), handle.clone()).await, f.work(short_lease(2), handle).await);
    assert!(!next(&mut rx).await);
    assert!(next(&mut rx).await, "started again by another, or marked as lost");
    f.drained().await;
    assert!(rx.try_recv().is_err());
}

#[tokio::test]
async fn a_worker_that_was_frozen_beyond_its_lease_changes_nothing() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let (thaw, frozen) = blocking::channel::<()>();
    let frozen = Arc::new(Mutex::new(frozen));
    f.add(Lane::Normal, [1, 2]).await;
    let told = tx.clone();
    let handle = move |job: Job, lease: Lease| {
        let (tx, frozen) = (told.clone(), frozen.clone());
        async move {
            lease.claim().await.unwrap();
            if job.n == 1 {
                let _ = tx.send(("frozen", None));
                frozen.lock().unwrap().recv().unwrap(); // stops its whole thread: nothing is renewed
                let _ = tx.send(("thawed", Some(lease.begin_sending().await.unwrap())));
                let _ = lease.settle("sent", b"by the frozen one").await;
            } else {
                std::future::pending::<()>().await;
            }
            Outcome::Dead { reason: "by the frozen one".into() }
        }
    };
    let apart = f.work_apart(short_lease(1), handle);
    assert_eq!(next(&mut rx).await.0, "frozen");

    let told = tx.clone();
    let handle = move |job: Job, lease: Lease| {
        let tx = told.clone();
        async move {
            if job.n == 2 {
                return Outcome::Done;
            }
            while !matches!(lease.claim().await.unwrap(), Claim::Claimed { .. }) {
                tokio::time::sleep(Duration::from_millis(5)).await; // the frozen one's claim has to run out
            }
            let begun = lease.begin_sending().await.unwrap();
            assert!(lease.settle("sent", b"by the other").await);
            let _ = tx.send(("done", Some(begun)));
            Outcome::Done
        }
    };
    let _worker = f.work(short_lease(2), handle).await;
    assert_eq!(next(&mut rx).await, ("done", Some(Begin::Go { attempt: 1 })));
    f.drained().await;
    thaw.send(()).unwrap();
    assert_eq!(next(&mut rx).await, ("thawed", Some(Begin::Lost)));
    drop(apart); // ends after its outcome was settled, or tried to be
    let record = f.queue.find_job("job-1").await.unwrap().unwrap();
    assert_eq!(record.outcome.as_deref(), Some(b"by the other".as_slice()));
    assert_eq!(f.queue.depth().await.unwrap().dead, 0);
}

#[tokio::test]
async fn a_frozen_worker_neither_acknowledges_nor_moves_what_another_took_over() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let (thaw, frozen) = blocking::channel::<()>();
    let frozen = Arc::new(Mutex::new(frozen));
    f.add(Lane::Normal, [1]).await;
    let told = tx.clone();
    let handle = move |job: Job, _| {
        if job.n == 1 {
            let _ = told.send("frozen");
            let _ = frozen.lock().unwrap().recv();
        } else {
            let _ = told.send("the frozen one goes on");
        }
        async { Outcome::Done }
    };
    let apart = f.work_apart(short_lease(1), handle);
    assert_eq!(next(&mut rx).await, "frozen");
    let end = Arc::new(tokio::sync::Semaphore::new(0));
    let ending = end.clone();
    let handle = move |_: Job, _| {
        let (tx, ending) = (tx.clone(), ending.clone());
        async move {
            let _ = tx.send("taken over");
            drop(ending.acquire().await);
            Outcome::Done
        }
    };
    let worker = f.work(short_lease(1), handle).await;
    assert_eq!(next(&mut rx).await, "taken over");
    thaw.send(()).unwrap();
    // It has the only free place. One more may run before its acknowledgement is tried, and refused; the next comes after that.
    f.add(Lane::Normal, [2, 3]).await;
    assert_eq!(next(&mut rx).await, "the frozen one goes on");
    assert_eq!(next(&mut rx).await, "the frozen one goes on");
    let owners: Vec<(String, String, i64, i64)> = f.command("XPENDING @normal workers - + 1").await;
    assert_eq!(owners[0].3, 2, "it is there, and delivered twice, until the one that has it ends");
    end.close();
    f.drained().await;
    worker.stop().await;
    drop(apart);
}

#[tokio::test]
async fn a_job_that_kills_its_process_is_buried_and_its_neighbours_are_not() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    f.add(Lane::Normal, 0..30).await;
    let starts = Arc::new(AtomicU32::new(0));
    // A process whose handlers are all caught by the death of one.
    let deadly = |tx: mpsc::UnboundedSender<u32>| {
        let starts = starts.clone();
        move |job: Job, _: Lease| {
            let (tx, starts) = (tx.clone(), starts.clone());
            async move {
                if job.n == 7 {
                    starts.fetch_add(1, SeqCst);
                    let _ = tx.send(job.n);
                    std::future::pending::<()>().await;
                }
                if starts.load(SeqCst) < 2 {
                    std::future::pending::<()>().await; // under way when the others die
                }
                Outcome::Done
            }
        }
    };
    let mut process = None;
    let letter = loop {
        drop(process.take());
        process = Some(f.work_apart(short_lease(40), deadly(tx.clone())));
        let buried = eventually("it kills once more, or is buried", async || {
            if let Ok(n) = rx.try_recv() {
                return Some((n == 7).then_some(None).unwrap());
            }
            f.queue.list_dead_letters(None, 10).await.unwrap().pop().map(Some)
        })
        .await;
        if let Some(letter) = buried {
            break letter;
        }
    };
    assert_eq!(letter.job_id, "job-7");
    assert!(letter.reason.starts_with("3 starts without an end"), "{}", letter.reason);
    // Two deliveries before it is suspected, three counted starts.
    assert_eq!(starts.load(SeqCst), 5);
    f.drained().await;
    assert_eq!(f.queue.list_dead_letters(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn after_redis_stood_still_the_living_renew_before_anyone_reaps() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    f.add(Lane::Normal, [1]).await;
    let handle = move |_: Job, _| {
        let _ = tx.send(());
        std::future::pending()
    };
    let config = WorkerConfig { lease: SHORT * 2, ..config(2) };
    let _workers = (f.work(config.clone(), handle.clone()).await, f.work(config, handle).await);
    next(&mut rx).await;
    for _ in 0..3 {
        f.command::<()>("CLIENT PAUSE 2400 ALL").await; // two leases
        f.now().await; // answered when the pause is over
        // The next turn of both: a reap, and a renewal after it.
        let idle = async || {
            let pending: Vec<(String, String, i64, i64)> = f.command("XPENDING @normal workers - + 1").await;
            (pending[0].2, pending[0].3)
        };
        eventually("it is renewed", async || (idle().await.0 < 400).then_some(())).await;
        assert_eq!(idle().await.1, 1, "it was taken from a living worker");
    }
    assert!(rx.try_recv().is_err());
}
