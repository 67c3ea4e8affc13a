//! The record behind the hot state: what is asked when an inbox, or an old item of it, is not in Redis.

use std::{collections::HashSet, error::Error, future::Future, pin::Pin};

use stentor_domain::{AppId, Entry, NotificationId, RecipientId, Timestamp, item::Folder};

use crate::{HotItem, Reader, WarmState};

/// A future of a cold read.
pub type ColdFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// The record of inboxes. The archive is one; it stands behind a trait so that neither crate sees the other.
pub trait ColdStore: Send + Sync + 'static {
    /// What is needed to warm an inbox: its highest seq, its newest items, everything unread.
    fn load<'a>(&'a self, app: &'a AppId, recipient: &'a RecipientId, now: Timestamp) -> ColdFuture<'a, WarmState>;

    /// Registers a person who was never seen before: what was written to everyone up to revision `joined` of the timeline is
    /// not theirs. Of several who register the same person one wins; gives what is on record then.
    fn register<'a>(&'a self, app: &'a AppId, recipient: &'a RecipientId, joined: u64, now: Timestamp) -> ColdFuture<'a, Reader>;

    /// Registers, as [`register`](Self::register) does, those of several of whom nothing at all is on record: gives them. Whoever it
    /// does not give has to be loaded.
    fn register_new<'a>(
        &'a self,
        app: &'a AppId,
        recipients: &'a [&'a RecipientId],
        joined: u64,
    ) -> ColdFuture<'a, HashSet<RecipientId>>;

    /// The entries of a timeline that are not too old, alive and gone, and the newest in any case: its place is never given again.
    fn timeline<'a>(&'a self, app: &'a AppId, now: Timestamp) -> ColdFuture<'a, Vec<Entry>>;

    /// Items of `folder` below `before_seq`, newest first, without expired ones.
    fn page<'a>(
        &'a self,
        app: &'a AppId,
        recipient: &'a RecipientId,
        folder: Folder,
        before_seq: Option<u64>,
        limit: usize,
        now: Timestamp,
    ) -> ColdFuture<'a, Vec<HotItem>>;

    /// Those of `ids` that the record knows.
    fn find<'a>(&'a self, app: &'a AppId, recipient: &'a RecipientId, ids: &'a [NotificationId]) -> ColdFuture<'a, Vec<HotItem>>;
}
