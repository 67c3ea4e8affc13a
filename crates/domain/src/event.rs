//! Facts: everything that happened, in the words in which it is archived and explained.
//!
//! Work travels in queues, facts on the events stream. A fact's id is derived from what it says, so that
//! whoever reports it twice (after a crash) reports the same event, and readers keep one.

mod reading;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    AppId, Card, Channel, DeliveryId, DeliveryState, ItemState, Notification, NotificationId, ProfilePatch, RecipientId,
    Timestamp,
    id::{led_by, name_id},
    item::ItemContent,
    sms::SmsCost,
    suppression::{SuppressedAddress, Suppression, SuppressionReason},
    timeline::{Entry, ReadUpto},
};

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Derived from app and kind: the same fact has the same id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// Whose it is.
    pub app: AppId,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Declares the kinds twice: as they are, written with their name among their fields; and as they are read, once the name was
/// (`event/reading.rs`).
macro_rules! kinds {
    ($(#[$doc:meta])* pub enum EventKind $variants:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum EventKind $variants

        #[derive(Deserialize)]
        #[serde(remote = "EventKind", rename_all = "snake_case")]
        enum ReadKind $variants
    };
}

kinds! {
/// What happened.
pub enum EventKind {
    /// A notification was accepted.
    Accepted {
        /// All of it.
        notification: Box<Notification>,
    },
    /// Its audience was resolved: `deliveries` deliveries exist now.
    Dispatched {
        /// Which.
        notification: NotificationId,
        /// How many deliveries there are, skipped ones included.
        deliveries: u32,
        /// Why nothing could be dispatched, if so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A delivery came to a state.
    Delivery(DeliveryReport),
    /// Content was rendered; items refer to it by notification and variant.
    Content {
        /// Of which notification.
        notification: NotificationId,
        /// The locale, and the recipient if it was written for one alone.
        variant: String,
        /// The content.
        content: ItemContent,
        /// Which saying of the notification it is of; the greatest stays.
        #[serde(default)]
        version: i64,
    },
    /// An item was written to an inbox.
    ItemWritten {
        /// Whose inbox.
        recipient: RecipientId,
        /// The card.
        card: Box<Card>,
        /// Its place in the inbox.
        seq: u64,
        /// The inbox's revision.
        rev: u64,
        /// Which content belongs to it.
        variant: String,
    },
    /// Items of an inbox changed.
    ItemsChanged {
        /// Whose inbox.
        recipient: RecipientId,
        /// The inbox's revision, and the item's own from now on.
        rev: u64,
        /// Which, and what they are now.
        items: Vec<ItemChange>,
    },
    /// A notification was said otherwise.
    Updated {
        /// As it is now.
        notification: Box<Notification>,
    },
    /// An item says something else now.
    ItemUpdated {
        /// Whose inbox.
        recipient: RecipientId,
        /// The card.
        card: Box<Card>,
        /// Which content belongs to it.
        variant: String,
        /// The inbox's revision, if it was hot.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rev: Option<u64>,
        /// Which saying of the notification it is of.
        version: i64,
    },
    /// An item was withdrawn from an inbox.
    ItemRecalled {
        /// Whose inbox.
        recipient: RecipientId,
        /// The inbox's revision.
        rev: u64,
        /// Which.
        notification: NotificationId,
    },
    /// A notification was withdrawn: from inboxes, and from what had not been sent.
    Recalled {
        /// Which.
        notification: NotificationId,
    },
    /// An entry of the app's timeline was written, or changed.
    TimelineEntry {
        /// As it is from its `rev` on.
        entry: Box<Entry>,
    },
    /// A person did something with entries of the timeline.
    TimelineMarked {
        /// Whose inbox.
        recipient: RecipientId,
        /// The inbox's revision, and the entries' own in this inbox from now on.
        rev: u64,
        /// Up to where everything is read, if that was said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read_upto: Option<ReadUpto>,
        /// Which entries, and what they are now to this person.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        entries: Vec<EntryChange>,
    },
    /// Profile fields were set.
    RecipientUpserted {
        /// Whose.
        recipient: RecipientId,
        /// Which fields.
        patch: Box<ProfilePatch>,
        /// The timeline's revision by then: who is new does not see what was written to everyone before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        joined: Option<u64>,
    },
    /// An address is not written to any more.
    Suppressed {
        /// Which, and why.
        suppression: Box<Suppression>,
        /// The notification that it was because of, if it was because of one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notification: Option<NotificationId>,
    },
    /// What was said of an address holds no more.
    SuppressionLifted {
        /// Of which.
        address: SuppressedAddress,
        /// In which category; in all, if in none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<String>,
        /// What was: a person's own word, or that of anybody else. Whatever was said, in facts of before these were told apart.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<SuppressionReason>,
    },
}
}

/// A step of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryReport {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Of which notification.
    pub notification: NotificationId,
    /// To whom.
    pub recipient: RecipientId,
    /// On which channel.
    pub channel: Channel,
    /// The state that it came to.
    pub state: DeliveryState,
    /// Attempts begun by then.
    pub attempt: u32,
    /// Why: a skip reason, or the provider's words; of what was sent, what about it is not as it was meant. Never an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The provider that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The provider's own id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_message_id: Option<String>,
    /// When it will be tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// What it costs, of an SMS that was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms: Option<SmsCost>,
}

/// What a provider says later of a message that it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Which provider.
    pub provider: String,
    /// What became of the message.
    pub state: DeliveryState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Somebody settles what another provider took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another provider took the message")]
pub struct NotTheirs;

impl DeliveryReport {
    /// The delivery as a provider settles it; `None` if that contradicts what is known for certain. A repeat gives what is known:
    /// whoever took the first may have died before it was told.
    pub fn settled_by(&self, settlement: &Settlement) -> Result<Option<Self>, NotTheirs> {
        let Settlement { provider, state, reason } = settlement;
        // Who did not take it cannot know what became of it.
        if self.provider.as_ref().is_some_and(|took| took != provider) {
            return Err(NotTheirs);
        }
        if self.state == *state {
            return Ok(Some(self.clone()));
        }
        let (provider, reason) = (Some(provider.clone()), reason.clone());
        let settled = || Self { state: *state, reason, provider, next_attempt_at: None, ..self.clone() };
        Ok(self.state.can_become(*state).then(settled))
    }
}

/// What became of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemChange {
    /// The item.
    pub notification: NotificationId,
    /// Its state from now on.
    pub state: ItemState,
}

