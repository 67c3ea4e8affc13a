//! The timelines in Redis: one script a call.

use std::{sync::LazyLock, time::Duration};

use redis::{Script, Value};
use stentor_connection::{Call, Connection, lua};
use stentor_domain::{
    AppId, Entry, NotificationId, Timestamp, json,
    timeline::{EntryBody, Gone},
};

use crate::{Hot, InboxError, Position, keys, reply};

/// How long an entry is in inboxes and counts as unread.
pub const RETENTION: Duration = Duration::from_hours(24 * 90);
/// How far revisions jump when a timeline is rebuilt: beyond anything that was written and never archived.
const REV_JUMP: u64 = 1_000_000;

/// A script with the head that all timeline scripts share. What was accepted is delivered also beyond Redis's `maxmemory`.
macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(lua!(
                "#!lua flags=allow-oom\n",
                include_str!("scripts/_timeline.lua"),
                include_str!("scripts/_history.lua"),
                include_str!(concat!("scripts/", $file))
            ))
        });
    };
}
script!(APPEND, "timeline_append.lua");
script!(CHANGE, "timeline_change.lua");
script!(SINCE, "timeline_since.lua");
static WARM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(lua!("#!lua flags=allow-oom\n", include_str!("scripts/_history.lua"), include_str!("scripts/timeline_warm.lua")))
});

/// What is done to an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryEdit {
    /// It is withdrawn.
    Recall,
    /// It says this from now on.
    Update(Box<EntryBody>),
}

/// A cheap handle to all timelines.
#[derive(Clone)]
pub struct Timeline {
    conn: Connection,
}

/// What changed in a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineChanges {
    /// The timeline's life: another one after it was lost and rebuilt, or may lack its latest changes.
    pub epoch: u64,
    /// Its revision.
    pub rev: u64,
    /// Changes up to this revision cannot be told one by one any more.
    pub base: u64,
    /// True: these are all entries there are. False: those that changed since the revision that was asked for.
    pub all: bool,
    /// The entries, the latest change last.
    pub entries: Vec<Entry>,
}

impl Timeline {
    /// The timelines in the Redis behind `conn`.
    pub fn new(conn: Connection) -> Self {
        Self { conn }
    }

    fn call(&self, script: &'static Script, app: &AppId, now: Timestamp) -> Call {
        let mut call = keys::timeline_call(script, app);
        call.arg(now.as_millis()).arg(self.conn.publishing()).arg(u64::try_from(RETENTION.as_millis()).unwrap_or(u64::MAX));
        call
    }

    async fn ask(&self, call: &Call) -> Result<Value, InboxError> {
        Ok(call.ask(&mut self.conn.clone()).await?)
    }

    /// Writes an entry, unless the timeline has the notification already; tells the entry that there is now.
    pub async fn append(&self, app: &AppId, body: &EntryBody, now: Timestamp) -> Result<Hot<Entry>, InboxError> {
        let mut call = self.call(&APPEND, app, now);
        call.arg(body.id.to_string()).arg(expiry(body)).arg(json(body)?);
        let answer: Hot<(u8, u64, String)> = reply::hot(self.ask(&call).await?)?;
        let Hot::Warm((_, _, value)) = answer else { return Ok(Hot::Cold) };
        Ok(Hot::Warm(entry(&value)?))
    }

    /// Changes the entry of a notification, and tells what it is now and whether this call changed it. `None`: there is none.
    pub async fn edit(
        &self,
        app: &AppId,
        id: NotificationId,
        edit: &EntryEdit,
        now: Timestamp,
    ) -> Result<Hot<Option<(Entry, bool)>>, InboxError> {
        let mut call = self.call(&CHANGE, app, now);
        call.arg(id.to_string());
        match edit {
            EntryEdit::Recall => call.arg("recalled").arg("").arg(0),
            EntryEdit::Update(body) => call.arg("-").arg(json(body)?).arg(expiry(body)),
        };
        let Hot::Warm(answer) = reply::hot::<Value>(self.ask(&call).await?)? else { return Ok(Hot::Cold) };
        if matches!(&answer, Value::Array(values) if values.is_empty()) {
            return Ok(Hot::Warm(None));
        }
        let (changed, value): (u8, String) = redis::from_redis_value(answer).map_err(redis::RedisError::from)?;
        Ok(Hot::Warm(Some((entry(&value)?, changed == 1))))
    }

    /// What changed since a position; everything if that cannot be told. With `look`, a new life begins if Redis may have lost the
    /// latest changes.
    pub async fn since(
        &self,
        app: &AppId,
        position: Position,
        look: bool,
        now: Timestamp,
    ) -> Result<Hot<TimelineChanges>, InboxError> {
        let mut call = self.call(&SINCE, app, now);
        call.arg(position.epoch).arg(position.rev).arg(u8::from(look));
        let answer: Hot<(u64, u64, u64, u8, Vec<String>)> = reply::hot(self.ask(&call).await?)?;
        let Hot::Warm((epoch, rev, base, all, values)) = answer else { return Ok(Hot::Cold) };
        let entries = values.iter().map(|value| entry(value)).collect::<Result<_, _>>()?;
        Ok(Hot::Warm(TimelineChanges { epoch, rev, base, all: all == 1, entries }))
    }

    /// Builds a cold timeline from its record; does nothing if somebody else was faster.
    pub async fn warm(&self, app: &AppId, entries: &[Entry], now: Timestamp) -> Result<(), InboxError> {
        let mut call = keys::timeline_call(&WARM, app);
        let highest = entries.iter().map(|e| e.rev.max(e.seq)).max();
        call.arg(now.as_millis()).arg(highest.map_or(0, |rev| rev + REV_JUMP));
        for e in entries {
            let expires = if e.gone.is_some() { 0 } else { expiry(&e.body) };
            call.arg(e.seq).arg(e.rev).arg(e.at.as_millis()).arg(e.body.id.to_string()).arg(expires);
            call.arg(format!("{} {} {} {}\n{}", e.seq, e.rev, e.at.as_millis(), gone_word(e.gone), json(&e.body)?));
        }
        call.ask::<u8>(&mut self.conn.clone()).await?;
        Ok(())
    }
}

fn expiry(body: &EntryBody) -> i64 {
    body.expires_at().map_or(0, Timestamp::as_millis)
}

fn json(body: &EntryBody) -> Result<String, InboxError> {
    serde_json::to_string(body).map_err(|e| InboxError::Malformed(e.to_string()))
}

fn gone_word(gone: Option<Gone>) -> &'static str {
    match gone {
        None => "-",
        Some(Gone::Recalled) => "recalled",
        Some(Gone::Expired) => "expired",
    }
}

/// Reads "seq rev at gone" LF body.
pub(crate) fn entry(value: &str) -> Result<Entry, InboxError> {
    let malformed = || InboxError::Malformed("an entry of a timeline".into());
    let (head, body) = value.split_once('\n').ok_or_else(malformed)?;
    let mut parts = head.split(' ');
    let mut number = || parts.next().and_then(|p| p.parse::<u64>().ok()).ok_or_else(malformed);
    let (seq, rev, at) = (number()?, number()?, number()?);
    let gone = match parts.next() {
        Some("-") => None,
        Some("recalled") => Some(Gone::Recalled),
        Some("expired") => Some(Gone::Expired),
        _ => return Err(malformed()),
    };
    let body: EntryBody = json::read(body).map_err(|e| InboxError::Malformed(e.to_string()))?;
    Ok(Entry { seq, rev, at: Timestamp::from_millis(i64::try_from(at).map_err(|_| malformed())?), gone, body })
}
