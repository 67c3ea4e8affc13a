//! Submitting: under an idempotency key if there is one, by itself or in a [batch](crate::batch).

use std::time::Duration;

use futures_util::FutureExt;
use redis::{Cmd, RedisError, Value};
use stentor_connection::{Call, push_arg_of};

use crate::{
    Lane, NewJob, Queue, QueueError,
    backend::{GROUP, Reserved},
    millis,
    queue::Replication,
};

/// An idempotency key.
#[derive(Clone, Copy, Debug)]
pub struct Idempotency<'a> {
    /// The key, with whatever scopes it.
    pub key: &'a str,
    /// What a repeat must equal.
    pub fingerprint: &'a [u8],
    /// How long a repeat is recognised.
    pub ttl: Duration,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It was added.
    Accepted,
    /// The key had been used for this job.
    Replayed {
        /// The job of the first.
        id: String,
    },
    /// The key had been used with another fingerprint.
    Conflict {
        /// The job of the first.
        id: String,
    },
}

impl Queue {
    /// Adds one job, under an idempotency key if one is given: record, key and entry in one script.
    ///
    /// Without a key, a job whose record exists is left alone and counts as accepted: it is a repeat of this very call. (One that
    /// [is new](NewJob::is_new) has none, and may not be looked for.)
    pub async fn submit(&self, job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) -> Result<Submitted, QueueError> {
        self.gathering.submit(self, self.submission(job, idempotency), None).await
    }

    /// The same, with `along` begun in the same breath: what it asks Redis goes out with the submission. Nobody waits for its end.
    pub async fn submit_along(
        &self,
        job: &NewJob<'_>,
        idempotency: Option<Idempotency<'_>>,
        along: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Submitted, QueueError> {
        self.gathering.submit(self, self.submission(job, idempotency), Some(along.boxed())).await
    }

    /// True if a worker of this process has a place for a job of `lane` now: then it will most likely be given one that is submitted.
    pub fn has_place(&self, lane: Lane) -> bool {
        self.handover.has_place(lane)
    }

    /// True if what is submitted now waits for nothing, and most likely goes by itself.
    pub fn is_calm(&self) -> bool {
        self.gathering.is_calm()
    }

    /// The key of a job's record: for scripts of others, that do something only if the job was added. One of a bundle has none.
    pub fn record_key(&self, id: &str) -> String {
        self.keys.job(id)
    }

    /// What `submit.lua` is told of one job: its keys, then three arguments.
    pub(crate) fn submission(&self, job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) -> Submission {
        let body = job.body.unwrap_or_default();
        let mut told = Cmd::with_capacity(SUBMISSION_KEYS + 3, 256 + job.payload.len() + body.len());
        told.arg(self.keys.job(job.id));
        let mut keyed = None;
        let how = match idempotency {
            None => job.how().into_bytes(),
            Some(Idempotency { key, fingerprint, ttl }) => {
                let remembered = self.keys.idempotency(key);
                keyed = Some(Keyed { key: remembered.len() - key.len(), ttl, fingerprint: fingerprint.len() });
                told.arg(remembered);
                [format!("{} {} ", job.how_in_full(), millis(ttl)).as_bytes(), fingerprint].concat()
            }
        };
        push_arg_of(&mut told, &job.entry());
        told.arg(how).arg(body);
        let NewJob { lane, expires, is_new, .. } = *job;
        Submission { told, keyed, lane, waits: job.due.is_some(), expires, is_new }
    }

    /// Makes calls that submit, and waits for the replicas that are to have what they wrote. What was added is added, and read for a worker,
    /// even if too few of them have it: so the answers come with that error.
    pub(crate) async fn submit_calls(&self, calls: Vec<Call>) -> Result<(Vec<Value>, Result<(), QueueError>), QueueError> {
        let mut replicated = Ok(());
        if calls.is_empty() {
            return Ok((Vec::new(), replicated));
        }
        let expected = calls.len();
        let replies = match &self.replication {
            None => Call::ask_all(calls, &mut self.connection()).await?,
            Some(Replication { conn, replicas, patience }) => {
                let mut wait = redis::cmd("WAIT");
                wait.arg(replicas).arg(millis(*patience));
                let mut replies = Call::ask_all_and(calls, Some(wait), &mut conn.clone()).await?;
                let have = replies.pop().and_then(|v| redis::from_redis_value(v).ok()).ok_or_else(too_short)?;
                if have < *replicas {
                    replicated = Err(QueueError::NotReplicated { have, want: *replicas });
                }
                replies
            }
        };
        if replies.len() == expected { Ok((replies, replicated)) } else { Err(too_short()) }
    }
}

/// Tells a script for which worker to read what it has added, and how many entries of each lane.
pub(crate) fn tell_reader(call: &mut Call, reserved: Option<&Reserved>) {
    let (consumer, counts) = reserved.map_or(("", [0; 3]), |reserved| (reserved.consumer(), reserved.counts()));
    call.arg(GROUP).arg(consumer).arg(&counts);
}

pub(crate) fn from_reply<T: redis::FromRedisValue>(reply: Value) -> Result<T, QueueError> {
    Ok(redis::from_redis_value(reply).map_err(RedisError::from)?)
}

pub(crate) fn too_many() -> QueueError {
    QueueError::Malformed("an answer to what was not asked".into())
}

fn too_short() -> QueueError {
    QueueError::Malformed("an answer is too short".into())
}

/// An entry that was read along with an answer: its lane, its id, its fields and values in turn.
pub(crate) type Read = (usize, String, Vec<Vec<u8>>);

/// The most keys of a submission: its record, and what remembers its idempotency key.
const SUBMISSION_KEYS: usize = 2;

/// A submission.
pub(crate) struct Submission {
    /// As its script is told it, in one buffer: its keys, then three arguments.
    told: Cmd,
    keyed: Option<Keyed>,
    pub lane: Lane,
    /// Not for any worker yet.
    pub waits: bool,
    expires: Option<i64>,
    is_new: bool,
}

/// What there is to its idempotency key, besides.
#[derive(Clone, Copy)]
struct Keyed {
    /// Where it begins in the name of what remembers it.
    key: usize,
    /// How long it is remembered.
    ttl: Duration,
    /// How many bytes its fingerprint has, which are the last of how it is added.
    fingerprint: usize,
}

impl Submission {
    /// The job, if it may go in a bundle.
    pub(crate) fn new_job(&self) -> Option<NewJob<'_>> {
        let (id, payload) = self.job().split_at_checked(self.job().iter().position(|byte| *byte == b' ')?)?;
        let (id, body) = (str::from_utf8(id).ok()?, Some(self.body()).filter(|body| !body.is_empty()));
        let job = NewJob { id, lane: self.lane, payload: &payload[1..], body, due: None, expires: self.expires, is_new: true };
        (self.is_new && !self.waits).then_some(job)
    }

