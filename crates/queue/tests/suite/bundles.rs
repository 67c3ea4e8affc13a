//! Bundles: jobs that are added as one behave as if they had been added one by one.

use std::future::{Ready, ready};

use stentor_queue::{Bundles, JobRecord, Lane, Lease, NewJob, Outcome};
use tokio::sync::mpsc;

use crate::support::{Fixture, Job, config, eventually, new_job, next, next_sorted};

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
    let (ids, payloads) = (ids(600), payloads(600));
    let jobs: Vec<_> = ids.iter().zip(&payloads).map(|(id, payload)| new_job(id, Lane::Normal, payload)).collect();
    for _ in 0..2 {
        f.queue.submit_bundles(&bundles(&jobs)).await.unwrap(); // the second time is a repeat
    }
    assert_eq!(f.queue.depth().await.unwrap().normal, 3, "600 jobs are three bundles");
    let (tx, mut rx) = mpsc::unbounded_channel();
    let worker = f.work(config(20), telling(tx)).await;
    let expected: Vec<_> = (0..600).zip(ids.iter().cloned()).collect();
    assert_eq!(next_sorted(&mut rx, 600).await, expected);
    f.drained().await;
    worker.stop().await;
    assert!(rx.try_recv().is_err(), "one was handled twice");
    for id in &ids {
        assert_eq!(f.queue.find_job(id).await.unwrap().unwrap().state, "over", "{id}");
    }
    let (state, body): (String, bool) =
        (f.command("HGET @job:job-00* state").await, f.command("HEXISTS @job:job-00* body").await);
    assert_eq!((state.as_str(), body), ("opened", false), "what was opened keeps no words");
    let ttl: i64 = f.command("PTTL @job:job-00*").await;
    assert!(ttl > 86_000_000 && ttl <= 86_400_000, "{ttl}");
}

#[tokio::test]
async fn a_job_of_a_closed_bundle_is_found_rewritten_and_withdrawn() {
    let f = Fixture::new().await;
    let far = i64::MAX / 4_000_000;
    let jobs = [
        NewJob { body: Some(b"a\n\xff"), ..new_job("job-00", Lane::Bulk, "{\"n\":0}") },
        NewJob { body: Some(b"b"), due: Some(far), expires: Some(far + 1), ..new_job("job-01", Lane::Normal, "{\"n\":1}") },
        NewJob { body: Some(b"c"), ..new_job("job-02", Lane::Bulk, "{\"n\":2}") },
    ];
    f.queue.submit_bundles(&bundles(&jobs)).await.unwrap();
    for job in &jobs {
        assert_eq!(f.queue.find_job(job.id).await.unwrap(), Some(record(job.body.unwrap())));
    }
    assert_eq!(f.queue.find_job("job-03").await.unwrap(), None);
    assert_eq!(f.queue.find_job("other-00").await.unwrap(), None);
    f.queue
        .enqueue(&[NewJob { body: Some(b"of no bundle"), due: Some(far), ..new_job("job", Lane::Bulk, "{\"n\":9}") }])
        .await
        .unwrap();
    assert_eq!(f.queue.find_job("job-0").await.unwrap(), None, "what is called as a bundle would be is none");
    let depth = f.queue.depth().await.unwrap();
    assert_eq!((depth.normal, depth.bulk, depth.due), (1, 0, 1), "looking opens nothing; the most urgent decides on the lane");

    f.queue.rewrite("job-00", b"another").await.unwrap();
    let states = f.queue.withdraw(&["job-02", "other-00", "job-03"], "recalled").await.unwrap();
    assert_eq!(states, [Some("queued".to_owned()), None, None]);
    assert_eq!(f.queue.find_job("job-00").await.unwrap(), Some(record(b"another")));
    assert_eq!(f.queue.find_job("job-02").await.unwrap().unwrap().withdrawn.as_deref(), Some("recalled"));
    let depth = f.queue.depth().await.unwrap();
    assert_eq!((depth.bulk, depth.due), (2, 2), "they are in line, each for itself");
    let expires: i64 = f.command("HGET @job:job-01 expires").await;
    assert_eq!(expires, far + 1);

    let (tx, mut rx) = mpsc::unbounded_channel();
    let _worker = f.work(config(4), telling(tx)).await;
    assert_eq!(next_sorted(&mut rx, 2).await, [(0, "job-00".to_owned()), (2, "job-02".to_owned())]);
}

#[tokio::test]
async fn a_bundle_whose_opener_died_half_way_is_opened_to_its_end() {
    let f = Fixture::new().await;
    let payloads = payloads(3);
    let ids = ids(3);
    let jobs: Vec<_> = ids.iter().zip(&payloads).map(|(id, payload)| new_job(id, Lane::High, payload)).collect();
    f.queue.submit_bundles(&bundles(&jobs)).await.unwrap();
    f.queue.enqueue(&jobs[1..2]).await.unwrap(); // so far it came
    let (tx, mut rx) = mpsc::unbounded_channel();
    let worker = f.work(config(4), telling(tx)).await;
    let expected: Vec<_> = (0..3).zip(ids.iter().cloned()).collect();
    assert_eq!(next_sorted(&mut rx, 3).await, expected);
    f.drained().await;
    worker.stop().await;
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
