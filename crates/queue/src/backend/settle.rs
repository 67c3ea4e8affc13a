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
        let mut done: [Vec<Lease>; 3] = Default::default();
        for Settlement { lease, outcome } in batch.drain(..) {
            if outcome == Outcome::Done {
                done[lease.lane as usize].push(lease);
                continue;
            }
            let mut tries = 0;
            while let Err(error) = move_entry(&shared, &lease, &outcome, tries).await {
                shared.wait_out(&mut tries, &error, "move").await;
            }
            shared.held().remove(&lease.key());
        }
        for (lane, leases) in Lane::ALL.into_iter().zip(done).filter(|(_, leases)| !leases.is_empty()) {
            let mut tries = 0;
            while let Err(error) = acknowledge(&shared, lane, &leases, tries).await {
                shared.wait_out(&mut tries, &error, "acknowledge").await;
            }
            let mut held = shared.held();
            for lease in &leases {
                held.remove(&lease.key());
            }
        }
    }
}

/// Safe to repeat: the second time nothing is ours any more. Hence a refusal means a lost lease only at the first try.
async fn acknowledge(shared: &Shared, lane: Lane, leases: &[Lease], tries: u32) -> RedisResult<()> {
    let mut call = Call::new(&scripts::ACK, 2);
    call.arg(shared.queue.keys.lane(lane)).arg(&shared.queue.keys.starts).arg(GROUP).arg(&*shared.consumer);
    // To look up what lies between them at once pays only if most of that is to be ended.
    let many = leases.len() * 2 >= shared.held().len();
    let (first, last) = if many { ends(leases) } else { ("", "") };
    call.arg(first).arg(last);
    for lease in leases {
        call.arg(&*lease.entry).arg(lease.deliveries);
    }
    let refused: Vec<String> = call.ask(&mut shared.queue.connection()).await?;
    if tries == 0 && !refused.is_empty() {
        count_refused(shared, refused.len());
    }
    Ok(())
}

/// The ids of the first and the last entry.
fn ends(leases: &[Lease]) -> (&str, &str) {
    let place =
        |lease: &&Lease| lease.entry.split_once('-').and_then(|(ms, n)| Some((ms.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
    let (first, last) = (leases.iter().min_by_key(place), leases.iter().max_by_key(place));
    (first.map_or("", |lease| &lease.entry), last.map_or("", |lease| &lease.entry))
}

fn count_refused(shared: &Shared, n: usize) {
    metrics::counter!("stentor_queue_lost_leases_total", "queue" => shared.queue.name().to_owned()).increment(n as u64);
}

async fn move_entry(shared: &Shared, lease: &Lease, outcome: &Outcome, tries: u32) -> RedisResult<()> {
    let (noted, due, reason) = match outcome {
        Outcome::Done => return Ok(()),
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
