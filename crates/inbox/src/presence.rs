//! Who is connected, over all gateways: each tells its count every few seconds, and what it said is forgotten soon after.

use std::{iter::Sum, ops::AddAssign, sync::LazyLock};

use redis::Script;
use stentor_connection::{Connection, lua};
use stentor_domain::{AppId, RecipientId};

use crate::{InboxError, keys};

/// KEYS hash: gateway -> "connections people at". ARGV gateway, connections, people. By Redis's clock.
static REPORT: LazyLock<Script> = LazyLock::new(|| Script::new(lua!(include_str!("scripts/presence_report.lua"))));
/// KEYS as above. ARGV how long a report counts in ms. Returns {connections, people}.
static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(lua!(include_str!("scripts/presence_count.lua"))));
/// How long a report counts: three that are missed in a row.
const COUNTS_MS: u64 = 15_000;

/// How many are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Connections of every kind.
    pub connections: u64,
    /// People; who is connected to two gateways counts twice.
    pub people: u64,
}

impl AddAssign for Presence {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.people += other.people;
    }
}

impl Sum for Presence {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        all.for_each(|one| sum += one);
        sum
    }
}

/// A cheap handle to the counts of all apps.
#[derive(Clone)]
pub struct Presences {
    conn: Connection,
}

impl Presences {
    /// The counts in the Redis behind `conn`.
    pub fn new(conn: Connection) -> Self {
        Self { conn }
    }

    /// Tells what of `app` is connected to `gateway`, a name that no other process has; `None`: of all apps together, so that who
    /// wants to know that reads one sum a gateway, however many apps there are.
    pub async fn report(&self, app: Option<&AppId>, gateway: &str, now: Presence) -> Result<(), InboxError> {
        let mut call = REPORT.key(keys::presence(app));
        call.arg(gateway).arg(now.connections).arg(now.people).invoke_async::<()>(&mut self.conn.clone()).await?;
        Ok(())
    }

    /// What of `app`, or of all apps, is connected to all gateways that told it in the last 15 seconds.
    pub async fn count(&self, app: Option<&AppId>) -> Result<Presence, InboxError> {
        let mut call = COUNT.key(keys::presence(app));
        let (connections, people) = call.arg(COUNTS_MS).invoke_async(&mut self.conn.clone()).await?;
        Ok(Presence { connections, people })
    }

    /// Tells how many connections to `gateway` one person has; tells how many they have to all.
    pub async fn report_crowd(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        gateway: &str,
        connections: u64,
    ) -> Result<u64, InboxError> {
        let key = keys::crowd(app, recipient);
        // One after the other: of two gateways the later sees what the earlier told.
        REPORT.key(&key).arg(gateway).arg(connections).arg(1).invoke_async::<()>(&mut self.conn.clone()).await?;
        let (all, _): (u64, u64) = COUNT.key(&key).arg(COUNTS_MS).invoke_async(&mut self.conn.clone()).await?;
        Ok(all)
    }
}
