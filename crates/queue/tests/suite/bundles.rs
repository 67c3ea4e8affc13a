//! Bundles: jobs that are added as one behave as if they had been added one by one.

use std::{
    future::{Ready, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc as blocking,
    },
    time::Duration,
};

use stentor_queue::{Begin, Bundles, Claim, JobRecord, Lane, Lease, NewJob, Outcome};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Fixture, Job, config, eventually, new_job, next, next_sorted, short_lease};

/// Ids that differ in their last two characters alone, two to a hundred bundles of them.
fn ids(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("job-{n:04x}")).collect()
}

fn payloads(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("{{\"n\":{n}}}")).collect()
}

fn record(body: &[u8]) -> JobRecord {
    let body = Some(body.to_vec());
    JobRecord { state: "queued".into(), attempt: 0, body, outcome: None, progress: None, withdrawn: None }
}

fn bundles(jobs: &[NewJob<'_>]) -> Bundles {
    let mut bundles = Bundles::default();
    for job in jobs {
        bundles.push(job);
    }
    bundles
}

/// Adds `n` jobs as bundles. Gives the number and id of each.
async fn add(f: &Fixture, n: usize) -> Vec<(u32, String)> {
    let (ids, payloads) = (ids(n), payloads(n));
    let jobs: Vec<_> = ids.iter().zip(&payloads).map(|(id, payload)| new_job(id, Lane::Normal, payload)).collect();
    f.queue.submit_bundles(&bundles(&jobs)).await.unwrap();
    (0..).zip(ids).collect()
}

/// A handler that tells of each job that it is given, and ends it.
fn telling(tx: mpsc::UnboundedSender<(u32, String)>) -> impl Fn(Job, Lease) -> Ready<Outcome> + Clone + Send + Sync {
    move |job, lease| {
        let _ = tx.send((job.n, lease.job_id().to_owned()));
        ready(Outcome::Ended { state: "over" })
    }
}

#[tokio::test]
async fn each_job_of_a_bundle_is_handled_once_and_ends_by_itself() {
    let f = Fixture::new().await;
    let expected = add(&f, 600).await;
    add(&f, 600).await; // a repeat
    let entries: u64 = f.command("XLEN @normal").await;
    assert_eq!((entries, f.queue.depth().await.unwrap().normal), (3, 600));
    let (tx, mut rx) = mpsc::unbounded_channel();
    let worker = f.work(config(20), telling(tx)).await;
    assert_eq!(next_sorted(&mut rx, 600).await, expected);
    f.drained().await;
    worker.stop().await;
    assert!(rx.try_recv().is_err(), "one was handled twice");
    for (_, id) in &expected {
        assert_eq!(f.queue.find_job(id).await.unwrap().unwrap().state, "over", "{id}");
    }
    let (left, records): (usize, Vec<String>) = (f.command("HGET @bundled 1").await, f.command("KEYS @job:*").await);
    assert_eq!((left, records.len()), (0, 3), "none of them needed a record");
    let ttl: i64 = f.command("PTTL @job:job-00*").await;
    assert!(ttl > 86_000_000 && ttl <= 86_400_000, "{ttl}");
}

#[tokio::test]
async fn a_job_of_a_bundle_is_found_rewritten_and_withdrawn() {
    let f = Fixture::new().await;
    let far = i64::MAX / 4_000_000;
    let jobs = [
        NewJob { body: Some(b"a\n\xff"), ..new_job("job-00", Lane::Bulk, "{\"n\":0}") },
        NewJob { body: Some(b"b"), due: Some(far), expires: Some(far + 1), ..new_job("job-01", Lane::Normal, "{\"n\":1}") },
        NewJob { body: Some(b"c"), ..new_job("job-02", Lane::Normal, "{\"n\":2}") },
        NewJob { body: Some(b"d"), ..new_job("job-03", Lane::Normal, "{\"n\":3}") },
    ];
    f.queue.submit_bundles(&bundles(&jobs)).await.unwrap();
    for job in &jobs {
        assert_eq!(f.queue.find_job(job.id).await.unwrap(), Some(record(job.body.unwrap())));
    }
    assert_eq!(f.queue.find_job("job-04").await.unwrap(), None);
    assert_eq!(f.queue.find_job("other-00").await.unwrap(), None);
    f.queue
        .enqueue(&[NewJob { body: Some(b"of no bundle"), due: Some(far), ..new_job("job", Lane::Bulk, "{\"n\":9}") }])
        .await
        .unwrap();
    assert_eq!(f.queue.find_job("job-0").await.unwrap(), None, "what is called as a bundle would be is none");

    f.queue.rewrite("job-00", b"another").await.unwrap();
    let states = f.queue.withdraw(&["job-01", "job-02", "other-00", "job-04"], "recalled").await.unwrap();
    assert_eq!(states, [Some("queued".to_owned()), Some("queued".to_owned()), None, None]);
    f.queue.withdraw(&["job-02"], "once more").await.unwrap();
    assert_eq!(f.queue.find_job("job-00").await.unwrap(), Some(record(b"another")));
    let withdrawn = |body| Some(JobRecord { withdrawn: Some("recalled".into()), ..record(body) });
    assert_eq!(f.queue.find_job("job-02").await.unwrap(), withdrawn(b"c"));
    assert_eq!(f.queue.withdrawn("job-02").await.unwrap().as_deref(), Some("recalled"));
    let depth = f.queue.depth().await.unwrap();
    assert_eq!((depth.normal, depth.bulk, depth.due), (4, 0, 1), "the most urgent decides on the lane");

    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, lease: Lease| {
        let tx = tx.clone();
        async move {
            let added = lease.added().map(|record| record.body);
            let _ = tx.send((job.n, added, lease.record().await.unwrap(), lease.look_again().await.unwrap()));
            Outcome::Ended { state: "over" }
        }
    };
    let _worker = f.work(config(4), handle).await;
    let mut told = [next(&mut rx).await, next(&mut rx).await, next(&mut rx).await];
    told.sort_by_key(|(n, ..)| *n);
    let [(_, first_added, first, _), (_, second_added, second, second_said), (_, _, third, third_said)] = told;
    assert_eq!((first_added, first), (None, Some(record(b"another"))), "it left for its own lane");
    assert_eq!((second_added, second), (None, withdrawn(b"c")));
    assert_eq!(second_said.and_then(|record| record.withdrawn).as_deref(), Some("recalled"));
    assert_eq!((third, third_said), (Some(record(b"d")), None));
    eventually("the other waits for its time", async || (f.queue.depth().await.unwrap().due == 2).then_some(())).await;
    let expires: i64 = f.command("HGET @job:job-01 expires").await;
    assert_eq!(expires, far + 1);
    assert_eq!(f.queue.find_job("job-01").await.unwrap(), withdrawn(b"b"), "what was said went with it");
    eventually("nothing stands on a lane", async || {
        let depth = f.queue.depth().await.unwrap();
        (depth.high + depth.normal + depth.bulk == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_said_of_a_job_while_it_is_handled_is_heard() {
    let f = Fixture::new().await;
    add(&f, 3).await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let passing = gate.clone();
    let handle = move |job: Job, lease: Lease| {
        let (tx, passing) = (tx.clone(), passing.clone());
        async move {
            let before = lease.look_again().await.unwrap();
            let _ = tx.send((job.n, before));
            drop(passing.acquire().await);
            let _ = tx.send((job.n, lease.look_again().await.unwrap()));
            Outcome::Ended { state: "over" }
        }
    };
    let _worker = f.work(config(4), handle).await;
    assert!([next(&mut rx).await, next(&mut rx).await, next(&mut rx).await].iter().all(|(_, said)| said.is_none()));
    f.queue.rewrite("job-0001", b"another").await.unwrap();
    f.queue.withdraw(&["job-0002"], "recalled").await.unwrap();
    gate.close();
    let mut told = [next(&mut rx).await, next(&mut rx).await, next(&mut rx).await];
    told.sort_by_key(|(n, _)| *n);
    let [(_, none), (_, rewritten), (_, withdrawn)] = told;
    assert_eq!(none, None);
    assert_eq!(rewritten.and_then(|record| record.body).as_deref(), Some(b"another".as_slice()));
    assert_eq!(withdrawn.and_then(|record| record.withdrawn).as_deref(), Some("recalled"));
    f.drained().await;
    assert_eq!(f.queue.find_job("job-0002").await.unwrap().unwrap().state, "over");
}

#[tokio::test]
async fn a_job_that_is_not_over_goes_on_by_itself() {
    let f = Fixture::new().await;
    add(&f, 5).await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, lease: Lease| {
        let _ = tx.send((job.n, lease.attempt()));
        let wait = Duration::from_millis(1);
        ready(match (job.n, lease.attempt()) {
            (1, 1) => Outcome::RetryAfter { wait, reason: "busy".into() },
            (2, _) => Outcome::Dead { reason: "never".into() },
            (3, 1) => panic!("once"),
            _ => Outcome::Ended { state: "over" },
        })
    };
    let _worker = f.work(config(1), handle).await;
    assert_eq!(next_sorted(&mut rx, 7).await, [(0, 1), (1, 1), (1, 2), (2, 1), (3, 1), (3, 2), (4, 1)]);
    f.drained().await;
    for id in ["job-0000", "job-0001", "job-0003", "job-0004"] {
        assert_eq!(f.queue.find_job(id).await.unwrap().unwrap().state, "over", "{id}");
    }
    let dead = f.queue.list_dead_letters(None, 10).await.unwrap();
    let letter = dead.first().map(|letter| (&*letter.job_id, &*letter.reason, letter.attempts, &*letter.payload));
    assert_eq!((dead.len(), letter), (1, Some(("job-0002", "never", 1, b"{\"n\":2}".as_slice()))));
    assert!(f.queue.replay_dead_letter(&dead[0].id).await.unwrap());
    assert_eq!(next(&mut rx).await, (2, 1));
}

#[tokio::test]
async fn a_job_of_a_bundle_is_claimed_and_settled_like_any_other() {
    let f = Fixture::new().await;
    let expires = f.now().await - 1;
    let old = NewJob { expires: Some(expires), ..new_job("job-0009", Lane::Normal, "{\"n\":9}") };
    f.queue.submit_bundles(&bundles(&[new_job("job-0001", Lane::Normal, "{\"n\":1}"), old])).await.unwrap();
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, lease: Lease| {
        let tx = tx.clone();
        async move {
            let claim = lease.claim().await.unwrap();
            if job.n == 1 {
                assert_eq!(lease.begin_sending().await.unwrap(), Begin::Go { attempt: 1 });
                assert!(lease.settle("sent", b"outcome").await);
                assert_eq!(lease.claim().await.unwrap(), Claim::Done { outcome: b"outcome".to_vec() });
            }
            let _ = tx.send((job.n, claim));
            Outcome::Ended { state: "over" }
        }
    };
    let _worker = f.work(config(4), handle).await;
    let mut told = [next(&mut rx).await, next(&mut rx).await];
    told.sort_by_key(|(n, _)| *n);
    assert_eq!(told[0], (1, Claim::Claimed { attempt: 0, ambiguous: 0 }));
    assert_eq!(told[1], (9, Claim::Refused { reason: "expired".into() }));
    f.drained().await;
    let (one, nine) = (f.queue.find_job("job-0001").await.unwrap(), f.queue.find_job("job-0009").await.unwrap());
    assert_eq!(one.map(|record| (record.state, record.outcome)), Some(("sent".to_owned(), Some(b"outcome".to_vec()))));
    assert_eq!(nine.map(|record| record.state).as_deref(), Some("over"));
}

#[tokio::test]
async fn of_a_bundle_whose_worker_died_only_what_was_not_over_is_done_again() {
    let f = Fixture::new().await;
    let all = add(&f, 40).await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let told = tx.clone();
    let dying = f.work_apart(short_lease(40), move |job: Job, lease: Lease| {
        let _ = told.send((job.n, lease.job_id().to_owned()));
        async move { if job.n.is_multiple_of(2) { Outcome::Ended { state: "over" } } else { std::future::pending().await } }
    });
    next_sorted(&mut rx, 32).await; // as many as have places
    eventually("the half is over", async || (f.queue.depth().await.unwrap().normal <= 24).then_some(())).await;
    let left = f.queue.depth().await.unwrap().normal as usize;
    drop(dying);
    while rx.try_recv().is_ok() {}
    let _worker = f.work(short_lease(4), telling(tx)).await;
    let again = next_sorted(&mut rx, left).await;
    f.drained().await;
    assert!(rx.try_recv().is_err(), "what was over was done again");
    assert!(all.iter().filter(|(n, _)| !n.is_multiple_of(2)).all(|odd| again.contains(odd)), "{again:?}");
    for (_, id) in &all {
        assert_eq!(f.queue.find_job(id).await.unwrap().unwrap().state, "over", "{id}");
    }
}

#[tokio::test]
async fn a_job_that_kills_its_process_is_buried_and_the_others_of_its_bundle_are_not() {
    let f = Fixture::new().await;
    add(&f, 30).await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let starts = Arc::new(AtomicU32::new(0));
    let deadly = || {
        let (tx, starts) = (tx.clone(), starts.clone());
        move |job: Job, _: Lease| {
            let (tx, starts) = (tx.clone(), starts.clone());
            async move {
                if job.n == 7 {
                    starts.fetch_add(1, SeqCst);
                    let _ = tx.send(());
                    std::future::pending::<()>().await;
                }
                Outcome::Done
            }
        }
    };
    let mut process = None;
    let letter = loop {
        drop(process.take());
        process = Some(f.work_apart(short_lease(40), deadly()));
        let buried = eventually("it kills once more, or is buried", async || match rx.try_recv() {
            Ok(()) => Some(None),
            Err(_) => f.queue.list_dead_letters(None, 10).await.unwrap().pop().map(Some),
        })
        .await;
        if let Some(letter) = buried {
            break letter;
        }
    };
    assert_eq!((&*letter.job_id, starts.load(SeqCst)), ("job-0007", 6), "once in the bundle, then as any other");
    f.drained().await;
    assert_eq!(f.queue.list_dead_letters(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_worker_that_was_frozen_beyond_its_lease_ends_nothing_of_its_bundle() {
    let f = Fixture::new().await;
    add(&f, 2).await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let (thaw, frozen) = blocking::channel::<()>();
    let frozen = Arc::new(Mutex::new(frozen));
    let told = tx.clone();
    let apart = f.work_apart(short_lease(4), move |job: Job, lease: Lease| {
        if job.n == 1 {
            let _ = told.send("frozen");
            let _ = frozen.lock().unwrap().recv(); // stops its whole thread: nothing is renewed
        }
        let told = told.clone();
        async move {
            if job.n == 1 {
                while !lease.is_lost() {
                    tokio::time::sleep(Duration::from_millis(5)).await; // until it tried to renew
                }
                let _ = told.send("thawed");
            }
            Outcome::Ended { state: "by the frozen one" }
        }
    });
    assert_eq!(next(&mut rx).await, "frozen");
    let gate = Arc::new(Semaphore::new(0));
    let passing = gate.clone();
    let _worker = f
        .work(short_lease(4), move |_: Job, _: Lease| {
            let (tx, passing) = (tx.clone(), passing.clone());
            async move {
                let _ = tx.send("taken over");
                drop(passing.acquire().await);
                Outcome::Ended { state: "over" }
            }
        })
        .await;
    assert_eq!([next(&mut rx).await, next(&mut rx).await], ["taken over"; 2]);
    thaw.send(()).unwrap();
    assert_eq!(next(&mut rx).await, "thawed");
    gate.close();
    f.drained().await;
    drop(apart);
    for id in ["job-0000", "job-0001"] {
        assert_eq!(f.queue.find_job(id).await.unwrap().unwrap().state, "over", "{id}");
    }
}

#[tokio::test]
async fn what_of_a_bundle_was_not_begun_when_its_worker_stops_is_done_by_another() {
    let f = Fixture::new().await;
    let all = add(&f, 300).await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let (told, passing) = (tx.clone(), gate.clone());
    let worker = f
        .work(config(5), move |job: Job, lease: Lease| {
            let (told, passing) = (told.clone(), passing.clone());
            async move {
                drop(passing.acquire().await);
                let _ = told.send((job.n, lease.job_id().to_owned()));
                Outcome::Done
            }
        })
        .await;
    eventually("a bundle is in hand", async || {
        let pending: redis::Value = f.try_command("XPENDING @normal workers - + 1").await.ok()?;
        (pending != redis::Value::Array(Vec::new())).then_some(())
    })
    .await;
    let stopping = tokio::spawn(worker.stop());
    eventually("what it did not begin is in line again", async || {
        let entries: u64 = f.command("XLEN @normal").await;
        (entries > 200).then_some(())
    })
    .await;
    gate.close();
    stopping.await.unwrap();
    let pending: (usize, redis::Value, redis::Value, redis::Value) = f.command("XPENDING @normal workers").await;
    assert_eq!(pending.0, 0, "nobody has to wait for the end of a lease");
    let _worker = f.work(config(5), telling(tx)).await;
    assert_eq!(next_sorted(&mut rx, 300).await, all);
    f.drained().await;
    assert!(rx.try_recv().is_err(), "one was handled twice");
}

#[tokio::test]
async fn a_bundle_that_cannot_be_read_is_buried_and_one_behind_it_is_not() {
    let f = Fixture::new().await;
    f.queue.submit_bundles(&bundles(&[new_job("bad-00", Lane::Normal, "{\"n\":1}")])).await.unwrap();
    f.command::<()>("COPY @job:bad-* @saved").await;
    f.command::<()>("HSET @job:bad-* body what").await;
    f.queue.submit_bundles(&bundles(&[new_job("good-00", Lane::Normal, "{\"n\":2}")])).await.unwrap();
    assert!(f.queue.find_job("bad-00").await.is_err(), "nobody is told that it is not there");
    let (tx, mut rx) = mpsc::unbounded_channel();
    let _worker = f.work(config(1), telling(tx)).await;
    assert_eq!(next(&mut rx).await, (2, "good-00".to_owned()));
    f.drained().await;
    let dead = f.queue.list_dead_letters(None, 10).await.unwrap();
    assert!(dead.len() == 1 && dead[0].job_id == "bad-*" && dead[0].reason.contains("cannot be read"), "{dead:?}");
    f.command::<()>("COPY @saved @job:bad-* REPLACE").await;
    assert!(f.queue.replay_dead_letter(&dead[0].id).await.unwrap());
    assert_eq!(next(&mut rx).await, (1, "bad-00".to_owned()));
}

#[tokio::test]
async fn bundles_are_opened_in_the_order_in_which_they_were_added() {
    let f = Fixture::new().await;
    let (ids, payloads) = (ids(700), payloads(700));
    let jobs: Vec<_> = ids.iter().zip(&payloads).map(|(id, payload)| new_job(id, Lane::Normal, payload)).collect();
    let (tx, mut rx) = mpsc::unbounded_channel();
    let _worker = f.work(config(8), telling(tx)).await;
    f.queue.submit_bundles(&bundles(&jobs)).await.unwrap();
    for place in 0..700 {
        let n = next(&mut rx).await.0;
        assert!(n / 256 * 256 <= place + 8, "job {n} came as number {place}"); // eight are handled at a time
    }
}

#[tokio::test]
async fn a_bundle_that_redis_does_not_let_be_opened_is_opened_later() {
    let f = Fixture::new().await;
    f.queue.submit_bundles(&bundles(&[new_job("late-00", Lane::Bulk, "{\"n\":3}")])).await.unwrap();
    f.command::<()>("RENAME @job:late-* @saved").await;
    f.command::<()>("SET @job:late-* trouble").await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let _worker = f.work(config(1), telling(tx)).await;
    eventually("it waits", async || (f.queue.depth().await.unwrap().due == 1).then_some(())).await;
    f.command::<()>("RENAME @saved @job:late-*").await;
    assert_eq!(next(&mut rx).await, (3, "late-00".to_owned()));
    f.drained().await;
}
