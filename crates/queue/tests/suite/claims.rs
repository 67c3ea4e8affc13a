//! Claims: who may do a job, what went before, and what a crash leaves open.

use stentor_queue::{Begin, Claim, Lane, Lease, NewJob, Outcome, Sending, Withdrawn};
use tokio::sync::{mpsc, oneshot};

use crate::support::{Fixture, Job, config, eventually, new_job, next, short_lease};

type Given = (Lease, oneshot::Sender<Outcome>);

/// A worker whose handlers hand their leases to the test and end as it says.
async fn handing_out(f: &Fixture, config: stentor_queue::WorkerConfig) -> mpsc::UnboundedReceiver<Given> {
    let (tx, rx) = mpsc::unbounded_channel();
    let handle = move |_: Job, lease: Lease| {
        let (end, ended) = oneshot::channel();
        let _ = tx.send((lease, end));
        async move { ended.await.unwrap_or(Outcome::Done) }
    };
    f.work(config, handle).await;
    rx
}

/// Puts the entry of a job on its lane once more, as an ambiguous write of an earlier version would have.
async fn entry(f: &Fixture, id: &str) {
    f.command::<String>(&format!("XADD @normal * i {id} a 0 d {{\"n\":0}}")).await;
}

#[tokio::test]
async fn one_claim_at_a_time_and_an_outcome_for_everyone_after() {
    let f = Fixture::new().await;
    f.add(Lane::Normal, [1]).await;
    entry(&f, "job-1").await;
    let mut given = handing_out(&f, config(2)).await;
    let (first, end_first) = next(&mut given).await;
    let (second, end_second) = next(&mut given).await;

    assert_eq!(first.claim().await.unwrap(), Claim::Claimed { attempt: 0, ambiguous: 0 });
    assert_eq!(first.claim().await.unwrap(), Claim::Claimed { attempt: 0, ambiguous: 0 }, "its own claim is no obstacle");
    let Claim::HeldUntil(until) = second.claim().await.unwrap() else { panic!("two hold it") };
    let now = f.now().await;
    assert!(until > now && until <= now + 10_000, "until the lease ends");
    assert_eq!(second.begin_sending().await.unwrap(), Begin::Lost);
    assert!(!second.settle("sent", b"stolen").await && !second.release(Sending::Nothing).await);

    first.keep_progress(b"half").await.unwrap();
    assert_eq!(f.queue.find_job("job-1").await.unwrap().unwrap().progress.as_deref(), Some(&b"half"[..]));
    assert_eq!(first.begin_sending().await.unwrap(), Begin::Go { attempt: 1 });
    assert_eq!(first.begin_sending().await.unwrap(), Begin::Go { attempt: 1 }, "said again, it is the same attempt");
    assert_eq!(f.queue.find_job("job-1").await.unwrap().unwrap().state, "sending");
    assert!(first.settle("sent", b"receipt 7").await);
    assert!(first.settle("sent", b"receipt 7").await, "said again by whoever ended it");
    assert!(!second.settle("failed", b"again").await, "what has ended stays so");
    assert_eq!(second.claim().await.unwrap(), Claim::Done { outcome: b"receipt 7".to_vec() });
    let record = f.queue.find_job("job-1").await.unwrap().unwrap();
    assert_eq!((record.state.as_str(), record.attempt, record.outcome), ("sent", 1, Some(b"receipt 7".to_vec())));

    f.command::<u8>("DEL @job:job-1").await;
    assert_eq!(second.claim().await.unwrap(), Claim::Done { outcome: Vec::new() }, "archived, and its record gone");
    let _ = (end_first.send(Outcome::Done), end_second.send(Outcome::Done));
    f.drained().await;
}

