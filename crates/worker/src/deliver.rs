//! Deliver: one delivery to one person on one outside channel.
//!
//! Claim, render, say that sending begins, send under a deadline, record. A claim whose holder died is simply
//! taken again; only who died while *sending* leaves it open whether the message went out. An email is then
//! sent once more with the same Message-ID, a second time it is `unknown`; an SMS is `unknown` at once and never
//! repeated by our doing.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use stentor_archive::ArchiveError;
use stentor_catalog::{Catalog, CatalogError, Words};
use stentor_channels::{Busy, OutboundMessage, Pace, Providers, SendError, Sent, says_no_mailbox};
use stentor_domain::{
    AppId, Channel, Clock, DeliveryState, Event, EventKind, SkipReason, SuppressedAddress, Suppression, SuppressionReason,
    Timestamp,
    event::DeliveryReport,
    retry::RetrySchedule,
    sms::{SmsCost, SmsLimits, SmsPrices},
};
use stentor_queue::{Begin, Claim, EXPIRED, Lease, Outcome, Queue, QueueError, Sending, Turn};

use crate::{
    archiver::RECEIPT_LIFE,
    dispatch::chain,
    facts::Facts,
    jobs::{DeliveryJob, OutsideJob},
    message::{Made, Messages, NoMessage},
    notifications::{Notifications, ReadError},
    suppressed::{Suppressed, SuppressedError},
};

/// How long a delivery waits that found Redis or SQL not answering. It counts as no attempt.
const PAUSE: Duration = Duration::from_secs(5);

/// What the deliveries of one channel work with.
pub(crate) struct Deliver {
    pub channel: Channel,
    pub providers: Providers,
    pub prices: SmsPrices,
    pub limits: SmsLimits,
    pub notifications: Notifications,
    pub suppressed: Suppressed,
    pub facts: Facts,
    pub templates: Catalog,
    pub messages: Messages,
    pub clock: Arc<dyn Clock>,
}

/// Something that is needed does not answer now.
#[derive(Debug, thiserror::Error)]
enum DeliverError {
    #[error("the queue")]
    Queue(#[from] QueueError),
    #[error("the notification")]
    Notification(#[from] ReadError),
    #[error("the suppressions")]
    Suppressed(#[from] SuppressedError),
    #[error("the template")]
    Template(#[from] CatalogError),
    #[error("the archive")]
    Archive(#[from] ArchiveError),
}

/// The rate of a provider, shared by all workers of its queue.
struct SharedPace<'a>(&'a Queue);

#[async_trait]
impl Pace for SharedPace<'_> {
    async fn take(&self, provider: &str, per_second: f64) -> Result<(), Duration> {
        match self.0.take_turn(provider, per_second).await {
            Ok(Turn::After(wait)) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Ok(Turn::ComeBack(wait)) => Err(wait),
            Err(_) => Err(PAUSE),
        }
    }
}

/// A delivery that was claimed, and what is known of it.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    job: &'a DeliveryJob,
    lease: &'a Lease,
    /// How often sending was begun.
    number: u32,
    /// How often it was left open whether it was sent.
    ambiguous: u32,
}

/// How a delivery ended, or goes on.
struct End {
    state: DeliveryState,
    attempt: u32,
    reason: Option<String>,
    provider: Option<String>,
    provider_message_id: Option<String>,
    next_attempt_at: Option<Timestamp>,
    sms: Option<SmsCost>,
}

impl End {
    fn new(state: DeliveryState, attempt: u32, reason: impl Into<Option<String>>) -> Self {
        Self {
            state,
            attempt,
            reason: reason.into(),
            provider: None,
            provider_message_id: None,
            next_attempt_at: None,
            sms: None,
        }
    }

    /// The same of what an attempt before may have sent: it cannot be said not to have been.
    fn in_doubt(self) -> Self {
        use DeliveryState::{Cancelled, Expired, Failed, Skipped, Unknown};
        if !matches!(self.state, Cancelled | Expired | Failed | Skipped) {
            return self;
        }
        let reason = self.reason.or_else(|| Some(self.state.as_str().to_owned()));
        Self { state: Unknown, reason, ..self }
    }
}

impl Attempt<'_> {
    /// True if it was given up before, and an operator lets it try anew.
    fn is_replayed(&self) -> bool {
        self.number > 0 && self.lease.attempt() == 1
    }
}

impl Deliver {
    /// Handles one job of the queue.
    pub(crate) async fn handle(&self, job: OutsideJob, lease: &Lease) -> Outcome {
        match job {
            OutsideJob::Delivery(job) => self.handle_delivery(job, lease).await,
            OutsideJob::Test(job) => self.test(&job, lease).await,
        }
    }

