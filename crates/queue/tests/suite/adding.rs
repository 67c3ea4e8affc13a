//! Adding: once per id, once per idempotency key, whatever is repeated.

use std::time::Duration;

use stentor_queue::{Idempotency, JobRecord, Lane, NewJob, Outcome, Queue, Submitted};
use tokio::sync::mpsc;

use crate::support::{Fixture, config, connect, new_job, next};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn what_has_a_record_is_not_added_again() {
    let f = Fixture::new().await;
    let jobs = [new_job("a", Lane::Normal, "{}"), new_job("b", Lane::Bulk, "{}")];
    assert_eq!(f.queue.enqueue(&jobs).await.unwrap(), 2);
    let more = [jobs[0], new_job("c", Lane::High, "{}"), jobs[1]];
    assert_eq!(f.queue.enqueue(&more).await.unwrap(), 1);
    assert_eq!(f.queue.submit(&jobs[0], None).await.unwrap(), Submitted::Accepted);
    let depth = f.queue.depth().await.unwrap();
    assert_eq!((depth.high, depth.normal, depth.bulk, depth.due), (1, 1, 1, 0));
}

#[tokio::test]
async fn many_are_added_in_bounded_steps() {
    let f = Fixture::new().await;
    f.add(Lane::Bulk, 0..1_234).await;
    assert_eq!(f.queue.depth().await.unwrap().bulk, 1_234);
}

#[tokio::test]
async fn a_job_keeps_its_body_and_waits_for_its_time() {
    let f = Fixture::new().await;
    let far = i64::MAX / 4_000_000;
    let job = NewJob { body: Some(b"body \xff"), due: Some(far), ..new_job("a", Lane::High, "{\"n\":1}") };
    f.queue.enqueue(&[job]).await.unwrap();
    let record = f.queue.find_job("a").await.unwrap().unwrap();
    let body = Some(b"body \xff".to_vec());
    let new = JobRecord { state: "queued".into(), attempt: 0, body, outcome: None, progress: None, withdrawn: None };
    assert_eq!(record, new);
    f.queue.rewrite("a", b"another").await.unwrap();
    f.queue.rewrite("b", b"of nobody").await.unwrap();
    assert_eq!(f.queue.find_job("a").await.unwrap().unwrap().body.as_deref(), Some(&b"another"[..]));
    let depth = f.queue.depth().await.unwrap();
    assert_eq!((depth.high, depth.due), (0, 1));
    assert_eq!(f.queue.find_job("b").await.unwrap(), None);

    f.queue.expire_jobs(&["a", "b"], DAY).await.unwrap();
    let ttl: i64 = f.command("PTTL @job:a").await;
    assert!(ttl > 0 && ttl <= 86_400_000, "{ttl}");
}

#[tokio::test]
async fn a_job_under_a_key_waits_for_its_time_and_keeps_its_body_and_its_end() {
    let f = Fixture::new().await;
    let far = i64::MAX / 4_000_000;
    let late = NewJob { body: Some(b"words"), due: Some(far), expires: Some(far + 1), ..new_job("a", Lane::High, "{\"n\":1}") };
    let brief = NewJob { body: Some(b"others"), expires: Some(far), ..new_job("b", Lane::Bulk, "{\"n\":2}") };
    for (job, key) in [(late, "k 1"), (brief, "k 2")] {
        let key = Idempotency { key, fingerprint: b"1 2 \0 3", ttl: DAY };
        for expected in [Submitted::Accepted, Submitted::Replayed { id: job.id.to_owned() }] {
            assert_eq!(f.queue.submit(&job, Some(key)).await.unwrap(), expected);
        }
        assert_eq!(f.queue.find_job(job.id).await.unwrap().unwrap().body.as_deref(), job.body);
    }
    let depth = f.queue.depth().await.unwrap();
    assert_eq!((depth.due, depth.high, depth.bulk), (1, 0, 1));
    let ends: [i64; 2] = [f.command("HGET @job:a expires").await, f.command("HGET @job:b expires").await];
    assert_eq!(ends, [far + 1, far]);
}

#[tokio::test]
async fn of_a_hundred_identical_submissions_one_wins() {
    let f = Fixture::new().await;
    let key = Idempotency { key: "app:k", fingerprint: b"same", ttl: DAY };
    let submissions = (0..100).map(|n| {
        let queue = f.queue.clone();
        tokio::spawn(async move {
            let id = format!("id-{n}");
            (id.clone(), queue.submit(&new_job(&id, Lane::Normal, "{\"n\":1}"), Some(key)).await.unwrap())
        })
    });
    let mut winner = None;
    let mut replays = Vec::new();
    for submission in submissions.collect::<Vec<_>>() {
        match submission.await.unwrap() {
            (id, Submitted::Accepted) => assert_eq!(winner.replace(id), None, "two winners"),
            (_, Submitted::Replayed { id }) => replays.push(id),
            other => panic!("{other:?}"),
        }
    }
    let winner = winner.unwrap();
    assert_eq!((replays.len(), replays.iter().all(|id| *id == winner)), (99, true));
    assert_eq!(f.queue.depth().await.unwrap().normal, 1);
    let ttl: i64 = f.command("PTTL @idem:app:k").await;
    assert!(ttl > 86_000_000 && ttl <= 86_400_000, "{ttl}");

    let other = Idempotency { fingerprint: b"another", ..key };
    let refused = f.queue.submit(&new_job("z", Lane::Normal, "{}"), Some(other)).await.unwrap();
    assert_eq!(refused, Submitted::Conflict { id: winner });
    assert_eq!(f.queue.find_job("z").await.unwrap(), None, "a conflict adds nothing");
}