#[tokio::test]
async fn a_released_claim_is_free_and_its_sending_leaves_no_doubt() {
    let f = Fixture::new().await;
    f.add(Lane::Normal, [1]).await;
    entry(&f, "job-1").await;
    let mut given = handing_out(&f, config(2)).await;
    let ((first, _end_first), (second, _end_second)) = (next(&mut given).await, next(&mut given).await);
    assert!(matches!(first.claim().await.unwrap(), Claim::Claimed { .. }));
    assert!(matches!(first.begin_sending().await.unwrap(), Begin::Go { attempt: 1 }));
    assert!(first.release(Sending::Nothing).await);
    assert_eq!(second.claim().await.unwrap(), Claim::Claimed { attempt: 1, ambiguous: 0 });
    assert!(!first.release(Sending::Nothing).await && !first.settle("sent", b"").await, "it is the second's now");
    assert!(second.release(Sending::InDoubt).await);
    assert_eq!(first.claim().await.unwrap(), Claim::Claimed { attempt: 1, ambiguous: 1 });
}

#[tokio::test]
async fn only_a_death_while_sending_leaves_a_doubt() {
    let f = Fixture::new().await;
    f.add(Lane::Normal, [1]).await;
    // Enough entries for one claim after another; only the record's claim is looked at.
    for _ in 0..3 {
        entry(&f, "job-1").await;
    }
    let mut given = handing_out(&f, short_lease(4)).await;
    let (one, _a) = next(&mut given).await;
    let (two, _b) = next(&mut given).await;
    let (three, _c) = next(&mut given).await;
    let (four, _d) = next(&mut given).await;
    let claim = async |lease: &Lease| {
        eventually("the claim before has ended", async || match lease.claim().await.unwrap() {
            Claim::HeldUntil(_) => None,
            other => Some(other),
        })
        .await
    };
    assert_eq!(claim(&one).await, Claim::Claimed { attempt: 0, ambiguous: 0 });
    // `one` dies before it sends
    assert_eq!(claim(&two).await, Claim::Claimed { attempt: 0, ambiguous: 0 });
    assert_eq!(one.begin_sending().await.unwrap(), Begin::Lost, "it was not dead after all, but it is too late");
    assert_eq!(two.begin_sending().await.unwrap(), Begin::Go { attempt: 1 });
    // `two` dies while it sends
    assert_eq!(claim(&three).await, Claim::Claimed { attempt: 1, ambiguous: 1 });
    assert_eq!(three.begin_sending().await.unwrap(), Begin::Go { attempt: 2 });
    assert_eq!(claim(&four).await, Claim::Claimed { attempt: 2, ambiguous: 2 });
    assert!(!two.settle("sent", b"late").await && !three.settle("sent", b"late").await);
    assert!(four.settle("unknown", b"").await);
}

#[tokio::test]
async fn a_claim_that_ran_out_is_good_until_somebody_takes_it() {
    let f = Fixture::new().await;
    f.add(Lane::Normal, [1, 2]).await;
    entry(&f, "job-2").await;
    let mut given = handing_out(&f, short_lease(3)).await;
    let (one, _a) = next(&mut given).await;
    let (two, _b) = next(&mut given).await;
    let (other, _c) = next(&mut given).await;
    assert_eq!((one.job_id(), two.job_id(), other.job_id()), ("job-1", "job-2", "job-2"));
    one.claim().await.unwrap();
    two.claim().await.unwrap();
    eventually("both have run out", async || matches!(other.claim().await.unwrap(), Claim::Claimed { .. }).then_some(())).await;
    assert_eq!(two.begin_sending().await.unwrap(), Begin::Lost);
    assert_eq!(one.begin_sending().await.unwrap(), Begin::Go { attempt: 1 }, "slow, but nobody else has it");
}

