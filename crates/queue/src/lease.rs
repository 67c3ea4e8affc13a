//! A lease: one delivery of an entry to this worker, and the claim on the job's record.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use redis::{FromRedisValue, ScriptInvocation, Value, from_redis_value};

use crate::{JobRecord, Lane, Queue, QueueError, WorkerConfig, backend::Member, scripts};

/// What a handler holds while it runs. It takes it as `Data<Lease>`.
#[derive(Clone)]
pub struct Lease(pub(crate) Arc<Leased>);

/// What there is to a lease.
pub(crate) struct Leased {
    /// Tells it from all others of its worker, which may be given the same entry twice.
    pub serial: u64,
    pub owner: Arc<Owner>,
    pub delivery: Arc<Delivery>,
    pub tries: u32,
    pub job: Arc<str>,
    pub body: Option<Bytes>,
    /// Its place in a bundle, if it came in one.
    pub member: Option<Member>,
}

/// Who holds leases: a worker.
pub(crate) struct Owner {
    pub queue: Queue,
    pub config: WorkerConfig,
    /// Unique per start: nobody else's pending entries can be taken for ours.
    pub consumer: Box<str>,
}

/// One delivery of an entry.
pub(crate) struct Delivery {
    pub lane: Lane,
    pub entry: Box<str>,
    /// Which one it is, from 1.
    pub number: u64,
    pub lost: AtomicBool,
}

/// From this delivery on an entry is a suspect.
const SUSPECT: u64 = 3;

/// Why a job is refused whose time is over.
pub const EXPIRED: &str = "expired";

/// What a claim met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The job is ours to do.
    Claimed {
        /// How often sending was begun before.
        attempt: u32,
        /// How often its holder died while sending, or said so itself: the outside effect may have happened.
        ambiguous: u32,
    },
    /// It ended before; whoever ended it may not have come to say so.
    Done {
        /// What it ended with; empty if that is no longer known.
        outcome: Vec<u8>,
    },
    /// Somebody else holds it until then (ms).
    HeldUntil(i64),
    /// It is not to be done any more.
    Refused {
        /// [`EXPIRED`], or why it was withdrawn.
        reason: String,
        /// As of one that is claimed.
        attempt: u32,
        /// As of one that is claimed: what is refused may have been done before.
        ambiguous: u32,
    },
}

/// Whether the outside effect may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It may.
    Go {
        /// The number of this attempt, from 1.
        attempt: u32,
    },
    /// It may not any more.
    Refused {
        /// [`EXPIRED`], or why it was withdrawn.
        reason: String,
    },
    /// The claim is no longer ours.
    Lost,
}

/// What an attempt leaves behind that is let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Nothing was sent.
    Nothing,
    /// It may have been sent: the next claim is told so.
    InDoubt,
}

impl Lease {
    /// The job.
    pub fn job_id(&self) -> &str {
        &self.0.job
    }

    /// The queue that it is of.
    pub fn queue(&self) -> &Queue {
        &self.0.owner.queue
    }

    /// The job's record as it was when it was added, if that is known without a question; else ask for it ([`Queue::find_job`]). Who
    /// withdrew or rewrote it since is not in it: see [`look_again`](Self::look_again).
    pub fn added(&self) -> Option<JobRecord> {
        let is_fresh = self.0.member.as_ref().is_none_or(Member::is_fresh);
        self.0.body.as_deref().filter(|_| is_fresh).map(JobRecord::added)
    }

    /// The job's record as it is now, if there still is one: [`Queue::find_job`], and for less if the job came in a bundle.
    pub async fn record(&self) -> Result<Option<JobRecord>, QueueError> {
        let Some(member) = self.unadopted() else { return self.queue().find_job(&self.0.job).await };
        let added = JobRecord::added(&member.job().body);
        Ok(Some(match self.queue().find_said(&self.0.job).await? {
            Some(said) => JobRecord { body: said.body.or(added.body), ..said },
            None => added,
        }))
    }

    /// What others have said of the job since it was added, `None` if nothing. Of [`JobRecord::body`] only what it was rewritten with
    /// is sure to be there.
    pub async fn look_again(&self) -> Result<Option<JobRecord>, QueueError> {
        match self.unadopted() {
            Some(_) => self.queue().find_said(&self.0.job).await,
            None => self.queue().read_record(&self.0.job).await,
        }
    }

    /// The number of this try of the entry, from 1; a replay of a dead letter begins anew.
    pub fn attempt(&self) -> u32 {
        self.0.tries + 1
    }

    /// True once another worker took the entry over: stop before the next outside effect.
    pub fn is_lost(&self) -> bool {
        self.0.delivery.lost.load(Relaxed)
    }

    /// Whether it was taken over twice from workers that died or froze.
    pub(crate) fn is_suspect(&self) -> bool {
        self.0.delivery.number >= SUSPECT
    }

    /// Its place in a bundle, where its record is, if it has none of its own.
    pub(crate) fn unadopted(&self) -> Option<&Member> {
        self.0.member.as_ref().filter(|member| !member.is_adopted())
    }

