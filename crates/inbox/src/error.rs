//! What can go wrong with an inbox.

/// An inbox could not be read or changed. Nothing was changed in part: each change is one script.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// Redis does not answer, or refused. A write may have happened all the same; all of them can be repeated.
    #[error("Redis does not answer")]
    Redis(#[from] redis::RedisError),
    /// The record behind the hot state does not answer.
    #[error("the record behind the inbox does not answer")]
    Record(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What Redis holds is not what this crate wrote.
    #[error("Redis holds something that is no inbox of ours: {0}")]
    Malformed(String),
    /// The inbox was found cold again right after it was warmed, several times over.
    #[error("the inbox does not stay in Redis")]
    StaysCold,
}
