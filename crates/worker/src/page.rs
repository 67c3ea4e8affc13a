//! A page of recipients of one notification: what is made for each of them.

use stentor_catalog::{Reader, Words};
use stentor_domain::{
    Audience, Card, Channel, DeliveryId, DeliveryState, Event, EventKind, Notification, Profile, RecipientId, SkipReason,
    Timestamp, event::DeliveryReport, item::ItemContent,
};
use stentor_inbox::Written;

use crate::jobs::DeliveryJob;

/// A page of recipients of one notification.
pub(crate) struct Page<'a> {
    pub n: &'a Notification,
    pub words: &'a Words<'a>,
    pub channels: &'a [Channel],
    /// The place of its first recipient among those that the request names, if it names any.
    pub first: usize,
    pub now: Timestamp,
}

impl Page<'_> {
    /// True if the process that accepted it may have written the item before its dispatch.
    pub(crate) fn may_be_written_ahead(&self) -> bool {
        self.words.is_brought() && matches!(&self.n.request.audience, Audience::Recipients(named) if named.len() == 1)
    }

    pub(crate) fn reader<'b>(&'b self, recipient: &'b RecipientId, profile: &'b Profile) -> Reader<'b> {
        Reader {
            recipient: Some(recipient),
            locale: self.n.locale.as_ref().or(profile.locale.as_ref()),
            timezone: profile.timezone.as_deref(),
            attributes: &profile.attributes,
            now: self.now,
            unsubscribe: None,
        }
    }

    /// The facts of contents that were stored.
    pub(crate) fn tell_contents(&self, contents: Vec<(String, ItemContent)>, facts: &mut Vec<Event>) {
        let (notification, version) = (self.n.id, self.n.version());
        let kind = |(variant, content)| EventKind::Content { notification, variant, content, version };
        facts.extend(contents.into_iter().map(kind).map(|kind| Event::new(self.n.app.clone(), self.now, kind)));
    }

    /// The facts of an item that was written.
    pub(crate) fn tell_item(
        &self,
        recipient: &RecipientId,
        card: Card,
        variant: String,
        written: Written,
        facts: &mut Vec<Event>,
    ) {
        let Written { seq, rev, at, .. } = written;
        let kind = EventKind::ItemWritten { recipient: recipient.clone(), card: Box::new(card), seq, rev, variant };
        facts.push(Event::new(self.n.app.clone(), at, kind));
        facts.push(self.report(recipient, Channel::Inbox, DeliveryState::Sent, None));
    }

    pub(crate) fn job(&self, recipient: &RecipientId, profile: &Profile, channel: Channel, to: &str) -> DeliveryJob {
        DeliveryJob {
            app: self.n.app.clone(),
            notification: self.n.id,
            delivery: DeliveryId::new(self.n.id, recipient, channel),
            recipient: recipient.clone(),
            channel,
            to: to.to_owned(),
            locale: self.n.locale.clone().or_else(|| profile.locale.clone()),
            timezone: profile.timezone.clone(),
            attributes: if self.words.is_personal() { profile.attributes.clone() } else { serde_json::Map::new() },
        }
    }

    pub(crate) fn report(
        &self,
        recipient: &RecipientId,
        channel: Channel,
        state: DeliveryState,
        reason: Option<SkipReason>,
    ) -> Event {
        self.event(recipient, channel, state, reason.map(|r| r.as_str().to_owned()))
    }

    pub(crate) fn report_words(&self, recipient: &RecipientId, channel: Channel, state: DeliveryState, reason: String) -> Event {
        self.event(recipient, channel, state, Some(reason))
    }

    fn event(&self, recipient: &RecipientId, channel: Channel, state: DeliveryState, reason: Option<String>) -> Event {
        let report = DeliveryReport {
            delivery: DeliveryId::new(self.n.id, recipient, channel),
            notification: self.n.id,
            recipient: recipient.clone(),
            channel,
            state,
            // The write into an inbox is its one attempt; outside channels have begun none yet.
            attempt: u32::from(state == DeliveryState::Sent),
            reason,
            provider: None,
            provider_message_id: None,
            next_attempt_at: None,
            sms: None,
        };
        Event::new(self.n.app.clone(), self.now, EventKind::Delivery(report))
    }
}
