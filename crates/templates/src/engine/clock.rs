//! How long a rendering has worked: the CPU time of its thread, so that a busy machine makes nothing fail.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A clock that runs while this thread works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    end: Duration,
}

impl Clock {
    /// A clock that is over after `patience`.
    pub(crate) fn start(patience: Duration) -> Self {
        Self { end: worked() + patience }
    }

    /// One that is over so much later.
    pub(crate) fn later(self, by: Duration) -> Self {
        Self { end: self.end + by }
    }

    /// Whether its time is up.
    pub(crate) fn is_over(self) -> bool {
        worked() > self.end
    }
}

/// How long this thread has worked.
pub(crate) fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
