//! Archiving: facts from the events stream into SQL, in batches, acknowledged after the commit.
//!
//! While SQL is down nothing is acknowledged and Redis keeps more; what is read again is written once, since
//! events are recognised by their ids.

use std::{collections::HashSet, time::Duration};

use stentor_archive::Archive;
use stentor_domain::{AppId, Channel, Event, EventKind, NotificationId, RecipientId};
use stentor_inbox::{Inbox, InboxError};
use stentor_queue::{EventLog, EventReader, Queue, QueueError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{dispatch::chain, sweep::KEEP};

/// The most entries of one batch, each of up to eight events: one SQL transaction.
const BATCH: usize = 250;
/// How long a read waits for the first event.
pub(crate) const BLOCK: Duration = Duration::from_secs(1);
/// How long events gather, once one came, before the next batch is read: each batch costs a transaction, whatever is in it, on
/// processors that pushes wait for. A full batch shows that there is a backlog, and is followed at once.
const GATHER: Duration = Duration::from_millis(100);
/// How many events are read before their thread, which is the archiver's own, gives way to one that may have a push in hand.
const UNINTERRUPTED: usize = 32;
/// How many archived facts stay in the log, for the console that shows what happened last.
const KEPT: u64 = 200;
/// How long hot state lives on after SQL has it.
const HOT_LIFE: Duration = Duration::from_hours(24);
/// How long an SMS is waited for to be receipted: what a gateway tries to deliver is mostly given up after 48 hours.
pub(crate) const RECEIPT_LIFE: Duration = Duration::from_hours(72);

/// What the archiver works with.
pub(crate) struct Archiver {
    pub log: EventLog,
    pub reader: EventReader,
    pub archive: Archive,
    pub inbox: Inbox,
    pub dispatch: Queue,
    pub email: Queue,
    pub sms: Queue,
    /// Tells the sweep whose inbox grew beyond what stays hot: so many items were written to it.
    pub grown: mpsc::Sender<(AppId, RecipientId)>,
}

impl Archiver {
    /// Archives until `stop`; what is in hand is finished.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut failures: u32 = 0;
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(archived) => {
                    failures = 0;
                    if (1..BATCH).contains(&archived) {
                        tokio::select! { () = tokio::time::sleep(GATHER) => {} () = stop.cancelled() => {} }
                    }
                }
                Err(error) => {
                    failures += 1;
                    if failures == 1 || failures.is_multiple_of(60) {
                        tracing::warn!(error = %chain(&*error), failures, "archiving waits");
                    }
                    metrics::counter!("stentor_archive_failures_total").increment(1);
                    let pause = Duration::from_millis(100 << failures.min(5)); // up to 3.2 s
                    tokio::select! { () = tokio::time::sleep(pause) => {} () = stop.cancelled() => {} }
                }
            }
        }
    }

    /// Archives a batch. Returns how many entries were in it.
    async fn step(&mut self) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
        let batch = self.reader.next_batch(BATCH, BLOCK).await?;
        if batch.is_empty() {
            return Ok(0);
        }
        let (mut events, mut read_from) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for (i, (place, json)) in batch.iter().enumerate() {
            if i.is_multiple_of(UNINTERRUPTED) {
                std::thread::yield_now();
            }
            match read(json) {
                Ok((event, text)) => {
                    events.push(event);
                    read_from.push(text);
                }
                Err(error) => tracing::error!(%error, place, "an event cannot be read and is passed over"),
            }
        }
        let written = self.archive.write_read_events(&events, &read_from).await?;
        for (id, error) in &written.buried {
            tracing::error!(event.id = %id, error, "an event cannot be archived and was buried");
            metrics::counter!("stentor_events_buried_total").increment(1);
        }
        metrics::counter!("stentor_events_archived_total").increment(events.len() as u64);
        self.let_go(&events).await?;
        let mut places: Vec<String> = batch.into_iter().map(|(place, _)| place).collect();
        places.dedup();
        self.reader.ack(&places).await?;
        self.log.trim(KEPT).await?;
        Ok(places.len())
    }

    /// SQL has it: hot copies get an end.
    async fn let_go(&self, events: &[Event]) -> Result<(), LetGoError> {
        let mut dispatched: Vec<String> = Vec::new();
        let (mut email, mut sms) = (Vec::new(), Vec::new());
        let mut contents: Vec<(&AppId, NotificationId, &str)> = Vec::new();
        let mut grown = HashSet::new();
        for event in events {
            match &event.kind {
                EventKind::Dispatched { notification, .. } => dispatched.push(notification.to_string()),
                EventKind::Delivery(report) if report.state.is_final() => match report.channel {
                    Channel::Email => email.push(report.delivery.to_string()),
                    Channel::Sms => sms.push(report.delivery.to_string()),
                    Channel::Inbox => {}
                },
                EventKind::Content { notification, variant, .. } => contents.push((&event.app, *notification, variant)),
                EventKind::ItemWritten { recipient, seq, .. } if *seq > KEEP as u64 => {
                    grown.insert((event.app.clone(), recipient.clone()));
                }
                _ => {}
            }
        }
        let lives = [(&self.dispatch, dispatched, HOT_LIFE), (&self.email, email, HOT_LIFE), (&self.sms, sms, RECEIPT_LIFE)];
        for (queue, ids, life) in lives {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            queue.expire_jobs(&ids, life).await?;
        }
        self.inbox.expire_contents(&contents, HOT_LIFE).await?;
        for inbox in grown {
            // A full line means that the sweep is behind; it will meet this inbox again when it next grows.
            let _ = self.grown.try_send(inbox);
        }
        Ok(())
    }
}

/// Reads an event. Gives it with the text that it was read from.
fn read(json: &[u8]) -> Result<(Event, &str), Box<dyn std::error::Error + Send + Sync>> {
    Ok((serde_json::from_slice(json)?, std::str::from_utf8(json)?))
}

/// Hot copies could not be given an end now; the batch is repeated.
#[derive(Debug, thiserror::Error)]
enum LetGoError {
    #[error("the queue")]
    Queue(#[from] QueueError),
    #[error("the inbox store")]
    Inbox(#[from] InboxError),
}
