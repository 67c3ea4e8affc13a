//! Whom not to write to, so that dispatch asks for a page of recipients in one round trip.
//!
//! State first: a suppression is set here, then told as an event, from which SQL has it. So it holds from the moment on at which
//! it is said, also while SQL is down. A copy that Redis lost is *absent*, not empty: [`Suppressions::find`] says so, and
//! whoever asks fills it from the record.

use std::{collections::HashMap, sync::LazyLock};

use redis::Script;
use stentor_connection::{Connection, lua};
use stentor_domain::{AppId, SuppressedAddress, Suppression, SuppressionReason, Timestamp};

use crate::{InboxError, keys};

static COPY: LazyLock<Script> =
    LazyLock::new(|| Script::new(lua!("#!lua flags=allow-oom\n", include_str!("scripts/suppress.lua"))));
static SAY: LazyLock<Script> =
    LazyLock::new(|| Script::new(lua!("#!lua flags=allow-oom\n", include_str!("scripts/say_suppressed.lua"))));
static COMPLETED: LazyLock<Script> =
    LazyLock::new(|| Script::new(lua!("#!lua flags=allow-oom\n", include_str!("scripts/suppressed_complete.lua"))));
/// The field that says that all of the record is here.
const COMPLETE: &str = "complete";
/// The field that whoever copies the record finds again at the end, unless the hash was lost meanwhile.
const COPYING: &str = "copying";
/// The word for what was lifted.
const LIFTED: &str = "-";
/// The most addresses of one call.
const STEP: usize = 500;

/// An address to be written to in a category.
pub type Asked<'a> = (&'a SuppressedAddress, Option<&'a str>);

/// What was said last of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is not written to.
    Suppressed(SuppressionReason),
    /// It is written to again.
    Lifted,
}

/// A cheap handle to the suppressions of all apps.
#[derive(Clone)]
pub struct Suppressions {
    conn: Connection,
}

fn field(address: &SuppressedAddress, category: &str) -> String {
    format!("{} {} {category}", address.channel(), address.as_str()) // no address has a space
}

impl Suppressions {
    /// Suppressions in the Redis behind `conn`.
    pub fn new(conn: Connection) -> Self {
        Self { conn }
    }

    /// Suppresses an address as of `now`, or of a moment after what was said of it before: gives the time as of which it holds.
    pub async fn suppress(&self, app: &AppId, suppression: &Suppression, now: Timestamp) -> Result<Timestamp, InboxError> {
        let category = suppression.category.as_deref().unwrap_or_default();
        self.say(app, &field(&suppression.address, category), suppression.reason.as_str(), now).await
    }

    /// Lifts a suppression as of `now`, or of a moment after what was said before: gives the time as of which it holds.
    pub async fn lift(
        &self,
        app: &AppId,
        address: &SuppressedAddress,
        category: Option<&str>,
        now: Timestamp,
    ) -> Result<Timestamp, InboxError> {
        self.say(app, &field(address, category.unwrap_or_default()), LIFTED, now).await
    }

    async fn say(&self, app: &AppId, field: &str, word: &str, now: Timestamp) -> Result<Timestamp, InboxError> {
        let mut call = SAY.key(keys::suppressed(app));
        let at: i64 = call.arg(field).arg(now.as_millis()).arg(word).invoke_async(&mut self.conn.clone()).await?;
        Ok(Timestamp::from_millis(at))
    }

    /// Begins a copy of the record; [`complete`](Self::complete) wants what it gives.
    pub async fn begin_copy(&self, app: &AppId, name: &str) -> Result<String, InboxError> {
        let (key, mut conn) = (keys::suppressed(app), self.conn.clone());
        // Another's name does as well: that it is still there at the end proves that nothing was lost.
        redis::cmd("HSETNX").arg(&key).arg(COPYING).arg(name).query_async::<u8>(&mut conn).await?;
        Ok(redis::cmd("HGET").arg(&key).arg(COPYING).query_async::<Option<String>>(&mut conn).await?.unwrap_or_default())
    }

    /// Copies what the record has, each as of its time; what was said later stays.
    pub async fn copy(&self, app: &AppId, suppressions: &[(&Suppression, Timestamp)]) -> Result<(), InboxError> {
        for chunk in suppressions.chunks(STEP) {
            let mut call = COPY.key(keys::suppressed(app));
            for (s, at) in chunk {
                let category = s.category.as_deref().unwrap_or_default();
                call.arg(field(&s.address, category)).arg(at.as_millis()).arg(s.reason.as_str());
            }
            call.invoke_async::<Vec<u8>>(&mut self.conn.clone()).await?;
        }
        Ok(())
    }

    /// Says that all that the record has is copied. False if the copy was lost while it was made.
    pub async fn complete(&self, app: &AppId, copy: &str) -> Result<bool, InboxError> {
        let mut call = COMPLETED.key(keys::suppressed(app));
        Ok(call.arg(copy).invoke_async::<u8>(&mut self.conn.clone()).await? == 1)
    }

    /// Why each is suppressed, in its category or in all; in order. `None` if the record was not read yet.
    pub async fn find(&self, app: &AppId, asked: &[Asked<'_>]) -> Result<Option<Vec<Option<SuppressionReason>>>, InboxError> {
        let mut found = Vec::with_capacity(asked.len());
        for chunk in asked.chunks(STEP) {
            let mut fields = vec![COMPLETE.to_owned()];
            for (address, category) in chunk {
                fields.push(field(address, ""));
                fields.extend(category.map(|category| field(address, category)));
            }
            let values: Vec<Option<String>> =
                redis::cmd("HMGET").arg(keys::suppressed(app)).arg(&fields).query_async(&mut self.conn.clone()).await?;
            let held: HashMap<String, Option<String>> = fields.into_iter().zip(values).collect();
            if held.get(COMPLETE).is_none_or(Option::is_none) {
                return Ok(None);
            }
            let reason = |address: &SuppressedAddress, category: &str| {
                let value = held.get(&field(address, category))?.as_deref()?;
                value.split_once(' ')?.1.parse::<SuppressionReason>().ok()
            };
            found.extend(chunk.iter().map(|(a, category)| reason(a, "").or_else(|| reason(a, (*category)?))));
        }
        Ok(Some(found))
    }

    /// What was said last of an address in this category, or in all if it is none: suppressed, or `Lifted`. `None` if nothing is
    /// known here.
    pub async fn last_word(
        &self,
        app: &AppId,
        address: &SuppressedAddress,
        category: Option<&str>,
    ) -> Result<Option<Word>, InboxError> {
        let mut call = redis::cmd("HGET");
        call.arg(keys::suppressed(app)).arg(field(address, category.unwrap_or_default()));
        let held: Option<String> = call.query_async(&mut self.conn.clone()).await?;
        Ok(held.and_then(|value| match value.split_once(' ')?.1 {
            LIFTED => Some(Word::Lifted),
            reason => reason.parse().ok().map(Word::Suppressed),
        }))
    }
}
