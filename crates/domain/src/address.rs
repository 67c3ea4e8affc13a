//! Addresses outside the app. They are checked where they enter, so that no later step can be made to inject.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Channel, Region, SkipReason, Violation, from_text};

/// Why an address was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum AddressError {
    /// RFC 5321 and 5322 do not allow it as a mailbox.
    #[error("not an email address of the form name@example.com")]
    Email,
    /// ITU-T E.164 does not allow it as an international number.
    #[error("not a phone number in E.164, such as +8613800138000: a plus sign and 8 to 15 digits, the first not 0")]
    Phone,
    /// It is written as one dials it at home, and nobody says where that is.
    #[error(
        "a phone number without its country: write it in E.164, such as +8613800138000, or give a locale with a region (zh-CN) or \
         the attribute region (CN)"
    )]
    NoRegion,
    /// It is written as one dials it at home, and there it is no number.
    #[error("not a phone number of {0}; write it in E.164, such as +8613800138000")]
    NotIn(Region),
}

impl AddressError {
    /// The channel whose addresses are like this.
    pub fn channel(self) -> Channel {
        match self {
            Self::Email => Channel::Email,
            Self::Phone | Self::NoRegion | Self::NotIn(_) => Channel::Sms,
        }
    }

    /// What is said of such an address of the recipient at the JSON pointer `at`.
    pub fn at(self, at: impl fmt::Display) -> Violation {
        let field = if self.channel() == Channel::Email { "email" } else { "phone" };
        Violation::new(format!("{at}/{field}"), SkipReason::InvalidAddress.as_str(), self.to_string())
    }
}

/// A mailbox, `local@domain` (RFC 5321 section 4.1.2, at most 254 bytes), without a display name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// A phone number in E.164: `+` and 8 to 15 digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

impl FromStr for EmailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let options = email_address::Options::default().with_required_tld().without_domain_literal().without_display_text();
        if text.len() > 254 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(AddressError::Email);
        }
        email_address::EmailAddress::parse_with_options(text, options).map_err(|_| AddressError::Email)?;
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for PhoneNumber {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix('+').ok_or(AddressError::Phone)?;
        let fits = (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if fits && !digits.starts_with('0') { Ok(Self(text.to_owned())) } else { Err(AddressError::Phone) }
    }
}

macro_rules! address {
    ($name:ident) => {
        impl $name {
            /// The address as text. It is personal: it belongs in a message, never in a log.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// Masked, since addresses must not reach a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), masked(&self.0))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text::read(deserializer, str::parse)
            }
        }
    };
}
address!(EmailAddress);
address!(PhoneNumber);

/// The first and the last characters of an address, the rest hidden.
fn masked(address: &str) -> String {
    let (head, tail) = match address.split_once('@') {
        Some((local, domain)) => (local, format!("@{domain}")),
        None => (address, address.chars().skip(address.chars().count().saturating_sub(2)).collect()),
    };
    format!("{}***{tail}", head.chars().take(2).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes() {
        for good in ["a@example.com", "o'hara+news@mail.example.co.uk", "用户@例子.公司"] {
            assert!(good.parse::<EmailAddress>().is_ok(), "{good}");
        }
        let bad = [
            "",
            "a",
            "a@",
            "@b.c",
            "a b@example.com",
            "a@x>\r\nDATA",
            "a@example.com\0",
            "a@[127.0.0.1]",
            "A <a@example.com>",
            "a@localhost",
        ];
        for bad in bad {
            assert_eq!(bad.parse::<EmailAddress>(), Err(AddressError::Email), "{bad:?}");
        }
    }

    #[test]
    fn numbers() {
        assert!("+8613800138000".parse::<PhoneNumber>().is_ok());
        for bad in ["13800138000", "+0123456789", "+49 170 1234567", "+1234567", "+1234567890123456", "+12345678a"] {
            assert_eq!(bad.parse::<PhoneNumber>(), Err(AddressError::Phone), "{bad:?}");
        }
    }

    #[test]
    fn are_masked_in_debug_output() {
        assert_eq!(format!("{:?}", "maria@example.com".parse::<EmailAddress>().unwrap()), "EmailAddress(ma***@example.com)");
        assert_eq!(format!("{:?}", "+8613800138000".parse::<PhoneNumber>().unwrap()), "PhoneNumber(+8***00)");
    }
}
