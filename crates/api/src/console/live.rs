//! What happens, as it happens: the events log, looked at while somebody watches. Whoever watches is told that there is news;
//! nothing here is kept, acknowledged or owed to anybody.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use stentor_connection::Place;
use stentor_domain::{AppId, Channel, DeliveryState, Event, EventKind, NotificationId, RecipientId, Timestamp};
use stentor_queue::{EventLog, QueueError};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How many steps are kept for who looks next.
const KEPT: usize = 200;
/// The most events of one read.
const BATCH: usize = 500;
/// How long a read waits, after which it is seen whether anybody still watches.
const BLOCK: Duration = Duration::from_secs(2);
/// How long a feed waits that found Redis not answering.
const PAUSE: Duration = Duration::from_secs(2);

/// Something that happened to a notification.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub at: Timestamp,
    pub app: AppId,
    pub notification: NotificationId,
    pub what: What,
}

impl Step {
    /// The end of the notification's id: the beginning is the time, and alike for all.
    pub(crate) fn short(&self) -> String {
        let id = self.notification.to_string();
        id.rsplit('-').next().unwrap_or_default().to_owned()
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Accepted,
    Recalled,
    Delivery { recipient: RecipientId, channel: Channel, state: DeliveryState, reason: Option<String> },
}

/// The latest steps, and the word that there are new ones. A cheap handle.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    latest: Mutex<VecDeque<Step>>,
    news: watch::Sender<u64>,
    wanted: Notify,
}

impl Feed {
    /// A feed of `log`, whose Redis is at `redis`, until `stop`.
    pub fn start(log: EventLog, redis: Place, stop: CancellationToken) -> Self {
        let feed = Self(Arc::new(Shared { latest: Mutex::default(), news: watch::Sender::new(0), wanted: Notify::new() }));
        let fed = feed.clone();
        tokio::spawn(async move {
            let run = async {
                loop {
                    while fed.0.news.receiver_count() == 0 {
                        fed.0.wanted.notified().await;
                    }
                    if let Err(error) = fed.follow(&log, &redis).await {
                        tracing::debug!(%error, "the console's feed waits");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            };
            tokio::select! { () = run => {} () = stop.cancelled() => {} }
        });
        feed
    }

    /// Reads the log while somebody watches.
    async fn follow(&self, log: &EventLog, redis: &Place) -> Result<(), QueueError> {
        let mut tail = log.tail(redis.connect_blocking().await.map_err(QueueError::from)?);
        while self.0.news.receiver_count() > 0 {
            let batch = tail.next_batch(BATCH, BLOCK).await?;
            let steps: Vec<Step> = batch.iter().filter_map(|json| step(serde_json::from_slice(json).ok()?)).collect();
            if steps.is_empty() {
                continue;
            }
            {
                let mut latest = self.0.latest.lock().unwrap_or_else(PoisonError::into_inner);
                latest.extend(steps);
                let excess = latest.len().saturating_sub(KEPT);
                latest.drain(..excess);
            }
            self.0.news.send_modify(|n| *n += 1);
        }
        Ok(())
    }

    /// Watches. The receiver's value changes when there is news.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        let receiver = self.0.news.subscribe();
        self.0.wanted.notify_one();
        receiver
    }

    /// The latest steps of an app, or of all, the newest first.
    pub(crate) fn latest(&self, app: Option<&AppId>, limit: usize) -> Vec<Step> {
        let latest = self.0.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.iter().rev().filter(|step| app.is_none_or(|app| step.app == *app)).take(limit).cloned().collect()
    }
}

fn step(event: Event) -> Option<Step> {
    let (notification, what) = match event.kind {
        EventKind::Accepted { notification } => (notification.id, What::Accepted),
        EventKind::Recalled { notification } => (notification, What::Recalled),
        EventKind::Delivery(report) => {
            let (recipient, channel, state, reason) = (report.recipient, report.channel, report.state, report.reason);
            (report.notification, What::Delivery { recipient, channel, state, reason })
        }
        _ => return None,
    };
    Some(Step { at: event.at, app: event.app, notification, what })
}
