//! Bundles: jobs that are added as one behave as if they had been added one by one.

use std::{
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use stentor_queue::{Begin, Claim, Idempotency, JobRecord, Lane, Lease, NewJob, Outcome, Submitted, WorkerConfig};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Fixture, Job, PATIENCE, config, eventually, new_job, next, next_sorted};

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

/// Submits jobs whose ids were made for them just now.
pub(crate) async fn submit(f: &Fixture, jobs: &[NewJob<'_>]) {
    let new: Vec<_> = jobs.iter().map(|job| (NewJob { is_new: true, ..*job }, None)).collect();
    let answers = f.queue.submit_many(&new).await.unwrap();
    assert_eq!(answers, vec![Submitted::Accepted; jobs.len()]);
}

/// Adds `n` jobs as bundles. Gives the number and id of each.
pub(crate) async fn add(f: &Fixture, n: usize) -> Vec<(u32, String)> {
    let (ids, payloads) = (ids(n), payloads(n));
    let jobs: Vec<_> = ids.iter().zip(&payloads).map(|(id, payload)| new_job(id, Lane::Normal, payload)).collect();
    submit(f, &jobs).await;
    (0..).zip(ids).collect()
}

/// Four jobs of one bundle.
pub(crate) fn four<'a>(ids: &'a [String; 4], lane: Lane, payload: &'a str) -> [NewJob<'a>; 4] {
    ids.each_ref().map(|id| new_job(id, lane, payload))
}

pub(crate) fn named(name: &str) -> [String; 4] {
    [0, 1, 2, 3].map(|n| format!("{name}-0{n}"))
}

/// A handler that tells of each job that it is given, and ends it.
pub(crate) fn telling(tx: mpsc::UnboundedSender<(u32, String)>) -> impl Fn(Job, Lease) -> Ready<Outcome> + Clone + Send + Sync {
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
        NewJob { body: Some(b"a\n\xff"), ..new_job("job-00", Lane::Normal, "{\"n\":0}") },
        NewJob { body: Some(b"b"), expires: Some(far), ..new_job("job-01", Lane::Normal, "{\"n\":1}") },
        NewJob { body: Some(b"c"), ..new_job("job-02", Lane::Normal, "{\"n\":2}") },
        NewJob { body: Some(b"d"), ..new_job("job-03", Lane::Normal, "{\"n\":3}") },
        NewJob { body: Some(b"urgent"), ..new_job("job-04", Lane::High, "{\"n\":4}") },
        NewJob { body: Some(b"late"), due: Some(far), ..new_job("job-05", Lane::Normal, "{\"n\":5}") },
    ];
    submit(&f, &jobs).await;
    for job in &jobs {
        assert_eq!(f.queue.find_job(job.id).await.unwrap(), Some(record(job.body.unwrap())));
    }
    assert_eq!(f.queue.find_job("job-06").await.unwrap(), None);
    assert_eq!(f.queue.find_job("other-00").await.unwrap(), None);
    f.queue
        .enqueue(&[NewJob { body: Some(b"of no bundle"), due: Some(far), ..new_job("job", Lane::Bulk, "{\"n\":9}") }])
        .await
        .unwrap();
    assert_eq!(f.queue.find_job("job-0").await.unwrap(), None, "what is called as a bundle would be is none");

    f.queue.rewrite("job-00", b"another").await.unwrap();
    let states = f.queue.withdraw(&["job-01", "job-02", "job-05", "other-00", "job-06"], "recalled").await.unwrap();
    let states: Vec<Option<&str>> = states.iter().map(|found| Some(&*found.as_ref()?.state)).collect();
    assert_eq!(states, [Some("queued"), Some("queued"), Some("queued"), None, None]);
    f.queue.withdraw(&["job-02"], "once more").await.unwrap();
    assert_eq!(f.queue.find_job("job-00").await.unwrap(), Some(record(b"another")));
    let withdrawn = |body| Some(JobRecord { withdrawn: Some("recalled".into()), ..record(body) });
    assert_eq!(f.queue.find_job("job-02").await.unwrap(), withdrawn(b"c"));
    assert_eq!(f.queue.find_job("job-05").await.unwrap(), withdrawn(b"late"));
    assert_eq!(f.queue.withdrawn("job-02").await.unwrap().as_deref(), Some("recalled"));
    let (entries, depth): (u64, _) = (f.command("XLEN @normal").await, f.queue.depth().await.unwrap());
    assert_eq!((entries, depth.high, depth.normal, depth.due), (1, 1, 4, 2));

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
    let mut told = Vec::new();
    while told.len() < 5 {
        told.push(next(&mut rx).await);
    }
    told.sort_by_key(|(n, ..)| *n);
    assert_eq!((&told[0].1, &told[0].2), (&None, &Some(record(b"another"))));
    assert_eq!((&told[1].2, &told[2].2), (&withdrawn(b"b"), &withdrawn(b"c")));
    assert_eq!(told[2].3.as_ref().and_then(|said| said.withdrawn.as_deref()), Some("recalled"));
    assert_eq!((&told[3].2, &told[3].3), (&Some(record(b"d")), &None));
    assert_eq!(told[4].2, Some(record(b"urgent")));
}

