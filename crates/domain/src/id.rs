//! Typed ids: each names one kind of thing and cannot be taken for another.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::{Digest, Sha1};
use uuid::Uuid;

use crate::{
    Channel, Timestamp, from_text,
    text::{TextError, check_line},
};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id that `uuid` stands for, as read back from a store.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id! {
    /// A notification: one accepted request. A UUIDv7, so that ids sort by the time of acceptance.
    NotificationId
}
uuid_id! {
    /// A delivery: one notification to one recipient on one channel. A version 8 UUID: the notification's time, then a hash of
    /// the three. A dispatch that is repeated makes the same deliveries, and those of one notification lie together in SQL's
    /// indexes.
    DeliveryId
}
uuid_id! {
    /// A suppression: one address that is not written to, in one category or in all. A UUIDv5 of these, so that the same
    /// suppression, told twice, is one.
    SuppressionId
}

/// The namespace of delivery and event ids (a UUIDv4 drawn once for this purpose).
const NAMESPACE: Uuid = Uuid::from_u128(0x9d3e_7a52_5f1c_4c6e_8a40_6f0b_2c9d_1e77);

impl NotificationId {
    /// An id for what was accepted at `at`; `random` makes it unique among those of the same millisecond.
    pub fn new(at: Timestamp, random: &[u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid())
    }

    /// The ids of requests that come in one call: they differ in their last three digits alone, which are the request's place (below
    /// 4,096). So they sort as the requests do, and tell which were accepted together.
    #[must_use]
    pub fn at_place(self, place: u16) -> Self {
        Self(Uuid::from_u128(self.0.as_u128() & !u128::from(Self::LAST_PLACE) | u128::from(place & Self::LAST_PLACE)))
    }

    /// The last place that there is.
    pub const LAST_PLACE: u16 = 0xfff;

    /// Its place among those that differ in it alone.
    pub fn place(self) -> u16 {
        (self.0.as_u128() & u128::from(Self::LAST_PLACE)) as u16
    }

    /// When the notification was accepted, as its id tells.
    pub fn accepted_at(self) -> Timestamp {
        let millis = self.0.as_u128() >> 80;
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(0))
    }
}

impl DeliveryId {
    /// The delivery of `notification` to `recipient` on `channel`.
    pub fn new(notification: NotificationId, recipient: &RecipientId, channel: Channel) -> Self {
        let hash = name_id(&[notification.0.as_bytes(), channel.as_str().as_bytes(), recipient.as_str().as_bytes()]);
        Self(led_by(notification.accepted_at(), hash))
    }
}

/// What all mails of one collapse key to one recipient have in common.
pub fn thread_id(app: &AppId, recipient: &RecipientId, collapse_key: &str) -> Uuid {
    name_id(&[app.as_str().as_bytes(), b"thread", recipient.as_str().as_bytes(), collapse_key.as_bytes()])
}

impl SuppressionId {
    /// The suppression of `address` on `channel` that is remembered in `place` ([`SuppressionReason::place`](crate::SuppressionReason::place)).
    pub fn new(app: &AppId, channel: Channel, address: &str, place: &str) -> Self {
        Self(name_id(&[app.as_str().as_bytes(), channel.as_str().as_bytes(), address.as_bytes(), place.as_bytes()]))
    }
}

/// A UUIDv5 of several parts, each preceded by its length, so that no two lists of parts give the same name. Each fact has one: so it is
/// hashed by who knows the processor's own instructions for it, which the `uuid` crate does not.
pub(crate) fn name_id(parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha1::new_with_prefix(NAMESPACE);
    for part in parts {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_sha1_bytes(bytes).into_uuid()
}

/// A version 8 UUID that begins with a time, as version 7 does, and goes on with `hash`. Rows whose ids begin alike
/// are written to the same few pages of an index; of hashes alone, each row would touch pages of its own.
pub(crate) fn led_by(time: Timestamp, hash: Uuid) -> Uuid {
    let millis = u64::try_from(time.as_millis()).unwrap_or(0).to_be_bytes();
    let mut bytes = *hash.as_bytes();
    bytes[..6].copy_from_slice(&millis[2..]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = TextError;
            fn from_str(text: &str) -> Result<Self, TextError> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text::read(deserializer, |text| text.parse().map_err(|e: TextError| format!("an id {e}")))
            }
        }
    };
}

