//! Phone numbers as people write them, brought into E.164 (ITU-T) with the help of libphonenumber's tables.

use std::{fmt, str::FromStr};

use phonenumber::{Mode, country};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{Locale, PhoneNumber, address::AddressError, from_text};

/// The attribute of a recipient that says where their phone is at home, if their language does not.
pub const REGION_ATTRIBUTE: &str = "region";
/// The most characters of a number, signs included.
const MAX_LENGTH: usize = 40;

/// A country or territory (ISO 3166-1): `DE`, `CN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(country::Id);

/// The text names no region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a country or territory, such as DE or CN (ISO 3166-1)")]
pub struct NotARegion;

impl FromStr for Region {
    type Err = NotARegion;

    fn from_str(text: &str) -> Result<Self, NotARegion> {
        text.to_ascii_uppercase().parse().map(Self).map_err(|_| NotARegion)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref())
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text::read(deserializer, str::parse)
    }
}

/// Where a person's phone is at home: by the attribute, or else by the region of their language.
pub fn region_of(attributes: &Map<String, Value>, locale: Option<&Locale>) -> Option<Region> {
    let said = attributes.get(REGION_ATTRIBUTE).and_then(Value::as_str).and_then(|text| text.parse().ok());
    said.or_else(|| locale?.region()?.parse().ok())
}

/// The number that `text` stands for: with a plus sign or 00 in front in any country, without as one dials it in `region`.
///
/// What is dialled at home must be a number that the region has; of a number with its country's code only the country must
/// be there, since tables know new numbers later than people do.
pub fn in_international_form(text: &str, region: Option<Region>) -> Result<PhoneNumber, AddressError> {
    let text = text.trim_matches([' ', '\u{a0}']); // a line break is no slip of a pen
    if text.chars().count() > MAX_LENGTH || text.chars().any(|c| !is_dialled(c)) {
        return Err(AddressError::Phone);
    }
    let abroad = match text.strip_prefix("00") {
        Some(rest) => format!("+{rest}"),
        None => text.to_owned(),
    };
    let international = abroad.starts_with('+');
    if !international && region.is_none() {
        return Err(AddressError::NoRegion);
    }
    let home = if international { None } else { region.map(|region| region.0) };
    let number = phonenumber::parse(home, &abroad).map_err(|_| AddressError::Phone)?;
    if number.extension().is_some() || (!international && !phonenumber::is_valid(&number)) {
        return Err(AddressError::Phone);
    }
    number.format().mode(Mode::E164).to_string().parse()
}

/// Whether a number may be written with it.
fn is_dialled(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str, region: &str) -> Result<String, AddressError> {
        in_international_form(text, region.parse().ok()).map(|number| number.as_str().to_owned())
    }

    #[test]
    fn numbers_as_they_are_dialled_at_home() {
        for (text, region, expected) in [
            ("0170 1234567", "DE", "+491701234567"),
            ("(0170) 123-45.67", "de", "+491701234567"),
            ("138 0013 8000", "CN", "+8613800138000"),
            ("07400 123456", "GB", "+447400123456"),
            ("(415) 555-2671", "US", "+14155552671"),
            ("+49 170 1234567", "", "+491701234567"),
            ("0049 170 1234567", "CN", "+491701234567"),
            ("+8613800138000", "DE", "+8613800138000"),
        ] {
            assert_eq!(form(text, region).as_deref(), Ok(expected), "{text} {region}");
        }
    }

    #[test]
    fn what_is_no_number() {
        assert_eq!(form("0170 1234567", ""), Err(AddressError::NoRegion));
        for (text, region) in [
            ("", "DE"),
            ("110", "DE"),
            ("0170 12", "DE"),
            ("0170 123456789012345", "DE"),
            ("+0123456789", ""),
            ("+999123456789", ""),
            ("+49 170 1234567 ext. 5", ""),
            ("0170-FLOWERS", "DE"),
            ("tel:+491701234567", ""),
            ("+49170123456789012345", ""),
            ("+491701234567\r\n", ""),
            ("+491701234567\0", ""),
        ] {
            assert_eq!(form(text, region), Err(AddressError::Phone), "{text} {region}");
        }
    }

    #[test]
    fn where_a_phone_is_at_home() {
        let region = |attributes: Value, locale: &str| {
            let attributes = attributes.as_object().unwrap().clone();
            region_of(&attributes, locale.parse().ok().as_ref()).map(|region| region.to_string())
        };
        assert_eq!(region(serde_json::json!({}), "de-AT").as_deref(), Some("AT"));
        assert_eq!(region(serde_json::json!({}), "zh-Hant-TW").as_deref(), Some("TW"));
        assert_eq!(region(serde_json::json!({"region": "ch"}), "de-AT").as_deref(), Some("CH"));
        assert_eq!(region(serde_json::json!({"region": "nowhere"}), "de"), None);
    }
}