#[tokio::test]
async fn each_job_of_a_bundle_has_a_key_of_its_own() {
    let f = Fixture::new().await;
    let (ids, payloads) = (ids(10), payloads(10));
    let key = |key, fingerprint| Some(Idempotency { key, fingerprint, ttl: Duration::from_hours(1) });
    let keys = ["a", "b", "c", "d", "e", "f"];
    let new = |n: usize| NewJob { is_new: true, ..new_job(&ids[n], Lane::Normal, &payloads[n]) };
    let taken = NewJob { is_new: false, ..new_job("before", Lane::Bulk, "{\"n\":99}") };
    assert_eq!(f.queue.submit(&taken, key("b", b"same")).await.unwrap(), Submitted::Accepted);
    assert_eq!(f.queue.submit(&NewJob { id: "before2", ..taken }, key("c", b"other \n 1")).await.unwrap(), Submitted::Accepted);

    let mut batch: Vec<_> = (0..6).map(|n| (new(n), key(keys[n], b"same"))).collect();
    batch.extend([(new(6), None), (new(7), key("a", b"same")), (new(8), key("d", b"another"))]);
    let first = |n: usize| Submitted::Replayed { id: ids[n].clone() };
    let mut expected = vec![Submitted::Accepted; 9];
    expected[1] = Submitted::Replayed { id: "before".into() };
    expected[2] = Submitted::Conflict { id: "before2".into() };
    expected[7] = first(0);
    expected[8] = Submitted::Conflict { id: ids[3].clone() };
    assert_eq!(f.queue.submit_many(&batch).await.unwrap(), expected);
    let depth = f.queue.depth().await.unwrap();
    assert_eq!((depth.normal, depth.bulk), (5, 2));

    // In another call, under other ids.
    let others: Vec<String> = (0..6).map(|n| format!("new-{n:04x}")).collect();
    let again: Vec<_> = (0..6).map(|n| (NewJob { id: &others[n], ..new(n) }, key(keys[n], b"same"))).collect();
    let expected: Vec<Submitted> =
        (0..6).map(|n| if n == 2 { Submitted::Conflict { id: "before2".into() } } else { first(n) }).collect();
    let answers = f.queue.submit_many(&again).await.unwrap();
    assert_eq!((&answers[0], &answers[2..]), (&expected[0], &expected[2..]));
    assert_eq!(answers[1], Submitted::Replayed { id: "before".into() });
    assert_eq!(f.queue.depth().await.unwrap().normal, 5, "nothing of it was added");
    let remembered: Vec<String> = remembered(&f).await.into_iter().flat_map(|(_, _, keys)| keys).collect();
    assert_eq!(remembered, ["a", "d", "e", "f"], "the others end by themselves");

    let (tx, mut rx) = mpsc::unbounded_channel();
    let worker = f.work(config(4), telling(tx)).await;
    let ran: Vec<u32> = next_sorted(&mut rx, 7).await.into_iter().map(|(n, _)| n).collect();
    assert_eq!(ran, [0, 3, 4, 5, 6, 99, 99], "who was not first is not handled");
    f.drained().await;
    worker.stop().await;
    assert!(rx.try_recv().is_err());
}

/// The idempotency keys that will be forgotten: by minute, its name, its time (ms).
async fn remembered(f: &Fixture) -> Vec<(String, i64, Vec<String>)> {
    let minutes: Vec<(String, i64)> = f.command("ZRANGE @remembered 0 -1 WITHSCORES").await;
    let mut all = Vec::new();
    for (minute, ends) in minutes {
        let bundles: Vec<String> = f.command(&format!("LRANGE {minute} 0 -1")).await;
        let keys = bundles.iter().flat_map(|keys| keys.lines()).map(|key| key.split_once(":idem:").unwrap().1.to_owned());
        all.push((minute, ends, keys.collect()));
    }
    all
}

