//! A rate that all workers of a queue share.

use std::time::Duration;

use crate::{Queue, QueueError, scripts};

/// How long a caller waits for its turn at most, holding whatever it holds.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// When a turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is taken: wait so long (at most a second), then go.
    After(Duration),
    /// None is near, and none is taken: come back after so long. Others are told other times.
    ComeBack(Duration),
}

impl Queue {
    /// Takes the next turn of `what`, of which there are `per_second` (more than 0), on Redis's clock.
    pub async fn take_turn(&self, what: &str, per_second: f64) -> Result<Turn, QueueError> {
        let step = 1_000_000.0 / per_second;
        let mut call = scripts::PACE.key(self.keys.pace(what));
        call.arg(format!("{step:.0}")).arg(u64::try_from(LONGEST_WAIT.as_micros()).unwrap_or(u64::MAX));
        let (go, micros): (u8, u64) = call.invoke_async(&mut self.connection()).await?;
        let wait = Duration::from_micros(micros);
        Ok(if go == 1 { Turn::After(wait) } else { Turn::ComeBack(wait) })
    }
}
