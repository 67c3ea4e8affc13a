//! What operators ask of providers: a test by one of them, and how each fares.

use std::time::Duration;

use serde::Serialize;
use stentor_channels::{EmailMessage, OutboundMessage, Providers, SmsMessage};
use stentor_domain::Channel;
use stentor_queue::{Begin, Claim, Lease, Outcome, Queue};
use tokio_util::sync::CancellationToken;

use crate::{deliver::Deliver, jobs::TestJob};

/// How often a worker says how its providers fare.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// How long a test waits that found Redis not answering.
const PAUSE: Duration = Duration::from_secs(1);
/// What a test says, on every channel.
const WORDS: &str = "This is a test from Stentor. An operator sent it to see that this provider works.";

/// What came of a test.
#[derive(Serialize)]
struct Tested {
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Deliver {
    /// Sends a test. It is tried once, whatever happens: the operator sees what came of it, and decides.
    #[tracing::instrument(name = "test", skip_all, fields(provider = %job.provider, delivery.id = %job.test))]
    pub(crate) async fn test(&self, job: &TestJob, lease: &Lease) -> Outcome {
        match lease.claim().await {
            Ok(Claim::Claimed { attempt: 0, ambiguous: 0 }) => {}
            Ok(Claim::HeldUntil(at_ms)) => return Outcome::HoldUntil { at_ms },
            Ok(Claim::Claimed { .. }) => {
                let error = Some("the worker ended while it called the provider".to_owned());
                return settle(lease, "unknown", Tested { message_id: None, error }).await;
            }
            Ok(Claim::Done { .. } | Claim::Refused { .. }) => return Outcome::Done,
            Err(_) => return Outcome::HoldFor { wait: PAUSE },
        }
        let refused = |error: String| Tested { message_id: None, error: Some(error) };
        let message = match self.test_message(job) {
            Ok(message) => message,
            Err(error) => return settle(lease, "failed", refused(error.to_owned())).await,
        };
        match lease.begin_sending().await {
            Ok(Begin::Go { .. }) => {}
            Ok(Begin::Refused { .. } | Begin::Lost) | Err(_) => return Outcome::Done,
        }
        match self.providers.send_by(&job.provider, &message).await {
            None => settle(lease, "failed", refused("this worker has no provider of that name".to_owned())).await,
            Some(Ok(sent)) => settle(lease, "sent", Tested { message_id: sent.message_id, error: None }).await,
            Some(Err(error)) => settle(lease, "failed", refused(error.to_string())).await,
        }
    }

    fn test_message(&self, job: &TestJob) -> Result<OutboundMessage, &'static str> {
        match self.channel {
            Channel::Email => {
                let to = job.to.parse().map_err(|_| "the address is no mailbox")?;
                let (subject, text) = ("A test from Stentor".to_owned(), WORDS.to_owned());
                Ok(OutboundMessage::Email(EmailMessage::new(job.test, job.app.clone(), to, subject, text)))
            }
            Channel::Sms => {
                let to = job.to.parse().map_err(|_| "the address is no phone number")?;
                Ok(OutboundMessage::Sms(SmsMessage::new(job.test, to, WORDS.to_owned())))
            }
            Channel::Inbox => Err("an inbox has no provider"),
        }
    }
}

async fn settle(lease: &Lease, state: &str, tested: Tested) -> Outcome {
    lease.settle(state, &serde_json::to_vec(&tested).unwrap_or_default()).await;
    Outcome::Done
}

/// Says how the providers of a queue fare, until `stop`.
pub(crate) async fn report(queue: Queue, providers: Providers, stop: CancellationToken) {
    let worker = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
    while !stop.is_cancelled() {
        let words = serde_json::to_vec(&providers.health()).unwrap_or_default();
        if let Err(error) = queue.report(&worker, &words).await {
            tracing::debug!(%error, "how the providers fare is not reported");
        }
        tokio::select! { () = tokio::time::sleep(REPORT_EVERY) => {} () = stop.cancelled() => {} }
    }
}
