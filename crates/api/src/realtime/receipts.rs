//! Notes that an item reached a device: its inbox delivery is `delivered` at the first push or fetch.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use stentor_domain::{
    AppId, Channel, Clock, DeliveryId, DeliveryState, Event, EventKind, NotificationId, RecipientId, event::DeliveryReport,
};
use stentor_queue::EventLog;
use tokio::sync::mpsc;

/// How many notes may wait to be written. Beyond it they are dropped: the item was shown all the same.
const WAITING: usize = 65_536;
/// How long notes gather before they are written, all at once.
const GATHER: Duration = Duration::from_millis(50);
/// The most notes of one write.
const AT_ONCE: usize = 500;
/// How many items are remembered as noted. Noting one again costs an event that readers know already.
const REMEMBERED: usize = 262_144;

/// Takes notes; a task of its own writes them in batches, so that no push waits for it.
#[derive(Clone)]
pub struct Receipts(Arc<Inner>);

struct Inner {
    tx: mpsc::Sender<(AppId, RecipientId, NotificationId)>,
    noted: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

impl Receipts {
    /// Notes are written to `events`.
    pub fn start(events: EventLog, clock: Arc<dyn Clock>) -> Self {
        let (tx, rx) = mpsc::channel(WAITING);
        tokio::spawn(write(rx, events, clock));
        Self(Arc::new(Inner { tx, noted: Mutex::default(), hasher: RandomState::new() }))
    }

    /// Notes that a device of `recipient` was given the items `ids`.
    pub(crate) fn note(&self, app: &AppId, recipient: &RecipientId, ids: impl IntoIterator<Item = NotificationId>) {
        for id in ids {
            let hash = self.0.hasher.hash_one((app, recipient, id));
            let mut noted = self.0.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.len() >= REMEMBERED {
                noted.clear();
            }
            if noted.insert(hash) && self.0.tx.try_send((app.clone(), recipient.clone(), id)).is_err() {
                noted.remove(&hash);
                metrics::counter!("stentor_receipts_dropped_total").increment(1);
            }
        }
    }
}

async fn write(mut rx: mpsc::Receiver<(AppId, RecipientId, NotificationId)>, events: EventLog, clock: Arc<dyn Clock>) {
    let mut batch = Vec::new();
    while rx.recv_many(&mut batch, AT_ONCE).await > 0 {
        if batch.len() < AT_ONCE {
            tokio::time::sleep(GATHER).await;
            while batch.len() < AT_ONCE
                && let Ok(note) = rx.try_recv()
            {
                batch.push(note);
            }
        }
        let now = clock.now();
        let encode = |(app, recipient, notification): (AppId, RecipientId, NotificationId)| {
            let report = DeliveryReport {
                delivery: DeliveryId::new(notification, &recipient, Channel::Inbox),
                notification,
                recipient,
                channel: Channel::Inbox,
                state: DeliveryState::Delivered,
                attempt: 1,
                reason: None,
                provider: None,
                provider_message_id: None,
                next_attempt_at: None,
                sms: None,
            };
            serde_json::to_vec(&Event::new(app, now, EventKind::Delivery(report))).ok()
        };
        let encoded: Vec<Vec<u8>> = batch.drain(..).filter_map(encode).collect();
        while let Err(error) = events.append(&encoded).await {
            tracing::debug!(%error, "receipts wait for Redis");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
