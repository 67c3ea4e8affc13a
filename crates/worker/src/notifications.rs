//! The notification behind a delivery: a thousand deliveries of one notification read it once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use stentor_archive::{Archive, ArchiveError};
use stentor_domain::{AppId, Notification, NotificationId, RECALLED, Timestamp};
use stentor_queue::{EXPIRED, Queue, QueueError};

/// How many notifications are kept: those under way at one time, at most 256 KiB each.
const KEPT: usize = 64;

/// Reads notifications, from memory, then Redis, then SQL.
#[derive(Clone)]
pub(crate) struct Notifications {
    dispatch: Queue,
    archive: Archive,
    kept: Arc<Mutex<VecDeque<Arc<Notification>>>>,
}

/// The notification could not be read now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("Redis does not answer")]
    Queue(#[from] QueueError),
    #[error("SQL does not answer")]
    Archive(#[from] ArchiveError),
}

impl Notifications {
    pub(crate) fn new(dispatch: Queue, archive: Archive) -> Self {
        Self { dispatch, archive, kept: Arc::default() }
    }

    /// The notification; `None` if neither Redis nor SQL knows it.
    pub(crate) async fn find(&self, app: &AppId, id: NotificationId) -> Result<Option<Arc<Notification>>, ReadError> {
        if let Some(kept) = self.find_kept(app, id) {
            return Ok(Some(kept));
        }
        let hot = self.dispatch.find_job(&id.to_string()).await?.and_then(|job| job.body);
        let hot = hot.and_then(|body| serde_json::from_slice::<Notification>(&body).ok()).filter(|n| n.app == *app);
        let found = match hot {
            Some(found) => Some(found),
            // A delivery that waits for days outlives the hot record.
            None => self.archive.find_notification(app, id).await?.map(|archived| archived.notification),
        };
        Ok(found.map(|n| self.keep(n)))
    }

    /// Why nothing more of a notification is to be sent, if so: for a dead letter that is older than the record of its job, which is
    /// asked otherwise.
    pub(crate) async fn is_over(&self, n: &Notification, now: Timestamp) -> Result<Option<&'static str>, ReadError> {
        if n.is_expired(now) {
            return Ok(Some(EXPIRED));
        }
        let archived = self.archive.find_notification(&n.app, n.id).await?;
        let is_recalled = archived.is_some_and(|archived| archived.recalled_at.is_some());
        Ok((is_recalled || self.dispatch.withdrawn(&n.id.to_string()).await?.is_some()).then_some(RECALLED))
    }

    fn find_kept(&self, app: &AppId, id: NotificationId) -> Option<Arc<Notification>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|n| n.id == id && n.app == *app).cloned()
    }

    fn keep(&self, notification: Notification) -> Arc<Notification> {
        let notification = Arc::new(notification);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(notification.clone());
        notification
    }
}