/// What became of one entry of the timeline to one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryChange {
    /// The entry's place in the timeline.
    pub seq: u64,
    /// The item.
    #[serde(flatten)]
    pub item: ItemChange,
}

impl Event {
    /// The fact that `kind` happened at `at`.
    pub fn new(app: AppId, at: Timestamp, kind: EventKind) -> Self {
        Self { id: kind.id(&app, at), at, app, kind }
    }
}

impl EventKind {
    /// The name used in JSON, SQL and `…/timeline`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Dispatched { .. } => "dispatched",
            Self::Delivery(_) => "delivery",
            Self::Content { .. } => "content",
            Self::ItemWritten { .. } => "item_written",
            Self::ItemsChanged { .. } => "items_changed",
            Self::Updated { .. } => "updated",
            Self::ItemUpdated { .. } => "item_updated",
            Self::ItemRecalled { .. } => "item_recalled",
            Self::Recalled { .. } => "recalled",
            Self::TimelineEntry { .. } => "timeline_entry",
            Self::TimelineMarked { .. } => "timeline_marked",
            Self::RecipientUpserted { .. } => "recipient_upserted",
            Self::Suppressed { .. } => "suppressed",
            Self::SuppressionLifted { .. } => "suppression_lifted",
        }
    }

    /// The notification that the fact is about, if it is about just one.
    pub fn notification(&self) -> Option<NotificationId> {
        match self {
            Self::Accepted { notification } | Self::Updated { notification } => Some(notification.id),
            Self::Dispatched { notification, .. }
            | Self::Content { notification, .. }
            | Self::ItemRecalled { notification, .. }
            | Self::Recalled { notification } => Some(*notification),
            Self::Delivery(report) => Some(report.notification),
            Self::ItemWritten { card, .. } | Self::ItemUpdated { card, .. } => Some(card.id),
            Self::TimelineEntry { entry } => Some(entry.body.id),
            Self::Suppressed { notification, .. } => *notification,
            Self::ItemsChanged { .. }
            | Self::TimelineMarked { .. }
            | Self::RecipientUpserted { .. }
            | Self::SuppressionLifted { .. } => None,
        }
    }

    fn id(&self, app: &AppId, at: Timestamp) -> Uuid {
        let app = app.as_str().as_bytes();
        let name = self.name().as_bytes();
        let id = |n: &NotificationId| *n.as_uuid().as_bytes();
        let hash = match self {
            Self::Accepted { notification } => name_id(&[app, name, &id(&notification.id)]),
            Self::Dispatched { notification, .. } | Self::Recalled { notification } => name_id(&[app, name, &id(notification)]),
            Self::Delivery(r) => {
                // The wait for the next attempt belongs to it: a replayed delivery counts its attempts anew.
                let next = r.next_attempt_at.map_or(0, Timestamp::as_millis).to_be_bytes();
                name_id(&[
                    app,
                    name,
                    r.delivery.as_uuid().as_bytes(),
                    &r.attempt.to_be_bytes(),
                    r.state.as_str().as_bytes(),
                    &next,
                ])
            }
            Self::Content { notification, variant, version, .. } => {
                name_id(&[app, name, &id(notification), variant.as_bytes(), &version.to_be_bytes()])
            }
            Self::Updated { notification } => name_id(&[app, name, &id(&notification.id), &notification.version().to_be_bytes()]),
            Self::ItemUpdated { recipient, card, version, .. } => {
                name_id(&[app, name, recipient.as_str().as_bytes(), &id(&card.id), &version.to_be_bytes()])
            }
            Self::ItemWritten { recipient, card, .. } => name_id(&[app, name, recipient.as_str().as_bytes(), &id(&card.id)]),
            Self::ItemsChanged { recipient, rev, .. } => name_id(&[app, name, recipient.as_str().as_bytes(), &rev.to_be_bytes()]),
            Self::ItemRecalled { recipient, notification, .. } => {
                name_id(&[app, name, recipient.as_str().as_bytes(), &id(notification)])
            }
            Self::TimelineEntry { entry } => name_id(&[app, name, &id(&entry.body.id), &entry.rev.to_be_bytes()]),
            Self::TimelineMarked { recipient, rev, .. } => {
                name_id(&[app, name, recipient.as_str().as_bytes(), &rev.to_be_bytes()])
            }
            Self::RecipientUpserted { recipient, patch, .. } => {
                let fields = serde_json::to_vec(patch).unwrap_or_default();
                // The same fields may be set again later: `at`, the acceptance of the request that sets them, tells these apart.
                name_id(&[app, name, recipient.as_str().as_bytes(), &fields, &at.as_millis().to_be_bytes()])
            }
            // The same address may be suppressed and lifted again and again: the time tells these apart.
            Self::Suppressed { suppression: s, .. } => {
                name_id(&[app, name, s.address.as_str().as_bytes(), s.place().as_bytes(), &at.as_millis().to_be_bytes()])
            }
            Self::SuppressionLifted { address, category, reason } => {
                let category = category.as_deref();
                let place = reason.map_or_else(|| category.unwrap_or_default().to_owned(), |reason| reason.place(category));
                name_id(&[app, name, address.as_str().as_bytes(), place.as_bytes(), &at.as_millis().to_be_bytes()])
            }
        };
        // Of the others nothing says when they were: `at` of a fact that is told again may be another.
        let time = match self {
            Self::RecipientUpserted { .. } | Self::Suppressed { .. } | Self::SuppressionLifted { .. } => Some(at),
            _ => self.notification().map(NotificationId::accepted_at),
        };
        time.map_or(hash, |time| led_by(time, hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(state: DeliveryState, attempt: u32) -> Event {
        let notification = NotificationId::new(Timestamp::from_millis(5), &[1; 10]);
        let recipient: RecipientId = "u1".parse().unwrap();
        let report = DeliveryReport {
            delivery: DeliveryId::new(notification, &recipient, Channel::Email),
            notification,
            recipient,
            channel: Channel::Email,
            state,
            attempt,
            reason: None,
            provider: None,
            provider_message_id: None,
            next_attempt_at: None,
            sms: None,
        };
        Event::new("demo".parse().unwrap(), Timestamp::from_millis(6), EventKind::Delivery(report))
    }

    #[test]
    fn the_same_fact_has_the_same_id_and_another_has_another() {
        let sent = report(DeliveryState::Sent, 1);
        assert_eq!(sent.id, report(DeliveryState::Sent, 1).id);
        assert_ne!(sent.id, report(DeliveryState::Sent, 2).id);
        assert_ne!(sent.id, report(DeliveryState::Failed, 1).id);
    }

    #[test]
    fn facts_of_a_notification_lie_together_whenever_they_are_told() {
        let ms = |event: &Event| event.id.as_u128() >> 80;
        let sent = report(DeliveryState::Sent, 1);
        assert_eq!((ms(&sent), sent.at.as_millis()), (5, 6));
        let items = EventKind::ItemsChanged { recipient: "u1".parse().unwrap(), rev: 7, items: Vec::new() };
        let told = |at| Event::new("demo".parse().unwrap(), Timestamp::from_millis(at), items.clone());
        assert_eq!(told(8).id, told(9).id, "told again, it is the same");
    }

    #[test]
    fn is_read_back_as_it_was_written() {
        let event = report(DeliveryState::Sent, 1);
        let recalled = EventKind::Recalled { notification: event.kind.notification().unwrap() };
        for event in [event.clone(), Event::new(event.app.clone(), event.at, recalled)] {
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
            assert_eq!(serde_json::from_slice::<Event>(json.as_bytes()).unwrap(), event);
            let mut later = json.replace("\"kind\":", "\"mood\":{\"of\":[1]},\"kind\":");
            later.replace_range(later.len() - 1.., ",\"more\":[{}]}");
            assert_eq!(serde_json::from_str::<Event>(&later).unwrap(), event, "what it does not know is passed over");
        }
    }

    #[test]
    fn what_is_no_fact_is_refused_and_says_why() {
        let id = "019352d6-0c00-7000-8000-000000000007";
        let (head, kind) = (format!("\"id\":\"{id}\",\"at\":\"2026-12-01T09:00:00Z\",\"app\":\"demo\""), "\"kind\":\"recalled\"");
        let notification = format!("\"notification\":\"{id}\"");
        for (text, why) in [
            (format!("{{{head}}}"), "missing field `kind`"),
            (format!("{{{kind},{head},{notification}}}"), "missing field `id`"),
            (format!("{{{head},{kind}}}"), "missing field `notification`"),
            (format!("{{{head},\"kind\":\"sung\",{notification}}}"), "unknown variant `sung`"),
            (format!("{{{head},{kind},{notification}}} x"), "trailing characters"),
            (format!("{{{head},{kind},{notification}"), "EOF while parsing"),
            ("[]".to_owned(), "expected a fact"),
        ] {
            let error = serde_json::from_str::<Event>(&text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
