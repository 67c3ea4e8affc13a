//! Dead letters: listed, looked into, replayed, discarded, and gone after 30 days.

use stentor_queue::{Claim, Lane, Lease, Outcome};
use tokio::sync::mpsc;

use crate::support::{Fixture, Job, config, eventually, next};

async fn bury(f: &Fixture, n: u32) {
    let mut ns = 0..n;
    f.add(Lane::Bulk, ns.by_ref()).await;
    let dead = async |_: Job, _: Lease| Outcome::Dead { reason: "no way".into() };
    let worker = f.work(config(5), dead).await;
    eventually("all are buried", async || (f.queue.depth().await.ok()?.dead == u64::from(n)).then_some(())).await;
    worker.stop().await;
}

#[tokio::test]
async fn they_are_paged_in_order_and_found_by_place() {
    let f = Fixture::new().await;
    bury(&f, 25).await;
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = f.queue.list_dead_letters(after.as_deref(), 10).await.unwrap();
        assert!(page.len() <= 10);
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        all.extend(page);
    }
    assert_eq!(all.len(), 25);
    assert!(all.is_sorted_by_key(|l| l.died_at));
    let letter = f.queue.find_dead_letter(&all[3].id).await.unwrap().unwrap();
    assert_eq!(letter, all[3]);
    assert_eq!((letter.reason.as_str(), letter.attempts), ("no way", 1));
    assert_eq!(letter.payload, format!("{{\"n\":{}}}", letter.job_id.trim_start_matches("job-")).into_bytes());
    for no_place in ["0-1", "x", "", "-", "1-2-3", "+"] {
        assert_eq!(f.queue.find_dead_letter(no_place).await.unwrap(), None, "{no_place}");
        assert!(!f.queue.replay_dead_letter(no_place).await.unwrap() && !f.queue.discard_dead_letter(no_place).await.unwrap());
        assert!(no_place == "0-1" || f.queue.list_dead_letters(Some(no_place), 9).await.unwrap().is_empty(), "{no_place}");
    }
}

#[tokio::test]
async fn one_that_is_replayed_can_be_done_even_when_its_record_is_gone() {
    let f = Fixture::new().await;
    bury(&f, 3).await;
    let letters = f.queue.list_dead_letters(None, 10).await.unwrap();
    let id = |n: usize| letters[n].id.as_str();
    // One was settled as failed before it was given up, one has lost its record, one is discarded.
    f.command::<u8>(&format!("HSET @job:{} state failed outcome gone until 0", letters[0].job_id)).await;
    f.command::<u8>(&format!("DEL @job:{}", letters[1].job_id)).await;
    assert!(f.queue.discard_dead_letter(id(2)).await.unwrap() && !f.queue.discard_dead_letter(id(2)).await.unwrap());

    for n in 0..2 {
        assert!(f.queue.replay_dead_letter(id(n)).await.unwrap());
        assert!(!f.queue.replay_dead_letter(id(n)).await.unwrap(), "once");
    }
    let (tx, mut rx) = mpsc::unbounded_channel();
    let handle = move |_: Job, lease: Lease| {
        let tx = tx.clone();
        async move {
            let _ = tx.send((lease.job_id().to_owned(), lease.attempt(), lease.claim().await.unwrap()));
            Outcome::Done
        }
    };
    let _worker = f.work(config(1), handle).await;
    for letter in &letters[..2] {
        let (job, attempt, claim) = next(&mut rx).await;
        assert_eq!((&job, attempt), (&letter.job_id, 1), "its tries are counted anew");
        assert!(matches!(claim, Claim::Claimed { ambiguous: 0, .. }), "{claim:?}");
    }
    f.drained().await;
    assert_eq!(f.queue.depth().await.unwrap().dead, 0);
}

#[tokio::test]
async fn they_are_kept_for_thirty_days() {
    let f = Fixture::new().await;
    let (now, day) = (f.now().await, 86_400_000);
    for (place, job) in [(now - 31 * day, "old"), (now - 29 * day, "young")] {
        f.command::<String>(&format!("XADD @dead {place}-0 i {job} l 1 a 1 r why t {place} d {{}}")).await;
    }
    bury_one_more(&f).await;
    let jobs: Vec<_> = f.queue.list_dead_letters(None, 10).await.unwrap().into_iter().map(|l| l.job_id).collect();
    assert_eq!(jobs, ["young", "job-0"]);
}

async fn bury_one_more(f: &Fixture) {
    f.add(Lane::Bulk, [0]).await;
    let _worker = f.work(config(1), async |_: Job, _: Lease| Outcome::Dead { reason: String::new() }).await;
    eventually("it is buried", async || {
        let letters = f.queue.list_dead_letters(None, 10).await.ok()?;
        letters.iter().any(|l| l.job_id == "job-0").then_some(())
    })
    .await;
}
