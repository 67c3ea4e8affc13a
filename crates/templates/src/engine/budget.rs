//! What the rendering of one message may still spend, and the output that keeps to it.

use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use handlebars::Output;

use super::clock::Clock;
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
        Self { steps, parts, unseen, clock: OnceLock::new() }
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

    /// Whether the message has taken longer than it may, since the clock was started.
    pub(crate) fn is_late(&self) -> bool {
        self.running().is_over()
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