#[tokio::test]
async fn keys_of_bundles_are_forgotten_once_their_time_is_over() {
    const HOUR: Duration = Duration::from_hours(1);
    let f = Fixture::new().await;
    // four, four, and eight of a bundle
    let ids: Vec<String> = (0..24).map(|n: usize| format!("job-{}-{n:02x}", [0, 1, 2, 2, 3, 3][n / 4])).collect();
    let keys = payloads(24);
    let key = |n: usize| Idempotency { key: &keys[n], fingerprint: b"f", ttl: if n < 8 { HOUR } else { HOUR * 2 } };
    let job = |id: usize, n: usize| (NewJob { is_new: true, ..new_job(&ids[id], Lane::Normal, "{\"n\":1}") }, Some(key(n)));
    let began = f.now().await;
    for bundle in [0..4, 4..8, 8..16] {
        let jobs: Vec<_> = bundle.clone().map(|n| job(n, n)).collect();
        assert_eq!(f.queue.submit_many(&jobs).await.unwrap(), vec![Submitted::Accepted; bundle.len()]);
    }
    let minutes = remembered(&f).await;
    let found: Vec<&String> = minutes.iter().flat_map(|(.., keys)| keys).collect();
    assert_eq!(found, keys[..16].iter().collect::<Vec<_>>());
    let (first, last) = (&minutes[0], &minutes[minutes.len() - 1]);
    let is_late = |ends: i64, life: i64| ends >= began + life && ends <= began + life + 120_000;
    assert!(is_late(first.1, 3_600_000) && is_late(last.1, 7_200_000), "{minutes:?}, {began}");

    // The hour is over.
    for (minute, ..) in minutes.iter().filter(|(_, ends, _)| *ends < began + 7_200_000) {
        f.command::<()>(&format!("ZADD @remembered 1 {minute}")).await;
    }
    let (tx, _rx) = mpsc::unbounded_channel();
    let _worker = f.work(config(4), telling(tx)).await;
    eventually("they are forgotten", async || remembered(&f).await.iter().all(|(_, ends, _)| *ends > 1).then_some(())).await;
    let left: Vec<String> = remembered(&f).await.into_iter().flat_map(|(.., keys)| keys).collect();
    assert_eq!(left, &keys[8..16]);
    let again: Vec<_> = (0..8).map(|n| job(16 + n, 4 + n)).collect();
    let answers = f.queue.submit_many(&again).await.unwrap();
    assert_eq!(answers[..4], vec![Submitted::Accepted; 4]);
    let known: Vec<Submitted> = (8..12).map(|n| Submitted::Replayed { id: ids[n].clone() }).collect();
    assert_eq!(answers[4..], known);
}

#[tokio::test]
async fn of_two_bundles_of_one_name_the_second_goes_job_by_job() {
    let f = Fixture::new().await;
    let all = ids(16);
    let key = |key| Some(Idempotency { key, fingerprint: b"f", ttl: Duration::from_hours(1) });
    let (tx, mut rx) = mpsc::unbounded_channel();
    for part in all.chunks(8) {
        let payload = "{\"n\":1}";
        let jobs: Vec<_> =
            part.iter().map(|id| (NewJob { is_new: true, ..new_job(id, Lane::Normal, payload) }, key(id.as_str()))).collect();
        assert_eq!(f.queue.submit_many(&jobs).await.unwrap(), vec![Submitted::Accepted; 8]);
    }
    let (entries, depth): (u64, _) = (f.command("XLEN @normal").await, f.queue.depth().await.unwrap());
    assert_eq!((entries, depth.normal), (9, 16));
    let _worker = f.work(config(4), telling(tx)).await;
    let ran: Vec<String> = next_sorted(&mut rx, 16).await.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ran, all);
    f.drained().await;
}

