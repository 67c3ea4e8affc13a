//! People: their addresses, languages and wishes.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    Channel, EmailAddress, Locale, PhoneNumber, Region, Violation,
    address::AddressError,
    phone::{in_international_form, region_of},
    text::check_line,
};

/// What is known of a recipient.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Where mail goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// Where SMS go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    /// The language to write in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The time zone (IANA name) to write times in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Free fields for templates, as `recipient.attributes.*`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// What the recipient wants to receive.
    #[serde(skip_serializing_if = "Preferences::is_empty")]
    pub preferences: Preferences,
}

/// A recipient's choices. What is not named is on. A category's choice for a channel outweighs the general one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Preferences {
    /// By channel, for every category.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<Channel, bool>,
    /// By category, then by channel.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, BTreeMap<Channel, bool>>,
}

impl Preferences {
    /// True if nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.categories.is_empty()
    }

    /// Whether the recipient takes `category` on `channel`.
    pub fn allows(&self, category: Option<&str>, channel: Channel) -> bool {
        let of_category = category.and_then(|c| self.categories.get(c)).and_then(|c| c.get(&channel));
        *of_category.or_else(|| self.channels.get(&channel)).unwrap_or(&true)
    }
}

/// Fields to set on a profile: those given are set, `null` clears, those absent stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ProfilePatch {
    /// Where mail goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Email)]
    pub email: Option<Option<EmailAddress>>,
    /// Where SMS go: in E.164, or as it is dialled in the region of the locale, or of the attribute `region`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "+8613800138000")]
    pub phone: Option<Option<PhoneNumber>>,
    /// What was given as addresses and is none.
    #[serde(skip)]
    #[schema(ignore)]
    odd: Odd,
    /// The language to write in (BCP 47).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "zh-CN")]
    pub locale: Option<Option<Locale>>,
    /// The time zone to write times in (IANA name).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "Asia/Shanghai")]
    pub timezone: Option<Option<String>>,
    /// Free fields for templates; replaces all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Option<Map<String, Value>>>,
}

/// Tells a field that is `null` from one that is absent.
#[expect(clippy::option_option, reason = "absent, null and a value are three cases, and this is how serde tells them")]
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// What was given as addresses and is none. It sets nothing, and nothing is sent there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Odd {
    email: Option<AddressError>,
    phone: Option<OddPhone>,
}

#[derive(Clone, PartialEq, Eq)]
struct OddPhone {
    error: AddressError,
    /// As it is dialled at home, until [`ProfilePatch::settle_phone`] knows where that is.
    national: Option<String>,
}

// Numbers must not reach a log.
impl fmt::Debug for OddPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OddPhone({:?})", self.error)
    }
}

/// The fields of a [`ProfilePatch`], for errors.
pub(crate) const PATCH_FIELDS: [&str; 5] = ["email", "phone", "locale", "timezone", "attributes"];

