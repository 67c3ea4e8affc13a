//! Bundles in trouble: their workers die, freeze or stop, their records cannot be read, and no job is lost or done for another.

use std::{
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc as blocking,
    },
    time::Duration,
};

use stentor_queue::{Lane, Lease, Outcome};
use tokio::sync::{Semaphore, mpsc};

use crate::{
    bundles::{add, four, named, submit, telling},
    support::{Fixture, Job, config, eventually, next, next_sorted, short_lease},
};

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
    // The places of those that are over go to the rest: in the end every other one is over, and it is known of all of them.
    eventually("the half is over", async || (f.queue.depth().await.unwrap().normal == 20).then_some(())).await;
    drop(dying);
    while rx.try_recv().is_ok() {}
    let _worker = f.work(short_lease(4), telling(tx)).await;
    let again = next_sorted(&mut rx, 20).await;
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
async fn a_worker_that_was_frozen_beyond_its_lease_ends_nothing_of_its_bundle_and_hears_what_was_said() {
    let f = Fixture::new().await;
    add(&f, 4).await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let (leases, mut lease) = mpsc::unbounded_channel();
    let (thaw, frozen) = blocking::channel::<()>();
    let (frozen, thawed) = (Arc::new(Mutex::new(frozen)), Arc::new(Semaphore::new(0)));
    let going_on = thawed.clone();
    let (told, mut said) = mpsc::unbounded_channel();
    let apart = f.work_apart(short_lease(4), move |job: Job, lease: Lease| {
        if job.n == 1 {
            let _ = leases.send(lease.clone());
            let _ = frozen.lock().unwrap().recv(); // stops its whole thread: nothing is renewed
        }
        let (told, going_on) = (told.clone(), going_on.clone());
        async move {
            if job.n == 1 {
                drop(going_on.acquire().await);
                let _ = told.send((lease.look_again().await.unwrap(), lease.record().await.unwrap()));
            }
            Outcome::Ended { state: "by the frozen one" }
        }
    });
    let lease = next(&mut lease).await;
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
    for _ in 0..4 {
        assert_eq!(next(&mut rx).await, "taken over");
    }
    f.queue.withdraw(&["job-0001"], "recalled").await.unwrap();
    thaw.send(()).unwrap();
    eventually("it hears that it has lost the bundle", async || lease.is_lost().then_some(())).await;
    thawed.close();
    let (said, record) = next(&mut said).await;
    for record in [said, record] {
        assert_eq!(record.and_then(|record| record.withdrawn).as_deref(), Some("recalled"), "the job has left the bundle");
    }
    gate.close();
    f.drained().await;
    drop(apart);
    for id in ["job-0000", "job-0001"] {
        assert_eq!(f.queue.find_job(id).await.unwrap().unwrap().state, "over", "{id}");
    }
}

#[tokio::test]
async fn jobs_leave_their_own_bundles_where_entries_of_two_lanes_have_one_id() {
    let (urgent, usual) = (named("urgent"), named("usual"));
    let mut jobs = four(&urgent, Lane::High, "{\"n\":1}").to_vec();
    jobs.extend(four(&usual, Lane::Normal, "{\"n\":2}"));
    // One script adds them, and nearly always in one millisecond.
    let f = loop {
        let f = Fixture::new().await;
        submit(&f, &jobs).await;
        let id = async |lane: &str| f.command::<Vec<(String, Vec<String>)>>(&format!("XRANGE @{lane} - +")).await.remove(0).0;
        if id("high").await == id("normal").await {
            break f;
        }
    };
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, lease: Lease| {
        let _ = tx.send((job.n, lease.job_id().to_owned(), lease.attempt()));
        let again = Outcome::RetryAfter { wait: Duration::from_millis(1), reason: "busy".into() };
        ready(if lease.attempt() == 1 { again } else { Outcome::Ended { state: "over" } })
    };
    let worker = f.work(config(16), handle).await;
    let of = |n, ids: [String; 4]| ids.map(|id| [(n, id.clone(), 1), (n, id, 2)]).concat();
    assert_eq!(next_sorted(&mut rx, 16).await, [of(1, urgent), of(2, usual)].concat());
    f.drained().await;
    worker.stop().await;
    assert!(rx.try_recv().is_err(), "one was handled twice");
}

