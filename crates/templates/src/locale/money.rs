//! Amounts of money: symbol, place and marks of the language, and every digit that was given.
//!
//! icu 2 has its currency formatter in `icu_experimental`. It rounds to the currency's usual digits (CLDR),
//! which for some currencies is fewer than people are billed: 1234.50 RSD would become 1,235. A repayment must
//! show the amount that is due, so digits that were given are never rounded away.

use std::sync::LazyLock;

use fixed_decimal::{Decimal, Sign};
use icu::decimal::DecimalFormatter;
use icu_experimental::dimension::currency::{CurrencyType, formatter::CurrencyFormatter, options::CurrencyFormatterOptions};
use stentor_domain::Locale;

use super::{icu_locale, kept::Kept, plain};

type Formatter = CurrencyFormatter<DecimalFormatter>;
type OfCurrency<V> = LazyLock<Kept<(Locale, String), V>>;

/// `value` in `currency` (three capital letters, ISO 4217) as `locale` writes it; `None` if the code is not one.
pub(crate) fn format_money(value: &Decimal, currency: &str, locale: &Locale) -> Option<String> {
    static WITH_SYMBOL: OfCurrency<Formatter> = LazyLock::new(Kept::none);
    static BARE: OfCurrency<Formatter> = LazyLock::new(Kept::none);
    if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let code = CurrencyType::try_from_str(currency).ok()?;
    let key = || (locale.clone(), currency.to_owned());
    let options = CurrencyFormatterOptions::default;
    let make = || Formatter::try_new_symbol((&icu_locale(locale)).into(), code, options()).ok();
    let written = WITH_SYMBOL.get(key(), make)?.format_fixed_decimal(value).to_string();
    if fraction_digits(value) <= usual_digits(code, currency)? {
        return Some(written);
    }
    let mut unsigned = value.clone();
    unsigned.sign = Sign::None;
    let make = || Formatter::try_new_no_currency((&icu_locale(locale)).into(), code, options()).ok();
    let rounded = BARE.get(key(), make)?.format_fixed_decimal(&unsigned).to_string();
    Some(written.replacen(&rounded, &plain(&unsigned, locale)?, 1))
}

/// Digits after the point, zeros at the end not counted.
fn fraction_digits(value: &Decimal) -> usize {
    let mut trimmed = value.absolute.clone();
    trimmed.trim_end();
    usize::from(trimmed.magnitude_range().start().min(&0).unsigned_abs())
}

/// The digits after the point that the formatter shows for a currency, in every language.
fn usual_digits(code: CurrencyType, currency: &str) -> Option<usize> {
    static KEPT: LazyLock<Kept<String, usize>> = LazyLock::new(Kept::none);
    let count = || {
        let english = icu::locale::locale!("en");
        let bare = Formatter::try_new_no_currency((&english).into(), code, CurrencyFormatterOptions::default()).ok()?;
        let written = bare.format_fixed_decimal(&Decimal::from(0)).to_string();
        Some(written.split_once('.').map_or(0, |(_, fraction)| fraction.len()))
    };
    KEPT.get(currency.to_owned(), count).map(|digits| *digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str, currency: &str, locale: &str) -> Option<String> {
        format_money(&value.parse().unwrap(), currency, &locale.parse().unwrap())
    }

    #[test]
    fn symbol_place_and_marks_are_those_of_the_language() {
        for (locale, currency, amount) in [
            ("zh-CN", "CNY", "¥1,234.50"),
            ("en", "CNY", "CN¥1,234.50"),
            ("de", "CNY", "1.234,50\u{a0}CN¥"),
            ("zh-CN", "USD", "US$1,234.50"),
            ("en", "USD", "$1,234.50"),
            ("de", "EUR", "1.234,50\u{a0}€"),
            ("fr", "EUR", "1\u{202f}234,50\u{a0}€"),
            ("pl", "PLN", "1234,50\u{a0}zł"),
            ("ja", "CNY", "元\u{a0}1,234.50"),
            ("ar", "SAR", "\u{200f}1,234.50\u{a0}ر.س.\u{200f}"),
            ("ar-EG", "EGP", "\u{200f}١٬٢٣٤٫٥٠\u{a0}ج.م.\u{200f}"),
            ("ja", "JPY", "￥1,234.5"),
            ("de-CH", "CHF", "CHF\u{a0}1'234.50"),
            ("en", "KWD", "KWD\u{a0}1,234.500"),
            ("en", "XYZ", "XYZ\u{a0}1,234.50"),
        ] {
            assert_eq!(written("1234.5", currency, locale).as_deref(), Some(amount), "{locale} {currency}");
        }
        assert_eq!(written("-1234.50", "EUR", "de").as_deref(), Some("-1.234,50\u{a0}€"));
        assert_eq!(written("1000", "JPY", "ja").as_deref(), Some("￥1,000"));
        assert_eq!(written("1000000", "CNY", "zh-CN").as_deref(), Some("¥1,000,000.00"));
    }

    #[test]
    fn no_digit_that_was_given_is_rounded_away() {
        for (value, currency, locale, amount) in [
            ("1234.50", "RSD", "en", "RSD\u{a0}1,234.50"),
            ("0.005", "USD", "en", "$0.005"),
            ("1000.00", "JPY", "en", "¥1,000"),
            ("9.999", "EUR", "de", "9,999\u{a0}€"),
            ("-0.125", "CNY", "zh-CN", "-¥0.125"),
            ("99.999", "USD", "en", "$99.999"),
            ("12345.67", "JPY", "en", "¥12,345.67"),
        ] {
            assert_eq!(written(value, currency, locale).as_deref(), Some(amount), "{value} {currency} {locale}");
        }
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        for bad in ["", "cny", "CN", "CNYX", "¥"] {
            assert_eq!(written("1", bad, "en"), None, "{bad}");
        }
    }
}
