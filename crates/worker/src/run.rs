//! The worker process: apalis workers over the queues, the archiver and the sweep, started and stopped together.

use std::{sync::Arc, time::Duration};

use apalis::prelude::*;
use serde::de::DeserializeOwned;
use stentor_archive::{Archive, ArchiveError};
use stentor_catalog::Catalog;
use stentor_channels::{Providers, outbound::HttpClient};
use stentor_connection::Place;
use stentor_domain::{
    Channel, Clock,
    sms::{SmsLimits, SmsPrices},
};
use stentor_inbox::{Ahead, Inboxes, Profiles, Suppressions};
use stentor_queue::{EventLog, Lease, Outcome, Queue, QueueError, WorkerConfig};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    archiver::{self, Archiver},
    attachments::Files,
    deliver::Deliver,
    dispatch::Dispatch,
    facts::Facts,
    images::Images,
    jobs::{DispatchJob, OutsideJob},
    message::{Links, Messages, Secrets},
    notifications::Notifications,
    suppressed::Suppressed,
    sweep::Sweep,
    test::report,
};

/// How long a graceful stop waits for what is in flight.
const GRACE: Duration = Duration::from_secs(30);
/// The archiver's "niceness": on a full processor it has a quarter of the time of those who push, so that it falls behind for a
/// while, and not for good.
const GIVES_WAY: i32 = 5;
/// How many inboxes may wait for the sweep.
const GROWN: usize = 65_536;

/// How much is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Notifications dispatched at once.
    pub dispatch_concurrency: usize,
    /// Mails sent at once.
    pub email_concurrency: usize,
    /// SMS sent at once.
    pub sms_concurrency: usize,
}

