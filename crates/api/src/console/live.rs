//! What happens, as it happens: the events log, looked at while somebody watches, and what is still in it of before. Whoever
//! watches is told that there is news; nothing here is kept, acknowledged or owed to anybody.

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
use uuid::Uuid;

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
    /// The fact that tells it: one that is told twice (by who begins again) is one step.
    fact: Uuid,
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
    log: EventLog,
    redis: Place,
    latest: Mutex<VecDeque<Step>>,
    news: watch::Sender<u64>,
    wanted: Notify,
}

impl Feed {
    /// A feed of `log`, whose Redis is at `redis`, until `stop`.
    pub fn start(log: EventLog, redis: Place, stop: CancellationToken) -> Self {
        let shared = Shared { log, redis, latest: Mutex::default(), news: watch::Sender::new(0), wanted: Notify::new() };
        let feed = Self(Arc::new(shared));
        let fed = feed.clone();
        tokio::spawn(async move {
            let run = async {
                loop {
                    while fed.0.news.receiver_count() == 0 {
                        fed.0.wanted.notified().await;
                    }
                    if let Err(error) = fed.follow().await {
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
    async fn follow(&self) -> Result<(), QueueError> {
        let reader = self.0.redis.connect_blocking(BLOCK).await.map_err(QueueError::from)?;
        let place = self.catch_up().await?;
        let mut tail = self.0.log.tail(reader).after(place.as_deref());
        while self.0.news.receiver_count() > 0 {
            self.take(&tail.next_batch(BATCH, BLOCK).await?);
        }
        Ok(())
    }

    /// Takes what the log still holds; gives the place up to where that is.
    async fn catch_up(&self) -> Result<Option<String>, QueueError> {
        let newest = self.0.log.newest(BATCH).await?;
        let (mut places, facts): (Vec<String>, Vec<Vec<u8>>) = newest.into_iter().unzip();
        self.take(&facts);
        Ok(places.pop())
    }

    fn take(&self, facts: &[Vec<u8>]) {
        let steps: Vec<Step> = facts.iter().filter_map(|json| step(serde_json::from_slice(json).ok()?)).collect();
        let mut is_news = false;
        {
            let mut latest = self.0.latest.lock().unwrap_or_else(PoisonError::into_inner);
            for step in steps {
                if !latest.iter().any(|known| known.fact == step.fact) {
                    latest.push_back(step);
                    is_news = true;
                }
            }
            let excess = latest.len().saturating_sub(KEPT);
            latest.drain(..excess);
        }
        if is_news {
            self.0.news.send_modify(|n| *n += 1);
        }
    }

    /// Watches. The receiver's value changes when there is news.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        let receiver = self.0.news.subscribe();
        self.0.wanted.notify_one();
        receiver
    }

    /// The latest steps of an app, or of all, the newest first.
    pub(crate) async fn latest(&self, app: Option<&AppId>, limit: usize) -> Vec<Step> {
        if self.0.news.receiver_count() == 0 {
            // Nobody follows the log. That Redis does not answer is said elsewhere on the page.
            let _ = self.catch_up().await;
        }
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
    Some(Step { fact: event.id, at: event.at, app: event.app, notification, what })
}
