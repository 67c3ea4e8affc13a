//! Fetching: as many entries as there are free places, lanes by weight.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use apalis::prelude::Task;
use apalis_core::task::{builder::TaskBuilder, task_id::TaskId};
use bytes::Bytes;
use redis::{Cmd, RedisResult};
use serde::de::DeserializeOwned;
use stentor_connection::Connection;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    held::{GROUP, Holding, Places, Shared},
    members,
};
use crate::{
    Lane, Lease, Outcome, bundle,
    error::has_code,
    lease::{Delivery, Leased},
    millis,
};

/// Where decoded tasks go.
pub(crate) struct Doors<A> {
    /// To the worker.
    pub open: mpsc::UnboundedSender<Task<A>>,
    /// To the line of suspects.
    pub suspects: mpsc::UnboundedSender<Task<A>>,
    /// To where the jobs of bundles wait for places, by lane.
    pub bundles: [mpsc::UnboundedSender<members::Read>; 3],
}

impl<A> Clone for Doors<A> {
    fn clone(&self) -> Self {
        Self { open: self.open.clone(), suspects: self.suspects.clone(), bundles: self.bundles.clone() }
    }
}

/// An entry: its id, how often it was delivered, its fields and values in turn.
pub(crate) type Entry = (String, u64, Vec<Vec<u8>>);
type Reply = Option<Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>>;

/// How long an entry that was fetched for a place that is taken now waits for another: reaping reserves for about so long.
const MOMENT: Duration = Duration::from_millis(20);

impl Shared {
    /// Decodes an entry and hands it to the worker. What cannot be decoded becomes a dead letter and meets no handler.
    ///
    /// `body` is what its job's record keeps, if that is known. `places` is what was reserved for it: without, it waits for a moment,
    /// and is handed back if none becomes free.
    pub(crate) async fn admit<A: DeserializeOwned>(
        &self,
        doors: &Doors<A>,
        lane: Lane,
        entry: Entry,
        body: Option<Bytes>,
        places: Option<Places>,
    ) -> Option<Lease> {
        let lease = self.lease(lane, &entry, body);
        let suspect = lease.is_suspect();
        let payload = job_of(&entry).map(|(_, payload)| payload).ok_or_else(|| "no payload".to_owned());
        let job = match payload.and_then(Content::read) {
            Ok(Content::Bundle { size }) => {
                self.held().insert(lease.0.serial, Holding { lease: lease.clone(), started: true, places: [None, None] });
                self.count_unfed(lane, size);
                let _ = doors.bundles[lane as usize].send(members::Read { lease, size });
                return None;
            }
            Ok(Content::Job(job)) => Ok(job),
            Err(error) => Err(error),
        };
        // Held from now on, so that a stop gives it back.
        let started = job.is_err();
        let holding = Holding { lease: lease.clone(), started, places: [None, None] };
        self.held().insert(lease.0.serial, holding);
        if job.is_ok() && !suspect {
            let places = match places {
                Some(places) => places,
                None => match timeout(MOMENT, self.place_for(lane)).await {
                    Ok(places) => places,
                    Err(_) => return Some(lease),
                },
            };
            if !self.seat(&lease, places) {
                return None;
            }
        }
        match job {
            Ok(job) => {
                let door = if suspect { &doors.suspects } else { &doors.open };
                let _ = door.send(task(lease, job)); // a closed door means a stop: the lease is given back
            }
            Err(error) => self.report(lease, Outcome::Dead { reason: format!("it cannot be decoded: {error}") }),
        }
        None
    }

    /// The lease on an entry that was read.
    pub(crate) fn lease(&self, lane: Lane, entry: &Entry, body: Option<Bytes>) -> Lease {
        fn text(bytes: &[u8]) -> Option<&str> {
            std::str::from_utf8(bytes).ok()
        }
        let (id, deliveries, _) = entry;
        Lease(Arc::new(Leased {
            serial: self.serial(),
            owner: self.owner.clone(),
            delivery: Arc::new(Delivery { lane, entry: id.as_str().into(), number: *deliveries, lost: AtomicBool::new(false) }),
            tries: field(entry, b"a").and_then(text).and_then(|tries| tries.parse().ok()).unwrap_or(0),
            job: job_of(entry).and_then(|(id, _)| text(id)).unwrap_or_default().into(),
            body,
            member: None,
        }))
    }
}

/// What an entry is of.
enum Content<A> {
    /// A job for a handler.
    Job(A),
    /// Jobs that were added together, so many if it says so; no handler sees them like that.
    Bundle { size: usize },
}

