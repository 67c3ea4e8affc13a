//! Bundles: many jobs that are added as one, for a fraction of what they cost one by one.
//!
//! A bundle has one record, which keeps the jobs that are in it and how far each is, and one entry. The worker that reads the entry holds
//! all of them under one lease ([`members`](crate::backend)), and says of many at once that they are over. A job *leaves* its bundle, and
//! gets a record and an entry of its own, when it has to wait: for its time, for another try, for another worker. It is *adopted*, and
//! gets a record alone, when somebody claims it. Nobody outside of this crate can tell the difference: which bundle a job may be in is
//! said by its id, and what others say of it is kept in the bundle's record.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use redis::RedisResult;
use stentor_connection::Call;

use crate::{JobRecord, Lane, NewJob, Queue, QueueError, scripts};

/// How many of the last characters of an id tell a job from the others of its bundle.
const OWN: usize = 2;
/// What stands for them in the id of a bundle, so that it is the id of no other job; and what a bundle's payload, which is the number of
/// its jobs, begins with, so that it is the payload of none.
pub(crate) const ANY: char = '*';

/// How long the record of a bundle is kept once all of its jobs are over.
pub(crate) const KEPT: Duration = Duration::from_hours(24);

/// How many jobs the bundle of an entry has, if it is one of a bundle. Zero if it does not say so, as until November 2026.
pub(crate) fn size(payload: &[u8]) -> Option<usize> {
    match payload.strip_prefix(&[ANY as u8]) {
        Some(size) => str::from_utf8(size).ok()?.parse().ok(),
        None => payload.is_empty().then_some(0),
    }
}

impl Queue {
    /// The record that a job of a bundle would have; its own, if it has got one meanwhile.
    pub(crate) async fn find_bundled(&self, id: &str) -> Result<Option<JobRecord>, QueueError> {
        type Fields = (Option<Bytes>, Option<String>, Option<Vec<u8>>, Option<String>);
        let (key, (_, own)) = (self.keys.job(&bundle_of(id)), split(id));
        let mut ask = redis::cmd("HMGET");
        ask.arg(key).arg("body").arg("ends").arg(format!("body:{own}")).arg(format!("cancel:{own}"));
        let (body, ends, rewritten, withdrawn): Fields = ask.query_async(&mut self.connection()).await?;
        let Some(body) = body else { return Ok(None) };
        let jobs = read(&body)?;
        let Some(place) = jobs.iter().position(|job| &*job.id == id) else { return Ok(None) };
        let ends = ends.map_or_else(|| Ok(Ends::new(jobs.len())), |ends| Ends::read(&ends, jobs.len()))?;
        let state = match ends.marks.get(place) {
            Some(&LEFT) => return self.read_record(id).await,
            Some(&mark) => ends.state(mark).unwrap_or(QUEUED),
            None => QUEUED,
        };
        let record = JobRecord { state: state.to_owned(), withdrawn, ..JobRecord::added(&jobs[place].body) };
        Ok(Some(JobRecord { body: rewritten.or(record.body), ..record }))
    }

    /// What was said of a job of a bundle since it was added. Once it has a record of its own, that: whoever holds a bundle may have lost
    /// it to another worker, under whom its jobs have left.
    pub(crate) async fn find_said(&self, id: &str) -> Result<Option<JobRecord>, QueueError> {
        type Said = (Option<Vec<u8>>, Option<String>);
        let ([record, bundle], own) = self.records_of(id);
        let mut pipe = redis::pipe();
        pipe.cmd("HGETALL").arg(record);
        pipe.cmd("HMGET").arg(bundle).arg(format!("body:{own}")).arg(format!("cancel:{own}"));
        let (fields, (body, withdrawn)): (_, Said) = pipe.query_async(&mut self.connection()).await?;
        if let Some(record) = JobRecord::read(fields)? {
            return Ok(Some(record));
        }
        let said = body.is_some() || withdrawn.is_some();
        Ok(said.then(|| JobRecord { body, withdrawn, ..JobRecord::added(b"") }))
    }

    /// Gives a job of a bundle a record of its own, unless it has one.
    pub(crate) async fn adopt(&self, id: &str, job: &Bundled) -> RedisResult<()> {
        let mut call = Call::new(&scripts::ADOPT, 2);
        call.arg(self.keys.job(id)).arg(self.keys.job(&bundle_of(id)));
        call.arg(split(id).1).arg(job.expires.unwrap_or(0)).arg(&*job.body);
        call.ask(&mut self.connection()).await
    }

    /// The keys of the record that a job has and of that of the bundle that it may be in, and what tells it from others there.
    pub(crate) fn records_of<'a>(&self, id: &'a str) -> ([String; 2], &'a str) {
        ([self.keys.job(id), self.keys.job(&bundle_of(id))], split(id).1)
    }
}

/// The state of a job that is not over.
const QUEUED: &str = "queued";

/// How far the jobs of a bundle are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// How many are not over.
    pub left: usize,
    /// One for each job.
    marks: Vec<u8>,
    /// The states in which jobs ended.
    states: Vec<String>,
}

/// It is not over.
const OPEN: u8 = b'0';
/// It is over, in no state of its own.
const OVER: u8 = b'1';
/// It has left the bundle.
const LEFT: u8 = b'L';
/// It ended in the first of the states; what comes next in the alphabet stands for the next.
const FIRST: u8 = b'a';

impl Ends {
    pub(crate) fn new(jobs: usize) -> Self {
        Self { left: jobs, marks: vec![OPEN; jobs], states: Vec::new() }
    }

