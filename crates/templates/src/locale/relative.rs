//! Times as they lie from now: `in 3 days`, `vor 2 Stunden`, `明天`.

use std::sync::LazyLock;

use fixed_decimal::Decimal;
use icu_experimental::relativetime::{
    RelativeTimeFormatter,
    options::{Numeric, RelativeTimeFormatterOptions},
};
use jiff::{SignedDuration, civil, tz::TimeZone};
use stentor_domain::{Locale, Timestamp};

use super::{icu_locale, kept::Kept};

/// Writes how far `text`, a date or an RFC 3339 time, lies from `now`, on the clocks of `zone`. `None` if it is neither.
///
/// From a day on calendar days count: what happens tomorrow at noon is `tomorrow`, not `in 20 hours`, unless it is
/// less than 12 hours away.
pub(crate) fn format_relative(text: &str, now: Timestamp, zone: Option<&str>, locale: &Locale) -> Option<String> {
    let zone = zone.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
    let now = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?;
    let today = now.to_zoned_datetime(zone.clone()).date();
    if text.len() == 10 {
        return days(text.parse().ok()?, today, locale);
    }
    let at: jiff::Timestamp = text.parse().ok()?;
    let away = at.duration_since(now);
    let seconds = away.as_secs();
    if away.abs() < SignedDuration::from_mins(1) {
        write(Unit::Second, seconds, locale)
    } else if away.abs() < SignedDuration::from_hours(1) {
        write(Unit::Minute, seconds / 60, locale)
    } else if away.abs() < SignedDuration::from_hours(12) {
        write(Unit::Hour, seconds / 3_600, locale)
    } else {
        days(at.to_zoned_datetime(zone).date(), today, locale)
    }
}

fn days(date: civil::Date, today: civil::Date, locale: &Locale) -> Option<String> {
    let days = i64::from(date.since((jiff::Unit::Day, today)).ok()?.get_days());
    match days.abs() {
        0..=13 => write(Unit::Day, days, locale),
        14..=59 => write(Unit::Week, days / 7, locale),
        60..=729 => write(Unit::Month, days / 30, locale),
        _ => write(Unit::Year, days / 365, locale),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

fn write(unit: Unit, n: i64, locale: &Locale) -> Option<String> {
    static KEPT: LazyLock<Kept<(Locale, Unit), RelativeTimeFormatter>> = LazyLock::new(Kept::none);
    let make = || {
        let prefs = (&icu_locale(locale)).into();
        let mut options = RelativeTimeFormatterOptions::default();
        options.numeric = Some(Numeric::Auto);
        let formatter = match unit {
            Unit::Second => RelativeTimeFormatter::try_new_long_second(prefs, options),
            Unit::Minute => RelativeTimeFormatter::try_new_long_minute(prefs, options),
            Unit::Hour => RelativeTimeFormatter::try_new_long_hour(prefs, options),
            Unit::Day => RelativeTimeFormatter::try_new_long_day(prefs, options),
            Unit::Week => RelativeTimeFormatter::try_new_long_week(prefs, options),
            Unit::Month => RelativeTimeFormatter::try_new_long_month(prefs, options),
            Unit::Year => RelativeTimeFormatter::try_new_long_year(prefs, options),
        };
        formatter.ok()
    };
    Some(KEPT.get((locale.clone(), unit), make)?.format(Decimal::from(n)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_said_the_way_people_do() {
        let now = Timestamp::from_millis(1_795_694_400_000); // 2026-11-26T12:00:00Z
        for (text, locale, written) in [
            ("2026-11-26T12:30:00Z", "en", "in 30 minutes"),
            ("2026-11-26T09:59:00Z", "de", "vor 2 Stunden"),
            ("2026-11-27T12:00:00Z", "en", "tomorrow"),
            ("2026-11-27", "zh-CN", "明天"),
            ("2026-11-26", "fr", "aujourd’hui"),
            ("2026-11-29", "en", "in 3 days"),
            ("2026-12-24", "de", "in 4 Wochen"),
            ("2026-08-26", "en", "3 months ago"),
            ("2030-01-01", "en", "in 3 years"),
        ] {
            assert_eq!(format_relative(text, now, None, &locale.parse().unwrap()).as_deref(), Some(written), "{text} {locale}");
        }
        let tokyo = format_relative("2026-11-27", now, Some("Pacific/Kiritimati"), &"en".parse().unwrap());
        assert_eq!(tokyo.as_deref(), Some("today"), "where it is tomorrow already");
        for bad in ["", "soon", "2026-02-30", "2026-11-26T12:30"] {
            assert_eq!(format_relative(bad, now, None, &"en".parse().unwrap()), None, "{bad}");
        }
    }
}
