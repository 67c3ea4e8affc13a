//! Settling: entries whose handlers have ended are acknowledged in batches, those of bundles once all of their jobs are over; others are
//! moved or buried one by one.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use redis::RedisResult;
use stentor_connection::Call;
use tokio::sync::mpsc;

use super::{
    held::{End, GROUP, STEP, Settlement, Shared},
    members::{Bundle, Member},
};
use crate::{
    Lane, Lease, Outcome,
    bundle::{self, KEPT},
    dead, millis, scripts,
};

/// The most jobs that one script lets leave a bundle.
const LEAVING: usize = 100;

/// Settles until no outcome can come any more.
pub(crate) async fn run(shared: Arc<Shared>, mut outcomes: mpsc::UnboundedReceiver<Settlement>) {
    let mut batch = Vec::new();
    while outcomes.recv_many(&mut batch, STEP).await > 0 {
        let (mut done, mut members): ([Vec<Done>; 3], [Vec<Done>; 3]) = Default::default();
        let mut leaving = Vec::new();
        for Settlement { lease, end } in batch.drain(..) {
            let of_lane = lease.0.delivery.lane as usize;
            let among = if lease.0.member.is_none() { &mut done } else { &mut members };
            match end {
                End::Outcome(Outcome::Done) => among[of_lane].push(Done { lease, state: None }),
                End::Outcome(Outcome::Ended { state }) => among[of_lane].push(Done { lease, state: Some(state) }),
                End::Outcome(outcome) if lease.0.member.is_none() => move_entry(&shared, &lease, &outcome).await,
                End::Outcome(outcome) => leaving.push(Leaving { next: Next::of(&lease, &outcome), lease }),
                End::Leave => leaving.push(Leaving { next: Next::in_line(&lease), lease }),
            }
        }
        for (lane, done) in Lane::ALL.into_iter().zip(done).filter(|(_, done)| !done.is_empty()) {
            acknowledge(&shared, lane, &done).await;
        }
        leave(&shared, &leaving, &mut members).await;
        for (lane, done) in Lane::ALL.into_iter().zip(members).filter(|(_, done)| !done.is_empty()) {
            end_members(&shared, lane, &done).await;
        }
    }
}

/// A job that is done with.
struct Done {
    lease: Lease,
    /// What its record ends in.
    state: Option<&'static str>,
}

/// Safe to repeat: the second time nothing is ours any more. Hence a refusal means a lost lease only at the first try.
async fn acknowledge(shared: &Shared, lane: Lane, done: &[Done]) {
    let keys = &shared.owner.queue.keys;
    let ended = done.iter().filter(|done| done.state.is_some());
    let mut call = Call::new(&scripts::ACK, 2 + ended.clone().count());
    call.arg(keys.lane(lane)).arg(&keys.starts);
    for Done { lease, .. } in ended {
        call.arg(keys.job(&lease.0.job));
    }
    // To look up what lies between them at once pays only if most of that is to be ended.
    let many = done.len() * 2 >= shared.held().len();
    let (first, last) = if many { ends(done) } else { ("", "") };
    call.arg(GROUP).arg(&*shared.owner.consumer).arg(first).arg(last);
    // Of nearly all there is nothing to say but the id, and each word of a call costs Redis something.
    let is_plain = |done: &&Done| done.state.is_none() && done.lease.0.delivery.number == 1;
    call.arg(done.iter().filter(is_plain).count());
    for Done { lease, .. } in done.iter().filter(is_plain) {
        call.arg(&*lease.0.delivery.entry);
    }
    for Done { lease, state } in done.iter().filter(|done| !is_plain(done)) {
        call.arg(&*lease.0.delivery.entry).arg(lease.0.delivery.number).arg(state.unwrap_or_default());
    }
    let (refused, tries): (Vec<String>, _) = insist(shared, &call, "acknowledge").await;
    if tries == 0 && !refused.is_empty() {
        count_refused(shared, refused.len());
    }
    let mut held = shared.held();
    for Done { lease, .. } in done {
        held.remove(&lease.0.serial);
    }
}

