//! Keeping house: leases are renewed, those that ended taken over, suspects run one at a time, what is due promoted.

use std::{sync::Arc, time::Duration};

use apalis::prelude::Task;
use redis::{RedisResult, Script};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};

use super::{
    fetch::{Doors, Entry},
    held::{GROUP, STEP, Shared},
};
use crate::{Lane, Lease, Outcome, error::has_code, scripts};

/// How long at most until it is looked again for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How many rounds of reaping lie between two sweeps of dead consumers: about a minute.
const SWEEP_EVERY: u32 = 150;
/// How many rounds lie between two looks for idempotency keys that are over, if there are no more: about 10 s.
const FORGET_EVERY: u32 = 25;
/// How many keys a call forgets: about 0.2 ms of Redis.
const FORGOTTEN: usize = 500;
/// How many such calls a round makes.
const CALLS: usize = 60;

/// Renews every third of a lease, that of a bundle for all of its jobs. What is lost is marked, so that its handler can see it.
pub(crate) async fn renew(shared: Arc<Shared>) {
    loop {
        sleep(shared.owner.config.lease / 3).await;
        for (lane, leases) in Lane::ALL.into_iter().zip(shared.by_lane(|holding| holding.lease.0.member.is_none())) {
            for chunk in leases.chunks(STEP) {
                let mut tries = 0;
                let lost = loop {
                    match shared.fenced::<Vec<String>>(&scripts::RENEW, lane, None, chunk).await {
                        Ok(lost) => break lost,
                        Err(error) => shared.wait_out(&mut tries, &error, "renew").await,
                    }
                };
                // Or it was settled meanwhile: then nobody looks any more.
                for lease in chunk.iter().filter(|lease| lost.iter().any(|id| **id == *lease.0.delivery.entry)) {
                    lease.0.delivery.lost.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            }
        }
    }
}

/// Takes over entries whose leases ended, with a place in hand for each: what waits here would run sooner elsewhere.
pub(crate) async fn reap<A: DeserializeOwned>(shared: Arc<Shared>, doors: Doors<A>) {
    let (mut cursors, mut rounds, mut tries) = (["0-0", "0-0", "0-0"].map(str::to_owned), 0u32, 0);
    let mut are_more = false;
    let most = shared.owner.config.concurrency.div_ceil(8);
    while !shared.is_closing() {
        shared.pause(shared.owner.config.reap_every).await;
        // A busy worker's fetcher takes each place that becomes free: without standing in line for one, this would starve.
        let mut spare = timeout(shared.owner.config.reap_every, shared.place_for(Lane::Normal)).await.ok();
        for lane in Lane::ALL {
            let cursor = &mut cursors[lane as usize];
            while !shared.is_closing() {
                let mut places: Vec<_> = spare.take().into_iter().collect();
                places.extend(shared.free_places(lane, most - places.len()));
                let count = places.len();
                match take_over(&shared, lane, cursor, count).await {
                    Ok((next, entries)) => {
                        tries = 0;
                        for entry in entries {
                            shared.admit(&doors, lane, entry, None, places.pop()).await;
                        }
                        *cursor = next;
                    }
                    // The fetcher makes the group anew; nothing can be taken over before.
                    Err(error) if has_code(&error, "NOGROUP") => break,
                    Err(error) => {
                        shared.wait_out(&mut tries, &error, "take over").await;
                        break;
                    }
                }
                spare = places.pop();
                if cursor == "0-0" || count == 0 {
                    break;
                }
            }
            if rounds % SWEEP_EVERY == SWEEP_EVERY - 1 {
                sweep(&shared, lane, "").await;
            }
        }
        if are_more || rounds % FORGET_EVERY == 0 {
            are_more = forget(&shared).await;
        }
        rounds = rounds.wrapping_add(1);
    }
}

/// Forgets idempotency keys whose time is over. True if there are more than may be forgotten at once.
async fn forget(shared: &Shared) -> bool {
    for _ in 0..CALLS {
        let mut call = scripts::FORGET.key(&shared.owner.queue.keys.remembered);
        let forgotten = call.arg(FORGOTTEN).invoke_async::<usize>(&mut shared.owner.queue.connection()).await;
        if forgotten.map_or(true, |forgotten| forgotten < FORGOTTEN) {
            return false; // or the next look does it
        }
    }
    true
}

async fn take_over(shared: &Shared, lane: Lane, cursor: &str, count: usize) -> RedisResult<(String, Vec<Entry>)> {
    let keys = &shared.owner.queue.keys;
    let mut call = scripts::REAP.key(keys.lane(lane));
    call.key(&keys.pulse).arg(GROUP).arg(&*shared.owner.consumer).arg(shared.owner.config.lease_ms()).arg(cursor).arg(count);
    call.invoke_async(&mut shared.owner.queue.connection()).await
}

/// Removes consumers that hold nothing and were silent for ten leases, and the one that is named.
pub(crate) async fn sweep(shared: &Shared, lane: Lane, named: &str) {
    let script: &Script = &scripts::SWEEP;
    let mut call = script.key(shared.owner.queue.keys.lane(lane));
    call.arg(GROUP).arg(10 * shared.owner.config.lease_ms()).arg(named);
    let _: RedisResult<u32> = call.invoke_async(&mut shared.owner.queue.connection()).await; // the next sweep does it
}

/// Runs suspects one at a time, their starts counted: who is innocent ends and is cleared, who never ends is buried.
///
/// The delivery counter only raises suspicion: a process that is killed counts against everything that it held.
pub(crate) async fn run_suspects<A>(
    shared: Arc<Shared>,
    mut suspects: mpsc::UnboundedReceiver<Task<A>>,
    open: mpsc::UnboundedSender<Task<A>>,
) {
    let one = Arc::new(Semaphore::new(1));
    while let Some(task) = suspects.recv().await {
        let Some(lease) = task.ctx().data().get::<Lease>().cloned() else { continue };
        let Ok(turn) = one.clone().acquire_owned().await else { return };
        let field = format!("{}{}", shared.owner.queue.keys.lane(lease.0.delivery.lane), lease.0.delivery.entry);
        let mut tries = 0;
        let starts: u32 = loop {
            let mut count = scripts::COUNT_START.key(&shared.owner.queue.keys.starts);
            match count.arg(&field).invoke_async(&mut shared.owner.queue.connection()).await {
                Ok(starts) => break starts,
                Err(error) => shared.wait_out(&mut tries, &error, "count starts").await,
            }
        };
        let dead = starts > shared.owner.config.max_starts;
        match shared.held().get_mut(&lease.0.serial) {
            Some(holding) => {
                holding.places[0] = Some(turn);
                holding.started = dead;
            }
            None => continue, // given back meanwhile
        }
        if dead {
            let reason = format!("{} starts without an end: it ends the process that runs it", shared.owner.config.max_starts);
            shared.report(lease, Outcome::Dead { reason });
        } else {
            let _ = open.send(task);
        }
    }
}

/// Moves what is due to its lane, and sleeps until the next is due.
pub(crate) async fn promote(shared: Arc<Shared>) {
    let mut tries = 0;
    while !shared.is_closing() {
        let keys = &shared.owner.queue.keys;
        let mut call = scripts::PROMOTE.key(&keys.due);
        call.key(&keys.lanes[0]).key(&keys.lanes[1]).key(&keys.lanes[2]).arg(STEP);
        match call.invoke_async::<(usize, i64)>(&mut shared.owner.queue.connection()).await {
            Ok((moved, next)) => {
                tries = 0;
                if moved < STEP {
                    let until = u64::try_from(next).map_or(LOOK_EVERY, |ms| Duration::from_millis(ms.max(1)));
                    shared.pause(until.min(LOOK_EVERY)).await;
                }
            }
            Err(error) => shared.wait_out(&mut tries, &error, "promote").await,
        }
    }
}
