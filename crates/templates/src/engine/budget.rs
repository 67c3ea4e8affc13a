//! What the rendering of one message may still spend, and the output that keeps to it.

use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use handlebars::Output;

use super::clock::{Clock, worked};
use crate::limits;

/// Rounds, parts and time that the texts of one message may still take together.
#[derive(Debug)]
pub(crate) struct Budget {
    // Atomic only because helpers must be Sync: a rendering stays on its thread.
    steps: AtomicUsize,
    parts: AtomicUsize,
    /// Parts written since the clock was looked at.
    unseen: AtomicUsize,
    /// Runs from the first look at it: to start it takes as long as to write a short text.
    clock: OnceLock<Clock>,
    /// What was worked for others, in nanoseconds.
    besides: AtomicU64,
}

/// Why a budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    Steps,
    Time,
}

/// After so many parts the clock is looked at: asking the kernel costs more than most parts.
pub(super) const PARTS_A_LOOK: usize = 256;

impl Budget {
    pub(crate) fn new() -> Self {
        let [steps, parts, unseen] = [limits::LOOP_STEPS, limits::LOOP_PARTS, 0].map(AtomicUsize::new);
        Self { steps, parts, unseen, clock: OnceLock::new(), besides: AtomicU64::new(0) }
    }

    /// Pays for one round of a loop whose body has `parts` parts.
    pub(super) fn pay(&self, parts: usize) -> Result<(), Spent> {
        let take = |from: &AtomicUsize, n| from.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(n));
        take(&self.steps, 1).map_err(|_| Spent::Steps)?;
        take(&self.parts, parts).map_err(|_| Spent::Steps)?;
        self.work(1 + parts)
    }

    /// Work that takes as long as `parts` usual parts; whoever begins it asks here whether there is time.
    pub(super) fn work(&self, parts: usize) -> Result<(), Spent> {
        if self.unseen.fetch_add(parts, Relaxed) + parts < PARTS_A_LOOK {
            return Ok(());
        }
        self.unseen.store(0, Relaxed);
        if self.is_late() { Err(Spent::Time) } else { Ok(()) }
    }

    /// Starts the clock before work that does not pay by parts.
    pub(crate) fn begin(&self) {
        _ = self.running();
    }

    fn running(&self) -> Clock {
        *self.clock.get_or_init(|| Clock::start(Duration::from_millis(limits::RENDER_MS)))
    }

    /// Work that is done once for all messages, and that this one does not pay for.
    pub(super) fn besides(&self, work: impl FnOnce()) {
        let before = worked();
        work();
        let took = u64::try_from(worked().saturating_sub(before).as_nanos()).unwrap_or(u64::MAX);
        self.besides.fetch_add(took, Relaxed);
    }

    /// Whether the message has taken longer than it may, since the clock was started.
    pub(crate) fn is_late(&self) -> bool {
        self.running().later(Duration::from_nanos(self.besides.load(Relaxed))).is_over()
    }
}

/// A text that stops growing at [`limits::OUTPUT_BYTES`].
#[derive(Default)]
pub(super) struct LimitedOutput(pub String);

impl Output for LimitedOutput {
    fn write(&mut self, part: &str) -> Result<(), io::Error> {
        if self.0.len() + part.len() > limits::OUTPUT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_for_all_is_not_paid_for() {
        let work = |millis| {
            let until = worked() + Duration::from_millis(millis);
            while worked() < until {}
        };
        let budget = |left| Budget { clock: Clock::start(Duration::from_millis(left)).into(), ..Budget::new() };
        let spent = budget(5);
        work(10);
        assert!(spent.is_late());
        let spared = budget(5);
        spared.besides(|| work(10));
        assert!(!spared.is_late());
    }
}
