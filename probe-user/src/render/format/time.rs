//! Durations and times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{count, three_digits};
use crate::render::Charset;

const UNITS: [(f64, &str, &str); 4] = [
    (1e-9, "ns", "ns"),
    (1e-6, "µs", "us"),
    (1e-3, "ms", "ms"),
    (1.0, "s", "s"),
];

/// A duration with three significant digits: `12.3 µs`, `1.00 ms`, `1,234 s`.
pub fn duration(seconds: f64, charset: Charset) -> String {
    with_unit(seconds, charset, three_digits)
}

/// The bound of a bucket with about two digits: `1.9 µs`, `15 ms`.
pub fn bound(seconds: f64, charset: Charset) -> String {
    with_unit(seconds, charset, |value| {
        if value < 9.95 {
            format!("{value:.1}")
        } else {
            count(value.round() as u64)
        }
    })
}

/// What no duration of a histogram exceeds: `<= 977 µs`. `None` stands for durations above the highest bound, `lowest`.
pub fn at_most(seconds: Option<f64>, lowest: f64, charset: Charset) -> String {
    match seconds {
        Some(seconds) => format!("<= {}", bound(seconds, charset)),
        None => format!("> {}", bound(lowest, charset)),
    }
}

/// An estimate from buckets of powers of two, with the digits that it has: `1.2 ms`, `15 µs`, `400 µs`.
///
/// A quantile lies somewhere in a bucket whose upper bound is twice its lower one. One digit, two after a leading 1, stay
/// within that and do not suggest more.
pub fn estimate(seconds: f64, charset: Charset) -> String {
    with_unit(rounded(seconds), charset, |value| {
        if value < 10.0 && (value - value.round()).abs() > 0.05 {
            format!("{value:.1}")
        } else {
            count(value.round() as u64)
        }
    })
}

/// One significant digit, two if the first is 1. What is not positive and finite stays as it is.
fn rounded(value: f64) -> f64 {
    if !value.is_normal() || value < 0.0 {
        return value;
    }
    let unit = 10f64.powf(value.log10().floor());
    let step = if value / unit < 1.95 {
        unit / 10.0
    } else {
        unit
    };
    (value / step).round() * step
}

fn with_unit(seconds: f64, charset: Charset, number: impl Fn(f64) -> String) -> String {
    if !seconds.is_finite() {
        return "?".into();
    }
    if seconds <= 0.0 {
        return "0 s".into();
    }
    // 999.7 µs is 1.00 ms and not 1,000 µs.
    let (unit, unicode, ascii) = UNITS
        .into_iter()
        .find(|(unit, ..)| seconds / unit < 999.5)
        .unwrap_or(UNITS[3]);
    let name = if charset == Charset::Unicode {
        unicode
    } else {
        ascii
    };
    format!("{} {name}", number(seconds / unit))
}

/// A long time in its two largest units: `12s`, `5m 12s`, `3d 4h`.
pub fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    if days > 0 {
        format!("{days}d {}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h {}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m {}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

/// RFC 3339 in UTC with milliseconds; times before 1970 are shown as its beginning.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86400, since.as_secs() % 86400);
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let (second, milli) = (second % 60, since.subsec_millis());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The time of day in UTC with milliseconds.
pub fn clock(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = since.as_secs() % 86400;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{hour:02}:{minute:02}:{second:02}.{:03}",
        since.subsec_millis()
    )
}

/// Year, month and day of a day since 1970, by Howard Hinnant's `civil_from_days`: years that begin
/// in March put the leap day last, and 400 of them are always 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let texts = [0.0, 1.2e-7, 1.234e-5, 9.997e-4, 0.0123, 5.0, 61.2, 1234.5]
            .map(|s| duration(s, Charset::Unicode));
        let expected = [
            "0 s", "120 ns", "12.3 µs", "1.00 ms", "12.3 ms", "5.00 s", "61.2 s", "1,235 s",
        ];
        assert_eq!(texts, expected);
        assert_eq!(duration(1e-6, Charset::Ascii), "1.00 us");
        assert_eq!(duration(f64::INFINITY, Charset::Ascii), "?");
    }

    #[test]
    fn bounds_are_short() {
        let texts = [-23, -19, -16, -10, 0, 4].map(|e| bound(2f64.powi(e), Charset::Unicode));
        assert_eq!(
            texts,
            ["119 ns", "1.9 µs", "15 µs", "977 µs", "1.0 s", "16 s"]
        );
    }

    #[test]
    fn estimates_have_the_digits_of_their_buckets() {
        let texts = [
            0.0, 3e-7, 1.24e-5, 9.7e-4, 4.2e-6, 1.49e-3, 1.0, 0.0199, 12.6, 34.0,
        ]
        .map(|s| estimate(s, Charset::Unicode));
        let expected = [
            "0 s", "300 ns", "12 µs", "1 ms", "4 µs", "1.5 ms", "1 s", "20 ms", "13 s", "30 s",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_maximum_is_a_bound() {
        assert_eq!(
            at_most(Some(2f64.powi(-10)), 16.0, Charset::Unicode),
            "<= 977 µs"
        );
        assert_eq!(at_most(None, 16.0, Charset::Unicode), "> 16 s");
    }

    #[test]
    fn ages_show_two_units() {
        let texts = [5, 312, 8040, 273_600].map(|s| age(Duration::from_secs(s)));
        assert_eq!(texts, ["5s", "5m 12s", "2h 14m", "3d 4h"]);
    }

    #[test]
    fn times_are_rfc_3339() {
        let at = |ms| rfc3339(UNIX_EPOCH + Duration::from_millis(ms));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
        assert_eq!(
            clock(UNIX_EPOCH + Duration::from_millis(1_767_323_045_678)),
            "03:04:05.678"
        );
    }

    proptest! {
        #[test]
        fn an_estimate_stays_near_its_value(seconds in 1e-9f64..1e6) {
            let ratio = rounded(seconds) / seconds;
            prop_assert!((0.8..1.25).contains(&ratio), "{} {}", seconds, ratio);
        }

        #[test]
        fn no_duration_is_too_strange(seconds: f64, whole: u64) {
            prop_assert!(!estimate(seconds, Charset::Ascii).is_empty());
            prop_assert!(!duration(seconds, Charset::Ascii).is_empty());
            prop_assert!(bound(seconds, Charset::Ascii).is_ascii());
            prop_assert!(!age(Duration::from_secs(whole)).is_empty());
        }
    }
}
