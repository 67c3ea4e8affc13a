//! What a handler says.

use std::time::Duration;

use apalis::prelude::BoxDynError;
use apalis_core::task::into_response::IntoResponse;

/// How a handler ended. A panic, or an error of another kind, counts as a retry with backoff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The entry is done with.
    Done,
    /// The entry is done with, and the record of its job, if nobody has ended it yet, ends in this state: both at once.
    Ended {
        /// How it ended.
        state: &'static str,
    },
    /// Try again after a while; counts as a try.
    RetryAfter {
        /// How long.
        wait: Duration,
        /// Why, for the dead letter that it may become.
        reason: String,
    },
    /// Not now: after a while, on Redis's clock. Counts as no try.
    HoldFor {
        /// How long.
        wait: Duration,
    },
    /// Not now: at this time of Redis's clock (ms), as a [`Claim`](crate::Claim) says it. Counts as no try.
    HoldUntil {
        /// When.
        at_ms: i64,
    },
    /// Never again: it becomes a dead letter.
    Dead {
        /// Why.
        reason: String,
    },
}

impl IntoResponse for Outcome {
    type Output = Self;

    fn into_response(self) -> Result<Self, BoxDynError> {
        Ok(self)
    }
}
