//! After dispatch: a notification is withdrawn, or its time is over.
//!
//! A recall sets its mark on the notification's job first (the API does), then works through everyone it went to. A dispatch that is
//! under way looks for the mark after each page and undoes that page itself, so that nothing slips through between the two.

use stentor_domain::{
    Audience, Channel, DeliveryId, DeliveryState, Event, EventKind, Notification, NotificationId, RECALLED, RecipientId,
    event::DeliveryReport,
};
use stentor_inbox::{EntryEdit, Hot, Recalled};
use stentor_queue::{Lease, Outcome, Queue, Withdrawn};

use crate::dispatch::{Dispatch, DispatchError, KEPT, PAGE};

/// How long a recall or an update waits for a dispatch that is under way.
pub(crate) const UNDER_WAY: std::time::Duration = std::time::Duration::from_secs(1);

impl Dispatch {
    /// Withdraws a notification from inboxes and from what is not sent yet.
    pub(crate) async fn recall(&self, n: &Notification, lease: &Lease) -> Result<Outcome, DispatchError> {
        // One that waits for its time may not be on record yet.
        let accepted = EventKind::Accepted { notification: Box::new(n.clone()) };
        self.facts.write(&[Event::new(n.app.clone(), n.accepted_at, accepted)]).await?;
        self.recall_known(n).await?;
        let is_named = matches!(n.request.audience, Audience::Recipients(_));
        if !is_named && !self.recall_expanded(n).await? {
            return Ok(Outcome::HoldFor { wait: UNDER_WAY });
        }
        let recalled = EventKind::Recalled { notification: n.id };
        self.facts.write(&[Event::new(n.app.clone(), self.clock.now(), recalled)]).await?;
        self.queue.expire_jobs(&[lease.job_id()], KEPT).await?;
        Ok(Outcome::Done)
    }

    /// Withdraws what can be found without the record: from those who are named, or the one entry.
    async fn recall_known(&self, n: &Notification) -> Result<(), DispatchError> {
        let Audience::Recipients(named) = &n.request.audience else { return self.recall_entry(n).await };
        let ids: Vec<RecipientId> = named.iter().map(|r| r.id.clone()).collect();
        for page in ids.chunks(PAGE) {
            self.recall_page(n, page).await?;
        }
        Ok(())
    }

    /// Withdraws what an attempt before this one may have written and, since it died, told no record of: to those who are named, or
    /// the one entry and the page behind `after`. It lies in Redis, so nobody's record is asked for, and no inbox is warmed.
    pub(crate) async fn recall_begun(&self, n: &Notification, after: Option<&RecipientId>) -> Result<(), DispatchError> {
        let begun: Vec<RecipientId> = match &n.request.audience {
            Audience::Recipients(named) => named.iter().map(|r| r.id.clone()).collect(),
            Audience::Topic(_) | Audience::Everyone => {
                self.recall_entry(n).await?;
                self.next_page(n, after).await?
            }
        };
        for page in begun.chunks(PAGE) {
            let mut facts = self.withdraw_deliveries(n, page).await?;
            let places: Vec<_> = page.iter().map(|recipient| (recipient, None)).collect();
            let outcomes = self.inboxes.hot().recall(&n.app, n.id, &places, self.clock.now()).await?;
            let recalled = page.iter().zip(outcomes).filter_map(|(recipient, outcome)| match outcome {
                Hot::Warm(Recalled::Now { rev }) => Some((recipient.clone(), rev)),
                Hot::Warm(Recalled::Before | Recalled::Unknown) | Hot::Cold => None,
            });
            facts.extend(self.left_inboxes(n, recalled));
            self.facts.write(&facts).await?;
        }
        Ok(())
    }

    /// Withdraws the one entry of a topic or of everyone.
    pub(crate) async fn recall_entry(&self, n: &Notification) -> Result<(), DispatchError> {
        if let Some((entry, _)) = self.inboxes.timelines().edit(&n.app, n.id, &EntryEdit::Recall, self.clock.now()).await? {
            let kind = EventKind::TimelineEntry { entry: Box::new(entry) };
            self.facts.write(&[Event::new(n.app.clone(), self.clock.now(), kind)]).await?;
        }
        Ok(())
    }

    /// True once everyone it goes to is on record.
    pub(crate) async fn is_dispatched(&self, n: &Notification) -> Result<bool, DispatchError> {
        let archived = self.archive.find_notification(&n.app, n.id).await?;
        Ok(archived.is_some_and(|archived| archived.dispatched_at.is_some()))
    }