#[tokio::test]
async fn what_is_expired_or_withdrawn_is_refused_at_both_gates() {
    let f = Fixture::new().await;
    let now = f.now().await;
    let soon = now + 3_000;
    let jobs = [
        NewJob { expires: Some(now - 1), ..new_job("old", Lane::Normal, "{\"n\":0}") },
        NewJob { expires: Some(soon), ..new_job("soon", Lane::Normal, "{\"n\":0}") },
        new_job("cancelled", Lane::Normal, "{\"n\":0}"),
        new_job("late", Lane::Normal, "{\"n\":0}"),
    ];
    f.queue.enqueue(&jobs).await.unwrap();
    let mut given = handing_out(&f, config(8)).await;
    let mut leases = std::collections::HashMap::new();
    let mut ends = Vec::new();
    for _ in 0..4 {
        let (lease, end) = next(&mut given).await;
        leases.insert(lease.job_id().to_owned(), lease);
        ends.push(end);
    }
    let before = f.queue.withdraw(&["cancelled", "nobody"], "recalled").await.unwrap();
    let withdrawn = |state: &str| Some(Withdrawn { state: state.to_owned(), attempt: 0, ambiguous: 0 });
    let refused = |reason: &str| Claim::Refused { reason: reason.to_owned(), attempt: 0, ambiguous: 0 };
    assert_eq!(before, [withdrawn("queued"), None]);
    assert_eq!(f.queue.withdraw(&["cancelled"], "another reason").await.unwrap(), before[..1]);
    assert_eq!(f.queue.withdrawn("cancelled").await.unwrap().as_deref(), Some("recalled"), "the first stays");
    assert_eq!(leases["old"].claim().await.unwrap(), refused("expired"));
    assert_eq!(leases["cancelled"].claim().await.unwrap(), refused("recalled"));
    assert!(matches!(leases["late"].claim().await.unwrap(), Claim::Claimed { .. }));
    assert_eq!(f.queue.withdraw(&["late"], "recalled").await.unwrap(), [withdrawn("claimed")]);
    assert_eq!(leases["late"].begin_sending().await.unwrap(), Begin::Refused { reason: "recalled".into() });

    assert!(matches!(leases["soon"].claim().await.unwrap(), Claim::Claimed { .. }), "not expired yet");
    let refused = Begin::Refused { reason: "expired".into() };
    eventually("it expires", async || (f.now().await > soon).then_some(())).await;
    assert_eq!(leases["soon"].begin_sending().await.unwrap(), refused);
}

#[tokio::test]
async fn whoever_withdraws_or_is_refused_hears_what_may_have_been_done_before() {
    let f = Fixture::new().await;
    f.queue.enqueue(&[new_job("a", Lane::Normal, "{\"n\":0}")]).await.unwrap();
    let mut given = handing_out(&f, config(1)).await;
    let (lease, _end) = next(&mut given).await;
    assert!(matches!(lease.claim().await.unwrap(), Claim::Claimed { .. }));
    assert_eq!(lease.begin_sending().await.unwrap(), Begin::Go { attempt: 1 });
    lease.release(Sending::InDoubt).await;
    let withdrawn = f.queue.withdraw(&["a"], "recalled").await.unwrap();
    assert_eq!(withdrawn, [Some(Withdrawn { state: "queued".into(), attempt: 1, ambiguous: 1 })]);
    assert_eq!(lease.claim().await.unwrap(), Claim::Refused { reason: "recalled".into(), attempt: 1, ambiguous: 1 });
}

#[tokio::test]
async fn an_answer_that_was_lost_costs_an_attempt_none_of_its_time() {
    let f = Fixture::new().await;
    f.queue.enqueue(&[new_job("a", Lane::Normal, "{\"n\":0}")]).await.unwrap();
    let mut given = handing_out(&f, config(1)).await;
    let (lease, _end) = next(&mut given).await;
    assert!(matches!(lease.claim().await.unwrap(), Claim::Claimed { .. }));
    assert_eq!(lease.begin_sending().await.unwrap(), Begin::Go { attempt: 1 });
    f.command::<()>("HSET @job:a until 1").await; // said long ago
    assert_eq!(lease.begin_sending().await.unwrap(), Begin::Go { attempt: 1 });
    assert!(f.command::<i64>("HGET @job:a until").await > f.now().await, "another could take it while it is sent");
}