impl<A: DeserializeOwned> Content<A> {
    fn read(payload: &[u8]) -> Result<Self, String> {
        match bundle::size(payload) {
            Some(size) => Ok(Self::Bundle { size }),
            None => serde_json::from_slice(payload).map(Self::Job).map_err(|e| e.to_string()),
        }
    }
}

/// The id of an entry's job, and what its handler is given.
fn job_of(entry: &Entry) -> Option<(&[u8], &[u8])> {
    match field(entry, b"j") {
        Some(job) => job.split_at_checked(job.iter().position(|byte| *byte == b' ')?).map(|(id, payload)| (id, &payload[1..])),
        None => Some((field(entry, b"i")?, field(entry, b"d")?)), // until November 2026 a field each
    }
}

fn field<'a>((_, _, fields): &'a Entry, name: &[u8]) -> Option<&'a [u8]> {
    fields.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_slice())
}

/// apalis panics on a task without an id, and on one whose id is running in this worker: hence the lease's number.
pub(crate) fn task<A>(lease: Lease, job: A) -> Task<A> {
    let id = TaskId::from_string(lease.0.serial.to_string());
    TaskBuilder::new(job).task_id(id).attempt(lease.0.tries as usize).data(lease).build()
}

fn read(shared: &Shared, count: usize, block: Option<Duration>, lanes: &[Lane]) -> Cmd {
    let mut cmd = redis::cmd("XREADGROUP");
    cmd.arg("GROUP").arg(GROUP).arg(&*shared.owner.consumer).arg("COUNT").arg(count);
    if let Some(block) = block {
        cmd.arg("BLOCK").arg(millis(block));
    }
    cmd.arg("STREAMS");
    for lane in lanes {
        cmd.arg(shared.owner.queue.keys.lane(*lane));
    }
    for _ in lanes {
        cmd.arg(">");
    }
    cmd
}

/// Divides `free` places: lanes that filled their share last time by weight, the others one place each, to look in.
fn shares(weights: [usize; 3], hungry: [bool; 3], free: usize, common: usize) -> [usize; 3] {
    let total: usize = (0..3).filter(|i| hungry[*i]).map(|i| weights[i]).sum();
    let (mut left, mut common, mut out) = (free, common, [0; 3]);
    for i in 0..3 {
        let want = if hungry[i] { (free * weights[i] / total.max(1)).max(1) } else { 1 };
        out[i] = want.min(left).min(if i == 0 { left } else { common });
        left -= out[i];
        if i > 0 {
            common -= out[i];
        }
    }
    out
}

/// What the last rounds found.
struct Seen {
    /// Lanes that gave as many as they were asked for.
    hungry: [bool; 3],
    /// The last read waited, and took all that there was: to look again before waiting again would find nothing.
    calm: bool,
    /// How many jobs the entries of each lane have, by those that were read last.
    jobs_an_entry: [usize; 3],
}

impl Seen {
    fn new() -> Self {
        // Where nothing was read yet there may be the largest of bundles, and others may want some of them.
        Self { hungry: [true; 3], calm: false, jobs_an_entry: [LARGE; 3] }
    }

    /// Notes how many jobs the entries of a lane had that were read now.
    fn note(&mut self, lane: Lane, entries: &[(Lane, Entry)]) {
        if !entries.is_empty() {
            let jobs = |(_, entry): &(Lane, Entry)| job_of(entry).and_then(|(_, payload)| bundle::size(payload)).unwrap_or(1);
            self.jobs_an_entry[lane as usize] = entries.iter().map(jobs).sum::<usize>().div_ceil(entries.len()).max(1);
        }
    }
}

/// As many jobs as a bundle has, if it is large.
const LARGE: usize = 256;

/// One round: look into each lane without waiting; only if all are empty, wait.
///
/// Never cancelled: what the server hands out to a reader that went away stays pending, unseen, until the lease ends. So does
/// what it hands out to a connection that is let go of since it kept silent: then the reaper takes it over, as from anybody.
async fn round(shared: &Shared, reader: &mut Connection, seen: &mut Seen) -> RedisResult<Vec<(Lane, Entry)>> {
    let (_, common) = shared.free();
    if !(seen.calm && common > 0) {
        let found = look(shared, reader, seen).await?;
        if !found.is_empty() {
            seen.calm = false; // there may be more, and the weights say of what
            return Ok(found);
        }
        seen.hungry = [true; 3];
    }
    let is_feeding = shared.unfed().iter().any(|unfed| *unfed > 0);
    if common == 0 || is_feeding {
        // Only places kept for `high` are free, or others will be taken in a moment: wake for a place as well as for an entry.
        let place = async { if is_feeding { shared.few_unfed.notified().await } else { drop(shared.common.acquire().await) } };
        tokio::select! { () = place => {} () = sleep(Duration::from_millis(5)) => {} }
        return Ok(Vec::new());
    }
    // Where places are taken by handing over while this waits, it does not wait for more than one: they would not be there.
    let most = if shared.handed_over.load(Relaxed) { 1 } else { (common / 3).max(1) };
    let waiting = read(shared, most, Some(shared.owner.config.block), &Lane::ALL);
    shared.waiting.store(true, Relaxed); // until this round ends, in whatever way
    let reply: Reply = waiting.query_async(reader).await?;
    let mut out = Vec::new();
    seen.calm = true;
    for (key, entries) in reply.into_iter().flatten() {
        let Some(lane) = Lane::ALL.into_iter().find(|lane| shared.owner.queue.keys.lane(*lane) == key) else { continue };
        seen.calm &= entries.len() < most;
        let before = out.len();
        out.extend(entries.into_iter().map(|(id, fields)| (lane, (id, 1, fields))));
        seen.note(lane, &out[before..]);
    }
    Ok(out)
}

