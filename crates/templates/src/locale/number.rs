//! Numbers: exact decimals from JSON, never through floating point if they came as text.

use fixed_decimal::Decimal;
use serde_json::Value;
use stentor_domain::Locale;

use super::{DIGITS, plain};

/// The decimal that `value` stands for: a JSON number, or a text such as `-1234.50`. `None` if it is neither.
///
/// A text keeps its trailing zeros. Exponents are not read: `1e9999` is short to write and long to print.
pub(crate) fn parse_decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(), // Display never writes an exponent
            _ => number.to_string(),
        },
        _ => return None,
    };
    let unsigned = text.strip_prefix('-').unwrap_or(&text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.len() > DIGITS || !digits(whole) || !digits(fraction) {
        return None;
    }
    text.parse().ok()
}

/// `value` with the grouping and decimal marks of `locale`. `None` if it is not a number.
pub(crate) fn format_number(value: &Value, locale: &Locale) -> Option<String> {
    plain(&parse_decimal(value)?, locale)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_language_groups_its_own_way() {
        for (locale, written) in [
            ("en", "1,234,567.89"),
            ("de", "1.234.567,89"),
            ("fr", "1\u{202f}234\u{202f}567,89"),
            ("zh-CN", "1,234,567.89"),
            ("pl", "1\u{a0}234\u{a0}567,89"),
            ("hi", "12,34,567.89"),
        ] {
            let locale = locale.parse().unwrap();
            assert_eq!(format_number(&json!(1_234_567.89), &locale).as_deref(), Some(written), "{locale}");
            assert_eq!(format_number(&json!("1234567.89"), &locale).as_deref(), Some(written), "{locale}");
        }
        assert_eq!(format_number(&json!(-3), &"en".parse().unwrap()).as_deref(), Some("-3"));
    }

    #[test]
    fn what_is_no_number_or_absurdly_long_is_refused() {
        for bad in [
            json!("1e99"),
            json!(1e300),
            json!(""),
            json!("."),
            json!("1."),
            json!("+1"),
            json!("1,5"),
            json!(null),
            json!([1]),
            json!("9".repeat(41)),
            json!("\u{661}"),
        ] {
            assert_eq!(parse_decimal(&bad), None, "{bad}");
        }
    }
}