impl ProfilePatch {
    /// Reads the field `name`; false if there is none of that name.
    pub(crate) fn read_field<'de, A: de::MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "email" => self.set_email(map.next_value::<Option<String>>()?),
            "phone" => self.set_phone(map.next_value::<Option<String>>()?),
            "locale" => self.locale = Some(map.next_value()?),
            "timezone" => self.timezone = Some(map.next_value()?),
            "attributes" => self.attributes = Some(map.next_value()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_email(&mut self, given: Option<String>) {
        (self.email, self.odd.email) = match given.map(|text| text.parse()).transpose() {
            Ok(email) => (Some(email), None),
            Err(error) => (None, Some(error)),
        };
    }

    fn set_phone(&mut self, given: Option<String>) {
        (self.phone, self.odd.phone) = match given.as_deref().map(|text| in_international_form(text, None)).transpose() {
            Ok(number) => (Some(number), None),
            Err(error) => {
                let national = given.filter(|_| error == AddressError::NoRegion);
                (None, Some(OddPhone { error, national }))
            }
        };
    }
}

impl<'de> Deserialize<'de> for ProfilePatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ProfilePatch;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with the fields of a recipient")
            }

            // By hand: one field is read into two.
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<ProfilePatch, A::Error> {
                let mut patch = ProfilePatch::default();
                while let Some(name) = map.next_key::<String>()? {
                    if !patch.read_field(&name, &mut map)? {
                        return Err(de::Error::unknown_field(&name, &PATCH_FIELDS));
                    }
                }
                Ok(patch)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl ProfilePatch {
    /// True if it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True if there is a number whose country is not known yet.
    pub fn lacks_region(&self) -> bool {
        self.odd.phone.as_ref().is_some_and(|phone| phone.national.is_some())
    }

    /// Completes a number that came without its country: by the attribute or the locale that came with it, by those of the
    /// `stored` profile, or else by `default`. What cannot be completed is an [invalid address](Self::invalid_addresses).
    pub fn settle_phone(&mut self, stored: Option<&Profile>, default: Option<Region>) {
        let Some(OddPhone { national: Some(text), .. }) = &self.odd.phone else { return };
        let mut profile = stored.cloned().unwrap_or_default();
        self.apply(&mut profile);
        let Some(region) = region_of(&profile.attributes, profile.locale.as_ref()).or(default) else { return };
        if let Ok(number) = in_international_form(text, Some(region)) {
            (self.phone, self.odd.phone) = (Some(Some(number)), None);
        } else {
            let national = Some(text.clone());
            self.odd.phone = Some(OddPhone { error: AddressError::NotIn(region), national });
        }
    }

    /// What is wrong with each of its addresses that is none.
    pub fn invalid_addresses(&self) -> impl Iterator<Item = AddressError> + use<> {
        let phone = self.odd.phone.as_ref().map(|phone| phone.error);
        self.odd.email.into_iter().chain(phone)
    }

    /// Drops what was given as addresses and is none.
    pub(crate) fn drop_invalid_addresses(&mut self) {
        self.odd = Odd::default();
    }

    /// Sets the given fields on `profile`.
    pub fn apply(&self, profile: &mut Profile) {
        fn set<T: Clone>(field: &mut Option<T>, given: Option<&Option<T>>) {
            if let Some(value) = given {
                field.clone_from(value);
            }
        }
        set(&mut profile.email, self.email.as_ref());
        set(&mut profile.phone, self.phone.as_ref());
        set(&mut profile.locale, self.locale.as_ref());
        set(&mut profile.timezone, self.timezone.as_ref());
        if let Some(attributes) = &self.attributes {
            profile.attributes = attributes.clone().unwrap_or_default();
        }
    }

    /// Adds to `found` what is wrong beyond the types; `at` is the JSON pointer at which the patch stands.
    pub fn check(&self, at: impl fmt::Display, found: &mut Vec<Violation>) {
        found.extend(self.invalid_addresses().map(|error| error.at(&at)));
        self.check_fields(at, found);
    }

    /// The same of all but the addresses.
    pub(crate) fn check_fields(&self, at: impl fmt::Display, found: &mut Vec<Violation>) {
        if let Some(Some(zone)) = &self.timezone
            && (check_line(zone, 64).is_err() || jiff::tz::TimeZone::get(zone).is_err())
        {
            let message = "not a time zone of the IANA database, such as Europe/Berlin";
            found.push(Violation::new(format!("{at}/timezone"), "bad_timezone", message));
        }
        if let Some(Some(attributes)) = &self.attributes
            && serde_json::to_string(attributes).map_or(0, |s| s.len()) > 8_192
        {
            found.push(Violation::new(format!("{at}/attributes"), "too_long", "must be at most 8192 bytes of JSON"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_fields_are_set_null_clears_and_the_rest_stays() {
        let mut profile = Profile::default();
        let set: ProfilePatch = serde_json::from_str(r#"{"email":"a@example.com","locale":"de"}"#).unwrap();
        set.apply(&mut profile);
        let clear: ProfilePatch = serde_json::from_str(r#"{"email":null}"#).unwrap();
        clear.apply(&mut profile);
        assert_eq!(profile.email, None);
        assert_eq!(profile.locale.unwrap().as_str(), "de");
    }

    #[test]
    fn a_category_outweighs_the_general_choice() {
        let wishes: Preferences =
            serde_json::from_str(r#"{"channels":{"sms":false},"categories":{"security":{"sms":true}}}"#).unwrap();
        assert!(wishes.allows(Some("security"), Channel::Sms));
        assert!(!wishes.allows(Some("billing"), Channel::Sms));
        assert!(!wishes.allows(None, Channel::Sms));
        assert!(wishes.allows(None, Channel::Email));
    }

    #[test]
    fn a_number_without_its_country_is_completed_or_named() {
        let settled = |json: &str, stored: &str, default: &str| {
            let mut patch: ProfilePatch = serde_json::from_str(json).unwrap();
            let mut profile = Profile::default();
            serde_json::from_str::<ProfilePatch>(stored).unwrap().apply(&mut profile);
            patch.settle_phone(Some(&profile), default.parse().ok());
            let mut found = Vec::new();
            patch.check("/r", &mut found);
            found
                .pop()
                .map_or_else(|| patch.phone.unwrap().unwrap().as_str().to_owned(), |v| format!("{} {}", v.pointer, v.message))
        };
        let number = r#""phone":"0170 1234567""#;
        assert_eq!(settled(&format!(r#"{{{number},"locale":"de-DE"}}"#), "{}", ""), "+491701234567");
        assert_eq!(settled(&format!("{{{number}}}"), r#"{"locale":"de-DE"}"#, ""), "+491701234567");
        assert_eq!(settled(&format!("{{{number}}}"), r#"{"attributes":{"region":"DE"},"locale":"en-US"}"#, ""), "+491701234567");
        assert_eq!(settled(&format!("{{{number}}}"), "{}", "DE"), "+491701234567");
        assert!(settled(&format!("{{{number}}}"), "{}", "").starts_with("/r/phone a phone number without its country"));
        assert!(settled(&format!("{{{number}}}"), "{}", "CN").starts_with("/r/phone not a phone number of CN"));
        assert_eq!(settled(r#"{"phone":"+49 170 1234567"}"#, "{}", ""), "+491701234567");
        assert!(settled(r#"{"phone":"call me","locale":"de-DE"}"#, "{}", "").starts_with("/r/phone not a phone number in E.164"));
    }

    #[test]
    fn a_time_zone_must_exist() {
        let patch: ProfilePatch = serde_json::from_str(r#"{"timezone":"Mars/Olympus"}"#).unwrap();
        let mut found = Vec::new();
        patch.check("", &mut found);
        assert_eq!(found[0].pointer, "/timezone");
    }
}
