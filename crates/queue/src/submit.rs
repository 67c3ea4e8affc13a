//! Submitting: under an idempotency key, one by one or many. Of many, those whose ids say so go together, as [bundles](crate::bundle).

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use redis::{Cmd, RedisError, Value};
use stentor_connection::{Call, push_arg_of};

use crate::{
    Lane, NewJob, Queue, QueueError,
    backend::{GROUP, Reserved},
    bundle::{NewBundle, Plan},
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

    /// Adds many jobs in one round trip, or two. Answers in order; earlier ones count for later ones of the same key.
    pub async fn submit_many(&self, jobs: &[(NewJob<'_>, Option<Idempotency<'_>>)]) -> Result<Vec<Submitted>, QueueError> {
        let all: Vec<Submission> = jobs.iter().map(|(job, idempotency)| self.submission(job, *idempotency)).collect();
        self.submit_all(&all).await
    }

    /// What the scripts are told of one job: its keys, then three arguments.
    fn submission(&self, job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) -> Submission {
        let body = job.body.unwrap_or_default();
        let mut told = Cmd::with_capacity(SUBMISSION_KEYS + 3, 256 + job.payload.len() + body.len());
        told.arg(self.keys.job(job.id));
        let mut keyed = None;
        let how = match idempotency {
            None => job.how().into_bytes(),
            Some(Idempotency { key, fingerprint, ttl }) => {
                told.arg(self.keys.idempotency(key));
                let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                keyed = Some(Keyed { ttl, fingerprint: fingerprint.len() });
                [format!("{} {ttl} ", job.how_in_full()).as_bytes(), fingerprint].concat()
            }
        };
        push_arg_of(&mut told, &job.entry());
        told.arg(how).arg(body);
        let NewJob { lane, expires, is_new, .. } = *job;
        Submission { told, keyed, lane, waits: job.due.is_some(), expires, is_new }
    }

    /// Adds all of these. Answers in order.
    pub(crate) async fn submit_all(&self, all: &[Submission]) -> Result<Vec<Submitted>, QueueError> {
        let mut submitted = vec![Submitted::Accepted; all.len()];
        let Plan { bundles, mut singles } = Plan::of(all);
        if !bundles.is_empty() {
            let mut others = self.submit_bundles(all, &bundles, &mut submitted).await?;
            others.append(&mut singles);
            singles = others;
        }
        self.submit_singles(all, &singles, &mut submitted).await?;
        Ok(submitted)
    }

    /// Adds those at `places` one by one.
    async fn submit_singles(&self, all: &[Submission], places: &[usize], submitted: &mut [Submitted]) -> Result<(), QueueError> {
        let reserve = |places: &[usize]| {
            let mut wanted = [0; 3];
            for submission in places.iter().map(|place| &all[*place]).filter(|submission| !submission.waits) {
                wanted[submission.lane as usize] += 1;
            }
            self.handover.reserve(wanted)
        };
        let mut reserved: Vec<Option<Reserved>> = places.chunks(STEP).map(reserve).collect();
        let call = |(places, reserved): (&[usize], &Option<Reserved>)| {
            let of = || places.iter().map(|place| &all[*place]);
            let mut call = self.adding(&scripts::SUBMIT, of().map(Submission::count_keys).sum());
            call.args(of().flat_map(Submission::keys));
            tell_reader(&mut call, reserved.as_ref());
            call.args(of().flat_map(Submission::args));
            call
        };
        let calls = places.chunks(STEP).zip(&reserved).map(call).collect();
        for ((reply, reserved), places) in self.submit_calls(calls).await?.into_iter().zip(&mut reserved).zip(places.chunks(STEP))
        {
            let (answers, entries): (Vec<(usize, String)>, Vec<Read>) = from_reply(reply)?;
            for (lane, id, fields) in entries {
                let (Some(reserved), Some(lane)) = (reserved.as_mut(), Lane::ALL.get(lane).copied()) else { continue };
                let is_of = |submission: &&Submission| fields.get(1).is_some_and(|job| submission.job() == *job);
                let body = places.iter().map(|place| &all[*place]).find(is_of).map(|found| Bytes::copy_from_slice(found.body()));
                reserved.hand_over(lane, (id, fields), body);
            }
            for (place, answer) in answers {
                *places.get(place).and_then(|place| submitted.get_mut(*place)).ok_or_else(too_many)? = answer.parse()?;
            }
        }
        Ok(())
    }

    /// Adds bundles. Gives the places of the jobs of those that were not added, since there is a bundle of this name already.
    async fn submit_bundles(
        &self,
        all: &[Submission],
        bundles: &[NewBundle],
        submitted: &mut [Submitted],
    ) -> Result<Vec<usize>, QueueError> {
        let steps: Vec<&[NewBundle]> = bundles.chunks(BUNDLES).collect();
        let reserve = |step: &&[NewBundle]| {
            let mut wanted = [0; 3];
            step.iter().for_each(|bundle| wanted[bundle.lane as usize] += 1);
            self.handover.reserve(wanted)
        };
        let mut reserved: Vec<Option<Reserved>> = steps.iter().map(reserve).collect();
        let call = |(step, reserved): (&&[NewBundle], &Option<Reserved>)| {
            let keyed = |bundle: &NewBundle| bundle.places.iter().filter_map(|place| all[*place].key()).count();
            let mut call = self.adding(&scripts::SUBMIT_BUNDLES, 1 + step.iter().map(|bundle| 1 + keyed(bundle)).sum::<usize>());
            call.arg(&self.keys.bundled);
            for bundle in *step {
                call.arg(self.keys.job(&bundle.id));
                call.args(bundle.places.iter().filter_map(|place| all[*place].key()));
            }
            tell_reader(&mut call, reserved.as_ref());
            for bundle in *step {
                call.arg(bundle.job()).arg(bundle.lane as u8).arg(&bundle.body).arg(bundle.ttl).arg(&bundle.keyed);
                for submission in bundle.places.iter().map(|place| &all[*place]).filter(|submission| submission.key().is_some()) {
                    call.arg_of(&[submission.id(), b" ", submission.fingerprint()]);
                }
            }
            call
        };
        let calls = steps.iter().zip(&reserved).map(call).collect();
        let mut refused = Vec::new();
        for ((reply, reserved), step) in self.submit_calls(calls).await?.into_iter().zip(&mut reserved).zip(steps) {
            type Reply = (Vec<(usize, usize, String)>, Vec<Read>, Vec<usize>);
            let (answers, entries, others): Reply = from_reply(reply)?;
            for (lane, id, fields) in entries {
                let (Some(reserved), Some(lane)) = (reserved.as_mut(), Lane::ALL.get(lane).copied()) else { continue };
                let of = |(_, bundle): &(usize, &NewBundle)| fields.get(1).is_some_and(|job| bundle.job().as_bytes() == *job);
                // What is over already is said by its record alone.
                let whole = |(place, _): &(usize, &NewBundle)| answers.iter().all(|(bundle, ..)| bundle != place);
                let body = step.iter().enumerate().find(of).filter(whole).map(|(_, bundle)| bundle.body.clone());
                reserved.hand_over(lane, (id, fields), body.map(Bytes::from));
            }
            for (bundle, place, answer) in answers {
                let place = step.get(bundle).and_then(|bundle| bundle.places.get(place)).ok_or_else(too_many)?;
                *submitted.get_mut(*place).ok_or_else(too_many)? = answer.parse()?;
            }
            refused.extend(others.into_iter().filter_map(|bundle| step.get(bundle)).flat_map(|bundle| &bundle.places));
        }
        Ok(refused)
    }

    /// Makes calls that submit, and waits for the replicas that are to have what they wrote.
    async fn submit_calls(&self, calls: Vec<Call>) -> Result<Vec<Value>, QueueError> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let expected = calls.len();
        let replies = match &self.replication {
            None => Call::ask_all(calls, &mut self.connection()).await?,
            Some(Replication { conn, replicas, patience }) => {
                let mut wait = redis::cmd("WAIT");
                wait.arg(replicas).arg(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
                let mut replies = Call::ask_all_and(calls, Some(wait), &mut conn.clone()).await?;
                let have = replies.pop().and_then(|v| redis::from_redis_value(v).ok()).ok_or_else(too_short)?;
                if have < *replicas {
                    return Err(QueueError::NotReplicated { have, want: *replicas });
                }
                replies
            }
        };
        if replies.len() == expected { Ok(replies) } else { Err(too_short()) }
    }
}

