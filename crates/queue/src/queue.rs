//! A queue as those see it who add jobs and look at them.

use std::{collections::HashMap, time::Duration};

use redis::ScriptInvocation;
use stentor_connection::Connection;

use crate::{Lane, QueueError, keys::Keys, scripts};

/// The most jobs that one script adds: about 2 ms of Redis's single thread.
const STEP: usize = 200;

/// A cheap handle to a queue.
#[derive(Clone)]
pub struct Queue {
    pub(crate) conn: Connection,
    pub(crate) keys: std::sync::Arc<Keys>,
    name: std::sync::Arc<str>,
    replication: Option<Replication>,
}

#[derive(Clone)]
struct Replication {
    conn: Connection,
    replicas: u32,
    patience: Duration,
}

/// A job to add.
#[derive(Clone, Copy, Debug)]
pub struct NewJob<'a> {
    /// Its id, without spaces: what has this id and a record is the same job.
    pub id: &'a str,
    /// Its lane.
    pub lane: Lane,
    /// What its handler is given, as JSON.
    pub payload: &'a [u8],
    /// What is kept in its record besides.
    pub body: Option<&'a [u8]>,
    /// Not before this time (ms).
    pub due: Option<i64>,
    /// Refused by [`Lease::claim`](crate::Lease::claim) past this time (ms).
    pub expires: Option<i64>,
}

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

/// A job's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// `queued`, `claimed`, `sending`, or how it ended.
    pub state: String,
    /// How often sending was begun.
    pub attempt: u32,
    /// What was kept with it.
    pub body: Option<Vec<u8>>,
    /// What it ended with.
    pub outcome: Option<Vec<u8>>,
    /// How far it has come, as its handler last said.
    pub progress: Option<Vec<u8>>,
    /// Why it was withdrawn, if it was.
    pub withdrawn: Option<String>,
}

/// How much waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Entries on the lane, those under way among them.
    pub high: u64,
    /// Entries on the lane, those under way among them.
    pub normal: u64,
    /// Entries on the lane, those under way among them.
    pub bulk: u64,
    /// Jobs that wait for a time.
    pub due: u64,
    /// Dead letters.
    pub dead: u64,
}

/// Since when the first of a queue waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oldest {
    /// When the oldest entry came to its lane (ms); it may be under way.
    pub entry: Option<i64>,
    /// When the next job of the due set is due (ms); in the past, if its queue has no worker.
    pub due: Option<i64>,
}

