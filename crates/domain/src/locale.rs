//! Languages of people and templates.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::from_text;

/// A language tag (BCP 47): a language and, if need be, script and region: `en`, `zh-CN`, `zh-Hant-TW`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locale(String);

/// The text is not a language tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a language tag, such as en, zh-CN or de-AT (BCP 47)")]
pub struct NotALocale;

impl Locale {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its region (ISO 3166-1), if it has one: `CN` of `zh-CN`, `TW` of `zh-Hant-TW`.
    pub fn region(&self) -> Option<&str> {
        self.0.split('-').skip(1).find(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_uppercase()))
    }

    /// This locale and then each more general one: `de-AT`, `de`.
    pub fn with_fallbacks(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.0.as_str()), |tag| tag.rfind('-').map(|cut| &tag[..cut]))
    }
}

impl FromStr for Locale {
    type Err = NotALocale;

    /// Brings the tag into its usual letters: `ZH_cn` becomes `zh-CN`.
    fn from_str(text: &str) -> Result<Self, NotALocale> {
        if text.len() > 35 {
            return Err(NotALocale); // RFC 5646 section 4.4.1
        }
        let mut tag = String::with_capacity(text.len());
        for (i, part) in text.split(['-', '_']).enumerate() {
            let alphabetic = part.bytes().all(|b| b.is_ascii_alphabetic());
            let alphanumeric = part.bytes().all(|b| b.is_ascii_alphanumeric());
            let part = match (i, part.len()) {
                (0, 2 | 3) if alphabetic => part.to_ascii_lowercase(),
                (0, _) => return Err(NotALocale),
                (_, 2) if alphabetic => part.to_ascii_uppercase(),
                (_, 4) if alphabetic => part[..1].to_ascii_uppercase() + &part[1..].to_ascii_lowercase(),
                (1.., 3..=8) if alphanumeric => part.to_ascii_lowercase(),
                _ => return Err(NotALocale),
            };
            if i > 0 {
                tag.push('-');
            }
            tag.push_str(&part);
        }
        Ok(Self(tag))
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Locale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Locale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text::read(deserializer, str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_brought_into_their_usual_letters() {
        for (given, tag) in [("zh_cn", "zh-CN"), ("EN", "en"), ("zh-hant-tw", "zh-Hant-TW"), ("es-419", "es-419")] {
            assert_eq!(given.parse::<Locale>().unwrap().as_str(), tag);
        }
        for bad in ["", "e", "english-language", "en-", "de/../at", "en-\r\n"] {
            assert_eq!(bad.parse::<Locale>(), Err(NotALocale), "{bad:?}");
        }
    }

    #[test]
    fn falls_back_to_the_more_general() {
        let locale: Locale = "zh-Hant-TW".parse().unwrap();
        assert_eq!(locale.with_fallbacks().collect::<Vec<_>>(), ["zh-Hant-TW", "zh-Hant", "zh"]);
    }
}