/// Looks into each lane without waiting. Where there are bundles, one is read ahead.
async fn look(shared: &Shared, reader: &mut Connection, seen: &mut Seen) -> RedisResult<Vec<(Lane, Entry)>> {
    let (free, common) = shared.free();
    let (mut quota, unfed) = (shares(shared.owner.config.weights, seen.hungry, free, common), shared.unfed());
    for (i, quota) in quota.iter_mut().enumerate() {
        *quota = match seen.jobs_an_entry[i] {
            1 if unfed[i] == 0 => *quota,
            jobs => quota
                .saturating_sub(unfed[i])
                .div_ceil(jobs)
                .max(usize::from(jobs > 1 && unfed[i] > 0 && unfed[i] < shared.few())),
        };
    }
    let asked: Vec<Lane> = Lane::ALL.into_iter().filter(|lane| quota[*lane as usize] > 0).collect();
    let mut pipe = redis::pipe();
    for lane in &asked {
        pipe.add_command(read(shared, quota[*lane as usize], None, &[*lane]));
    }
    let replies: Vec<Reply> = pipe.query_async(reader).await?;
    let mut out = Vec::new();
    for (lane, reply) in asked.into_iter().zip(replies) {
        let before = out.len();
        out.extend(reply.into_iter().flatten().flat_map(|(_, entries)| entries).map(|(id, fields)| (lane, (id, 1, fields))));
        seen.hungry[lane as usize] = out.len() - before == quota[lane as usize];
        seen.note(lane, &out[before..]);
    }
    Ok(out)
}

async fn create_groups(shared: &Shared) {
    for key in &shared.owner.queue.keys.lanes {
        // BUSYGROUP is the usual answer; any other error shows again at the next read.
        let create = redis::cmd("XGROUP").arg("CREATE").arg(key).arg(GROUP).arg("0").arg("MKSTREAM").to_owned();
        let _: RedisResult<()> = create.query_async(&mut shared.owner.queue.connection()).await;
    }
}

/// Fetches until the worker stops.
pub(crate) async fn run<A: DeserializeOwned>(shared: Arc<Shared>, mut reader: Connection, doors: Doors<A>) {
    let (mut seen, mut tries) = (Seen::new(), 0);
    create_groups(&shared).await;
    while !shared.is_closing() {
        if shared.free().0 == 0 && shared.unfed() == [0; 3] {
            drop(shared.places.acquire().await);
            continue;
        }
        let found = round(&shared, &mut reader, &mut seen).await;
        shared.waiting.store(false, Relaxed);
        match found {
            Ok(entries) => {
                tries = 0;
                // While a read waits, taking over may fill the places that it was meant for (and COUNT is per stream).
                let mut surplus: [Vec<Lease>; 3] = Default::default();
                for (lane, entry) in entries {
                    surplus[lane as usize].extend(shared.admit(&doors, lane, entry, None, None).await);
                }
                for (lane, leases) in Lane::ALL.into_iter().zip(surplus) {
                    shared.give_back(lane, &leases).await;
                }
            }
            Err(error) => {
                if has_code(&error, "NOGROUP") {
                    create_groups(&shared).await;
                }
                shared.wait_out(&mut tries, &error, "read").await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_weights_and_leave_a_fifth_to_high() {
        assert_eq!(shares([6, 3, 1], [true; 3], 100, 80), [60, 30, 10]);
        assert_eq!(shares([6, 3, 1], [false, true, true], 100, 80), [1, 75, 5]);
        assert_eq!(shares([6, 3, 1], [false, false, true], 10, 8), [1, 1, 7]);
        assert_eq!(shares([6, 3, 1], [true; 3], 1, 0), [1, 0, 0]);
        assert_eq!(shares([6, 3, 1], [false, true, true], 2, 0), [1, 0, 0]);
    }
}
