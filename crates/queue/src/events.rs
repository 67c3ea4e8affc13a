//! Facts, not work: a stream that several groups of readers read, each to its own end.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use redis::RedisResult;
use stentor_connection::{Call, CallsAtOnce, Connection, Gathering, Turn, Words, broken_off};
use tokio::sync::oneshot;

use crate::{QueueError, error::has_code, keys, scripts};

/// How long a batch may be with a reader before another takes it over.
const ABANDONED_MS: u64 = 10_000;

/// The most events that one script appends: about 1 ms of Redis's single thread.
const STEP: usize = 64 * TOGETHER;
/// With so many bytes a script that appends takes no more events of others.
const FULL: usize = 1 << 20;
/// The most events of one entry: what was written at once mostly stands together, and a batch of entries stays of a size.
pub(crate) const TOGETHER: usize = 8;

/// A cheap handle to a log of events.
#[derive(Clone)]
pub struct EventLog {
    conn: Connection,
    key: String,
    gathering: Arc<Gathering<Append>>,
}

/// Events that wait for the end of a call.
struct Append {
    events: Words,
    tell: oneshot::Sender<Result<(), QueueError>>,
}

/// A place, and the events that stand there; each is named `d`.
pub(crate) type Entry = (String, Vec<(String, Vec<u8>)>);
type Claimed = (String, Vec<Entry>, Vec<String>);
pub(crate) type Read = Option<Vec<(String, Vec<Entry>)>>;

impl EventLog {
    /// The log `name` in the Redis behind `conn`.
    pub fn new(conn: Connection, name: &str) -> Self {
        Self { conn, key: keys::events(name), gathering: Arc::new(Gathering::new(CallsAtOnce::at_most(1))) }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Appends events in order, up to 8 in one entry, in one round trip per 512; a few go along with those of others. Not idempotent:
    /// readers recognise events by what is in them.
    pub async fn append(&self, events: &[Vec<u8>]) -> Result<(), QueueError> {
        if events.is_empty() {
            return Ok(());
        }
        if events.len() > TOGETHER {
            for chunk in events.chunks(STEP) {
                self.write(chunk.iter().map(Vec::as_slice)).await?;
            }
            return Ok(());
        }
        let mut waiting = Words::with_capacity(events.len(), events.iter().map(Vec::len).sum());
        for event in events {
            waiting.push_of(&[event]);
        }
        let (tell, told) = oneshot::channel();
        if let Some(turn) = self.gathering.add(Append { events: waiting, tell }) {
            let log = self.clone();
            tokio::spawn(async move { log.write_waiting(turn).await });
        }
        told.await.unwrap_or_else(|_| Err(broken_off().into()))
    }

    /// Appends whatever waits, until nothing does.
    async fn write_waiting(&self, mut turn: Turn<Append>) {
        while let Some(mut waiting) = turn.next_call() {
            while !waiting.is_empty() {
                let fitting = count_fitting(&waiting);
                let mut together: Vec<Append> = waiting.drain(..fitting).collect();
                let written = self.write(together.iter().flat_map(|append| append.events.iter())).await;
                if let Err(QueueError::Redis(_)) = written {
                    // Whoever waited behind a Redis that does not answer is not made to wait for it once more.
                    together.append(&mut waiting);
                    together.extend(turn.take_all());
                }
                for append in together {
                    let _ = append.tell.send(written.clone()); // or nobody waits for it any more
                }
            }
        }
    }

    /// Appends events in one round trip.
    async fn write<'e>(&self, events: impl Iterator<Item = &'e [u8]>) -> Result<(), QueueError> {
        let mut call = Call::new(&scripts::APPEND, 1);
        call.arg(&self.key).arg(TOGETHER).args(events);
        Ok(call.ask::<()>(&mut self.conn.clone()).await?)
    }

    /// A reader of `group`: each event goes to one reader of the group, until that one acknowledges it. `reader` blocks and
    /// is the reader's own.
    pub async fn reader(&self, group: &str, reader: Connection) -> Result<EventReader, QueueError> {
        let reader = EventReader {
            log: self.clone(),
            reader,
            group: group.to_owned(),
            consumer: format!("{}-{}", std::process::id(), ulid::Ulid::new()),
            held: Vec::new(),
        };
        reader.create_group().await?;
        Ok(reader)
    }

    /// Drops entries that every group has acknowledged, but for the newest `keep` or a few more, for those who look what happened
    /// last. Returns how many.
    pub async fn trim(&self, keep: u64) -> Result<u64, QueueError> {
        let mut conn = self.conn.clone();
        let excess = if keep == 0 { 0 } else { self.depth().await?.saturating_sub(keep) };
        if keep > 0 && excess == 0 {
            return Ok(0);
        }
        let groups: Vec<HashMap<String, redis::Value>> =
            redis::cmd("XINFO").arg("GROUPS").arg(&self.key).query_async(&mut conn).await?;
        let mut needed: Option<(u64, u64)> = None;
        for group in groups {
            let text = |name: &str| group.get(name).cloned().and_then(|v| redis::from_redis_value::<String>(v).ok());
            let (Some(name), Some(delivered)) = (text("name"), text("last-delivered-id")) else { continue };
            let pending: (u64, Option<String>, Option<String>, redis::Value) =
                redis::cmd("XPENDING").arg(&self.key).arg(name).query_async(&mut conn).await?;
            let lowest = match pending.1 {
                Some(lowest) => place(&lowest),
                None => place(&delivered).map(|(ms, n)| (ms, n + 1)),
            };
            let Some(lowest) = lowest else { return Ok(0) };
            needed = Some(needed.map_or(lowest, |n| n.min(lowest)));
        }
        let Some((ms, n)) = needed else { return Ok(0) };
        let mut trim = redis::cmd("XTRIM");
        trim.arg(&self.key).arg("MINID");
        if keep == 0 {
            trim.arg(format!("{ms}-{n}"));
        } else {
            // A limit goes with `~` alone: whole nodes of the stream go, as long as that is no more than the excess.
            trim.arg("~").arg(format!("{ms}-{n}")).arg("LIMIT").arg(excess);
        }
        Ok(trim.query_async(&mut conn).await?)
    }