#[tokio::test]
async fn a_bundle_whose_worker_died_when_all_was_over_is_ended() {
    let f = Fixture::new().await;
    add(&f, 4).await;
    // As leaving leaves it: each job is counted by itself then.
    f.set_fields("job:job-00*", &[("ends", b"0 1LLa over")]).await;
    f.command::<()>("HINCRBY @bundled 1 -4").await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let _worker = f.work(config(4), telling(tx)).await;
    eventually("its entry is gone", async || (f.command::<u64>("XLEN @normal").await == 0).then_some(())).await;
    let (beyond, state, ttl): (i64, String, i64) =
        (f.command("HGET @bundled 1").await, f.command("HGET @job:job-00* state").await, f.command("PTTL @job:job-00*").await);
    assert_eq!((beyond, &*state, ttl > 0), (0, "ended", true));
    assert!(rx.try_recv().is_err(), "what was over was done again");
}

#[tokio::test]
async fn a_bundle_of_the_day_before_is_handled_job_by_job_where_it_must_be() {
    let f = Fixture::new().await;
    let due = f.now().await + 2_000;
    let body = format!("job-00 1 0 0 7 1\n{{\"n\":0}}xjob-01 2 0 0 7 0\n{{\"n\":1}}job-02 1 {due} 0 7 0\n{{\"n\":2}}");
    f.set_fields("job:job-*", &[("state", b"queued"), ("body", body.as_bytes())]).await;
    f.add_entry(Lane::Normal, "job-* ").await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, lease: Lease| {
        let tx = tx.clone();
        async move {
            let _ = tx.send((job.n, lease.record().await.unwrap().unwrap().body));
            Outcome::Ended { state: "over" }
        }
    };
    let _worker = f.work(config(4), handle).await;
    assert_eq!(next_sorted(&mut rx, 2).await, [(0, Some(b"x".to_vec())), (1, None)]);
    assert_eq!(next(&mut rx).await, (2, None));
    assert!(f.now().await >= due, "it came too early");
    f.drained().await;
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
    submit(&f, &four(&named("bad"), Lane::Normal, "{\"n\":1}")).await;
    f.command::<()>("COPY @job:bad-* @saved").await;
    f.command::<()>("HSET @job:bad-* body what").await;
    submit(&f, &four(&named("good"), Lane::Normal, "{\"n\":2}")).await;
    assert!(f.queue.find_job("bad-00").await.is_err(), "nobody is told that it is not there");
    let (tx, mut rx) = mpsc::unbounded_channel();
    let _worker = f.work(config(1), telling(tx)).await;
    assert_eq!(next_sorted(&mut rx, 4).await, named("good").map(|id| (2, id)));
    f.drained().await;
    let dead = f.queue.list_dead_letters(None, 10).await.unwrap();
    assert!(dead.len() == 1 && dead[0].job_id == "bad-*" && dead[0].reason.contains("cannot be read"), "{dead:?}");
    f.command::<()>("COPY @saved @job:bad-* REPLACE").await;
    assert!(f.queue.replay_dead_letter(&dead[0].id).await.unwrap());
    assert_eq!(next_sorted(&mut rx, 4).await, named("bad").map(|id| (1, id)));
    f.drained().await;
    let beyond: i64 = f.command("HGET @bundled 1").await;
    assert_eq!(beyond, 0, "it is counted while it is in line, and only then");
}

#[tokio::test]
async fn a_bundle_that_redis_does_not_let_be_read_is_handled_later() {
    let f = Fixture::new().await;
    submit(&f, &four(&named("late"), Lane::Bulk, "{\"n\":3}")).await;
    f.command::<()>("RENAME @job:late-* @saved").await;
    f.command::<()>("SET @job:late-* trouble").await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let _worker = f.work(config(1), telling(tx)).await;
    eventually("it waits", async || (f.queue.depth().await.unwrap().due == 1).then_some(())).await;
    f.command::<()>("RENAME @saved @job:late-*").await;
    assert_eq!(next_sorted(&mut rx, 4).await, named("late").map(|id| (3, id)));
    f.drained().await;
}