/// The ids of the first and the last entry.
fn ends(done: &[Done]) -> (&str, &str) {
    let place = |id: &&str| id.split_once('-').and_then(|(ms, n)| Some((ms.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
    let ids = || done.iter().map(|done| &*done.lease.0.delivery.entry);
    (ids().min_by_key(place).unwrap_or_default(), ids().max_by_key(place).unwrap_or_default())
}

fn count_refused(shared: &Shared, n: usize) {
    metrics::counter!("stentor_queue_lost_leases_total", "queue" => shared.owner.queue.name().to_owned()).increment(n as u64);
}

/// Notes the end of jobs of bundles, and acknowledges the entries of bundles of which all jobs are over.
async fn end_members(shared: &Shared, lane: Lane, done: &[Done]) {
    let mut bundles: Vec<(&Arc<Bundle>, Vec<&Done>)> = Vec::new();
    for one in done {
        let Some(Member { bundle, place, .. }) = one.lease.0.member.as_ref() else { continue };
        bundle.end(*place, one.state);
        // Few bundles are in hand at a time, and the last is mostly the one.
        match bundles.iter_mut().rev().find(|(known, _)| Arc::ptr_eq(known, bundle)) {
            Some((_, jobs)) => jobs.push(one),
            None => bundles.push((bundle, vec![one])),
        }
    }
    let ended = |jobs: &[&Done]| {
        let of_own =
            |done: &&Done| Some((done.lease.0.member.as_ref()?.is_adopted().then_some(&done.lease.0.job)?.clone(), done.state?));
        jobs.iter().filter_map(of_own).collect::<Vec<_>>()
    };
    let bundles: Vec<_> = bundles.into_iter().map(|(bundle, jobs)| (bundle, jobs.len(), ended(&jobs))).collect();
    let keys = &shared.owner.queue.keys;
    let mut call = Call::new(&scripts::END_MEMBERS, 3 + bundles.iter().map(|(_, _, ended)| 1 + ended.len()).sum::<usize>());
    call.arg(keys.lane(lane)).arg(&keys.starts).arg(&keys.bundled);
    for (bundle, _, ended) in &bundles {
        call.arg(keys.job(bundle.lease.job_id()));
        for (job, _) in ended {
            call.arg(keys.job(job));
        }
    }
    call.arg(GROUP).arg(&*shared.owner.consumer).arg(lane as u8).arg(millis(KEPT));
    for (bundle, _, ended) in &bundles {
        let delivery = &bundle.lease.0.delivery;
        call.arg(&*delivery.entry).arg(delivery.number).arg(bundle.size()).arg(bundle.ends()).arg(ended.len());
        for (_, state) in ended {
            call.arg(*state);
        }
    }
    let (refused, tries): (Vec<String>, _) = insist(shared, &call, "end jobs of bundles").await;
    if tries == 0 && !refused.is_empty() {
        count_refused(shared, refused.len());
    }
    {
        let mut held = shared.held();
        for Done { lease, .. } in done {
            held.remove(&lease.0.serial);
        }
    }
    for (bundle, jobs, _) in bundles {
        shared.put_down(bundle, jobs);
    }
}

/// A job that leaves its bundle.
struct Leaving {
    lease: Lease,
    next: Next,
}

/// Where a job goes on.
struct Next {
    tries: u32,
    /// When: "ms" or "+ms" from now; "-" if it is dead.
    due: String,
    /// Why it is dead.
    reason: String,
}

impl Next {
    /// What an outcome says that is no end.
    fn of(lease: &Lease, outcome: &Outcome) -> Self {
        let tries = lease.0.tries;
        let next = |tries, due, reason: &str| Self { tries, due, reason: reason.to_owned() };
        match outcome {
            Outcome::Done | Outcome::Ended { .. } => next(tries, "0".to_owned(), ""),
            Outcome::RetryAfter { wait, reason } => next(tries + 1, format!("+{}", wait.as_millis()), reason),
            Outcome::HoldFor { wait } => next(tries, format!("+{}", wait.as_millis()), ""),
            Outcome::HoldUntil { at_ms } => next(tries, at_ms.to_string(), ""),
            Outcome::Dead { reason } => next(tries + 1, "-".to_owned(), reason),
        }
    }

    /// A job that nobody began stands in line where it said when it was added.
    fn in_line(lease: &Lease) -> Self {
        let due = lease.0.member.as_ref().and_then(|member| member.job().due).unwrap_or(0);
        Self { tries: lease.0.tries, due: due.to_string(), reason: String::new() }
    }
}

/// Lets jobs leave their bundles. Those of a bundle of which nothing is left go to `members`, so that its end is noted.
async fn leave(shared: &Shared, leaving: &[Leaving], members: &mut [Vec<Done>; 3]) {
    // Not by their entries: one on another lane may have the same id.
    let bundle_of = |one: &Leaving| one.lease.0.member.as_ref().map(|member| Arc::as_ptr(&member.bundle));
    let of_one = |a: &Leaving, b: &Leaving| bundle_of(a) == bundle_of(b);
    for chunk in leaving.chunk_by(of_one).flat_map(|same| same.chunks(LEAVING)) {
        let Some(Member { bundle, .. }) = chunk.first().and_then(|one| one.lease.0.member.as_ref()) else { continue };
        let (keys, delivery) = (&shared.owner.queue.keys, &bundle.lease.0.delivery);
        let mut call = Call::new(&scripts::LEAVE, 9 + chunk.len());
        call.arg(keys.lane(delivery.lane)).arg(&keys.starts).arg(&keys.due).arg(&keys.dead).arg(&keys.lanes).arg(&keys.bundled);
        call.arg(keys.job(bundle.lease.job_id()));
        for Leaving { lease, .. } in chunk {
            call.arg(keys.job(&lease.0.job));
        }
        call.arg(GROUP).arg(&*shared.owner.consumer).arg(&*delivery.entry).arg(delivery.number).arg(delivery.lane as u8);
        call.arg(bundle.size()).arg(bundle.ends()).arg(millis(dead::KEPT));
        for Leaving { lease, next } in chunk {
            let Some(member) = &lease.0.member else { continue };
            let job = member.job();
            call.arg(member.place + 1).arg(bundle::split(&job.id).1).arg(&*job.id).arg(&*job.payload).arg(job.lane as u8);
            call.arg(next.tries).arg(&next.due).arg(job.expires.unwrap_or(0)).arg(&next.reason).arg(&*job.body);
        }
        let (left, tries): (u8, _) = insist(shared, &call, "leave a bundle").await;
        if left == 0 && tries == 0 {
            count_refused(shared, chunk.len());
        }
        for Leaving { lease, .. } in chunk {
            let Some(member) = &lease.0.member else { continue };
            member.bundle.leave(member.place);
            shared.held().remove(&lease.0.serial);
        }
        if left == 0 {
            delivery.lost.store(true, Relaxed);
        }
        let is_last = bundle.is_over();
        shared.put_down(bundle, chunk.len() - usize::from(is_last));
        if is_last && let Some(last) = chunk.last() {
            members[delivery.lane as usize].push(Done { lease: last.lease.clone(), state: None });
        }
    }
}

/// Moves an entry to the due set or to the dead letters.
async fn move_entry(shared: &Shared, lease: &Lease, outcome: &Outcome) {
    let Next { tries, due, reason } = Next::of(lease, outcome);
    let (keys, delivery) = (&shared.owner.queue.keys, &lease.0.delivery);
    let mut call = Call::new(&scripts::MOVE, 6);
    call.arg(keys.lane(delivery.lane)).arg(&keys.starts).arg(&keys.due).arg(&keys.dead).arg(&keys.bundled);
    call.arg(keys.job(&lease.0.job));
    call.arg(GROUP).arg(&*shared.owner.consumer).arg(&*delivery.entry).arg(delivery.number);
    call.arg(delivery.lane as u8).arg(tries).arg(due).arg(reason);
    call.arg(millis(dead::KEPT));
    let (moved, tries): (u8, _) = insist(shared, &call, "move").await;
    if moved == 0 && tries == 0 {
        count_refused(shared, 1);
    }
    shared.held().remove(&lease.0.serial);
}

/// Calls a script that is safe to repeat until Redis answers. Gives the answer, and how often it was called in vain.
async fn insist<T: redis::FromRedisValue>(shared: &Shared, call: &Call, what: &'static str) -> (T, u32) {
    let mut tries = 0;
    loop {
        let answer: RedisResult<T> = call.ask(&mut shared.owner.queue.connection()).await;
        match answer {
            Ok(answer) => return (answer, tries),
            Err(error) => shared.wait_out(&mut tries, &error, what).await,
        }
    }
}
