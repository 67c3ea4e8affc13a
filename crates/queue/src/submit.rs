//! Submitting: under an idempotency key if there is one, by itself or in a [batch](crate::batch).

use std::{pin::pin, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use redis::{RedisError, Value};
use stentor_connection::{Call, Turn, broken_off};
use tokio::sync::oneshot;

use crate::{
    Lane, NewJob, Queue, QueueError,
    backend::{GROUP, Reserved},
    batch::FEWEST,
    keys::Keys,
    millis,
    queue::Replication,
};

/// An idempotency key.
#[derive(Clone, Copy, Debug)]
pub struct Idempotency<'a> {
    /// The key, with whatever scopes it: one line.
    pub key: &'a str,
    /// What a repeat must equal.
    pub fingerprint: &'a [u8],
    /// How long a repeat is recognised, and perhaps two minutes more.
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
        self.submit_with_others(Submission::new(job, idempotency), None).await
    }

    /// The same, with `along` begun in the same breath: what it asks Redis goes out with the submission. Nobody waits for its end.
    pub async fn submit_along(
        &self,
        job: &NewJob<'_>,
        idempotency: Option<Idempotency<'_>>,
        along: BoxFuture<'static, ()>,
    ) -> Result<Submitted, QueueError> {
        self.submit_with_others(Submission::new(job, idempotency), Some(along)).await
    }

    async fn submit_with_others(
        &self,
        submission: Submission,
        along: Option<BoxFuture<'static, ()>>,
    ) -> Result<Submitted, QueueError> {
        let (tell, told) = oneshot::channel();
        if let Some(turn) = self.gathering.add(Waiting { submission, tell, along }) {
            // In a task of its own: that the first caller goes away must not take the others along.
            let queue = self.clone();
            tokio::spawn(async move { queue.submit_waiting(turn).await });
        }
        told.await.unwrap_or_else(|_| Err(broken_off().into()))
    }

    /// Submits whatever waits, until nothing does.
    async fn submit_waiting(&self, mut turn: Turn<Waiting>) {
        while let Some(waiting) = turn.next_call() {
            let (mut all, mut tell, mut along) = (Vec::new(), Vec::new(), FuturesUnordered::new());
            for one in waiting {
                all.push(one.submission);
                tell.push(one.tell);
                along.extend(one.along);
            }
            match with(self.submit_gathered(all), along).await {
                Ok(answers) => tell.into_iter().zip(answers).for_each(|(tell, answer)| drop(tell.send(Ok(answer)))),
                Err(error) => {
                    // Whoever waited behind a Redis that does not answer is not made to wait for it once more.
                    let behind = if matches!(error, QueueError::Redis(_)) { turn.take_all() } else { Vec::new() };
                    let tell = tell.into_iter().chain(behind.into_iter().map(|one| one.tell));
                    tell.for_each(|tell| drop(tell.send(Err(error.clone()))));
                }
            }
        }
    }

    async fn submit_gathered(&self, all: Vec<Submission>) -> Result<Vec<Submitted>, QueueError> {
        if all.len() >= FEWEST {
            let mut batch = self.batch();
            for submission in all {
                batch.push_waiting(submission);
            }
            return batch.submit().await;
        }
        let mut submitted = vec![Submitted::Accepted; all.len()];
        let all: Vec<(usize, Submission)> = all.into_iter().enumerate().collect();
        self.submit_singles(&all, &mut submitted).await?;
        Ok(submitted)
    }

    /// A number that changes whenever a call goes out: what is submitted under the same number most likely goes in the same call.
    pub fn gathering(&self) -> u64 {
        self.gathering.calls()
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

/// A submission that waits for its call.
pub(crate) struct Waiting {
    submission: Submission,
    tell: oneshot::Sender<Result<Submitted, QueueError>>,
    along: Option<BoxFuture<'static, ()>>,
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

/// A copy of a job that is to be submitted, in one buffer.
pub(crate) struct Submission {
    /// "id payload", body, idempotency key and fingerprint, one behind the other.
    words: Vec<u8>,
    /// Where the id ends, the payload, the body, the key.
    ends: [usize; 4],
    /// How long its idempotency key is known, if it has one.
    ttl: Option<Duration>,
    pub lane: Lane,
    due: Option<i64>,
    expires: Option<i64>,
    is_new: bool,
}

impl Submission {
    pub(crate) fn new(job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) -> Self {
        let (key, fingerprint) = idempotency.map_or_else(Default::default, |of| (of.key.as_bytes(), of.fingerprint));
        let [id, space, payload] = job.entry();
        let parts = [id, space, payload, job.body.unwrap_or_default(), key, fingerprint];
        let end_of = |part: usize| parts[..=part].iter().map(|part| part.len()).sum();
        Self {
            words: parts.concat(),
            ends: [end_of(0), end_of(2), end_of(3), end_of(4)],
            ttl: idempotency.map(|of| of.ttl),
            lane: job.lane,
            due: job.due,
            expires: job.expires,
            is_new: job.is_new,
        }
    }

    /// True if it is not for any worker yet.
    pub(crate) fn waits(&self) -> bool {
        self.due.is_some()
    }

    /// "id payload".
    pub(crate) fn entry(&self) -> &[u8] {
        &self.words[..self.ends[1]]
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.words[self.ends[1]..self.ends[2]]
    }

    pub(crate) fn job(&self) -> NewJob<'_> {
        let [id, payload, ..] = self.ends;
        NewJob {
            id: text(&self.words[..id]),
            lane: self.lane,
            payload: &self.words[id + 1..payload],
            body: Some(self.body()).filter(|body| !body.is_empty()),
            due: self.due,
            expires: self.expires,
            is_new: self.is_new,
        }
    }

    pub(crate) fn idempotency(&self) -> Option<Idempotency<'_>> {
        let [_, _, body, key] = self.ends;
        self.ttl.map(|ttl| Idempotency { key: text(&self.words[body..key]), fingerprint: &self.words[key..], ttl })
    }

    /// How many keys `submit.lua` is told of it: its record, and what remembers its idempotency key.
    pub(crate) fn count_keys(&self) -> usize {
        1 + usize::from(self.ttl.is_some())
    }

    pub(crate) fn tell_keys(&self, keys: &Keys, call: &mut Call) {
        call.arg(keys.job(self.job().id));
        if let Some(Idempotency { key, .. }) = self.idempotency() {
            call.arg_of(&keys.idempotency(key));
        }
    }

    /// The arguments that `submit.lua` is told of it: job, how, body.
    pub(crate) fn tell_args(&self, call: &mut Call) {
        call.arg(self.entry());
        match self.idempotency() {
            None => call.arg(self.job().how()),
            Some(Idempotency { fingerprint, ttl, .. }) => {
                let how = format!("{} {} ", self.job().how_in_full(), millis(ttl));
                call.arg_of(&[how.as_bytes(), fingerprint])
            }
        };
        call.arg(self.body());
    }
}

/// What was copied from text.
fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
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