#[tokio::test]
async fn what_is_large_goes_in_no_bundle_without_end() {
    let f = Fixture::new().await;
    let (ids, body) = (ids(12), vec![b'x'; 200_000]);
    let jobs: Vec<_> = ids.iter().map(|id| NewJob { body: Some(&body), ..new_job(id, Lane::Bulk, "{\"n\":1}") }).collect();
    submit(&f, &jobs).await;
    let (entries, depth): (u64, _) = (f.command("XLEN @bulk").await, f.queue.depth().await.unwrap());
    assert_eq!((entries, depth.bulk), (7, 12), "six of 200 kB, and six by themselves");
    for id in &ids {
        assert_eq!(f.queue.find_job(id).await.unwrap(), Some(record(&body)));
    }
}

#[tokio::test]
async fn jobs_that_were_handed_over_in_a_bundle_come_with_their_records() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, lease: Lease| {
        let _ = tx.send((job.n, lease.added().and_then(|record| record.body)));
        ready(Outcome::Ended { state: "over" })
    };
    let _worker = f.work(WorkerConfig { block: PATIENCE, ..config(8) }, handle).await;
    eventually("its reader waits", async || {
        let clients: String = f.command("INFO clients").await;
        clients.contains("blocked_clients:1").then_some(())
    })
    .await;
    let key = Idempotency { key: "taken", fingerprint: b"f", ttl: Duration::from_hours(1) };
    f.queue.submit(&new_job("before", Lane::Normal, "{\"n\":99}"), Some(key)).await.unwrap();
    assert_eq!(next(&mut rx).await.0, 99);
    f.drained().await;
    let (ids, payloads) = (ids(5), payloads(5));
    let jobs: Vec<_> = (0..5)
        .map(|n| {
            (
                NewJob { is_new: true, body: Some(b"body"), ..new_job(&ids[n], Lane::Normal, &payloads[n]) },
                (n == 3).then_some(key),
            )
        })
        .collect();
    f.queue.submit_many(&jobs[..4]).await.unwrap(); // its reader waits on, so that these are handed over
    let mut told = [next(&mut rx).await, next(&mut rx).await, next(&mut rx).await];
    told.sort();
    assert_eq!(told, [0, 1, 2].map(|n| (n, Some(b"body".to_vec()))), "the fourth repeats a key, and is not handled");
    f.drained().await;
}

#[tokio::test]
async fn what_is_said_of_a_job_while_it_is_handled_is_heard() {
    let f = Fixture::new().await;
    add(&f, 4).await;
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
    let mut four = async || [next(&mut rx).await, next(&mut rx).await, next(&mut rx).await, next(&mut rx).await];
    assert!(four().await.iter().all(|(_, said)| said.is_none()));
    f.queue.rewrite("job-0001", b"another").await.unwrap();
    f.queue.withdraw(&["job-0002"], "recalled").await.unwrap();
    gate.close();
    let mut told = four().await;
    told.sort_by_key(|(n, _)| *n);
    let [(_, none), (_, rewritten), (_, withdrawn), _] = told;
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
    let others = [1, 2, 3].map(|n| (format!("job-000{n}"), format!("{{\"n\":{n}}}")));
    let mut jobs: Vec<_> = others.iter().map(|(id, payload)| new_job(id, Lane::Normal, payload)).collect();
    jobs.push(old);
    submit(&f, &jobs).await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, lease: Lease| {
        let tx = tx.clone();
        async move {
            if job.n == 2 || job.n == 3 {
                return Outcome::Done;
            }
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
    assert_eq!(told[1], (9, Claim::Refused { reason: "expired".into(), attempt: 0, ambiguous: 0 }));
    f.drained().await;
    let (one, nine) = (f.queue.find_job("job-0001").await.unwrap(), f.queue.find_job("job-0009").await.unwrap());
    assert_eq!(one.map(|record| (record.state, record.outcome)), Some(("sent".to_owned(), Some(b"outcome".to_vec()))));
    assert_eq!(nine.map(|record| record.state).as_deref(), Some("over"));
}

#[tokio::test]
async fn bundles_are_handled_in_the_order_in_which_they_were_added() {
    let f = Fixture::new().await;
    let (ids, payloads) = (ids(700), payloads(700));
    let jobs: Vec<_> = ids.iter().zip(&payloads).map(|(id, payload)| new_job(id, Lane::Normal, payload)).collect();
    let (tx, mut rx) = mpsc::unbounded_channel();
    let _worker = f.work(config(8), telling(tx)).await;
    submit(&f, &jobs).await;
    for place in 0..700 {
        let n = next(&mut rx).await.0;
        assert!(n / 256 * 256 <= place + 8, "job {n} came as number {place}"); // eight are handled at a time
    }
}
