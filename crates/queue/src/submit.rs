//! Submitting: under an idempotency key, one by one or many.
//!
//! While a few calls are under way, further submissions wait for the end of one and go together: alone, one waits for nothing;
//! under load, dozens share a call and its round trip.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{Cmd, ErrorKind, RedisError};
use stentor_connection::Call;
use tokio::sync::oneshot;

use crate::{
    NewJob, Queue, QueueError,
    queue::{Replication, STEP},
    scripts,
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
    /// Without a key, a job whose record exists is left alone and counts as accepted: it is a repeat of this very call.
    pub async fn submit(&self, job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) -> Result<Submitted, QueueError> {
        self.gathering.submit(self, self.submission(job, idempotency)).await
    }

    /// Adds many jobs in one round trip. Answers in order; earlier ones count for later ones of the same key.
    pub async fn submit_many(&self, jobs: &[(NewJob<'_>, Option<Idempotency<'_>>)]) -> Result<Vec<Submitted>, QueueError> {
        let all: Vec<Submission> = jobs.iter().map(|(job, idempotency)| self.submission(job, *idempotency)).collect();
        self.submit_all(&all).await
    }

    /// What `submit.lua` is told of one job: two keys, then eight arguments.
    fn submission(&self, job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) -> Submission {
        let record = self.keys.job(job.id);
        let key = idempotency.map(|i| self.keys.idempotency(i.key));
        let (fingerprint, ttl) = idempotency.map_or((&[][..], Duration::ZERO), |i| (i.fingerprint, i.ttl));
        let body = job.body.unwrap_or_default();
        let mut told = Cmd::with_capacity(SUBMISSION_KEYS + 8, 256 + job.payload.len() + body.len());
        told.arg(&record).arg(key.as_ref().unwrap_or(&record));
        told.arg(job.id).arg(job.lane as u8).arg(job.due.unwrap_or(0)).arg(job.expires.unwrap_or(0));
        told.arg(job.payload).arg(body).arg(fingerprint).arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        Submission(told)
    }

    async fn submit_all(&self, all: &[Submission]) -> Result<Vec<Submitted>, QueueError> {
        let call = |chunk: &[Submission]| {
            let mut call = self.adding(&scripts::SUBMIT, SUBMISSION_KEYS * chunk.len());
            for key in chunk.iter().flat_map(Submission::keys) {
                call.arg(key);
            }
            for arg in chunk.iter().flat_map(Submission::args) {
                call.arg(arg);
            }
            call
        };
        let calls = all.chunks(STEP).map(call).collect();
        let mut replies = match &self.replication {
            None => Call::ask_all(calls, &mut self.connection()).await?,
            Some(Replication { conn, replicas, patience }) => {
                let mut wait = redis::cmd("WAIT");
                wait.arg(replicas).arg(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
                Call::ask_all_and(calls, Some(wait), &mut conn.clone()).await?
            }
        };
        if let Some(Replication { replicas, .. }) = &self.replication {
            let have: u32 = replies.pop().and_then(|v| redis::from_redis_value(v).ok()).ok_or_else(too_short)?;
            if have < *replicas {
                return Err(QueueError::NotReplicated { have, want: *replicas });
            }
        }
        let mut submitted = Vec::with_capacity(all.len());
        for reply in replies {
            let answers: Vec<String> = redis::from_redis_value(reply).map_err(redis::RedisError::from)?;
            for answer in answers {
                submitted.push(answer.parse()?);
            }
        }
        if submitted.len() == all.len() { Ok(submitted) } else { Err(too_short()) }
    }

    /// Submits whatever waits, until nothing does.
    async fn submit_waiting(&self) {
        while let Some(waiting) = self.gathering.take() {
            let (all, tell): (Vec<Submission>, Vec<Told>) = waiting.into_iter().unzip();
            match self.submit_all(&all).await {
                Ok(answers) => tell.into_iter().zip(answers).for_each(|(tell, answer)| drop(tell.send(Ok(answer)))),
                Err(error) => {
                    // Whoever waited behind a Redis that does not answer is not made to wait for it once more.
                    let behind = if matches!(error, QueueError::Redis(_)) { self.gathering.take_all() } else { Vec::new() };
                    let tell = tell.into_iter().chain(behind.into_iter().map(|(_, tell)| tell));
                    tell.for_each(|tell| drop(tell.send(Err(error.clone()))));
                }
            }
        }
    }
}

/// The most calls under way: as many as keep Redis and this process busy at the same time.
const UNDER_WAY: usize = 4;

/// Submissions that wait for the end of a call.
#[derive(Default)]
pub(crate) struct Gathering(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    waiting: Vec<(Submission, Told)>,
    under_way: usize,
}

type Told = oneshot::Sender<Result<Submitted, QueueError>>;

impl Gathering {
    /// Submits along with whoever else does.
    pub(crate) async fn submit(&self, queue: &Queue, submission: Submission) -> Result<Submitted, QueueError> {
        let (tell, told) = oneshot::channel();
        let is_free = {
            let mut gathered = self.lock();
            gathered.waiting.push((submission, tell));
            let is_free = gathered.under_way < UNDER_WAY;
            gathered.under_way += usize::from(is_free);
            is_free
        };
        if is_free {
            // In a task of its own: that the first caller goes away must not take the others along.
            let queue = queue.clone();
            tokio::spawn(async move { queue.submit_waiting().await });
        }
        told.await.unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "the process ends")).into()))
    }

    /// What waits; `None` ends the call that asks.
    fn take(&self) -> Option<Vec<(Submission, Told)>> {
        let mut gathered = self.lock();
        if gathered.waiting.is_empty() {
            gathered.under_way -= 1;
            return None;
        }
        Some(mem::take(&mut gathered.waiting))
    }

    fn take_all(&self) -> Vec<(Submission, Told)> {
        mem::take(&mut self.lock().waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_short() -> QueueError {
    QueueError::Malformed("an answer is too short".into())
}

/// How many keys a submission has.
const SUBMISSION_KEYS: usize = 2;

/// A submission as its script is told it, in one buffer.
pub(crate) struct Submission(Cmd);

impl Submission {
    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().take(SUBMISSION_KEYS)
    }

    fn args(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().skip(SUBMISSION_KEYS)
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.args_iter().filter_map(|arg| match arg {
            redis::Arg::Simple(bytes) => Some(bytes),
            _ => None,
        })
    }
}

/// Reads what `submit.lua` says of one job.
impl std::str::FromStr for Submitted {
    type Err = QueueError;

    fn from_str(answer: &str) -> Result<Self, QueueError> {
        match answer.split_once(' ') {
            None if answer.is_empty() => Ok(Self::Accepted),
            Some(("1", id)) => Ok(Self::Replayed { id: id.to_owned() }),
            Some(("2", id)) => Ok(Self::Conflict { id: id.to_owned() }),
            _ => Err(QueueError::Malformed(format!("{answer:?} is no answer to a submission"))),
        }
    }
}