    /// Reads what the record of a bundle of so many jobs says.
    pub(crate) fn read(text: &str, jobs: usize) -> Result<Self, QueueError> {
        let mut words = text.split(' ').skip(1); // how many are left
        let marks = words.next().unwrap_or_default().as_bytes().to_vec();
        if marks.len() != jobs {
            return Err(QueueError::Malformed(format!("{text:?} does not say how far a bundle of {jobs} jobs is")));
        }
        let mut ends = Self { left: 0, marks, states: words.map(str::to_owned).collect() };
        ends.left = (0..jobs).filter(|place| ends.is_open(*place)).count();
        Ok(ends)
    }

    pub(crate) fn is_open(&self, place: usize) -> bool {
        self.marks.get(place) == Some(&OPEN)
    }

    /// Notes that a job ended, in a state if it has one.
    pub(crate) fn end(&mut self, place: usize, state: Option<&str>) {
        let mark = state.map_or(OVER, |state| {
            let known = self.states.iter().position(|known| known == state).unwrap_or_else(|| {
                self.states.push(state.to_owned());
                self.states.len() - 1
            });
            u8::try_from(known).ok().and_then(|known| FIRST.checked_add(known)).filter(u8::is_ascii_lowercase).unwrap_or(OVER)
        });
        self.mark(place, mark);
    }

    /// Notes that a job left.
    pub(crate) fn leave(&mut self, place: usize) {
        self.mark(place, LEFT);
    }

    fn mark(&mut self, place: usize, mark: u8) {
        if let Some(before) = self.marks.get_mut(place).filter(|before| **before == OPEN) {
            *before = mark;
            self.left -= 1;
        }
    }

    fn state(&self, mark: u8) -> Option<&str> {
        self.states.get(usize::from(mark.checked_sub(FIRST)?)).map(String::as_str)
    }
}

/// As the record of a bundle keeps it: "left marks state state …".
impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.left, self.marks.escape_ascii())?;
        self.states.iter().try_for_each(|state| write!(f, " {state}"))
    }
}

/// The id of the bundle that a job with this id may be in.
pub(crate) fn bundle_of(id: &str) -> String {
    format!("{}{ANY}", split(id).0)
}

/// What the ids of a bundle have in common, and what is the job's own.
pub(crate) fn split(id: &str) -> (&str, &str) {
    id.len().checked_sub(OWN).and_then(|end| id.split_at_checked(end)).unwrap_or(("", id))
}

/// A job as a bundle keeps it.
pub(crate) struct Bundled {
    pub id: Arc<str>,
    pub lane: Lane,
    pub due: Option<i64>,
    pub expires: Option<i64>,
    pub payload: Bytes,
    /// Empty if it has none.
    pub body: Bytes,
}

/// Writes a line, "id lane due expires bytes bytes" (times in ms, 0: none), then the payload and the body of so many bytes.
pub(crate) fn write(job: &NewJob<'_>, out: &mut Vec<u8>) {
    let (payload, body) = (job.payload, job.body.unwrap_or_default());
    let times = [job.due, job.expires].map(Option::unwrap_or_default);
    let sizes = [payload.len(), body.len()].map(|size| size as i64); // far from what an i64 holds
    out.extend_from_slice(job.id.as_bytes());
    let mut text = itoa::Buffer::new();
    for number in [job.lane as i64].into_iter().chain(times).chain(sizes) {
        out.push(b' ');
        out.extend_from_slice(text.format(number).as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(payload);
    out.extend_from_slice(body);
}

pub(crate) fn read(bytes: &Bytes) -> Result<Vec<Bundled>, QueueError> {
    let (mut jobs, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let (job, end) = read_one(bytes, at).ok_or_else(|| QueueError::Malformed("a bundle cannot be read".into()))?;
        jobs.push(job);
        at = end;
    }
    Ok(jobs)
}

/// The job that begins at `at`, and where it ends.
fn read_one(bytes: &Bytes, at: usize) -> Option<(Bundled, usize)> {
    let line = bytes.get(at..)?.split(|byte| *byte == b'\n').next()?;
    let mut words = str::from_utf8(line).ok()?.split(' ');
    let id = words.next()?.into();
    let lane = *Lane::ALL.get(words.next()?.parse::<usize>().ok()?)?;
    let mut time = || Some(Some(words.next()?.parse::<i64>().ok()?).filter(|at| *at != 0));
    let (due, expires) = (time()?, time()?);
    let mut size = || words.next()?.parse::<usize>().ok();
    let payload = at + line.len() + 1;
    let body = payload.checked_add(size()?)?;
    let end = body.checked_add(size()?)?;
    (end <= bytes.len())
        .then(|| (Bundled { id, lane, due, expires, payload: bytes.slice(payload..body), body: bytes.slice(body..end) }, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_how_is_read_as_it_was_written() {
        let mut ends = Ends::new(5);
        ends.end(1, Some("told"));
        ends.end(1, None); // once is enough
        ends.end(2, None);
        ends.leave(3);
        ends.end(4, Some("lost"));
        assert_eq!(ends.to_string(), "1 0a1Lb told lost");
        assert_eq!(Ends::read("1 0a1Lb told lost", 5).unwrap(), ends);
        assert_eq!((ends.is_open(0), ends.is_open(1), ends.is_open(5)), (true, false, false));
        assert_eq!(ends.state(b'b'), Some("lost"));
        for (text, jobs) in [("few", 1), ("1 0a1Lb told lost", 4), ("1 0a1Lb told lost", 6), ("", 1)] {
            Ends::read(text, jobs).unwrap_err();
        }
    }

    #[test]
    fn more_states_than_there_are_letters_are_over_all_the_same() {
        let mut ends = Ends::new(30);
        (0..30).for_each(|place| ends.end(place, Some(&format!("state{place}"))));
        assert!(ends.left == 0 && ends.marks.ends_with(b"yz1111"), "{ends}");
    }
}