#[tokio::test]
async fn submissions_at_the_same_time_share_calls_and_each_gets_its_own_answer() {
    let f = Fixture::new().await;
    f.command::<()>("CONFIG RESETSTAT").await;
    let submissions = (0..300).map(|n: usize| {
        let queue = f.queue.clone();
        tokio::spawn(async move {
            // Each key comes three times, the third time with another request.
            let (id, key, fingerprint) = (format!("id-{n}"), format!("k-{}", n / 3), [u8::from(n % 3 == 2)]);
            let key = Idempotency { key: &key, fingerprint: &fingerprint, ttl: DAY };
            queue.submit(&new_job(&id, Lane::Normal, "{\"n\":1}"), Some(key)).await.unwrap()
        })
    });
    for (n, submission) in submissions.collect::<Vec<_>>().into_iter().enumerate() {
        let first = format!("id-{}", n / 3 * 3);
        let expected = match n % 3 {
            0 => Submitted::Accepted,
            1 => Submitted::Replayed { id: first },
            _ => Submitted::Conflict { id: first },
        };
        assert_eq!(submission.await.unwrap(), expected, "submission {n}");
    }
    assert_eq!(f.queue.depth().await.unwrap().normal, 100);
    let stats: String = f.command("INFO commandstats").await;
    let calls =
        stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next()?.parse::<u32>().ok());
    assert!(calls.is_some_and(|calls| calls <= 30), "300 submissions took {calls:?} calls");
}

#[tokio::test]
async fn a_full_call_waits_for_no_other_unless_replicas_are_waited_for() {
    let f = Fixture::new().await;
    let replicated = Queue::new(connect(&f.redis.url()).await, "r").replicated(connect(&f.redis.url()).await, 1, DAY);
    f.redis.freeze();
    // How many calls are under way for so many submissions, each time once nothing more is to be done without Redis.
    let calls = async |queue: &Queue| {
        let (mut all, mut calls) = (tokio::task::JoinSet::new(), Vec::new());
        for submissions in [1, 1, 1, 22, 1, 1] {
            for _ in 0..submissions {
                let (queue, id) = (queue.clone(), format!("id-{}", all.len()));
                all.spawn(async move { queue.submit(&new_job(&id, Lane::Normal, "{}"), None).await });
            }
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            calls.push(queue.gathering());
        }
        calls
    };
    assert_eq!(calls(&f.queue).await, [1, 2, 2, 2, 3, 3], "24 fill one");
    assert_eq!(calls(&replicated).await, [1, 2, 2, 2, 2, 2]);
    f.redis.thaw();
}

#[tokio::test]
async fn a_batch_answers_in_order_and_its_own_repeats_count() {
    let f = Fixture::new().await;
    let key = |fingerprint| Some(Idempotency { key: "k", fingerprint, ttl: DAY });
    let batch = [
        (new_job("a", Lane::Normal, "{}"), None),
        (new_job("b", Lane::Normal, "{}"), key(b"1")),
        (new_job("c", Lane::Normal, "{}"), key(b"1")),
        (new_job("d", Lane::Normal, "{}"), key(b"2")),
        (new_job("e", Lane::Bulk, "{}"), None),
    ];
    let expected = [
        Submitted::Accepted,
        Submitted::Accepted,
        Submitted::Replayed { id: "b".into() },
        Submitted::Conflict { id: "b".into() },
        Submitted::Accepted,
    ];
    for _ in 0..2 {
        let answers = f.queue.submit_many(&batch).await.unwrap();
        assert_eq!((&answers[2..], answers.len()), (&expected[2..], 5));
        f.command::<()>("SCRIPT FLUSH").await; // the second time Redis knows no script any more
    }
    let depth = f.queue.depth().await.unwrap();
    assert_eq!((depth.normal, depth.bulk), (2, 1), "the second batch added nothing");
}

#[tokio::test]
async fn what_is_due_comes_in_its_time_and_on_its_lane() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let due = f.now().await + 300;
    f.queue.enqueue(&[NewJob { due: Some(due), ..new_job("a", Lane::High, "{\"n\": 7}") }]).await.unwrap();
    let handle = move |job, lease: stentor_queue::Lease| {
        let _ = tx.send((job, lease.job_id().to_owned(), lease.attempt()));
        async { Outcome::Done }
    };
    let _worker = f.work(config(2), handle).await;
    let (job, id, attempt) = next(&mut rx).await;
    assert!(f.now().await >= due, "it came too early");
    assert_eq!((job.n, id.as_str(), attempt), (7, "a", 1));
    f.drained().await;
}
