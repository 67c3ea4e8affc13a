//! A queue as those see it who add jobs and look at them.

use std::{collections::HashMap, time::Duration};

use stentor_connection::{Call, CallsAtOnce, Connection, Gathering};

use crate::{Lane, QueueError, backend::Handover, keys::Keys, millis, scripts, submit::Waiting};

/// The most jobs that one script adds: about 1 ms of Redis's single thread.
pub(crate) const STEP: usize = 100;

/// How many calls submit at once. With more small ones, each would have fewer jobs, and many in a bundle cost less; with fewer full ones,
/// Redis and this process would wait for one another.
const SUBMITTING: CallsAtOnce = CallsAtOnce { any: 2, full: 8, fill: 24 };
/// How many that wait for replicas. On their connection each waits for all before it: so what comes goes together, however much it is.
const REPLICATING: CallsAtOnce = CallsAtOnce::at_most(2);

/// A cheap handle to a queue.
#[derive(Clone)]
pub struct Queue {
    pub(crate) conn: Connection,
    pub(crate) keys: std::sync::Arc<Keys>,
    name: std::sync::Arc<str>,
    pub(crate) replication: Option<Replication>,
    pub(crate) gathering: std::sync::Arc<Gathering<Waiting>>,
    pub(crate) handover: std::sync::Arc<Handover>,
}

#[derive(Clone)]
pub(crate) struct Replication {
    pub conn: Connection,
    pub replicas: u32,
    pub patience: Duration,
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
    /// Its id was made for it just now, so that no other job has it: of many such, those whose ids differ in their last two characters
    /// alone are added for a fraction of what others cost.
    pub is_new: bool,
}

impl NewJob<'_> {
    /// What its entry keeps, in parts: "id payload".
    pub(crate) fn entry(&self) -> [&[u8]; 3] {
        [self.id.as_bytes(), b" ", self.payload]
    }

    /// How it is added, as `_add.lua` reads it. Nearly all are due now and never expire.
    pub(crate) fn how(&self) -> String {
        match (self.due.unwrap_or(0), self.expires.unwrap_or(0)) {
            (0, 0) => (self.lane as u8).to_string(),
            _ => self.how_in_full(),
        }
    }

    /// The same for whoever has more to say behind it.
    pub(crate) fn how_in_full(&self) -> String {
        format!("{} {} {}", self.lane as u8, self.due.unwrap_or(0), self.expires.unwrap_or(0))
    }
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

impl JobRecord {
    /// Reads the fields of a record; `None` if there are none.
    pub(crate) fn read(mut fields: HashMap<String, Vec<u8>>) -> Result<Option<Self>, QueueError> {
        let Some(state) = fields.remove("state") else { return Ok(None) };
        let tries = fields.remove("tries").and_then(|t| String::from_utf8(t).ok()).and_then(|t| t.parse().ok());
        Ok(Some(Self {
            state: String::from_utf8(state).map_err(|e| QueueError::Malformed(e.to_string()))?,
            attempt: tries.unwrap_or(0),
            body: fields.remove("body"),
            outcome: fields.remove("outcome"),
            progress: fields.remove("progress"),
            withdrawn: fields.remove("cancel").and_then(|reason| String::from_utf8(reason).ok()),
        }))
    }

    /// The record of a job that was added with `body` and met nobody yet.
    pub(crate) fn added(body: &[u8]) -> Self {
        let body = Some(body.to_vec()).filter(|body| !body.is_empty());
        Self { state: "queued".into(), attempt: 0, body, outcome: None, progress: None, withdrawn: None }
    }
}

/// How far a job was when it was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// As of a [`JobRecord`].
    pub state: String,
    /// How often sending was begun.
    pub attempt: u32,
    /// How often it was left open whether the outside effect happened.
    pub ambiguous: u32,
}

/// Reads "state tries doubts".
impl std::str::FromStr for Withdrawn {
    type Err = QueueError;

    fn from_str(words: &str) -> Result<Self, QueueError> {
        let mut parts = words.split(' ');
        let state = parts.next().unwrap_or_default().to_owned();
        let mut number = || parts.next().and_then(|n| n.parse().ok());
        let (Some(attempt), Some(ambiguous)) = (number(), number()) else {
            return Err(QueueError::Malformed(format!("{words:?} does not say how far a job is")));
        };
        Ok(Self { state, attempt, ambiguous })
    }
}

