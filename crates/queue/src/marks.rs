//! Small things that are kept beside the jobs of a queue for a while: other names of jobs, and what was done.

use std::time::Duration;

use crate::{Queue, QueueError, millis, scripts};

/// The most budgets of one call.
const STEP: usize = 500;

impl Queue {
    /// Remembers for `ttl` that `name` stands for the job `id`.
    pub async fn alias(&self, name: &str, id: &str, ttl: Duration) -> Result<(), QueueError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.alias(name)).arg(id).arg("PX").arg(millis(ttl));
        Ok(set.query_async(&mut self.connection()).await?)
    }

    /// The job that `name` stands for, if that is still known.
    pub async fn find_alias(&self, name: &str) -> Result<Option<String>, QueueError> {
        Ok(redis::cmd("GET").arg(self.keys.alias(name)).query_async(&mut self.connection()).await?)
    }

    /// Remembers for `ttl` that `what` was done.
    pub async fn set_done(&self, what: &str, ttl: Duration) -> Result<(), QueueError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.done(what)).arg(1).arg("PX").arg(millis(ttl));
        Ok(set.query_async(&mut self.connection()).await?)
    }

    /// Whether `what` was done, as far as that is remembered.
    pub async fn is_done(&self, what: &str) -> Result<bool, QueueError> {
        Ok(redis::cmd("EXISTS").arg(self.keys.done(what)).query_async(&mut self.connection()).await?)
    }
}

impl Queue {
    /// Keeps for `ttl` what was said first of `name`, for whoever will know what it is about.
    pub async fn hold(&self, name: &str, words: &[u8], ttl: Duration) -> Result<(), QueueError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.held(name)).arg(words).arg("NX").arg("PX").arg(millis(ttl));
        Ok(set.query_async::<Option<String>>(&mut self.connection()).await.map(drop)?)
    }

    /// What was said of `name` and kept, if anything.
    pub async fn find_held(&self, name: &str) -> Result<Option<Vec<u8>>, QueueError> {
        Ok(redis::cmd("GET").arg(self.keys.held(name)).query_async(&mut self.connection()).await?)
    }

    /// Forgets what was kept: it is done.
    pub async fn drop_held(&self, name: &str) -> Result<(), QueueError> {
        Ok(redis::cmd("DEL").arg(self.keys.held(name)).query_async(&mut self.connection()).await?)
    }
}

impl Queue {
    /// How much of each budget is used up today (UTC, on Redis's clock), in order.
    pub async fn used_today(&self, budgets: &[String]) -> Result<Vec<u32>, QueueError> {
        let mut used = Vec::with_capacity(budgets.len());
        for chunk in budgets.chunks(STEP) {
            let mut call = scripts::USED.prepare_invoke();
            for what in chunk {
                call.key(self.keys.budget(what));
            }
            used.extend(call.invoke_async::<Vec<u32>>(&mut self.connection()).await?);
        }
        Ok(used)
    }
}