    /// Sees to it that the job has a record of its own: one in a bundle can be withdrawn and rewritten, and no more.
    async fn adopt(&self) -> Result<(), QueueError> {
        if let Some(member) = self.unadopted() {
            self.queue().adopt(&self.0.job, member.job()).await?;
            member.set_adopted();
        }
        Ok(())
    }

    /// Who claims under this lease.
    fn holder(&self) -> String {
        let Leased { owner, delivery, .. } = &*self.0;
        format!("{} {} {}", owner.consumer, delivery.entry, delivery.number)
    }

    /// Keeps how far the job has come, for whoever goes on with it; [`JobRecord::progress`](crate::JobRecord) has it.
    pub async fn keep_progress(&self, progress: &[u8]) -> Result<(), QueueError> {
        self.adopt().await?;
        let mut call = scripts::PROGRESS.key(self.key());
        call.arg(progress).invoke_async::<u8>(&mut self.queue().connection()).await?;
        Ok(())
    }

    /// Claims the job for this lease.
    pub async fn claim(&self) -> Result<Claim, QueueError> {
        self.adopt().await?;
        let mut call = scripts::CLAIM.key(self.key());
        call.arg(self.holder()).arg(self.0.owner.config.lease_ms());
        let reply: Vec<Value> = call.invoke_async(&mut self.queue().connection()).await?;
        let mut reply = reply.into_iter();
        let word: String = next(&mut reply)?;
        Ok(match word.as_str() {
            "claimed" => Claim::Claimed { attempt: next(&mut reply)?, ambiguous: next(&mut reply)? },
            "done" => Claim::Done { outcome: next(&mut reply)? },
            "held" => Claim::HeldUntil(next(&mut reply)?),
            _ => Claim::Refused { reason: next(&mut reply)?, attempt: next(&mut reply)?, ambiguous: next(&mut reply)? },
        })
    }

    /// Counts `units` of what this job uses up against each of `budgets` (a name, and the most a day), once a job however often it
    /// is tried. Gives the place of the first that it does not fit into; then nothing is counted.
    pub async fn spend(&self, units: u32, budgets: &[(String, u32)]) -> Result<Option<usize>, QueueError> {
        self.adopt().await?;
        let mut call = scripts::SPEND.key(self.key());
        call.arg(units);
        for (what, most) in budgets {
            call.key(self.queue().keys.budget(what)).arg(*most);
        }
        let reached: usize = call.invoke_async(&mut self.queue().connection()).await?;
        Ok(reached.checked_sub(1))
    }

    /// Says that the outside effect begins now, if it may. From here on a crash leaves a doubt.
    ///
    /// Redis trouble is waited out: what was said and not heard would leave a doubt where there is none.
    pub async fn begin_sending(&self) -> Result<Begin, QueueError> {
        if self.is_lost() {
            return Ok(Begin::Lost);
        }
        let mut call = scripts::BEGIN_SENDING.key(self.key());
        call.arg(self.holder()).arg(self.0.owner.config.sending_ms());
        let mut reply = self.insist::<Vec<Value>>(&call).await.into_iter();
        let word: String = next(&mut reply)?;
        Ok(match word.as_str() {
            "go" => Begin::Go { attempt: next(&mut reply)? },
            "lost" => Begin::Lost,
            _ => Begin::Refused { reason: next(&mut reply)? },
        })
    }

    /// Ends the job with an outcome, which every later claim is given. False if it is not ours any more.
    ///
    /// Redis trouble is waited out: what became of an outside effect is known only here.
    pub async fn settle(&self, state: &str, outcome: &[u8]) -> bool {
        let mut call = scripts::SETTLE.key(self.key());
        call.arg(self.holder()).arg(state).arg(outcome);
        self.insist::<u8>(&call).await == 1
    }

    /// Lets go of the claim for a later attempt. False if it is not ours any more. Redis trouble is waited out.
    pub async fn release(&self, sending: Sending) -> bool {
        let mut call = scripts::RELEASE.key(self.key());
        call.arg(self.holder()).arg(u8::from(sending == Sending::InDoubt));
        self.insist::<u8>(&call).await == 1
    }

    /// The key of its record.
    fn key(&self) -> String {
        self.queue().keys.job(&self.0.job)
    }

    /// Calls a script that is safe to repeat, until it is answered.
    async fn insist<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> T {
        let mut tries: u32 = 0;
        loop {
            match self.try_call(call).await {
                Ok(answer) => return answer,
                Err(error) => {
                    if tries == 0 {
                        tracing::warn!(job = self.job_id(), %error, "a job waits for Redis");
                    }
                    tokio::time::sleep(Duration::from_millis(50 << tries.min(5))).await;
                    tries += 1;
                }
            }
        }
    }

    async fn try_call<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, QueueError> {
        self.adopt().await?;
        Ok(call.invoke_async(&mut self.queue().connection()).await?)
    }
}

fn next<T: FromRedisValue>(reply: &mut std::vec::IntoIter<Value>) -> Result<T, QueueError> {
    let value = reply.next().ok_or_else(|| QueueError::Malformed("an answer is too short".into()))?;
    Ok(from_redis_value(value).map_err(redis::RedisError::from)?)
}