text_id! {
    /// An app: 1 to 64 of `a-z`, `0-9`, `-` and `_`. It is part of every key and row of the app, so it holds
    /// nothing that any of them would have to escape.
    AppId, check_app
}
text_id! {
    /// A recipient, by the app's own id: 1 to 128 bytes of UTF-8 without control characters, neither `.` nor `..`.
    RecipientId, check_step
}
text_id! {
    /// A topic: a named group of recipients. 1 to 128 bytes of UTF-8 without control characters, neither `.` nor `..`.
    TopicId, check_step
}

fn check_app(text: &str) -> Result<(), TextError> {
    check_line(text, 64)?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if text.bytes().all(plain) { Ok(()) } else { Err(TextError::NotPlain) }
}

/// An id that stands in paths of URLs.
fn check_step(text: &str) -> Result<(), TextError> {
    check_line(text, 128)?;
    if matches!(text, "." | "..") { Err(TextError::Dots) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_id_tells_when_it_was_accepted() {
        let at = Timestamp::from_millis(1_790_000_000_123);
        let id = NotificationId::new(at, &[7; 10]);
        assert_eq!(id.accepted_at(), at);
        assert_eq!(id.as_uuid().get_version_num(), 7);
    }

    #[test]
    fn the_ids_of_one_call_sort_by_their_places_and_share_the_rest() {
        let at = Timestamp::from_millis(1_790_000_000_123);
        let first = NotificationId::new(at, &[0xff; 10]);
        let ids: Vec<_> = (0..1_000).map(|place| first.at_place(place)).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.accepted_at() == at && id.as_uuid().get_version_num() == 7));
        assert!(ids.windows(2).all(|two| two[0] != two[1]));
        let texts: Vec<_> = ids.iter().map(ToString::to_string).collect();
        assert!(texts.iter().all(|text| text[..33] == first.to_string()[..33]), "{texts:?}");
        assert!(texts[0].ends_with("000") && texts[999].ends_with("3e7"));
    }

    #[test]
    fn a_name_is_a_uuid_of_version_5() {
        let parts: [&[u8]; 3] = [b"one", b"", &[7; 300]];
        let mut name = Vec::new();
        for part in parts {
            name.extend((part.len() as u32).to_be_bytes());
            name.extend(part);
        }
        assert_eq!(name_id(&parts), Uuid::new_v5(&NAMESPACE, &name));
    }

    #[test]
    fn a_repeated_dispatch_makes_the_same_delivery_and_another_recipient_another() {
        let id = NotificationId::new(Timestamp::from_millis(1), &[0; 10]);
        let (a, b): (RecipientId, RecipientId) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert_eq!(DeliveryId::new(id, &a, Channel::Email), DeliveryId::new(id, &a, Channel::Email));
        assert_ne!(DeliveryId::new(id, &a, Channel::Email), DeliveryId::new(id, &b, Channel::Email));
        assert_ne!(DeliveryId::new(id, &a, Channel::Email), DeliveryId::new(id, &a, Channel::Sms));
    }

    #[test]
    fn deliveries_sort_by_when_their_notification_was_accepted() {
        let of = |ms, recipient: &str| {
            let id = NotificationId::new(Timestamp::from_millis(ms), &[9; 10]);
            DeliveryId::new(id, &recipient.parse().unwrap(), Channel::Inbox)
        };
        let mut last: Vec<DeliveryId> = Vec::new();
        for ms in [1_790_000_000_123, 1_790_000_000_124, 1_795_000_000_000] {
            let mut these: Vec<_> = (0..100).map(|i| of(ms, &format!("r{i}"))).collect();
            these.sort();
            assert!(last.last() < these.first());
            these.dedup();
            assert_eq!(these.len(), 100);
            assert!(these.iter().all(|id| id.as_uuid().get_version_num() == 8));
            last = these;
        }
    }

    #[test]
    fn ids_refuse_what_would_break_a_header_or_a_key() {
        assert!("u\r\n1".parse::<RecipientId>().is_err());
        assert!("u\u{0}1".parse::<RecipientId>().is_err());
        assert!("Größe 7".parse::<RecipientId>().is_ok());
        for dots in [".", ".."] {
            assert_eq!(dots.parse::<RecipientId>(), Err(TextError::Dots));
            assert_eq!(dots.parse::<TopicId>(), Err(TextError::Dots));
        }
        assert!("...".parse::<RecipientId>().is_ok() && "a/../b".parse::<RecipientId>().is_ok());
        assert!("demo{x}".parse::<AppId>().is_err());
        assert!("demo-1".parse::<AppId>().is_ok());
    }
}
