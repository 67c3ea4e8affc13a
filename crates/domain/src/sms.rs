//! How an SMS is cut into segments (3GPP TS 23.038 and 23.040): each one is sent and paid for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AppId, PhoneNumber, RecipientId};

/// What a message to a phone costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SmsCost {
    /// Into how many segments it is cut; each is paid for.
    pub segments: u32,
    /// What they cost by the operator's price list: `0.15 EUR`. An estimate: the provider's bill is what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_estimate: Option<String>,
}

/// What a segment costs, by the beginning of the number: `"+49" = 0.075`, `"+" = 0.10` for all others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmsPrices {
    /// In what they are given: `EUR`.
    pub currency: String,
    /// By the beginning of the number; the longest that fits counts.
    pub per_segment: BTreeMap<String, f64>,
}

impl SmsPrices {
    /// What `text` costs to `to`.
    pub fn cost(&self, to: &PhoneNumber, text: &str) -> SmsCost {
        let segments = size(text).segments;
        let price_estimate = self.price(to).map(|price| self.written(price * f64::from(segments)));
        SmsCost { segments, price_estimate }
    }

    /// What many messages cost together, each to a number and of so many segments; `None` if the price of one is not known.
    pub fn total<'a>(&self, messages: impl Iterator<Item = (&'a PhoneNumber, u32)>) -> Option<String> {
        let prices = messages.map(|(to, segments)| Some(self.price(to)? * f64::from(segments)));
        let prices = prices.collect::<Option<Vec<f64>>>().filter(|prices| !prices.is_empty())?;
        Some(self.written(prices.iter().sum()))
    }

    fn price(&self, to: &PhoneNumber) -> Option<f64> {
        let fits = |(start, _): &(&String, &f64)| to.as_str().starts_with(start.as_str());
        self.per_segment.iter().filter(fits).max_by_key(|(start, _)| start.len()).map(|(_, price)| *price)
    }

    fn written(&self, amount: f64) -> String {
        let amount = format!("{amount:.4}");
        let cents = amount.len() - 2; // never less than two decimals
        let shown = amount[cents..].trim_end_matches('0');
        format!("{}{shown} {}", &amount[..cents], self.currency).trim_end().to_owned()
    }
}

/// How many segments are sent in a day (UTC). 0: as many as there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmsLimits {
    /// To one recipient of one app.
    pub recipient_segments_per_day: u32,
    /// By one app.
    pub app_segments_per_day: u32,
}

impl SmsLimits {
    /// What is counted for an SMS, by its name in the queue, and how much of it there is a day at most.
    pub fn budgets(self, app: &AppId, recipient: &RecipientId) -> Vec<(String, u32)> {
        let all = [
            (format!("app:{app}"), self.app_segments_per_day),
            (format!("recipient:{app}:{recipient}"), self.recipient_segments_per_day),
        ];
        all.into_iter().filter(|(_, most)| *most > 0).collect()
    }
}

/// The default alphabet of GSM-7; the escape to the extension table is left out.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Its extension table: two septets each, which no segment boundary may part.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// What a character takes in GSM-7; `None` if it cannot be written.
fn septets(c: char) -> Option<usize> {
    match c {
        // Nearly all there is; the rest is looked for.
        ' '..='?' | 'A'..='Z' | 'a'..='z' => Some(1),
        c if GSM.contains(c) => Some(1),
        c => EXTENSION.contains(c).then_some(2),
    }
}

/// Whether GSM-7 can write the text; what it cannot becomes UCS-2 as a whole.
pub fn is_gsm7(text: &str) -> bool {
    text.chars().all(|c| septets(c).is_some())
}

/// What an SMS costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmsSize {
    /// Into how many parts it is cut.
    pub segments: u32,
    /// How much of them it fills: septets of GSM-7, or 16-bit units of UCS-2.
    pub units: usize,
    /// What they hold all together.
    pub capacity: usize,
    /// The first character that GSM-7 does not have; `None` if it can be sent in GSM-7.
    pub forced_by: Option<char>,
}

