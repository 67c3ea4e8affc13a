//! The timeline: an app's shared log of what went to a topic or to everyone.
//!
//! A broadcast is one entry, whatever the audience. It is read by each person and copied to none; a person keeps only
//! since when they belong to whom, up to where they have read, and the few entries that they treated otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Card, Locale, NotificationId, Timestamp, TopicId};

/// Whose entry it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Everybody who uses the app.
    Everyone,
    /// The members of a topic.
    Topic(TopicId),
}

/// Why an entry is not in anybody's inbox any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gone {
    /// It was withdrawn.
    Recalled,
    /// Its time is over.
    Expired,
}

/// What an entry says, in every language that it was written in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryBody {
    /// The notification, which is also the item.
    pub id: NotificationId,
    /// Whose it is.
    pub target: Target,
    /// The card of each variant: a locale, or `inline`.
    pub cards: BTreeMap<String, Card>,
    /// The variant of those whose language it was not written in.
    pub default_variant: String,
}

/// An entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place: the timeline's revision when it was written.
    pub seq: u64,
    /// The timeline's revision of its latest change.
    pub rev: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Why it is in no inbox any more, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// What it says.
    #[serde(flatten)]
    pub body: EntryBody,
}

impl EntryBody {
    /// The variant that a reader of `locale` gets, and its card: the language itself, a more general one, one of another
    /// region, or the default.
    ///
    /// `None` only of a body without any card, which is never written.
    pub fn card_for(&self, locale: Option<&Locale>) -> Option<(&str, &Card)> {
        let find = |tag: &str| self.cards.get_key_value(tag);
        let regional =
            |tag: &str| self.cards.iter().find(|(known, _)| known.strip_prefix(tag).is_some_and(|rest| rest.starts_with('-')));
        locale
            .and_then(|l| l.with_fallbacks().find_map(find).or_else(|| regional(l.as_str())))
            .or_else(|| find(&self.default_variant))
            .or_else(|| self.cards.first_key_value())
            .map(|(variant, card)| (variant.as_str(), card))
    }

    /// When it leaves the inboxes.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.cards.values().find_map(|card| card.expires_at)
    }

    /// What preferences are set on.
    pub fn category(&self) -> Option<&str> {
        self.cards.values().find_map(|card| card.category.as_deref())
    }
}

impl Entry {
    /// True if it is in the inboxes of those whom it is for, but for what they did with it.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.gone.is_none() && self.body.expires_at().is_none_or(|at| at > now)
    }
}

/// Up to where a person has read a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadUpto {
    /// Every entry up to this place counts as read, but for those that the person treated otherwise since.
    pub seq: u64,
    /// When that was said.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Priority;

    #[test]
    fn a_reader_gets_the_nearest_language() {
        let id = NotificationId::new(Timestamp::from_millis(1), &[1; 10]);
        let card = |title: &str| Card {
            id,
            title: title.into(),
            summary: None,
            image: None,
            link: None,
            actions: Vec::new(),
            category: None,
            priority: Priority::Normal,
            created_at: Timestamp::from_millis(1),
            expires_at: None,
        };
        let cards = ["en", "de", "zh-CN"].map(|tag| (tag.to_owned(), card(tag)));
        let body = EntryBody { id, target: Target::Everyone, cards: cards.into(), default_variant: "en".into() };
        for (locale, expected) in
            [(Some("de-AT"), "de"), (Some("zh-CN"), "zh-CN"), (Some("zh"), "zh-CN"), (Some("fr"), "en"), (None, "en")]
        {
            let locale = locale.map(|l| l.parse::<Locale>().unwrap());
            assert_eq!(body.card_for(locale.as_ref()).unwrap().0, expected);
        }
    }

    #[test]
    fn a_target_is_written_as_in_requests() {
        let topic = Target::Topic("vip".parse().unwrap());
        assert_eq!(serde_json::to_string(&topic).unwrap(), r#"{"topic":"vip"}"#);
        assert_eq!(serde_json::to_string(&Target::Everyone).unwrap(), r#""everyone""#);
    }
}