    #[tracing::instrument(name = "deliver", skip_all, fields(notification.id = %job.notification, delivery.id = %job.delivery, channel = %job.channel))]
    async fn handle_delivery(&self, job: DeliveryJob, lease: &Lease) -> Outcome {
        match self.deliver(&job, lease).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "a delivery waits");
                Outcome::HoldFor { wait: PAUSE }
            }
        }
    }

    async fn deliver(&self, job: &DeliveryJob, lease: &Lease) -> Result<Outcome, DeliverError> {
        let of = |number, ambiguous| Attempt { job, lease, number, ambiguous };
        let this = match lease.claim().await? {
            Claim::Claimed { attempt, ambiguous } => of(attempt, ambiguous),
            Claim::Done { outcome } => return self.repeat(&outcome, lease).await,
            Claim::HeldUntil(at_ms) => return Ok(Outcome::HoldUntil { at_ms }),
            Claim::Refused { reason, attempt, ambiguous } => return self.refuse(of(attempt, ambiguous), &reason).await,
        };
        if this.ambiguous > 0 && (self.channel == Channel::Sms || this.ambiguous > 1) {
            let reason = "the process ended while the provider was called".to_owned();
            return self.end(this, End::new(DeliveryState::Unknown, this.number, reason)).await;
        }
        let Some(notification) = self.notifications.find(&job.app, job.notification).await? else {
            let reason = "the notification is gone".to_owned();
            return self.end(this, End::new(DeliveryState::Failed, this.number, reason)).await;
        };
        if this.is_replayed()
            && let Some(reason) = self.notifications.is_over(&notification, self.clock.now()).await?
        {
            return self.refuse(this, reason).await;
        }
        let words = Words::of(&notification, &self.templates).await?;
        let category = words.as_ref().ok().and_then(|words| words.category(&notification));
        // It may have been suppressed since it was dispatched: by the mail before it.
        if self.is_suppressed(job, category).await? {
            let reason = SkipReason::Suppressed.as_str().to_owned();
            return self.end(this, End::new(DeliveryState::Skipped, this.number, reason)).await;
        }
        let made = match words {
            Ok(words) => self.messages.make(job, &notification, &words).await,
            Err(reason) => Err(NoMessage::Refused(reason)),
        };
        let Made { message, note } = match made {
            Ok(made) => made,
            Err(NoMessage::Refused(reason)) => {
                return self.end(this, End::new(DeliveryState::Failed, this.number, reason)).await;
            }
            Err(NoMessage::Trouble(reason)) => return self.retry(this, None, reason, None, Sending::Nothing).await,
            Err(NoMessage::Record(error)) => return Err(error.into()),
        };
        let cost = match &message {
            OutboundMessage::Sms(sms) => Some(self.prices.cost(&sms.to, &sms.text)),
            OutboundMessage::Email(_) => None,
        };
        if let Some(cost) = &cost
            && let Some(limit) = self.is_beyond(this, cost.segments).await?
        {
            tracing::info!(limit, "an SMS is not sent: the limit of the day is reached");
            let reason = SkipReason::Throttled.as_str().to_owned();
            let end = End { sms: Some(cost.clone()), ..End::new(DeliveryState::Skipped, this.number, reason) };
            return self.end(this, end).await;
        }
        let turn = match self.providers.turn(&SharedPace(lease.queue())).await {
            Ok(turn) => turn,
            Err(busy) => return self.wait(this, busy).await,
        };
        let this = match lease.begin_sending().await? {
            Begin::Go { attempt } => of(attempt, this.ambiguous),
            Begin::Refused { reason } => return self.refuse(this, &reason).await,
            // Somebody else has it: they end it, and then this entry; or they die, and it comes to this one again.
            Begin::Lost => return Ok(Outcome::HoldFor { wait: PAUSE }),
        };
        let result = turn.send(&message).await;
        self.record(this, result, End { sms: cost, ..End::new(DeliveryState::Sent, this.number, note) }).await
    }

    /// Which limit of the day an SMS does not fit into, if one. What is tried again was counted before.
    async fn is_beyond(&self, this: Attempt<'_>, segments: u32) -> Result<Option<&'static str>, QueueError> {
        let budgets = self.limits.budgets(&this.job.app, &this.job.recipient);
        if budgets.is_empty() {
            return Ok(None);
        }
        let reached = this.lease.spend(segments, &budgets).await?.and_then(|place| budgets.get(place));
        Ok(reached.map(|(name, _)| if name.starts_with("app:") { "app" } else { "recipient" }))
    }

    async fn is_suppressed(&self, job: &DeliveryJob, category: Option<&str>) -> Result<bool, SuppressedError> {
        let Ok(address) = SuppressedAddress::parse(job.channel, &job.to) else { return Ok(false) };
        Ok(self.suppressed.ask(&job.app, &[&address], category).await? == [true])
    }

    async fn record(&self, this: Attempt<'_>, result: Result<Sent, SendError>, as_sent: End) -> Result<Outcome, DeliverError> {
        let Attempt { job, lease, number, ambiguous } = this;
        match result {
            Ok(sent) => {
                if let (Channel::Sms, Some(message)) = (self.channel, &sent.message_id) {
                    // Some gateways' receipts name their own id only. Without this one, SQL knows it once it is archived.
                    let name = format!("{}:{message}", sent.provider);
                    if let Err(error) = lease.queue().alias(&name, &job.delivery.to_string(), RECEIPT_LIFE).await {
                        tracing::warn!(%error, "a receipt by the gateway's own id will be found in SQL only");
                    }
                }
                let end = End { provider: Some(sent.provider), provider_message_id: sent.message_id, ..as_sent };
                self.end(this, end).await
            }
            Err(SendError::Permanent { provider, detail }) => {
                self.give_up(job, &detail).await?;
                let end = End::new(DeliveryState::Failed, number, detail);
                self.end(this, End { provider: Some(provider), ..end }).await
            }
            Err(SendError::Unknown { provider, detail }) if self.channel == Channel::Email && ambiguous == 0 => {
                // Once more, with the same Message-ID.
                self.retry(this, Some(provider), detail, None, Sending::InDoubt).await
            }
            Err(SendError::Unknown { provider, detail }) => {
                let end = End::new(DeliveryState::Unknown, number, detail);
                self.end(this, End { provider: Some(provider), sms: as_sent.sms, ..end }).await
            }
            Err(SendError::Transient { provider, detail, retry_after, .. }) => {
                self.retry(this, Some(provider), detail, retry_after, Sending::Nothing).await
            }
        }
    }

    /// A mailbox of which its server says that it does not exist is not asked again: as after a bounce.
    async fn give_up(&self, job: &DeliveryJob, detail: &str) -> Result<(), DeliverError> {
        // `550 5.1.1 no such user`; of other servers' words without such a code nothing can be told.
        let is_gone = detail.split(' ').nth(1).is_some_and(says_no_mailbox);
        let Ok(address) = SuppressedAddress::parse(job.channel, &job.to) else { return Ok(()) };
        if job.channel != Channel::Email || !is_gone {
            return Ok(());
        }
        let (reason, detail) = (SuppressionReason::HardBounce, Some(detail.to_owned()));
        let suppression = Suppression { address, category: None, reason, detail };
        let at = self.suppressed.add(&job.app, &suppression, self.clock.now()).await?;
        let kind = EventKind::Suppressed { suppression: Box::new(suppression), notification: Some(job.notification) };
        Ok(self.facts.write(&[Event::new(job.app.clone(), at, kind)]).await?)
    }

    async fn retry(
        &self,
        this: Attempt<'_>,
        provider: Option<String>,
        detail: String,
        retry_after: Option<Duration>,
        sending: Sending,
    ) -> Result<Outcome, DeliverError> {
        let Attempt { job, lease, number, .. } = this;
        // The schedule counts the tries of the queue's entry, which a replay of the dead letter starts anew.
        let jitter = f64::from(job.delivery.as_uuid().as_fields().0 ^ number) / f64::from(u32::MAX);
        let Some(wait) = RetrySchedule::of(self.channel).wait(lease.attempt(), retry_after, jitter) else {
            let reason = format!("{} attempts, the last: {detail}", lease.attempt());
            let end = End { provider, ..End::new(DeliveryState::Failed, number, reason.clone()) };
            self.end(this, end).await?;
            return Ok(Outcome::Dead { reason });
        };
        lease.release(sending).await;
        let end = End {
            provider,
            next_attempt_at: Some(self.clock.now().after(wait)),
            ..End::new(DeliveryState::Scheduled, number, detail.clone())
        };
        self.facts.write(&[self.event(job, end)]).await?;
        Ok(Outcome::RetryAfter { wait, reason: detail })
    }

    /// Nobody may be asked now: the place is given to another delivery, and no attempt is counted.
    async fn wait(&self, this: Attempt<'_>, busy: Busy) -> Result<Outcome, DeliverError> {
        let Attempt { job, lease, number, .. } = this;
        lease.release(Sending::Nothing).await;
        // What waits for the same provider does not all come back at once.
        let spread = Duration::from_millis(u64::from(job.delivery.as_uuid().as_fields().0 % 500));
        let wait = busy.wait + spread;
        let at = self.clock.now().after(wait);
        if let Some(trouble) = busy.trouble {
            let end = End::new(DeliveryState::Scheduled, number, trouble);
            self.facts.write(&[self.event(job, End { next_attempt_at: Some(at), ..end })]).await?;
        }
        Ok(Outcome::HoldFor { wait })
    }

    /// The delivery is over before this attempt began: withdrawn, or too late.
    async fn refuse(&self, this: Attempt<'_>, reason: &str) -> Result<Outcome, DeliverError> {
        let state = if reason == EXPIRED { DeliveryState::Expired } else { DeliveryState::Cancelled };
        // Newer than what was told of the attempt before.
        let number = this.lease.attempt().max(this.number + 1);
        self.end(this, End::new(state, number, None)).await
    }

    /// State, then fact, then (by what is answered) the acknowledgement.
    async fn end(&self, this: Attempt<'_>, end: End) -> Result<Outcome, DeliverError> {
        let Attempt { job, lease, ambiguous, .. } = this;
        let end = if ambiguous > 0 { end.in_doubt() } else { end };
        let state = end.state;
        let event = self.event(job, end);
        let kept = serde_json::to_vec(&event).unwrap_or_default();
        if !lease.settle(state.as_str(), &kept).await {
            return Ok(Outcome::Done); // no longer ours: whoever took it over records what became of it
        }
        self.tell(event, lease).await
    }

    /// Says what became of a delivery, and then what its provider said of it before that was known.
    async fn tell(&self, event: Event, lease: &Lease) -> Result<Outcome, DeliverError> {
        self.facts.write(std::slice::from_ref(&event)).await?;
        let Event { app, kind: EventKind::Delivery(known), .. } = event else { return Ok(Outcome::Done) };
        if self.channel != Channel::Sms {
            return Ok(Outcome::Done);
        }
        let (queue, id) = (lease.queue(), known.delivery.to_string());
        let own = known.provider.as_ref().zip(known.provider_message_id.as_ref()).map(|(p, message)| format!("{p}:{message}"));
        for name in std::iter::once(id.clone()).chain(own) {
            let Some(held) = queue.find_held(&name).await? else { continue };
            let settled = serde_json::from_slice(&held).ok().and_then(|settlement| known.settled_by(&settlement).ok().flatten());
            if let Some(report) = settled.filter(|report| report.state != known.state) {
                let state = report.state;
                let event = Event::new(app.clone(), self.clock.now(), EventKind::Delivery(report));
                let kept = serde_json::to_vec(&event).unwrap_or_default();
                // If it is another by now, a further receipt has settled it.
                if queue.amend(&id, known.state.as_str(), state.as_str(), &kept).await? {
                    self.facts.write(&[event]).await?;
                }
            }
            queue.drop_held(&name).await?;
        }
        Ok(Outcome::Done)
    }

    /// It ended before, and whoever ended it may have died before saying so: say it again.
    async fn repeat(&self, outcome: &[u8], lease: &Lease) -> Result<Outcome, DeliverError> {
        match serde_json::from_slice::<Event>(outcome) {
            Ok(event) => self.tell(event, lease).await,
            Err(_) => Ok(Outcome::Done),
        }
    }

    fn event(&self, job: &DeliveryJob, end: End) -> Event {
        let app: AppId = job.app.clone();
        let report = DeliveryReport {
            delivery: job.delivery,
            notification: job.notification,
            recipient: job.recipient.clone(),
            channel: job.channel,
            state: end.state,
            attempt: end.attempt,
            reason: end.reason,
            provider: end.provider,
            provider_message_id: end.provider_message_id,
            next_attempt_at: end.next_attempt_at,
            sms: end.sms,
        };
        Event::new(app, self.clock.now(), EventKind::Delivery(report))
    }
}
