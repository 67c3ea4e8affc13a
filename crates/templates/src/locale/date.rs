//! Dates and times, in the calendar, order and words of the language.

use std::sync::LazyLock;

use icu::{
    calendar::{Date, Iso},
    datetime::{
        DateTimeFormatter,
        fieldsets::{YMD, YMDT},
    },
    time::{DateTime, Time},
};
use jiff::{civil, tz::TimeZone};
use stentor_domain::Locale;

use super::{icu_locale, kept::Kept};

/// How much of a date is spelled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DateStyle {
    /// `12/24/26`
    Short,
    /// `Dec 24, 2026`
    Medium,
    /// `December 24, 2026`
    Long,
}

/// Writes `text`, a date (`2026-12-24`, which no time zone moves) or an RFC 3339 time, for `locale`.
///
/// A time is shown on the clocks of `zone` (IANA name), or in UTC and with that word if none is known.
/// `with_time` shows the time of day too, which a mere date does not have. `None` if `text` is neither.
pub(crate) fn format_date(text: &str, style: DateStyle, with_time: bool, zone: Option<&str>, locale: &Locale) -> Option<String> {
    if text.len() == 10 {
        let date = iso(text.parse().ok()?)?;
        return if with_time { None } else { write_date(date, style, locale) };
    }
    let known = zone.and_then(|name| TimeZone::get(name).ok());
    let at: jiff::Timestamp = text.parse().ok()?;
    let local = at.to_zoned_datetime(known.clone().unwrap_or(TimeZone::UTC)).datetime();
    let date = iso(local.date())?;
    if !with_time {
        return write_date(date, style, locale);
    }
    let clock = local.time();
    let time = Time::try_new(clock.hour().cast_unsigned(), clock.minute().cast_unsigned(), 0, 0).ok()?;
    let written = write_time(&DateTime { date, time }, style, locale)?;
    Some(if known.is_some() { written } else { format!("{written} UTC") })
}

fn write_date(date: Date<Iso>, style: DateStyle, locale: &Locale) -> Option<String> {
    static KEPT: LazyLock<Kept<(Locale, DateStyle), DateTimeFormatter<YMD>>> = LazyLock::new(Kept::none);
    let make = || DateTimeFormatter::try_new(icu_locale(locale).into(), fields(style)).ok();
    Some(KEPT.get((locale.clone(), style), make)?.format(&date).to_string())
}

fn write_time(at: &DateTime<Iso>, style: DateStyle, locale: &Locale) -> Option<String> {
    static KEPT: LazyLock<Kept<(Locale, DateStyle), DateTimeFormatter<YMDT>>> = LazyLock::new(Kept::none);
    let make = || DateTimeFormatter::try_new(icu_locale(locale).into(), fields(style).with_time_hm()).ok();
    Some(KEPT.get((locale.clone(), style), make)?.format(at).to_string())
}

fn fields(style: DateStyle) -> YMD {
    match style {
        DateStyle::Short => YMD::short(),
        DateStyle::Medium => YMD::medium(),
        DateStyle::Long => YMD::long(),
    }
}

fn iso(date: civil::Date) -> Option<Date<Iso>> {
    Date::try_new_iso(date.year().into(), date.month().cast_unsigned(), date.day().cast_unsigned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, style: DateStyle, with_time: bool, zone: Option<&str>, locale: &str) -> Option<String> {
        format_date(text, style, with_time, zone, &locale.parse().unwrap())
    }

    #[test]
    fn a_date_is_spelled_as_the_language_does() {
        for (locale, long, medium) in [
            ("en", "December 24, 2026", "Dec 24, 2026"),
            ("en-GB", "24 December 2026", "24 Dec 2026"),
            ("de", "24. Dezember 2026", "24.12.2026"),
            ("zh-CN", "2026年12月24日", "2026年12月24日"),
            ("ja", "2026年12月24日", "2026/12/24"),
            ("fr", "24 décembre 2026", "24 déc. 2026"),
        ] {
            assert_eq!(written("2026-12-24", DateStyle::Long, false, None, locale).as_deref(), Some(long), "{locale}");
            assert_eq!(written("2026-12-24", DateStyle::Medium, false, None, locale).as_deref(), Some(medium), "{locale}");
        }
    }

    #[test]
    fn a_time_is_shown_on_the_readers_clock_and_a_date_is_moved_by_none() {
        let at = "2026-12-31T23:30:00Z";
        assert_eq!(written(at, DateStyle::Long, false, Some("Asia/Shanghai"), "zh-CN").as_deref(), Some("2027年1月1日"));
        assert_eq!(written(at, DateStyle::Medium, true, Some("Europe/Berlin"), "de").as_deref(), Some("01.01.2027, 00:30"));
        assert_eq!(written(at, DateStyle::Long, true, None, "en").as_deref(), Some("December 31, 2026 at 11:30\u{202f}PM UTC"));
        assert_eq!(
            written("2026-12-31", DateStyle::Long, false, Some("Pacific/Kiritimati"), "en").as_deref(),
            Some("December 31, 2026")
        );
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in ["", "2026-02-30", "24.12.2026", "2026-12-24T10:00:00", "tomorrow", "0000-00-00"] {
            assert_eq!(written(bad, DateStyle::Long, false, None, "en"), None, "{bad}");
        }
        assert_eq!(written("2026-12-24", DateStyle::Long, true, None, "en"), None, "a date has no time of day");
    }
}
