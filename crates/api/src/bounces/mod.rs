//! What becomes of a mail after it was taken: bounces, complaints and receipts, whichever way they come.
//!
//! A report names its mail by the token of the return path; the token's signature is what is believed. A bounce makes the delivery
//! `bounced` with its reason; a mailbox that does not exist, and whoever complains, is suppressed: the very address that the mail went
//! to, which the token knows by a tag.

mod session;

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use stentor_archive::App;
use stentor_channels::{Bounce, BounceKind};
use stentor_domain::{
    AppId, Channel, Delivery, DeliveryState, Event, EventKind, RecipientId, SuppressedAddress, Suppression, SuppressionReason,
    event::DeliveryReport,
};
use stentor_queue::Queue;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{problem::ApiError, state::ApiState};

/// How long the list of apps is taken from memory.
const APPS_LIFE: Duration = Duration::from_secs(10);
/// How many conversations are held at once; more wait to be greeted.
const MAX_SESSIONS: usize = 64;
/// How long it is known that a report was taken: a repeat does not suppress anew what was lifted since.
const KNOWN_FOR: Duration = Duration::from_hours(7 * 24);

/// Takes bounces over SMTP and LMTP until `stop`.
pub async fn serve(listener: TcpListener, state: ApiState, max_bytes: usize, stop: CancellationToken) {
    let (places, sessions) = (Arc::new(Semaphore::new(MAX_SESSIONS)), TaskTracker::new());
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let accepted = tokio::select! { accepted = listener.accept() => accepted, () = stop.cancelled() => break };
        match accepted {
            Ok((stream, _)) => {
                let (state, stop) = (state.clone(), stop.clone());
                sessions.spawn(async move {
                    let _place = place;
                    if let Err(error) = session::hold(stream, &state, max_bytes, &stop).await {
                        tracing::debug!(%error, "a conversation about bounces broke off");
                    }
                });
            }
            // Out of file descriptors, most likely: others will be given back.
            Err(error) => {
                tracing::warn!(%error, "a connection with bounces cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    sessions.close();
    sessions.wait().await;
}

impl ApiState {
    /// Whether a token may be ours: for refusing at the door who writes to an address of nobody's.
    pub(crate) async fn knows_return_path(&self, address: &str) -> Result<bool, ApiError> {
        let Some(token) = stentor_channels::ReturnToken::find(address) else { return Ok(false) };
        Ok(self.known_apps().await?.iter().any(|app| token.may_be_of(&app.id) && token.is_of(&app.id, &app.inbox_secret)))
    }

    /// Records what was reported. True if it was of a mail of ours.
    ///
    /// Safe to repeat: who reports and is not answered reports again.
    pub(crate) async fn take_bounce(&self, bounce: &Bounce) -> Result<bool, ApiError> {
        let apps = self.known_apps().await?;
        let own = apps.iter().find(|app| bounce.token.may_be_of(&app.id) && bounce.token.is_of(&app.id, &app.inbox_secret));
        let Some(App { id: app, inbox_secret: secret, .. }) = own else { return Ok(false) };
        let Some(report) = self.find_report(app, bounce).await? else { return Ok(false) };
        let (notification, recipient) = (report.notification, report.recipient.clone());
        let state = match bounce.kind {
            BounceKind::Hard | BounceKind::Soft => Some(DeliveryState::Bounced),
            BounceKind::Delivered => Some(DeliveryState::Delivered),
            BounceKind::Complaint | BounceKind::Unsubscribe | BounceKind::UnderWay => None,
        };
        if let Some(state) = state {
            self.settle_mail(app, report, state, &bounce.detail).await?;
        }
        let reason = match bounce.kind {
            BounceKind::Hard => SuppressionReason::HardBounce,
            BounceKind::Complaint => SuppressionReason::Complaint,
            BounceKind::Unsubscribe => SuppressionReason::Unsubscribe,
            BounceKind::Soft | BounceKind::Delivered | BounceKind::UnderWay => return Ok(true),
        };
        let queue = self.email_queue()?;
        let what = format!("{}:{}", bounce.token.delivery(), reason.as_str());
        if queue.is_done(&what).await? {
            return Ok(true);
        }
        let is_ours = |address: &SuppressedAddress| bounce.token.is_to(secret, address);
        if let Some(address) = self.candidates(app, &recipient, bounce).await?.into_iter().find(is_ours) {
            let detail = Some(bounce.detail.clone()).filter(|detail| !detail.is_empty());
            let suppression = Suppression { address, category: None, reason, detail };
            if reason == SuppressionReason::Unsubscribe {
                self.unsubscribe(app, &suppression, Some(notification)).await?;
            } else {
                self.suppress(app, &suppression, Some(notification)).await?;
            }
        } else {
            tracing::info!(%app, %notification, "an address that bounced is not known any more and cannot be suppressed");
        }
        // After it was done: who died in between is told again.
        queue.set_done(&what, KNOWN_FOR).await?;
        Ok(true)
    }

    fn email_queue(&self) -> Result<&Queue, ApiError> {
        let queue = self.outside.iter().find(|queue| queue.name() == Channel::Email.as_str());
        queue.ok_or_else(|| ApiError::not_found("delivery"))
    }

    /// The addresses that the mail may have gone to: those that the report names, and the recipient's.
    async fn candidates(
        &self,
        app: &AppId,
        recipient: &RecipientId,
        bounce: &Bounce,
    ) -> Result<Vec<SuppressedAddress>, ApiError> {
        let mut addresses: Vec<SuppressedAddress> = bounce.addresses.iter().map(SuppressedAddress::from).collect();
        let profile = match self.profiles.find(app, recipient).await? {
            Some(profile) => Some(profile),
            None => self.archive.find_recipient(app, recipient).await?,
        };
        addresses.extend(profile.and_then(|profile| profile.email).as_ref().map(SuppressedAddress::from));
        Ok(addresses)
    }

    /// What is known of the delivery: by its hot record, or by SQL once that has gone.
    async fn find_report(&self, app: &AppId, bounce: &Bounce) -> Result<Option<DeliveryReport>, ApiError> {
        let delivery = bounce.token.delivery();
        if let Some(record) = self.email_queue()?.find_job(&delivery.to_string()).await? {
            return match record.outcome.as_deref().and_then(|outcome| serde_json::from_slice::<Event>(outcome).ok()) {
                Some(Event { app: whose, kind: EventKind::Delivery(report), .. }) => Ok((whose == *app).then_some(report)),
                // It is faster than the server's answer to us.
                _ => Err(ApiError::too_early("the delivery has not ended yet; repeat the report")),
            };
        }
        let found = self.archive.find_delivery(app, delivery).await?;
        Ok(found.map(|Delivery { id, notification_id, recipient, channel, state, attempts, provider, .. }| DeliveryReport {
            delivery: id,
            notification: notification_id,
            recipient,
            channel,
            state,
            attempt: attempts,
            reason: None,
            provider,
            provider_message_id: None,
            next_attempt_at: None,
            sms: None,
        }))
    }

    /// State, then fact.
    async fn settle_mail(&self, app: &AppId, known: DeliveryReport, state: DeliveryState, why: &str) -> Result<(), ApiError> {
        if known.state != state && !known.state.can_become(state) {
            return Ok(()); // it contradicts what is known for certain
        }
        let (seen, id) = (known.state, known.delivery.to_string());
        let reason = Some(why.to_owned()).filter(|why| !why.is_empty() && state == DeliveryState::Bounced);
        let event = Event::new(
            app.clone(),
            self.now(),
            EventKind::Delivery(DeliveryReport { state, reason, next_attempt_at: None, ..known }),
        );
        let queue = self.email_queue()?;
        if seen != state && queue.find_job(&id).await?.is_some() {
            let outcome = serde_json::to_vec(&event).unwrap_or_default();
            if !queue.amend(&id, seen.as_str(), state.as_str(), &outcome).await? {
                return Err(ApiError::too_early("another report is being taken; repeat this one"));
            }
        }
        // Also of what is known already: whoever took it first may have died before it was told.
        self.events.append(&[serde_json::to_vec(&event).unwrap_or_default()]).await?;
        Ok(())
    }

    /// All apps, as they were a moment ago.
    pub(crate) async fn known_apps(&self) -> Result<Arc<[App]>, ApiError> {
        let known = self.apps.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, apps)) = &known
            && at.elapsed() < APPS_LIFE
        {
            return Ok(apps.clone());
        }
        let apps: Arc<[App]> = match (self.archive.list_apps().await, known) {
            (Ok(apps), _) => apps.into(),
            // With SQL down the apps are those that were there.
            (Err(_), Some((_, apps))) => return Ok(apps),
            (Err(error), None) => return Err(error.into()),
        };
        *self.apps.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), apps.clone()));
        Ok(apps)
    }
}
