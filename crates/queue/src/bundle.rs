//! Bundles: many jobs that are added as one, for a fraction of what they cost one by one.
//!
//! A bundle is a job without a payload, whose record keeps those that are in it. A worker that reads its entry *opens* it: its jobs get
//! records and entries of their own. Whoever needs one of them before opens it, too, so that nobody outside of this crate can tell the
//! difference. Which bundle a job may be in is said by its id; opening twice adds nothing twice.

use std::{collections::BTreeSet, io::Write, time::Duration};

use crate::{JobRecord, Lane, Lease, NewJob, Outcome, Queue, QueueError};

/// How many of the last characters of an id tell a job from the others of its bundle.
const OWN: usize = 2;
/// What stands for them in the id of a bundle, so that it is the id of no other job.
const ANY: char = '*';
/// How long the record of a bundle says that it was opened.
const KEPT: Duration = Duration::from_hours(24);
/// How long a bundle waits that Redis did not let be opened.
const PAUSE: Duration = Duration::from_secs(1);

/// Jobs that are to be added together, in as few bundles as their ids allow.
#[derive(Default)]
pub struct Bundles(Vec<NewBundle>);

struct NewBundle {
    id: String,
    lane: Lane,
    body: Vec<u8>,
}

impl Bundles {
    /// Takes one more, into the bundle of the one before it if their ids differ in nothing but their last two characters.
    pub fn push(&mut self, job: &NewJob<'_>) {
        if self.0.last().is_none_or(|last| last.id.strip_suffix(ANY) != Some(shared(job.id))) {
            self.0.push(NewBundle { id: bundle_of(job.id), lane: job.lane, body: Vec::new() });
        }
        if let Some(last) = self.0.last_mut() {
            last.lane = last.lane.min(job.lane);
            write(job, &mut last.body);
        }
    }
}

impl Queue {
    /// Adds bundles in one round trip. What has a record is left alone: it is a repeat of this very call.
    ///
    /// A bundle stands on the lane of its most urgent job, and counts as one in [`depth`](Self::depth) until it is opened.
    pub async fn submit_bundles(&self, bundles: &Bundles) -> Result<(), QueueError> {
        if bundles.0.is_empty() {
            return Ok(());
        }
        let jobs = bundles.0.iter().map(|NewBundle { id, lane, body }| {
            (NewJob { id, lane: *lane, payload: b"", body: Some(body), due: None, expires: None }, None)
        });
        self.submit_many(&jobs.collect::<Vec<_>>()).await?;
        Ok(())
    }

    /// The record that a job of a bundle will have, if its bundle is not open yet; else its own, which it may have got meanwhile.
    pub(crate) async fn find_bundled(&self, id: &str) -> Result<Option<JobRecord>, QueueError> {
        match self.read_bundles(&[&bundle_of(id)]).await?.pop() {
            None | Some(Bundle::None) => Ok(None),
            Some(Bundle::Open) => self.read_record(id).await,
            Some(Bundle::Closed(body)) => {
                let job = read(&body)?.into_iter().find(|job| job.id == id);
                Ok(job.map(|job| JobRecord::added(job.body.unwrap_or_default())))
            }
        }
    }