/// How much waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Jobs on the lane, those under way among them.
    pub high: u64,
    /// Jobs on the lane, those under way among them.
    pub normal: u64,
    /// Jobs on the lane, those under way among them.
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
        Self {
            conn,
            keys: std::sync::Arc::new(Keys::new(name)),
            name: name.into(),
            replication: None,
            gathering: std::sync::Arc::new(Gathering::new(SUBMITTING)),
            handover: std::sync::Arc::default(),
        }
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
        let gathering = std::sync::Arc::new(Gathering::new(REPLICATING));
        Self { replication: Some(Replication { conn, replicas, patience }), gathering, ..self }
    }

    /// Adds jobs that follow from work in hand, also beyond Redis's `maxmemory`; those that have a record are left alone.
    /// Returns how many were new. One round trip, however many they are.
    pub async fn enqueue(&self, jobs: &[NewJob<'_>]) -> Result<usize, QueueError> {
        let call = |chunk: &[NewJob<'_>]| {
            let mut call = self.adding(&scripts::FOLLOW_UP, chunk.len());
            for job in chunk {
                call.arg(self.keys.job(job.id));
            }
            for job in chunk {
                call.arg_of(&job.entry()).arg(job.how()).arg(job.body.unwrap_or_default());
            }
            call
        };
        let mut new = 0;
        for reply in Call::ask_all(jobs.chunks(STEP).map(call).collect(), &mut self.connection()).await? {
            new += redis::from_redis_value::<usize>(reply).map_err(redis::RedisError::from)?;
        }
        Ok(new)
    }

    /// A call of a script that adds jobs, with the keys that all of these have; so many follow.
    pub(crate) fn adding(&self, script: &'static redis::Script, keys: usize) -> Call {
        let mut call = Call::new(script, 1 + self.keys.lanes.len() + keys);
        call.arg(&self.keys.due).arg(&self.keys.lanes);
        call
    }

    /// A job's record, if there still is one.
    pub async fn find_job(&self, id: &str) -> Result<Option<JobRecord>, QueueError> {
        match self.read_record(id).await? {
            Some(record) => Ok(Some(record)),
            None => self.find_bundled(id).await,
        }
    }

    /// The record of a job that is in no bundle (any more).
    pub(crate) async fn read_record(&self, id: &str) -> Result<Option<JobRecord>, QueueError> {
        JobRecord::read(redis::cmd("HGETALL").arg(self.keys.job(id)).query_async(&mut self.connection()).await?)
    }

    /// Changes the outcome of a job that has ended in state `seen`. False if it is another by now.
    pub async fn amend(&self, id: &str, seen: &str, state: &str, outcome: &[u8]) -> Result<bool, QueueError> {
        let mut call = scripts::AMEND.key(self.keys.job(id));
        call.arg(seen).arg(state).arg(outcome);
        Ok(call.invoke_async::<u8>(&mut self.connection()).await? == 1)
    }

    /// Withdraws jobs: who claims one, or is about to begin sending, is refused with `reason`. What is being sent may win. Gives
    /// how far each was, in order; `None` where there is no record.
    pub async fn withdraw(&self, ids: &[&str], reason: &str) -> Result<Vec<Option<Withdrawn>>, QueueError> {
        let calls = ids.iter().map(|id| {
            let (records, own) = self.records_of(id);
            let mut call = Call::new(&scripts::WITHDRAW, records.len());
            call.arg(&records).arg(reason).arg(own);
            call
        });
        let mut states = Vec::with_capacity(ids.len());
        for (id, reply) in ids.iter().zip(Call::ask_all(calls.collect(), &mut self.connection()).await?) {
            states.push(match redis::from_redis_value::<String>(reply).map_err(redis::RedisError::from)?.as_str() {
                "" => None,
                "*" => self.find_bundled(id).await?.map(|record| Withdrawn { state: record.state, attempt: 0, ambiguous: 0 }),
                words => Some(words.parse()?),
            });
        }
        Ok(states)
    }

    /// Lets a job that waits for its time come now, if it still waits as it was added; else nothing is changed.
    pub async fn hasten(&self, job: &NewJob<'_>) -> Result<(), QueueError> {
        let mut member = format!("{} 0 ", job.lane as u8).into_bytes();
        member.extend(job.entry().concat());
        let mut call = redis::cmd("ZADD");
        call.arg(&self.keys.due).arg("XX").arg(0).arg(member);
        Ok(call.query_async(&mut self.connection()).await?)
    }

    /// Replaces what is kept with a job, if there still is a record.
    pub async fn rewrite(&self, id: &str, body: &[u8]) -> Result<(), QueueError> {
        let (records, own) = self.records_of(id);
        let mut call = Call::new(&scripts::REWRITE, records.len());
        call.arg(&records).arg(body).arg(own);
        Ok(call.ask(&mut self.connection()).await?)
    }

    /// Why a job was withdrawn, if it was.
    pub async fn withdrawn(&self, id: &str) -> Result<Option<String>, QueueError> {
        let ([record, bundle], own) = self.records_of(id);
        let mut pipe = redis::pipe();
        pipe.cmd("HGET").arg(record).arg("cancel").cmd("HGET").arg(bundle).arg(format!("cancel:{own}"));
        let (of_record, of_bundle): (Option<String>, Option<String>) = pipe.query_async(&mut self.connection()).await?;
        Ok(of_record.or(of_bundle))
    }

    /// Lets records go after `ttl`: called once what they say is kept elsewhere.
    pub async fn expire_jobs(&self, ids: &[&str], ttl: Duration) -> Result<(), QueueError> {
        if ids.is_empty() {
            return Ok(());
        }
        let millis = millis(ttl);
        let mut pipe = redis::pipe();
        for id in ids {
            pipe.cmd("PEXPIRE").arg(self.keys.job(id)).arg(millis).ignore();
        }
        Ok(pipe.query_async(&mut self.connection()).await?)
    }

    /// How much waits.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        type Counts = (u64, u64, u64, u64, u64, [Option<i64>; 3]);
        let mut pipe = redis::pipe();
        for lane in &self.keys.lanes {
            pipe.cmd("XLEN").arg(lane);
        }
        pipe.cmd("ZCARD").arg(&self.keys.due).cmd("XLEN").arg(&self.keys.dead);
        pipe.cmd("HMGET").arg(&self.keys.bundled).arg(&[0, 1, 2]);
        let (high, normal, bulk, due, dead, bundled): Counts = pipe.query_async(&mut self.connection()).await?;
        let with = |entries: u64, lane: Lane| entries.saturating_add_signed(bundled[lane as usize].unwrap_or(0));
        Ok(Depth { high: with(high, Lane::High), normal: with(normal, Lane::Normal), bulk: with(bulk, Lane::Bulk), due, dead })
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
