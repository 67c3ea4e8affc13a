//! How handlers end, and what becomes of their jobs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use stentor_queue::{Lane, Lease, Outcome, WorkerConfig};
use tokio::sync::mpsc;

use crate::support::{Fixture, Job, config, eventually, next};

const SOON: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_retry_counts_and_a_hold_does_not() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let round = Arc::new(AtomicU32::new(0));
    let handle = move |_: Job, lease: Lease| {
        let _ = tx.send(lease.attempt());
        let round = round.fetch_add(1, SeqCst);
        async move {
            match round {
                0 | 2 => Outcome::RetryAfter { wait: SOON, reason: "busy".into() },
                1 => Outcome::HoldUntil { at_ms: 0 },
                3 => Outcome::HoldFor { wait: SOON },
                _ => Outcome::Done,
            }
        }
    };
    f.add(Lane::Normal, [1]).await;
    let _worker = f.work(config(2), handle).await;
    for attempt in [1, 2, 2, 3, 3] {
        assert_eq!(next(&mut rx).await, attempt);
    }
    f.drained().await;
    assert_eq!(f.queue.depth().await.unwrap().dead, 0);
}

#[tokio::test]
async fn an_entry_and_its_record_end_at_once_unless_the_record_has_ended() {
    let f = Fixture::new().await;
    f.add(Lane::Normal, 0..3).await;
    f.queue.withdraw(&["job-1"], "recalled").await.unwrap();
    let handle = move |job: Job, lease: Lease| async move {
        if job.n == 2 {
            lease.settle("sent", b"ours").await;
        }
        Outcome::Ended { state: "dispatched" }
    };
    let _worker = f.work(config(4), handle).await;
    f.drained().await;
    for (n, state) in ["dispatched", "dispatched", "sent"].into_iter().enumerate() {
        let record = f.queue.find_job(&format!("job-{n}")).await.unwrap().unwrap();
        let withdrawn = (n == 1).then_some("recalled");
        assert_eq!((record.state.as_str(), record.withdrawn.as_deref()), (state, withdrawn), "job {n}");
    }
}

#[tokio::test]
async fn of_many_that_end_together_each_record_ends_as_its_own_handler_said() {
    let f = Fixture::new().await;
    f.add(Lane::Normal, 0..30).await;
    let states = [None, Some("told"), Some("dispatched")];
    let together = Arc::new(tokio::sync::Barrier::new(30));
    let handle = move |job: Job, _| {
        let together = together.clone();
        async move {
            together.wait().await;
            states[job.n as usize % 3].map_or(Outcome::Done, |state| Outcome::Ended { state })
        }
    };
    let _worker = f.work(config(64), handle).await;
    f.drained().await;
    for n in 0..30 {
        let record = f.queue.find_job(&format!("job-{n}")).await.unwrap().unwrap();
        assert_eq!(record.state, states[n % 3].unwrap_or("queued"), "job {n}");
    }
}

#[tokio::test]
async fn waiting_holds_no_place() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, _| {
        let _ = tx.send(job.n);
        async move {
            if job.n == 2 { Outcome::Done } else { Outcome::RetryAfter { wait: Duration::from_hours(1), reason: "later".into() } }
        }
    };
    let _worker = f.work(config(1), handle).await;
    f.add(Lane::High, [0, 1]).await;
    assert_eq!((next(&mut rx).await, next(&mut rx).await), (0, 1));
    f.add(Lane::High, [2]).await;
    assert_eq!(next(&mut rx).await, 2, "the only place is free while two wait");
    eventually("both wait", async || (f.queue.depth().await.ok()?.due == 2).then_some(())).await;
}

#[tokio::test]
async fn a_panic_is_the_failure_of_that_job_alone_and_is_tried_so_often() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, lease: Lease| {
        let tx = tx.clone();
        async move {
            assert!(job.n != 13, "unlucky");
            let _ = tx.send((job.n, lease.attempt()));
            Outcome::Done
        }
    };
    f.add(Lane::Normal, 10..20).await;
    let worker = f.work(WorkerConfig { max_attempts: 2, ..config(4) }, handle).await;
    let mut seen = Vec::new();
    for _ in 0..9 {
        seen.push(next(&mut rx).await);
    }
    seen.sort_unstable();
    assert_eq!(seen, (10..20).filter(|n| *n != 13).map(|n| (n, 1)).collect::<Vec<_>>());
    let letters = eventually("the unlucky one is given up", async || {
        Some(f.queue.list_dead_letters(None, 10).await.unwrap()).filter(|letters| !letters.is_empty())
    })
    .await;
    assert_eq!((letters[0].job_id.as_str(), letters[0].attempts), ("job-13", 2));
    assert_eq!(letters[0].reason, "2 attempts, the last: the handler panicked");
    assert!(worker.is_running());
    f.drained().await;
}

#[tokio::test]
async fn what_cannot_be_decoded_meets_no_handler() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, _| {
        let _ = tx.send(job.n);
        async { Outcome::Done }
    };
    let _worker = f.work(config(2), handle).await;
    f.queue.enqueue(&[crate::support::new_job("odd", Lane::High, "{\"m\":1}")]).await.unwrap();
    f.command::<String>("XADD @bulk * foreign entry").await;
    f.add(Lane::Normal, [5]).await;
    let letters = eventually("two dead letters", async || {
        Some(f.queue.list_dead_letters(None, 10).await.unwrap()).filter(|letters| letters.len() == 2)
    })
    .await;
    let odd = letters.iter().find(|l| l.job_id == "odd").unwrap();
    assert_eq!((odd.attempts, odd.payload.as_slice()), (1, b"{\"m\":1}".as_slice()));
    assert!(odd.reason.starts_with("it cannot be decoded: missing field `n`"), "{}", odd.reason);
    assert!(letters.iter().any(|l| l.job_id.is_empty() && l.reason == "it cannot be decoded: no payload"));
    assert_eq!(next(&mut rx).await, 5);
    f.drained().await;
    assert!(rx.try_recv().is_err());
}

/// Until November 2026 an entry kept the id and the payload of its job in a field each.
#[tokio::test]
async fn an_entry_in_the_old_form_is_handled_moved_and_buried_as_any_other() {
    let f = Fixture::new().await;
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |job: Job, lease: Lease| {
        let _ = tx.send((job.n, lease.job_id().to_owned(), lease.attempt()));
        let dies = lease.attempt() == 5;
        async move {
            if dies {
                Outcome::Dead { reason: "enough".into() }
            } else {
                Outcome::RetryAfter { wait: SOON, reason: "busy".into() }
            }
        }
    };
    f.command::<String>("XADD @normal * i old a 3 d {\"n\":7}").await;
    let _worker = f.work(config(2), handle).await;
    for attempt in [4, 5] {
        assert_eq!(next(&mut rx).await, (7, "old".to_owned(), attempt));
    }
    f.drained().await;
    let letter = f.queue.list_dead_letters(None, 10).await.unwrap().pop().unwrap();
    assert_eq!((letter.job_id.as_str(), letter.payload.as_slice()), ("old", b"{\"n\":7}".as_slice()));
    assert!(f.queue.replay_dead_letter(&letter.id).await.unwrap());
    assert_eq!(next(&mut rx).await, (7, "old".to_owned(), 1));
}