    /// Opens the bundles that these jobs may be in. False if there is none: then they have no records.
    pub(crate) async fn open_bundles_of(&self, ids: &[&str]) -> Result<bool, QueueError> {
        let bundles: BTreeSet<String> = ids.iter().map(|id| bundle_of(id)).collect();
        self.open_bundles(&bundles.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// Gives the jobs of bundles records and entries of their own. False if there is none of these bundles.
    async fn open_bundles(&self, bundles: &[&str]) -> Result<bool, QueueError> {
        if bundles.is_empty() {
            return Ok(false);
        }
        let mut found = false;
        for (bundle, read_now) in bundles.iter().zip(self.read_bundles(bundles).await?) {
            found |= !matches!(read_now, Bundle::None);
            if let Bundle::Closed(body) = read_now {
                self.open_bundle(bundle, &body).await?;
            }
        }
        Ok(found)
    }

    async fn open_bundle(&self, bundle: &str, body: &[u8]) -> Result<(), QueueError> {
        self.enqueue(&read(body)?).await?;
        // From here on they are found by themselves; whoever dies before does it all again. The end of the record is said first: one
        // that has no jobs any more is not looked at again, and would stay.
        self.expire_jobs(&[bundle], KEPT).await?;
        let () = redis::cmd("HDEL").arg(self.keys.job(bundle)).arg("body").query_async(&mut self.connection()).await?;
        Ok(())
    }

    async fn read_bundles(&self, bundles: &[&str]) -> Result<Vec<Bundle>, QueueError> {
        type Fields = (Option<String>, Option<Vec<u8>>);
        let mut pipe = redis::pipe();
        for bundle in bundles {
            pipe.cmd("HMGET").arg(self.keys.job(bundle)).arg("state").arg("body");
        }
        let all: Vec<Fields> = pipe.query_async(&mut self.connection()).await?;
        let bundle = |(state, body)| match (state, body) {
            (None, _) => Bundle::None,
            (_, None) => Bundle::Open,
            (_, Some(body)) => Bundle::Closed(body),
        };
        Ok(all.into_iter().map(bundle).collect())
    }
}

impl Lease {
    /// Opens the bundle that this lease is on.
    pub(crate) async fn open_bundle(&self) -> Outcome {
        let opened = match &self.body {
            Some(body) => self.queue.open_bundle(&self.job, body).await.map(|()| true), // it was added in this process just now
            None => self.queue.open_bundles(&[&*self.job]).await,
        };
        match opened {
            Ok(true) => Outcome::Ended { state: "opened" },
            Ok(false) => Outcome::Dead { reason: "its record is gone".into() },
            Err(QueueError::Malformed(reason)) => Outcome::Dead { reason },
            Err(error) => {
                tracing::warn!(queue = self.queue.name(), job = &*self.job, %error, "a bundle waits");
                Outcome::HoldFor { wait: PAUSE }
            }
        }
    }
}

/// What the record of a bundle says.
enum Bundle {
    /// There is none.
    None,
    /// Its jobs are records by themselves.
    Open,
    /// It has them.
    Closed(Vec<u8>),
}

/// The id of the bundle that a job with this id may be in.
fn bundle_of(id: &str) -> String {
    format!("{}{ANY}", shared(id))
}

/// What the ids of a bundle have in common.
fn shared(id: &str) -> &str {
    id.len().checked_sub(OWN).and_then(|end| id.get(..end)).unwrap_or_default()
}

/// Writes a line, "id lane due expires bytes bytes" (times in ms, 0: none), then the payload and the body of so many bytes.
fn write(job: &NewJob<'_>, out: &mut Vec<u8>) {
    let (lane, due, expires) = (job.lane as u8, job.due.unwrap_or(0), job.expires.unwrap_or(0));
    let body = job.body.unwrap_or_default();
    let _ = writeln!(out, "{} {lane} {due} {expires} {} {}", job.id, job.payload.len(), body.len()); // to a Vec it cannot fail
    out.extend_from_slice(job.payload);
    out.extend_from_slice(body);
}

fn read(mut bytes: &[u8]) -> Result<Vec<NewJob<'_>>, QueueError> {
    let mut jobs = Vec::new();
    while !bytes.is_empty() {
        let (job, rest) = read_one(bytes).ok_or_else(|| QueueError::Malformed("a bundle cannot be read".into()))?;
        jobs.push(job);
        bytes = rest;
    }
    Ok(jobs)
}

/// The first job, and what is behind it.
fn read_one(bytes: &[u8]) -> Option<(NewJob<'_>, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let mut words = str::from_utf8(&bytes[..end]).ok()?.split(' ');
    let id = words.next()?;
    let lane = *Lane::ALL.get(words.next()?.parse::<usize>().ok()?)?;
    let mut time = || Some(Some(words.next()?.parse::<i64>().ok()?).filter(|at| *at != 0));
    let (due, expires) = (time()?, time()?);
    let mut size = || words.next()?.parse::<usize>().ok();
    let (payload, body) = (size()?, size()?);
    let (payload, rest) = bytes[end + 1..].split_at_checked(payload)?;
    let (body, rest) = rest.split_at_checked(body)?;
    Some((NewJob { id, lane, payload, body: Some(body).filter(|body| !body.is_empty()), due, expires }, rest))
}
