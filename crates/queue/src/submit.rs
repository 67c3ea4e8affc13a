//! Submitting: under an idempotency key, one by one or many.
//!
//! While a few calls are under way, further submissions wait for the end of one and go together: alone, one waits for nothing;
//! under load, dozens share a call and its round trip.

use std::{
    mem,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use redis::{Cmd, ErrorKind, RedisError, Script};
use stentor_connection::{Call, push_arg_of};
use tokio::sync::oneshot;

use crate::{
    Lane, NewJob, Queue, QueueError,
    backend::{GROUP, Reserved},
    bundle::{Bundles, NewBundle},
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

    /// Adds many jobs in one round trip. Answers in order; earlier ones count for later ones of the same key.
    pub async fn submit_many(&self, jobs: &[(NewJob<'_>, Option<Idempotency<'_>>)]) -> Result<Vec<Submitted>, QueueError> {
        let all: Vec<Submission> = jobs.iter().map(|(job, idempotency)| self.submission(job, *idempotency)).collect();
        self.submit_all(&scripts::SUBMIT, &all).await
    }

    /// Adds bundles in one round trip. What has a record is left alone: it is a repeat of this very call.
    ///
    /// Their ids are given to no other jobs. A bundle stands on the lane of its most urgent job.
    pub async fn submit_bundles(&self, bundles: &Bundles) -> Result<(), QueueError> {
        let submission = |bundle: &NewBundle| {
            let payload = bundle.payload();
            let job = NewJob {
                id: &bundle.id,
                lane: bundle.lane,
                payload: payload.as_bytes(),
                body: Some(&bundle.body),
                due: None,
                expires: None,
            };
            self.submission(&job, None)
        };
        let all: Vec<Submission> = bundles.0.iter().map(submission).collect();
        self.submit_all(&scripts::SUBMIT_BUNDLES, &all).await.map(drop)
    }

    /// What `submit.lua` is told of one job: its keys, then three arguments.
    fn submission(&self, job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) -> Submission {
        let body = job.body.unwrap_or_default();
        let mut told = Cmd::with_capacity(SUBMISSION_KEYS + 3, 256 + job.payload.len() + body.len());
        told.arg(self.keys.job(job.id));
        let how = match idempotency {
            None => job.how().into_bytes(),
            Some(Idempotency { key, fingerprint, ttl }) => {
                told.arg(self.keys.idempotency(key));
                let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                [format!("{} {ttl} ", job.how_in_full()).as_bytes(), fingerprint].concat()
            }
        };
        push_arg_of(&mut told, &job.entry());
        told.arg(how).arg(body);
        Submission { told, keys: 1 + usize::from(idempotency.is_some()), lane: job.lane, waits: job.due.is_some() }
    }

    /// Submits by a script that takes what belongs to each submission, and answers as `submit.lua` does.
    async fn submit_all(&self, script: &'static Script, all: &[Submission]) -> Result<Vec<Submitted>, QueueError> {
        let reserve = |chunk: &[Submission]| {
            let mut wanted = [0; 3];
            chunk.iter().filter(|submission| !submission.waits).for_each(|submission| wanted[submission.lane as usize] += 1);
            self.handover.reserve(wanted)
        };
        let mut reserved: Vec<Option<Reserved>> = all.chunks(STEP).map(reserve).collect();
        let call = |(chunk, reserved): (&[Submission], &Option<Reserved>)| {
            let in_bundles = std::ptr::eq(script, &*scripts::SUBMIT_BUNDLES).then_some(&self.keys.bundled);
            let keys = chunk.iter().map(|submission| submission.keys).sum::<usize>() + usize::from(in_bundles.is_some());
            let mut call = self.adding(script, keys);
            for key in chunk.iter().flat_map(Submission::keys) {
                call.arg(key);
            }
            call.arg(in_bundles.as_slice());
            let (consumer, counts) = reserved.as_ref().map_or(("", [0; 3]), |r| (r.consumer(), r.counts()));
            call.arg(GROUP).arg(consumer).arg(&counts);
            for arg in chunk.iter().flat_map(Submission::args) {
                call.arg(arg);
            }
            call
        };
        let calls = all.chunks(STEP).zip(&reserved).map(call).collect();
        let mut replies = match &self.replication {
            None => Call::ask_all(calls, &mut self.connection()).await?,
            Some(Replication { conn, replicas, patience }) => {
                let mut wait = redis::cmd("WAIT");
                wait.arg(replicas).arg(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
                Call::ask_all_and(calls, Some(wait), &mut conn.clone()).await?
            }
        };
        let have: Option<u32> = match &self.replication {
            None => None,
            Some(_) => Some(replies.pop().and_then(|v| redis::from_redis_value(v).ok()).ok_or_else(too_short)?),
        };
        let mut submitted = Vec::with_capacity(all.len());
        for ((reply, reserved), chunk) in replies.into_iter().zip(&mut reserved).zip(all.chunks(STEP)) {
            type Reply = (Vec<(usize, String)>, Vec<Read>);
            let (answers, entries): Reply = redis::from_redis_value(reply).map_err(redis::RedisError::from)?;
            for (lane, id, fields) in entries {
                let (Some(reserved), Some(lane)) = (reserved.as_mut(), Lane::ALL.get(lane).copied()) else { continue };
                let body =
                    chunk.iter().find(|submission| fields.get(1).is_some_and(|job| submission.is_of(job))).map(Submission::body);
                reserved.hand_over(lane, (id, fields), body);
            }
            let first = submitted.len();
            submitted.resize(first + chunk.len(), Submitted::Accepted);
            for (place, answer) in answers {
                *submitted.get_mut(first + place).ok_or_else(too_many)? = answer.parse()?;
            }
        }
        if let (Some(have), Some(Replication { replicas, .. })) = (have, &self.replication)
            && have < *replicas
        {
            return Err(QueueError::NotReplicated { have, want: *replicas });
        }
        if submitted.len() == all.len() { Ok(submitted) } else { Err(too_short()) }
    }

    /// Submits whatever waits, until nothing does.
    async fn submit_waiting(&self) {
        while let Some(waiting) = self.gathering.take() {
            let (mut all, mut tell, mut along) = (Vec::new(), Vec::new(), FuturesUnordered::new());
            for one in waiting {
                all.push(one.submission);
                tell.push(one.tell);
                along.extend(one.along);
            }
            match with(self.submit_all(&scripts::SUBMIT, &all), along).await {
                Ok(answers) => tell.into_iter().zip(answers).for_each(|(tell, answer)| drop(tell.send(Ok(answer)))),
                Err(error) => {
                    // Whoever waited behind a Redis that does not answer is not made to wait for it once more.
                    let behind = if matches!(error, QueueError::Redis(_)) { self.gathering.take_all() } else { Vec::new() };
                    let tell = tell.into_iter().chain(behind.into_iter().map(|one| one.tell));
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
    waiting: Vec<Waiting>,
    under_way: usize,
}

struct Waiting {
    submission: Submission,
    tell: Told,
    along: Option<BoxFuture<'static, ()>>,
}

type Told = oneshot::Sender<Result<Submitted, QueueError>>;

impl Gathering {
    /// Submits along with whoever else does.
    pub(crate) async fn submit(
        &self,
        queue: &Queue,
        submission: Submission,
        along: Option<BoxFuture<'static, ()>>,
    ) -> Result<Submitted, QueueError> {
        let (tell, told) = oneshot::channel();
        let is_free = {
            let mut gathered = self.lock();
            gathered.waiting.push(Waiting { submission, tell, along });
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
    fn take(&self) -> Option<Vec<Waiting>> {
        let mut gathered = self.lock();
        if gathered.waiting.is_empty() {
            gathered.under_way -= 1;
            return None;
        }
        Some(mem::take(&mut gathered.waiting))
    }

    fn take_all(&self) -> Vec<Waiting> {
        mem::take(&mut self.lock().waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `first`, with `along` begun right behind it. What of that has not ended with it goes on by itself.
async fn with<T>(first: impl Future<Output = T>, mut along: FuturesUnordered<BoxFuture<'static, ()>>) -> T {
    let mut first = pin!(first);
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut first => break answer,
            Some(()) = along.next() => {}
        }
    };
    while let Some(Some(())) = along.next().now_or_never() {}
    if !along.is_empty() {
        tokio::spawn(along.collect::<()>());
    }
    answer
}

fn too_many() -> QueueError {
    QueueError::Malformed("an answer to what was not asked".into())
}

fn too_short() -> QueueError {
    QueueError::Malformed("an answer is too short".into())
}

/// An entry that was read along with an answer: its lane, its id, its fields and values in turn.
type Read = (usize, String, Vec<Vec<u8>>);

/// The most keys of a submission: its record, and what remembers its idempotency key.
const SUBMISSION_KEYS: usize = 2;

/// A submission.
pub(crate) struct Submission {
    /// As its script is told it, in one buffer.
    told: Cmd,
    /// How many keys come first.
    keys: usize,
    lane: Lane,
    /// Not for any worker yet.
    waits: bool,
}

impl Submission {
    fn is_of(&self, job: &[u8]) -> bool {
        self.args().next() == Some(job)
    }

    fn body(&self) -> Bytes {
        Bytes::copy_from_slice(self.args().nth(2).unwrap_or_default())
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().take(self.keys)
    }

    fn args(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().skip(self.keys)
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
