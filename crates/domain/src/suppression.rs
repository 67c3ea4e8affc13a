//! Whom not to write to: addresses that bounced, complained or were unsubscribed.
//!
//! It is the address that is suppressed and not the person: whoever gets a new one is written to again, and two recipients with
//! one address are left alone together. A suppression holds for one category or for all. What a person said themselves and what
//! anybody else said of the address hold side by side: lifting the one leaves the other.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::{AppId, Channel, EmailAddress, PhoneNumber, Profile, SuppressionId, address::AddressError};

/// An address outside the app, brought into the form in which suppressions compare it: no capital letters, the domain as DNS
/// knows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SuppressedAddress {
    channel: Channel,
    address: String,
}

/// Why an address is not written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
    /// The mailbox or number does not exist, or refuses for good.
    HardBounce,
    /// The person called what they got spam.
    Complaint,
    /// The person does not want it: by the link in a mail, or by STOP.
    Unsubscribe,
    /// The app said so.
    Manual,
}

/// What comes before the category in the [`place`](SuppressionReason::place) of what is not the person's own word. No category begins
/// so: it is a line of text, and this is a control character.
const NOT_THEIRS: char = '\u{1}';

/// An address that is not written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Which.
    #[serde(flatten)]
    pub address: SuppressedAddress,
    /// In which category; in all, if in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Why.
    pub reason: SuppressionReason,
    /// More of it: what the server said, or a note of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl SuppressedAddress {
    /// The address that `text` stands for on `channel`. An inbox has none.
    pub fn parse(channel: Channel, text: &str) -> Result<Self, AddressError> {
        match channel {
            Channel::Email => text.parse::<EmailAddress>().map(|email| Self::from(&email)),
            Channel::Sms => text.parse::<PhoneNumber>().map(|phone| Self::from(&phone)),
            Channel::Inbox => Err(AddressError::Email),
        }
    }

    /// On which channel it is.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// The address as it is compared. It is personal: never for a log.
    pub fn as_str(&self) -> &str {
        &self.address
    }
}

impl SuppressedAddress {
    /// The address that `profile` has on `channel`. An inbox has none.
    pub fn of(profile: &Profile, channel: Channel) -> Option<Self> {
        match channel {
            Channel::Email => profile.email.as_ref().map(Self::from),
            Channel::Sms => profile.phone.as_ref().map(Self::from),
            Channel::Inbox => None,
        }
    }
}

impl From<&EmailAddress> for SuppressedAddress {
    fn from(email: &EmailAddress) -> Self {
        let lower = email.as_str().to_lowercase();
        let address = match lower.rsplit_once('@') {
            // The same mailbox whichever way its domain is spelt.
            Some((local, domain)) => idna::domain_to_ascii(domain).map_or(lower.clone(), |ascii| format!("{local}@{ascii}")),
            None => lower,
        };
        Self { channel: Channel::Email, address }
    }
}

impl From<&PhoneNumber> for SuppressedAddress {
    fn from(phone: &PhoneNumber) -> Self {
        Self { channel: Channel::Sms, address: phone.as_str().to_owned() }
    }
}

/// Masked, since addresses must not reach a log.
impl fmt::Debug for SuppressedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SuppressedAddress({}, ***)", self.channel)
    }
}

impl<'de> Deserialize<'de> for SuppressedAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Text {
            channel: Channel,
            address: String,
        }
        let Text { channel, address } = Text::deserialize(deserializer)?;
        Self::parse(channel, &address).map_err(serde::de::Error::custom)
    }
}

impl SuppressionReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::HardBounce, Self::Complaint, Self::Unsubscribe, Self::Manual];

    /// The name used in JSON, keys and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HardBounce => "hard_bounce",
            Self::Complaint => "complaint",
            Self::Unsubscribe => "unsubscribe",
            Self::Manual => "manual",
        }
    }

    /// Whether it is the person's own word. It outlasts what the app or a server says of the address.
    pub fn is_the_persons(self) -> bool {
        matches!(self, Self::Complaint | Self::Unsubscribe)
    }

    /// Where what is said for this reason is remembered of an address: a person's own word in the category itself, and all else beside
    /// it. In one place the newest holds.
    pub fn place(self, category: Option<&str>) -> String {
        let category = category.unwrap_or_default();
        if self.is_the_persons() { category.to_owned() } else { format!("{NOT_THEIRS}{category}") }
    }
}

/// Every place in which it may be said that an address is not written to in `category`. That of the person for all categories comes first,
/// and is the empty text.
pub fn places(category: Option<&str>) -> Vec<String> {
    let of =
        |category: Option<&str>| [SuppressionReason::Unsubscribe, SuppressionReason::Manual].map(|reason| reason.place(category));
    of(None).into_iter().chain(category.map(|category| of(Some(category))).into_iter().flatten()).collect()
}

/// The text names no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reason: use hard_bounce, complaint, unsubscribe or manual")]
pub struct UnknownReason;

impl FromStr for SuppressionReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownReason)
    }
}

impl Suppression {
    /// Its id in `app`.
    pub fn id(&self, app: &AppId) -> SuppressionId {
        SuppressionId::new(app, self.address.channel, &self.address.address, &self.place())
    }

    /// Where it is remembered.
    pub fn place(&self) -> String {
        self.reason.place(self.category.as_deref())
    }

    /// The same with its place for a category, as who keeps only the newest of each category has to know it.
    #[must_use]
    pub fn placed(&self) -> Self {
        Self { category: Some(self.place()), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_is_one_however_it_is_spelt() {
        let of = |text: &str| SuppressedAddress::parse(Channel::Email, text).unwrap();
        assert_eq!(of("Maria@Example.COM").as_str(), "maria@example.com");
        assert_eq!(of("用户@例子.公司"), of("用户@xn--fsqu00a.xn--55qx5d"));
        assert!(SuppressedAddress::parse(Channel::Email, "nobody").is_err());
        assert!(SuppressedAddress::parse(Channel::Sms, "12345").is_err());
        assert!(SuppressedAddress::parse(Channel::Inbox, "a@example.com").is_err());
    }

    #[test]
    fn what_a_person_said_has_a_place_of_its_own() {
        use SuppressionReason::{Complaint, HardBounce, Manual, Unsubscribe};
        assert_eq!(Unsubscribe.place(Some("news")), Complaint.place(Some("news")));
        assert_eq!(HardBounce.place(None), Manual.place(None));
        let all: Vec<String> = [Unsubscribe, Manual].iter().flat_map(|r| [r.place(None), r.place(Some("news"))]).collect();
        assert!(all.iter().all(|place| places(Some("news")).contains(place)) && places(Some("news")).len() == 4);
        assert_eq!(places(None), [Unsubscribe.place(None), Manual.place(None)]);
        assert_eq!(places(None)[0], "");
        assert!(crate::text::check_line(&Manual.place(Some("news")), 64).is_err(), "no category is taken for it");
    }

    #[test]
    fn is_read_back_as_it_was_written_and_hides_the_address_from_logs() {
        let suppression = Suppression {
            address: SuppressedAddress::parse(Channel::Email, "maria@example.com").unwrap(),
            category: Some("news".into()),
            reason: SuppressionReason::Complaint,
            detail: None,
        };
        let json = serde_json::to_string(&suppression).unwrap();
        assert_eq!(json, r#"{"channel":"email","address":"maria@example.com","category":"news","reason":"complaint"}"#);
        assert_eq!(serde_json::from_str::<Suppression>(&json).unwrap(), suppression);
        assert!(!format!("{suppression:?}").contains("maria"));
        for reason in SuppressionReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
    }
}