impl Queue {
    /// The queue `name` in the Redis behind `conn`.
    pub fn new(conn: Connection, name: &str) -> Self {
        Self { conn, keys: std::sync::Arc::new(Keys::new(name)), name: name.into(), replication: None }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn connection(&self) -> Connection {
        self.conn.clone()
    }

    /// Answers submissions only when `replicas` replicas have them, within `patience`; [`QueueError::NotReplicated`]
    /// otherwise. `conn` is theirs alone: WAIT speaks of what its own connection wrote, and holds up what comes behind it.
    #[must_use]
    pub fn replicated(self, conn: Connection, replicas: u32, patience: Duration) -> Self {
        Self { replication: Some(Replication { conn, replicas, patience }), ..self }
    }

    /// Adds jobs that follow from work in hand, also beyond Redis's `maxmemory`; those that have a record are left alone.
    /// Returns how many were new.
    pub async fn enqueue(&self, jobs: &[NewJob<'_>]) -> Result<usize, QueueError> {
        let mut new = 0;
        for chunk in jobs.chunks(STEP) {
            let mut call = scripts::FOLLOW_UP.prepare_invoke();
            self.push_keys(&mut call);
            for job in chunk {
                call.key(self.keys.job(job.id));
            }
            for job in chunk {
                push_job(&mut call, job);
            }
            new += call.invoke_async::<usize>(&mut self.connection()).await?;
        }
        Ok(new)
    }

    /// Adds one job, under an idempotency key if one is given: record, key and entry in one script.
    ///
    /// Without a key, a job whose record exists is left alone and counts as accepted: it is a repeat of this very call.
    pub async fn submit(&self, job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) -> Result<Submitted, QueueError> {
        if self.replication.is_some() {
            return self.submit_many(&[(*job, idempotency)]).await?.pop().ok_or_else(too_short);
        }
        let reply = self.submission(job, idempotency).invoke_async(&mut self.connection()).await?;
        submitted(reply, idempotency)
    }

    /// Adds many jobs in one round trip. Answers in order; earlier ones count for later ones of the same key.
    pub async fn submit_many(&self, jobs: &[(NewJob<'_>, Option<Idempotency<'_>>)]) -> Result<Vec<Submitted>, QueueError> {
        let mut pipe = redis::pipe();
        // The scripts travel once at the head of the pipeline, so that none of their calls can miss them.
        pipe.load_script(&scripts::SUBMIT).ignore().load_script(&scripts::ENQUEUE).ignore();
        for (job, idempotency) in jobs {
            pipe.invoke_script(&self.submission(job, *idempotency));
        }
        let mut replies: Vec<redis::Value> = match &self.replication {
            None => pipe.query_async(&mut self.connection()).await?,
            Some(Replication { conn, replicas, patience }) => {
                pipe.cmd("WAIT").arg(replicas).arg(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
                pipe.query_async(&mut conn.clone()).await?
            }
        };
        if let Some(Replication { replicas, .. }) = &self.replication {
            let have: u32 = replies.pop().and_then(|v| redis::from_redis_value(v).ok()).ok_or_else(too_short)?;
            if have < *replicas {
                return Err(QueueError::NotReplicated { have, want: *replicas });
            }
        }
        replies.into_iter().zip(jobs).map(|(value, (_, idempotency))| submitted(value, *idempotency)).collect()
    }

    fn submission(&self, job: &NewJob<'_>, idempotency: Option<Idempotency<'_>>) -> ScriptInvocation<'static> {
        let mut call = if idempotency.is_some() { scripts::SUBMIT.prepare_invoke() } else { scripts::ENQUEUE.prepare_invoke() };
        self.push_keys(&mut call);
        call.key(self.keys.job(job.id));
        push_job(&mut call, job);
        if let Some(Idempotency { key, fingerprint, ttl }) = idempotency {
            call.key(self.keys.idempotency(key)).arg(fingerprint).arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        }
        call
    }

    fn push_keys(&self, call: &mut ScriptInvocation<'_>) {
        call.key(&self.keys.due).key(&self.keys.lanes[0]).key(&self.keys.lanes[1]).key(&self.keys.lanes[2]);
    }

    /// A job's record, if there still is one.
    pub async fn find_job(&self, id: &str) -> Result<Option<JobRecord>, QueueError> {
        let key = self.keys.job(id);
        let mut fields: HashMap<String, Vec<u8>> = redis::cmd("HGETALL").arg(key).query_async(&mut self.connection()).await?;
        let Some(state) = fields.remove("state") else { return Ok(None) };
        let tries = fields.remove("tries").and_then(|t| String::from_utf8(t).ok()).and_then(|t| t.parse().ok());
        Ok(Some(JobRecord {
            state: String::from_utf8(state).map_err(|e| QueueError::Malformed(e.to_string()))?,
            attempt: tries.unwrap_or(0),
            body: fields.remove("body"),
            outcome: fields.remove("outcome"),
            progress: fields.remove("progress"),
            withdrawn: fields.remove("cancel").and_then(|reason| String::from_utf8(reason).ok()),
        }))
    }

    /// Changes the outcome of a job that has ended in state `seen`. False if it is another by now.
    pub async fn amend(&self, id: &str, seen: &str, state: &str, outcome: &[u8]) -> Result<bool, QueueError> {
        let mut call = scripts::AMEND.key(self.keys.job(id));
        call.arg(seen).arg(state).arg(outcome);
        Ok(call.invoke_async::<u8>(&mut self.connection()).await? == 1)
    }

    /// Withdraws jobs: who claims one, or is about to begin sending, is refused with `reason`. What is being sent may win. Gives
    /// the state that each was in, in order; `None` where there is no record.
    pub async fn withdraw(&self, ids: &[&str], reason: &str) -> Result<Vec<Option<String>>, QueueError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        pipe.load_script(&scripts::WITHDRAW).ignore();
        for id in ids {
            let mut call = scripts::WITHDRAW.key(self.keys.job(id));
            call.arg(reason);
            pipe.invoke_script(&call);
        }
        let states: Vec<String> = pipe.query_async(&mut self.connection()).await?;
        Ok(states.into_iter().map(|state| Some(state).filter(|s| !s.is_empty())).collect())
    }

    /// Replaces what is kept with a job, if there still is a record.
    pub async fn rewrite(&self, id: &str, body: &[u8]) -> Result<(), QueueError> {
        let mut call = scripts::REWRITE.key(self.keys.job(id));
        call.arg(body).invoke_async::<u8>(&mut self.connection()).await?;
        Ok(())
    }

    /// Why a job was withdrawn, if it was.
    pub async fn withdrawn(&self, id: &str) -> Result<Option<String>, QueueError> {
        Ok(redis::cmd("HGET").arg(self.keys.job(id)).arg("cancel").query_async(&mut self.connection()).await?)
    }

    /// Lets records go after `ttl`: called once what they say is kept elsewhere.
    pub async fn expire_jobs(&self, ids: &[&str], ttl: Duration) -> Result<(), QueueError> {
        if ids.is_empty() {
            return Ok(());
        }
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let mut pipe = redis::pipe();
        for id in ids {
            pipe.cmd("PEXPIRE").arg(self.keys.job(id)).arg(millis).ignore();
        }
        Ok(pipe.query_async(&mut self.connection()).await?)
    }

    /// How much waits.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        let mut pipe = redis::pipe();
        for lane in &self.keys.lanes {
            pipe.cmd("XLEN").arg(lane);
        }
        pipe.cmd("ZCARD").arg(&self.keys.due).cmd("XLEN").arg(&self.keys.dead);
        let (high, normal, bulk, due, dead) = pipe.query_async(&mut self.connection()).await?;
        Ok(Depth { high, normal, bulk, due, dead })
    }

