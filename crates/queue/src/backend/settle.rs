//! Settling: entries whose handlers have ended are acknowledged in batches, moved or buried one by one.

use std::sync::Arc;

use redis::RedisResult;
use stentor_connection::Call;
use tokio::sync::mpsc;

use super::held::{GROUP, STEP, Settlement, Shared};
use crate::{Lane, Lease, Outcome, dead, scripts};

/// Settles until no outcome can come any more.
pub(crate) async fn run(shared: Arc<Shared>, mut outcomes: mpsc::UnboundedReceiver<Settlement>) {
    let mut batch = Vec::new();
    while outcomes.recv_many(&mut batch, STEP).await > 0 {
        let mut done: [Vec<Done>; 3] = Default::default();
        for Settlement { lease, outcome } in batch.drain(..) {
            let state = match outcome {
                Outcome::Done => Some(None),
                Outcome::Ended { state } => Some(Some(state)),
                _ => None,
            };
            if let Some(state) = state {
                done[lease.lane as usize].push(Done { lease, state });
                continue;
            }
            let mut tries = 0;
            while let Err(error) = move_entry(&shared, &lease, &outcome, tries).await {
                shared.wait_out(&mut tries, &error, "move").await;
            }
            shared.held().remove(&lease.key());
        }
        for (lane, done) in Lane::ALL.into_iter().zip(done).filter(|(_, done)| !done.is_empty()) {
            let mut tries = 0;
            while let Err(error) = acknowledge(&shared, lane, &done, tries).await {
                shared.wait_out(&mut tries, &error, "acknowledge").await;
            }
            let mut held = shared.held();
            for Done { lease, .. } in &done {
                held.remove(&lease.key());
            }
        }
    }
}

/// An entry that is done with.
struct Done {
    lease: Lease,
    /// What the record of its job ends in.
    state: Option<&'static str>,
}

/// Safe to repeat: the second time nothing is ours any more. Hence a refusal means a lost lease only at the first try.
async fn acknowledge(shared: &Shared, lane: Lane, done: &[Done], tries: u32) -> RedisResult<()> {
    let keys = &shared.queue.keys;
    let ended = done.iter().filter(|done| done.state.is_some());
    let mut call = Call::new(&scripts::ACK, 2 + ended.clone().count());
    call.arg(keys.lane(lane)).arg(&keys.starts);
    for Done { lease, .. } in ended {
        call.arg(keys.job(&lease.job));
    }
    // To look up what lies between them at once pays only if most of that is to be ended.
    let many = done.len() * 2 >= shared.held().len();
    let (first, last) = if many { ends(done) } else { ("", "") };
    call.arg(GROUP).arg(&*shared.consumer).arg(first).arg(last);
    // Of nearly all there is nothing to say but the id, and each word of a call costs Redis something.
    let is_plain = |done: &&Done| done.state.is_none() && done.lease.deliveries == 1;
    call.arg(done.iter().filter(is_plain).count());
    for Done { lease, .. } in done.iter().filter(is_plain) {
        call.arg(&*lease.entry);
    }
    for Done { lease, state } in done.iter().filter(|done| !is_plain(done)) {
        call.arg(&*lease.entry).arg(lease.deliveries).arg(state.unwrap_or_default());
    }
    let refused: Vec<String> = call.ask(&mut shared.queue.connection()).await?;
    if tries == 0 && !refused.is_empty() {
        count_refused(shared, refused.len());
    }
    Ok(())
}

/// The ids of the first and the last entry.
fn ends(done: &[Done]) -> (&str, &str) {
    let place = |id: &&str| id.split_once('-').and_then(|(ms, n)| Some((ms.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
    let ids = || done.iter().map(|done| &*done.lease.entry);
    (ids().min_by_key(place).unwrap_or_default(), ids().max_by_key(place).unwrap_or_default())
}

fn count_refused(shared: &Shared, n: usize) {
    metrics::counter!("stentor_queue_lost_leases_total", "queue" => shared.queue.name().to_owned()).increment(n as u64);
}

async fn move_entry(shared: &Shared, lease: &Lease, outcome: &Outcome, tries: u32) -> RedisResult<()> {
    let (noted, due, reason) = match outcome {
        Outcome::Done | Outcome::Ended { .. } => return Ok(()),
        Outcome::RetryAfter { wait, reason } => (lease.tries + 1, format!("+{}", wait.as_millis()), reason.as_str()),
        Outcome::HoldFor { wait } => (lease.tries, format!("+{}", wait.as_millis()), ""),
        Outcome::HoldUntil { at_ms } => (lease.tries, at_ms.to_string(), ""),
        Outcome::Dead { reason } => (lease.tries + 1, "-".to_owned(), reason.as_str()),
    };
    let keys = &shared.queue.keys;
    let mut call = scripts::MOVE.key(keys.lane(lease.lane));
    call.key(&keys.starts).key(&keys.due).key(&keys.dead);
    call.arg(GROUP).arg(&*shared.consumer).arg(&*lease.entry).arg(lease.deliveries);
    call.arg(lease.lane as u8).arg(noted).arg(due).arg(reason).arg(u64::try_from(dead::KEPT.as_millis()).unwrap_or(u64::MAX));
    let moved: u8 = call.invoke_async(&mut shared.queue.connection()).await?;
    if moved == 0 && tries == 0 {
        count_refused(shared, 1);
    }
    Ok(())
}