/// Tells a script for which worker to read what it has added, and how many entries of each lane.
fn tell_reader(call: &mut Call, reserved: Option<&Reserved>) {
    let (consumer, counts) = reserved.map_or(("", [0; 3]), |reserved| (reserved.consumer(), reserved.counts()));
    call.arg(GROUP).arg(consumer).arg(&counts);
}

fn from_reply<T: redis::FromRedisValue>(reply: Value) -> Result<T, QueueError> {
    Ok(redis::from_redis_value(reply).map_err(RedisError::from)?)
}

/// The most bundles that one script adds: about 1 ms of Redis's single thread.
const BUNDLES: usize = 4;

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
    /// As its script is told it, in one buffer: its keys, then three arguments.
    told: Cmd,
    keyed: Option<Keyed>,
    pub lane: Lane,
    /// Not for any worker yet.
    pub waits: bool,
    pub expires: Option<i64>,
    pub is_new: bool,
}

/// What there is to its idempotency key, besides.
#[derive(Clone, Copy)]
struct Keyed {
    /// How long it is remembered, in ms.
    ttl: u64,
    /// How many bytes its fingerprint has, which are the last of how it is added.
    fingerprint: usize,
}

impl Submission {
    pub(crate) fn id(&self) -> &[u8] {
        self.job().split(|byte| *byte == b' ').next().unwrap_or_default()
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.job().get(self.id().len() + 1..).unwrap_or_default()
    }

    /// "id payload".
    fn job(&self) -> &[u8] {
        self.args().next().unwrap_or_default()
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.args().nth(2).unwrap_or_default()
    }

    /// Where its idempotency key is remembered.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.keyed.and_then(|_| self.keys().nth(1))
    }

    fn fingerprint(&self) -> &[u8] {
        let how = self.args().nth(1).unwrap_or_default();
        self.keyed.and_then(|keyed| how.get(how.len().checked_sub(keyed.fingerprint)?..)).unwrap_or_default()
    }

    pub(crate) fn ttl(&self) -> Option<u64> {
        self.keyed.map(|keyed| keyed.ttl)
    }

    fn count_keys(&self) -> usize {
        1 + usize::from(self.keyed.is_some())
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().take(self.count_keys())
    }

    fn args(&self) -> impl Iterator<Item = &[u8]> {
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
