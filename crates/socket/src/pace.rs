//! How fast frames may come.

use std::time::{Duration, Instant};

use crate::{CloseCode, Violation};

/// How many frames may come on a connection, of whatever kind. Each is work for the thread that all connections share, and pings and
/// fragments are answered by nothing that would slow down who sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many at once, after a pause.
    pub at_once: u32,
    /// How many in a second, on and on; at least 1.
    pub per_second: u32,
    /// The code with which a connection is closed that sends more.
    pub code: CloseCode,
}

/// How far a connection has used up its rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    rate: Rate,
    /// When as many may come at once as ever: each frame puts that off.
    rested_at: Instant,
}

impl Pace {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, rested_at: Instant::now() }
    }

    /// Counts a frame.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Violation> {
        let each = Duration::from_secs(1) / self.rate.per_second.max(1);
        let rested_at = self.rested_at.max(now) + each;
        if rested_at.duration_since(now) > each * self.rate.at_once {
            return Err(Violation::TooFast(self.rate.code));
        }
        self.rested_at = rested_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_may_come_at_once_and_so_many_a_second_from_then_on() {
        let mut pace = Pace::new(Rate { at_once: 300, per_second: 50, code: 4_429 });
        let begin = pace.rested_at;
        let mut taken = |ms: u64| (0..1_000).take_while(|_| pace.take(begin + Duration::from_millis(ms)).is_ok()).count();
        assert_eq!(taken(0), 300);
        assert_eq!(taken(19), 0);
        assert_eq!(taken(20), 1);
        assert_eq!(taken(1_020), 50);
        assert_eq!(taken(60_000), 300, "no more than that, however long the pause was");
    }
}
