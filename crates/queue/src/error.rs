//! What can go wrong with a queue.

/// A queue could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Redis does not answer, or refused. A write may have happened all the same; every write here can be repeated.
    #[error("Redis does not answer")]
    Redis(#[from] redis::RedisError),
    /// Redis holds something that this crate did not write.
    #[error("Redis holds something that is no queue of ours: {0}")]
    Malformed(String),
}