/// What the worker is built on.
pub struct Parts {
    /// The Redis that the queues live in, for the blocking connections of this worker.
    pub redis: Place,
    /// Accepted notifications.
    pub dispatch: Queue,
    /// Deliveries by mail.
    pub email: Queue,
    /// Deliveries by SMS.
    pub sms: Queue,
    /// Facts.
    pub events: EventLog,
    /// Inboxes, hot and archived.
    pub inboxes: Inboxes,
    /// Hot profiles.
    pub profiles: Profiles,
    /// What was done ahead of dispatches in this process.
    pub ahead: Ahead,
    /// Whom not to write to.
    pub suppressions: Suppressions,
    /// The SQL side.
    pub archive: Archive,
    /// The templates.
    pub templates: Catalog,
    /// Who sends mail; `None`: nobody, and mail stays queued.
    pub email_providers: Option<Providers>,
    /// What a segment of an SMS costs.
    pub sms_prices: SmsPrices,
    /// How much is sent by SMS in a day.
    pub sms_limits: SmsLimits,
    /// Who sends SMS; `None`: nobody, and SMS stay queued.
    pub sms_providers: Option<Providers>,
    /// The links of mails.
    pub links: Links,
    /// Fetches what apps name: the files of mails.
    pub outbound: HttpClient,
    /// The most bytes of all files of one mail.
    pub max_attachment_bytes: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The worker cannot start, or ended on its own.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Redis does not answer.
    #[error("the worker cannot reach Redis")]
    Redis(#[from] QueueError),
    /// The archive's address cannot be used.
    #[error("the worker cannot use the archive")]
    Archive(#[from] ArchiveError),
    /// A monitor ended in an error.
    #[error("the worker ended: {0}")]
    Ended(String),
}

/// A worker that can be run.
pub struct Worker {
    parts: Parts,
    settings: Settings,
}

impl Worker {
    /// A worker over `parts`.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        Self { parts, settings }
    }

    /// Works until `stop`, then finishes what is in flight (at most 30 s) and gives the rest back.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        let Self { parts, settings } = self;
        let facts = Facts::new(parts.events.clone());
        let notifications = Notifications::new(parts.dispatch.clone(), parts.archive.clone());
        let suppressed = Suppressed::new(parts.suppressions, parts.archive.clone());
        let messages = Messages {
            clock: parts.clock.clone(),
            archive: parts.archive.clone(),
            links: parts.links,
            images: Images::new(&parts.outbound, parts.max_attachment_bytes),
            files: Files::new(parts.outbound, parts.max_attachment_bytes),
            max_attachment_bytes: parts.max_attachment_bytes,
            secrets: Secrets::default(),
        };
        let (grown_tx, grown_rx) = mpsc::channel(GROWN);
        let tasks = TaskTracker::new();

        let reader = parts.redis.connect_blocking(archiver::BLOCK).await.map_err(QueueError::from)?;
        let reader = parts.events.reader("archive", reader).await?;
        let (archive, log, inbox) = (parts.archive.clone(), parts.events.clone(), parts.inboxes.hot().clone());
        let (dispatch, email, sms) = (parts.dispatch.clone(), parts.email.clone(), parts.sms.clone());
        let (begun, has_begun) = oneshot::channel();
        // On a thread of its own that gives way: a batch takes a processor for many milliseconds, and no push waits for that.
        let (main, until) = (Handle::current(), stop.clone());
        tasks.spawn_blocking(move || {
            if let Err(error) = rustix::process::setpriority_process(None, GIVES_WAY) {
                tracing::warn!(%error, "the archiver's priority cannot be lowered");
            }
            main.block_on(async {
                // Made here, since SQLite's thread has the priority of the one that makes it.
                let archive = match archive.apart().await {
                    Ok(archive) => archive,
                    Err(error) => return drop(begun.send(Err(error))),
                };
                let _ = begun.send(Ok(()));
                Archiver { log, reader, archive, inbox, dispatch, email, sms, grown: grown_tx }.run(until).await;
            });
        });
        has_begun.await.map_err(|_| WorkerError::Ended("the archiver has not begun".to_owned()))??;
        let sweep = Sweep {
            inbox: parts.inboxes.hot().clone(),
            archive: parts.archive.clone(),
            facts: facts.clone(),
            clock: parts.clock.clone(),
            grown: grown_rx,
        };
        tasks.spawn(sweep.run(stop.clone()));

        let mut monitors = Vec::new();
        let dispatch = Arc::new(Dispatch {
            queue: parts.dispatch.clone(),
            email: parts.email.clone(),
            sms: parts.sms.clone(),
            facts: facts.clone(),
            inboxes: parts.inboxes,
            profiles: parts.profiles,
            ahead: parts.ahead,
            suppressed: suppressed.clone(),
            archive: parts.archive,
            notifications: notifications.clone(),
            templates: parts.templates.clone(),
            clock: parts.clock.clone(),
        });
        let handle = move |job: DispatchJob, lease: Lease| {
            let dispatch = dispatch.clone();
            async move { dispatch.handle(job, &lease).await }
        };
        monitors.push(work(&parts.dispatch, &parts.redis, settings.dispatch_concurrency, handle, &stop).await?);
        let outside = [
            (Channel::Email, parts.email, parts.email_providers, settings.email_concurrency),
            (Channel::Sms, parts.sms, parts.sms_providers, settings.sms_concurrency),
        ];
        for (channel, queue, providers, concurrency) in outside {
            let Some(providers) = providers else {
                tracing::warn!(%channel, "no provider is configured: deliveries on this channel stay queued");
                continue;
            };
            tasks.spawn(report(queue.clone(), providers.clone(), stop.clone()));
            let deliver = Arc::new(Deliver {
                channel,
                providers,
                prices: parts.sms_prices.clone(),
                limits: parts.sms_limits,
                notifications: notifications.clone(),
                suppressed: suppressed.clone(),
                facts: facts.clone(),
                templates: parts.templates.clone(),
                messages: messages.clone(),
                clock: parts.clock.clone(),
            });
            let handle = move |job: OutsideJob, lease: Lease| {
                let deliver = deliver.clone();
                async move { deliver.handle(job, &lease).await }
            };
            monitors.push(work(&queue, &parts.redis, concurrency, handle, &stop).await?);
        }
        tasks.close();
        for monitor in monitors {
            monitor.await.map_err(|e| WorkerError::Ended(e.to_string()))?.map_err(WorkerError::Ended)?;
        }
        tasks.wait().await;
        Ok(())
    }
}

/// Starts an apalis worker over one queue.
async fn work<J, H, F>(
    queue: &Queue,
    redis: &Place,
    concurrency: usize,
    handle: H,
    stop: &CancellationToken,
) -> Result<tokio::task::JoinHandle<Result<(), String>>, WorkerError>
where
    J: DeserializeOwned + Send + Sync + Unpin + 'static,
    H: Fn(J, Lease) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let config = WorkerConfig::new(concurrency);
    let reader = redis.connect_blocking(config.block).await.map_err(QueueError::from)?;
    let (queue, stop) = (queue.clone(), stop.clone());
    let worker = move |restarts| {
        let handle = handle.clone();
        // Unique per start, so that two workers of one process are told apart as well.
        WorkerBuilder::new(format!("{}-{}-{restarts}", queue.name(), std::process::id()))
            .backend(queue.backend::<J>(config.clone(), reader.clone()))
            .concurrency(concurrency)
            // In a box, since apalis hands it through its layers, and it has up to 9 KiB.
            .build(move |job: J, lease: Data<Lease>| Box::pin(handle(job, Lease::clone(&lease))))
    };
    let monitor = Monitor::new().register(worker).shutdown_timeout(GRACE);
    let signal = async move {
        stop.cancelled().await;
        Ok(())
    };
    Ok(tokio::spawn(async move { monitor.run_with_signal(signal).await.map_err(|e| e.to_string()) }))
}
