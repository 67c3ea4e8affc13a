//! How a worker works.

use std::time::Duration;

use crate::millis;

/// How a worker works. [`WorkerConfig::new`] gives what suits most.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerConfig {
    /// How many handlers run at once; give apalis the same number.
    pub concurrency: usize,
    /// How long an entry stays with a worker of which nothing is heard. Renewed every third of it.
    pub lease: Duration,
    /// How long an outside effect may take after [`Lease::begin_sending`](crate::Lease::begin_sending): until then no other
    /// worker claims the job, though this one be dead. More than the deadline of what is called.
    pub sending: Duration,
    /// Shares of the lanes `high`, `normal`, `bulk` when all have work.
    pub weights: [usize; 3],
    /// How often a job may start without an end before it is buried.
    pub max_starts: u32,
    /// How often a handler that panics or fails without an [`Outcome`](crate::Outcome) is tried.
    pub max_attempts: u32,
    /// How long a read waits for the first entry. Bounds how long a stop waits for the reader.
    pub block: Duration,
    /// How often it is looked for leases that ended.
    pub reap_every: Duration,
}

impl WorkerConfig {
    /// A worker of `concurrency` places, at least one.
    pub fn new(concurrency: usize) -> Self {
        Self {
            concurrency: concurrency.max(1),
            lease: Duration::from_secs(10),
            sending: Duration::from_secs(45),
            weights: [6, 3, 1],
            max_starts: 3,
            max_attempts: 8,
            block: Duration::from_millis(400),
            reap_every: Duration::from_millis(400),
        }
    }

    pub(crate) fn lease_ms(&self) -> u64 {
        millis(self.lease)
    }

    pub(crate) fn sending_ms(&self) -> u64 {
        millis(self.sending)
    }
}
