//! Small things that are kept beside the jobs of a queue for a while: other names of jobs, and what was done once.

use std::time::Duration;

use crate::{Queue, QueueError};

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

    /// True for the first who asks for `what` within `ttl`, and for nobody else.
    pub async fn is_first(&self, what: &str, ttl: Duration) -> Result<bool, QueueError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.once(what)).arg(1).arg("NX").arg("PX").arg(millis(ttl));
        Ok(set.query_async::<Option<String>>(&mut self.connection()).await?.is_some())
    }

    /// What was asked for with [`is_first`](Self::is_first) was not done after all: the next who asks is the first again.
    pub async fn forget_first(&self, what: &str) -> Result<(), QueueError> {
        Ok(redis::cmd("DEL").arg(self.keys.once(what)).query_async(&mut self.connection()).await?)
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}
