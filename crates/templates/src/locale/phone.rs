//! Telephone numbers as people write them.

use std::sync::OnceLock;

use phonenumber::Mode;
use stentor_domain::Locale;

use super::direction;

static LOADED: OnceLock<()> = OnceLock::new();

/// Whether what is known of the world's numbers is at hand.
pub(crate) fn are_phones_loaded() -> bool {
    LOADED.get().is_some()
}

/// Loads what is known of the world's numbers, once. That takes many times what writing a message does, and memory: hence not before a
/// number is written.
pub(crate) fn load_phones() {
    LOADED.get_or_init(|| drop(phonenumber::parse(None, "+493012345678")));
}

/// `text`, a number in E.164 (`+493012345678`), grouped as its country does. `None` if it is not one.
///
/// It is written with its country's code, whoever reads it: such a number can be dialled from everywhere. Between
/// words written from right to left it is set apart, or its groups would be shown in the wrong order.
pub(crate) fn format_phone(text: &str, locale: &Locale) -> Option<String> {
    let digits = text.strip_prefix('+')?;
    if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = phonenumber::parse(None, text).ok()?;
    let written = number.format().mode(Mode::International).to_string();
    Some(if direction(locale) == "rtl" { format!("\u{2066}{written}\u{2069}") } else { written })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_grouped_as_its_country_does() {
        for (text, locale, written) in [
            ("+493012345678", "de", "+49 30 12345678"),
            ("+14155552671", "en", "+1 415-555-2671"),
            ("+8613800138000", "zh-CN", "+86 138 0013 8000"),
            ("+33142685300", "fr", "+33 1 42 68 53 00"),
            ("+966501234567", "ar", "\u{2066}+966 50 123 4567\u{2069}"),
        ] {
            assert_eq!(format_phone(text, &locale.parse().unwrap()).as_deref(), Some(written), "{text}");
        }
        for bad in ["", "+", "030 1234", "+49 30 1", "+1", "tel:+14155552671", "+0000000000"] {
            assert_eq!(format_phone(bad, &"en".parse().unwrap()), None, "{bad}");
        }
    }
}
