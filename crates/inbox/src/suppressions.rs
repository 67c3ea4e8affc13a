//! Whom not to write to, so that dispatch asks for a page of recipients in one round trip.
//!
//! State first: a suppression is set here, then told as an event, from which SQL has it. So it holds from the moment on at which
//! it is said, also while SQL is down. A copy that Redis lost is *absent*, not empty: [`Suppressions::find`] says so, and
//! whoever asks fills it from the record.

use std::{collections::HashMap, sync::LazyLock};

use redis::Script;
use stentor_connection::Connection;
use stentor_domain::{AppId, SuppressedAddress, Suppression, SuppressionReason, Timestamp};

use crate::{InboxError, keys};

static SUPPRESS: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!("#!lua flags=allow-oom\n", include_str!("scripts/suppress.lua"))));
/// The field that says that all of the record is here.
const COMPLETE: &str = "complete";
/// The word for what was lifted.
const LIFTED: &str = "-";
/// The most addresses of one call.
const STEP: usize = 500;

/// An address to be written to in a category.
pub type Asked<'a> = (&'a SuppressedAddress, Option<&'a str>);

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

    /// Suppresses addresses, each as of its time; what was said later stays.
    pub async fn set(&self, app: &AppId, suppressions: &[(&Suppression, Timestamp)]) -> Result<(), InboxError> {
        for chunk in suppressions.chunks(STEP) {
            let mut call = SUPPRESS.key(keys::suppressed(app));
            for (s, at) in chunk {
                let category = s.category.as_deref().unwrap_or_default();
                call.arg(field(&s.address, category)).arg(at.as_millis()).arg(s.reason.as_str());
            }
            call.invoke_async::<Vec<u8>>(&mut self.conn.clone()).await?;
        }
        Ok(())
    }

    /// Lifts a suppression as of `at`.
    pub async fn lift(
        &self,
        app: &AppId,
        address: &SuppressedAddress,
        category: Option<&str>,
        at: Timestamp,
    ) -> Result<(), InboxError> {
        let mut call = SUPPRESS.key(keys::suppressed(app));
        call.arg(field(address, category.unwrap_or_default())).arg(at.as_millis()).arg(LIFTED);
        call.invoke_async::<Vec<u8>>(&mut self.conn.clone()).await?;
        Ok(())
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

    /// Why an address is suppressed in this category, or in all if it is none, as far as that is known here.
    pub async fn reason(
        &self,
        app: &AppId,
        address: &SuppressedAddress,
        category: Option<&str>,
    ) -> Result<Option<SuppressionReason>, InboxError> {
        let mut call = redis::cmd("HGET");
        call.arg(keys::suppressed(app)).arg(field(address, category.unwrap_or_default()));
        let held: Option<String> = call.query_async(&mut self.conn.clone()).await?;
        Ok(held.and_then(|value| value.split_once(' ')?.1.parse().ok()))
    }

    /// Says that all that the record has is set.
    pub async fn complete(&self, app: &AppId) -> Result<(), InboxError> {
        let mut call = redis::cmd("HSET");
        call.arg(keys::suppressed(app)).arg(COMPLETE).arg(1);
        Ok(call.query_async(&mut self.conn.clone()).await?)
    }
}