    /// The events of the newest entries, at most `max` of these, with their places, in order.
    pub async fn newest(&self, max: usize) -> Result<Vec<(String, Vec<u8>)>, QueueError> {
        let mut newest: Vec<Entry> = redis::cmd("XREVRANGE")
            .arg(&self.key)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(max)
            .query_async(&mut self.conn.clone())
            .await?;
        newest.reverse();
        Ok(newest.into_iter().flat_map(events).collect())
    }

    /// How many entries are in the log: those that some group has not read, and a few that were not trimmed yet.
    pub async fn depth(&self) -> Result<u64, QueueError> {
        Ok(redis::cmd("XLEN").arg(&self.key).query_async(&mut self.conn.clone()).await?)
    }
}

/// How many of these go in one call; at least one.
fn count_fitting(waiting: &[Append]) -> usize {
    let mut bytes = 0;
    let fits = |append: &&Append| {
        bytes += append.events.bytes();
        bytes <= FULL
    };
    waiting.iter().take(STEP / TOGETHER).take_while(fits).count().max(1)
}

fn place(id: &str) -> Option<(u64, u64)> {
    let (ms, n) = id.split_once('-')?;
    Some((ms.parse().ok()?, n.parse().ok()?))
}

/// A reader of a group.
pub struct EventReader {
    log: EventLog,
    reader: Connection,
    group: String,
    consumer: String,
    /// The batch that was given and not acknowledged: it is given again.
    held: Vec<(String, Vec<u8>)>,
}

impl EventReader {
    async fn create_group(&self) -> Result<(), QueueError> {
        let created: RedisResult<()> = redis::cmd("XGROUP")
            .arg("CREATE")
            .arg(&self.log.key)
            .arg(&self.group)
            .arg("0")
            .arg("MKSTREAM")
            .query_async(&mut self.log.conn.clone())
            .await;
        match created {
            Err(error) if !has_code(&error, "BUSYGROUP") => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The events of the next entries, at most `max` of these: the batch that was not acknowledged, what another reader abandoned,
    /// or new ones, for the first of which this waits up to `block`.
    pub async fn next_batch(&mut self, max: usize, block: Duration) -> Result<Vec<(String, Vec<u8>)>, QueueError> {
        if self.held.is_empty() {
            self.held = match self.read(max, block).await {
                Err(QueueError::Redis(error)) if has_code(&error, "NOGROUP") => {
                    self.create_group().await?; // Redis lost its data
                    Vec::new()
                }
                read => read?,
            };
        }
        Ok(self.held.clone())
    }

    async fn read(&mut self, max: usize, block: Duration) -> Result<Vec<(String, Vec<u8>)>, QueueError> {
        let abandoned: Claimed = redis::cmd("XAUTOCLAIM")
            .arg(&self.log.key)
            .arg(&self.group)
            .arg(&self.consumer)
            .arg(ABANDONED_MS)
            .arg("0")
            .arg("COUNT")
            .arg(max)
            .query_async(&mut self.log.conn.clone())
            .await?;
        if !abandoned.1.is_empty() {
            return Ok(abandoned.1.into_iter().flat_map(events).collect());
        }
        let read: Read = redis::cmd("XREADGROUP")
            .arg("GROUP")
            .arg(&self.group)
            .arg(&self.consumer)
            .arg("COUNT")
            .arg(max)
            .arg("BLOCK")
            .arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX))
            .arg("STREAMS")
            .arg(&self.log.key)
            .arg(">")
            .query_async(&mut self.reader)
            .await?;
        Ok(read.into_iter().flatten().flat_map(|(_, entries)| entries).flat_map(events).collect())
    }

    /// Acknowledges the events at these places: called once what they say is kept elsewhere.
    pub async fn ack(&mut self, places: &[String]) -> Result<(), QueueError> {
        if !places.is_empty() {
            let ack = redis::cmd("XACK").arg(&self.log.key).arg(&self.group).arg(places).to_owned();
            ack.query_async::<()>(&mut self.log.conn.clone()).await?;
        }
        let places: HashSet<&String> = places.iter().collect();
        self.held.retain(|(place, _)| !places.contains(place));
        Ok(())
    }
}

/// The events of an entry, each with its place.
pub(crate) fn events((place, fields): Entry) -> impl Iterator<Item = (String, Vec<u8>)> {
    fields.into_iter().map(move |(_, event)| (place.clone(), event))
}
