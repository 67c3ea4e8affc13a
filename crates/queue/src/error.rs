//! What can go wrong with a queue.

use redis::RedisError;

/// A queue could not be read or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// Redis does not answer, or refused. A write may have happened all the same; every write here can be repeated.
    #[error("Redis does not answer")]
    Redis(#[source] RedisError),
    /// Redis has reached its `maxmemory`: nothing was written.
    #[error("Redis is out of memory")]
    OutOfMemory,
    /// Redis has it and too few replicas have: it may yet be lost with Redis. A repeat with the same id or key waits again.
    #[error("{have} of {want} replicas have it")]
    NotReplicated {
        /// How many have it.
        have: u32,
        /// How many should.
        want: u32,
    },
    /// Redis holds something that this crate did not write.
    #[error("Redis holds something that is no queue of ours: {0}")]
    Malformed(String),
}

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        if has_code(&error, "OOM") { Self::OutOfMemory } else { Self::Redis(error) }
    }
}

/// Whether Redis answered with this error code, to a command or to any of a pipeline (of which `code()` knows nothing).
pub(crate) fn has_code(error: &RedisError, code: &str) -> bool {
    error.clone().into_server_errors().is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == code))
}
