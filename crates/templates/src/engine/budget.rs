//! What the rendering of one message may still spend, and the output that keeps to it.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
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
    clock: Clock,
}

/// Why a budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    Steps,
    Time,
}

/// After so many rounds of loops the clock is looked at: asking the kernel costs more than a round.
const ROUNDS_A_LOOK: usize = 64;

impl Budget {
    pub(crate) fn new() -> Self {
        let clock = Clock::start(Duration::from_millis(limits::RENDER_MS));
        Self { steps: AtomicUsize::new(limits::LOOP_STEPS), parts: AtomicUsize::new(limits::LOOP_PARTS), clock }
    }

    /// Pays for one round of a loop whose body has `parts` parts.
    pub(super) fn pay(&self, parts: usize) -> Result<(), Spent> {
        let take = |from: &AtomicUsize, n| from.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(n));
        let left = take(&self.steps, 1).map_err(|_| Spent::Steps)?;
        take(&self.parts, parts).map_err(|_| Spent::Steps)?;
        if left % ROUNDS_A_LOOK == 0 && self.is_late() { Err(Spent::Time) } else { Ok(()) }
    }

    /// Whether the message has taken longer than it may.
    pub(crate) fn is_late(&self) -> bool {
        self.clock.is_over()
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
