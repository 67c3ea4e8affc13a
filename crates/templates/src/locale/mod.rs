//! Numbers, money, dates and telephone numbers as each language writes them, by ICU (CLDR).

mod date;
mod kept;
mod money;
mod number;
mod phone;
mod relative;

use std::sync::LazyLock;

use fixed_decimal::Decimal;
use icu::{
    decimal::{DecimalFormatter, options::DecimalFormatterOptions},
    locale::{LanguageIdentifier, Locale as IcuLocale, LocaleDirectionality},
};
use stentor_domain::Locale;

use kept::Kept;

pub(crate) use date::{DateStyle, format_date};
pub(crate) use money::format_money;
pub(crate) use number::{format_number, parse_decimal};
pub(crate) use phone::{are_phones_loaded, format_phone, load_phones};
pub(crate) use relative::format_relative;

/// Digits of a number, before and after the point together.
const DIGITS: usize = 40;

/// The locale as ICU knows it; one that ICU cannot read is written as English.
fn icu_locale(locale: &Locale) -> IcuLocale {
    IcuLocale::try_from_str(locale.as_str()).unwrap_or(IcuLocale::UNKNOWN)
}

/// `rtl` for languages written from right to left, else `ltr`.
pub(crate) fn direction(locale: &Locale) -> &'static str {
    let id: LanguageIdentifier = icu_locale(locale).id;
    if LocaleDirectionality::new_extended().is_right_to_left(&id) { "rtl" } else { "ltr" }
}

fn plain(value: &Decimal, locale: &Locale) -> Option<String> {
    static KEPT: LazyLock<Kept<Locale, DecimalFormatter>> = LazyLock::new(Kept::none);
    let make = || DecimalFormatter::try_new((&icu_locale(locale)).into(), DecimalFormatterOptions::default()).ok();
    Some(KEPT.get(locale.clone(), make)?.format(value).to_string())
}