    /// Withdraws what a large audience was expanded to. False: its dispatch is under way, so not all of it is on record.
    async fn recall_expanded(&self, n: &Notification) -> Result<bool, DispatchError> {
        if !self.is_dispatched(n).await? {
            // What waits for its time was never begun; it will find the mark.
            return Ok(n.due_at() > self.clock.now());
        }
        let mut after = None;
        loop {
            let page = self.archive.list_deliveries(&n.app, n.id, after, PAGE).await?;
            let mut ids: Vec<RecipientId> = page.iter().map(|d| d.recipient.clone()).collect();
            ids.sort_unstable();
            ids.dedup();
            self.recall_page(n, &ids).await?;
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id),
                _ => return Ok(true),
            }
        }
    }

    /// Withdraws a page: deliveries that no provider was asked for yet, which cannot be taken back once one was, and then items.
    pub(crate) async fn recall_page(&self, n: &Notification, recipients: &[RecipientId]) -> Result<(), DispatchError> {
        let mut facts = self.withdraw_deliveries(n, recipients).await?;
        let recalled = self.inboxes.recall(&n.app, n.id, recipients, self.clock.now()).await?;
        facts.extend(self.left_inboxes(n, recalled));
        Ok(self.facts.write(&facts).await?)
    }

    /// What the record is told of items that left at the given revisions.
    fn left_inboxes(
        &self,
        n: &Notification,
        recalled: impl IntoIterator<Item = (RecipientId, u64)>,
    ) -> impl Iterator<Item = Event> {
        let (app, notification, now) = (n.app.clone(), n.id, self.clock.now());
        recalled
            .into_iter()
            .map(move |(recipient, rev)| Event::new(app.clone(), now, EventKind::ItemRecalled { recipient, rev, notification }))
    }

    /// Withdraws the deliveries of a page. Gives what the record is told of those that were withdrawn in time.
    async fn withdraw_deliveries(&self, n: &Notification, recipients: &[RecipientId]) -> Result<Vec<Event>, DispatchError> {
        let now = self.clock.now();
        let mut facts = Vec::new();
        for (channel, queue) in [(Channel::Email, &self.email), (Channel::Sms, &self.sms)] {
            for (recipient, delivery, Withdrawn { attempt, ambiguous, .. }) in
                self.withdraw(queue, n.id, recipients, channel).await?
            {
                // What an attempt before may have sent cannot be said not to have been.
                let state = if ambiguous == 0 { DeliveryState::Cancelled } else { DeliveryState::Unknown };
                let report = DeliveryReport {
                    delivery,
                    notification: n.id,
                    recipient,
                    channel,
                    state,
                    attempt,
                    reason: Some(RECALLED.to_owned()),
                    provider: None,
                    provider_message_id: None,
                    next_attempt_at: None,
                    sms: None,
                };
                facts.push(Event::new(n.app.clone(), now, EventKind::Delivery(report)));
            }
        }
        Ok(facts)
    }

    /// The deliveries that are withdrawn in time: the mark keeps whoever claims one from beginning to send.
    async fn withdraw(
        &self,
        queue: &Queue,
        id: NotificationId,
        recipients: &[RecipientId],
        channel: Channel,
    ) -> Result<Vec<(RecipientId, DeliveryId, Withdrawn)>, DispatchError> {
        let deliveries: Vec<DeliveryId> = recipients.iter().map(|r| DeliveryId::new(id, r, channel)).collect();
        let ids: Vec<String> = deliveries.iter().map(ToString::to_string).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let states = queue.withdraw(&ids, RECALLED).await?;
        let in_time = |withdrawn: &Withdrawn| matches!(&*withdrawn.state, "queued" | "claimed");
        let all = recipients.iter().cloned().zip(deliveries).zip(states);
        let all = all.filter_map(|((recipient, delivery), withdrawn)| Some((recipient, delivery, withdrawn.filter(in_time)?)));
        Ok(all.collect())
    }

    /// Lets the items leave whose time is over, and tells the devices.
    pub(crate) async fn expire(&self, n: &Notification, lease: &Lease) -> Result<Outcome, DispatchError> {
        if let Audience::Recipients(named) = &n.request.audience {
            let ids: Vec<RecipientId> = named.iter().map(|r| r.id.clone()).collect();
            self.inboxes.hot().purge(&n.app, &ids, self.clock.now()).await?;
        }
        self.queue.expire_jobs(&[lease.job_id()], KEPT).await?;
        Ok(Outcome::Done)
    }
}