    /// Since when the first waits.
    pub async fn oldest(&self) -> Result<Oldest, QueueError> {
        type First = Vec<(String, redis::Value)>;
        let mut pipe = redis::pipe();
        for lane in &self.keys.lanes {
            pipe.cmd("XRANGE").arg(lane).arg("-").arg("+").arg("COUNT").arg(1);
        }
        pipe.cmd("ZRANGE").arg(&self.keys.due).arg(0).arg(0).arg("WITHSCORES");
        let (high, normal, bulk, due): (First, First, First, Vec<(redis::Value, f64)>) =
            pipe.query_async(&mut self.connection()).await?;
        let entered = |(id, _): &(String, redis::Value)| id.split_once('-').and_then(|(ms, _)| ms.parse::<i64>().ok());
        let entry = [high, normal, bulk].iter().filter_map(|first| first.first().and_then(entered)).min();
        Ok(Oldest { entry, due: due.first().map(|(_, at)| *at as i64) })
    }
}

fn push_job(call: &mut ScriptInvocation<'_>, job: &NewJob<'_>) {
    call.arg(job.id).arg(job.lane as u8).arg(job.due.unwrap_or(0)).arg(job.expires.unwrap_or(0));
    call.arg(job.payload).arg(job.body.unwrap_or_default());
}

fn too_short() -> QueueError {
    QueueError::Malformed("an answer is too short".into())
}

fn submitted(reply: redis::Value, idempotency: Option<Idempotency<'_>>) -> Result<Submitted, QueueError> {
    if idempotency.is_none() {
        return Ok(Submitted::Accepted);
    }
    let reply: Vec<redis::Value> = redis::from_redis_value(reply).map_err(redis::RedisError::from)?;
    let mut reply = reply.into_iter();
    let code = reply.next().and_then(|v| redis::from_redis_value::<u8>(v).ok());
    let id = reply.next().and_then(|v| redis::from_redis_value::<String>(v).ok());
    match (code, id) {
        (Some(0), _) => Ok(Submitted::Accepted),
        (Some(1), Some(id)) => Ok(Submitted::Replayed { id }),
        (Some(2), Some(id)) => Ok(Submitted::Conflict { id }),
        other => Err(QueueError::Malformed(format!("{other:?} is no answer to a submission"))),
    }
}