    pub(crate) fn idempotency(&self) -> Option<Idempotency<'_>> {
        let (keyed, how) = (self.keyed?, self.args().nth(1)?);
        let key = str::from_utf8(self.keys().nth(1)?).ok()?.get(keyed.key..)?;
        Some(Idempotency { key, fingerprint: how.get(how.len().checked_sub(keyed.fingerprint)?..)?, ttl: keyed.ttl })
    }

    /// "id payload".
    pub(crate) fn job(&self) -> &[u8] {
        self.args().next().unwrap_or_default()
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.args().nth(2).unwrap_or_default()
    }

    pub(crate) fn count_keys(&self) -> usize {
        1 + usize::from(self.keyed.is_some())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().take(self.count_keys())
    }

    pub(crate) fn args(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().skip(self.count_keys())
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.told.args_iter().filter_map(|arg| match arg {
            redis::Arg::Simple(bytes) => Some(bytes),
            _ => None,
        })
    }
}

/// Reads what `submit.lua` says of a job that it did not add.
impl std::str::FromStr for Submitted {
    type Err = QueueError;

    fn from_str(answer: &str) -> Result<Self, QueueError> {
        match answer.split_once(' ') {
            Some(("1", id)) => Ok(Self::Replayed { id: id.to_owned() }),
            Some(("2", id)) => Ok(Self::Conflict { id: id.to_owned() }),
            _ => Err(QueueError::Malformed(format!("{answer:?} is no answer to a submission"))),
        }
    }
}
