//! How an SMS is cut into segments (3GPP TS 23.038 and 23.040): each one is sent and paid for.

/// The default alphabet of GSM-7; the escape to the extension table is left out.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Its extension table: two septets each, which no segment boundary may part.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The number of segments of `text`.
pub(crate) fn segments(text: &str) -> u32 {
    let septets = |c: char| if GSM.contains(c) { Some(1) } else { EXTENSION.contains(c).then_some(2) };
    let gsm: Option<Vec<usize>> = text.chars().map(septets).collect();
    match gsm {
        Some(units) => count(&units, 160, 153),
        None => count(&text.chars().map(char::len_utf16).collect::<Vec<_>>(), 70, 67),
    }
}

/// Characters of the given sizes, packed into one message of `single` units or else into parts of `part`.
fn count(units: &[usize], single: usize, part: usize) -> u32 {
    if units.iter().sum::<usize>() <= single {
        return 1;
    }
    let (mut segments, mut used) = (1, 0);
    for unit in units {
        if used + unit > part {
            segments += 1;
            used = 0;
        }
        used += unit;
    }
    segments
}

/// `text` with spaces that GSM-7 does not have (formatted numbers are full of them) as plain ones.
///
/// One no-break space would turn the whole message into UCS-2 and more than double its price.
pub(crate) fn with_plain_spaces(text: &str) -> String {
    text.replace(['\u{a0}', '\u{202f}', '\u{2009}', '\u{2007}'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn spaces_in_numbers_do_not_force_ucs_2() {
        assert_eq!(segments(&with_plain_spaces(&"1\u{202f}234,50\u{a0}€ ".repeat(12))), 1);
    }
}
