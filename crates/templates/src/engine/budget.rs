//! What one rendering may still spend, and the output that keeps to it.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use handlebars::Output;

use crate::limits;

/// Rounds and parts that the loops of one rendering may still run through.
pub(super) struct Budget {
    // Atomic only because helpers must be Sync: a rendering stays on its thread.
    steps: AtomicUsize,
    parts: AtomicUsize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { steps: AtomicUsize::new(limits::LOOP_STEPS), parts: AtomicUsize::new(limits::LOOP_PARTS) }
    }

    /// Pays for one round of a loop whose body has `parts` parts; false if there is nothing left.
    pub(super) fn pay(&self, parts: usize) -> bool {
        let take = |from: &AtomicUsize, n| from.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(n)).is_ok();
        take(&self.steps, 1) && take(&self.parts, parts)
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