/// What `text` costs as an SMS.
pub fn size(text: &str) -> SmsSize {
    let forced_by = text.chars().find(|c| septets(*c).is_none());
    let (segments, units, capacity) = match forced_by {
        None => pack(text.chars().filter_map(septets), 160, 153),
        Some(_) => pack(text.chars().map(char::len_utf16), 70, 67),
    };
    SmsSize { segments, units, capacity, forced_by }
}

/// Characters of the given sizes, packed into one message of `single` units or else into parts of `part`: how many segments they
/// make, what they fill of them, and what those hold.
fn pack(sizes: impl Iterator<Item = usize>, single: usize, part: usize) -> (u32, usize, usize) {
    let (mut segments, mut used, mut units) = (1, 0, 0);
    for size in sizes {
        if used + size > part {
            segments += 1;
            used = 0;
        }
        used += size;
        units += size;
    }
    if units <= single { (1, units, single) } else { (segments, units, part * segments as usize) }
}

/// `text` with spaces that GSM-7 does not have (formatted numbers are full of them) as plain ones.
///
/// One no-break space would turn the whole message into UCS-2 and more than double its price.
pub fn with_plain_spaces(text: String) -> String {
    if text.is_ascii() {
        return text;
    }
    text.replace(['\u{a0}', '\u{202f}', '\u{2009}', '\u{2007}'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(text: &str) -> u32 {
        size(text).segments
    }

    #[test]
    fn the_longest_beginning_of_a_number_has_its_price() {
        let per_segment = [("+", 0.1), ("+4", 0.2), ("+49", 0.075)].map(|(start, price)| (start.to_owned(), price));
        let prices = SmsPrices { currency: "EUR".into(), per_segment: per_segment.into() };
        let price = |to: &str, text: &str| prices.cost(&to.parse().unwrap(), text).price_estimate.unwrap();
        assert_eq!(price("+491701234567", "Hello"), "0.075 EUR");
        assert_eq!(price("+491701234567", &"还".repeat(71)), "0.15 EUR");
        assert_eq!(price("+447400123456", "Hello"), "0.20 EUR");
        assert_eq!(price("+8613800138000", "Hello"), "0.10 EUR");
        let free = SmsPrices::default().cost(&"+491701234567".parse().unwrap(), "Hello");
        assert_eq!(free, SmsCost { segments: 1, price_estimate: None });
    }

    #[test]
    fn gsm_7_holds_160_and_then_153_a_part() {
        for (length, expected) in [(0, 1), (160, 1), (161, 2), (306, 2), (307, 3)] {
            assert_eq!(segments(&"a".repeat(length)), expected, "{length}");
        }
        assert_eq!(segments(&"€".repeat(80)), 1, "two septets each");
        assert_eq!(segments(&"€".repeat(81)), 2);
        assert_eq!(segments(&("a".repeat(152) + "€" + &"a".repeat(151))), 2);
        assert_eq!(segments(&("a".repeat(152) + "€" + &"a".repeat(152))), 3, "the euro sign is not parted");
    }

    #[test]
    fn one_character_beyond_gsm_7_makes_it_ucs_2() {
        assert_eq!(segments(&("a".repeat(69) + "款")), 1);
        assert_eq!(segments(&("a".repeat(70) + "款")), 2);
        assert_eq!(segments(&"还".repeat(134)), 2);
        assert_eq!(segments(&"还".repeat(135)), 3);
        assert_eq!(segments(&"😀".repeat(35)), 1);
        assert_eq!(segments(&"😀".repeat(67)), 3, "a surrogate pair is not parted: 33 in each of two");
    }

    #[test]
    fn the_character_that_forces_unicode_is_named() {
        let of = |text: &str| (size(text).forced_by, size(text).units, size(text).capacity);
        assert_eq!(of("Plain [text] for 5 €"), (None, 23, 160));
        assert_eq!(of("It’s due – now"), (Some('’'), 14, 70));
        assert_eq!(of(&"ё".repeat(71)), (Some('ё'), 71, 134));
    }

    #[test]
    fn spaces_in_numbers_do_not_force_ucs_2() {
        assert_eq!(segments(&with_plain_spaces("1\u{202f}234,50\u{a0}€ ".repeat(12))), 1);
    }
}
