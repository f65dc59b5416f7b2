//! Numbers as people read them.

mod time;

pub use time::{age, at_most, bound, clock, duration, estimate, rfc3339};

use super::Charset;

/// A count with thousands separators: `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate with an SI prefix: `0`, `0.3`, `42.0`, `999`, `1.23k`, `45.6M`.
pub fn rate(per_second: f64) -> String {
    const PREFIXES: [(f64, &str); 4] = [(1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];
    if !per_second.is_finite() {
        return "?".into();
    }
    if per_second <= 0.0 {
        return "0".into();
    }
    if per_second < 0.05 {
        return "<0.1".into();
    }
    if per_second < 99.95 {
        return format!("{per_second:.1}");
    }
    if per_second < 999.5 {
        return format!("{per_second:.0}");
    }
    let (unit, prefix) = PREFIXES
        .into_iter()
        .find(|(unit, _)| per_second / unit < 999.5)
        .unwrap_or(PREFIXES[3]);
    format!("{}{prefix}", three_digits(per_second / unit))
}

/// A share as a percentage: `0%`, `<0.1%`, `1.2%`, `98%`, `1,250%`.
pub fn percent(fraction: f64) -> String {
    let percent = fraction * 100.0;
    if !percent.is_finite() {
        return "?".into();
    }
    if percent <= 0.0 {
        return "0%".into();
    }
    if percent < 0.05 {
        return "<0.1%".into();
    }
    if percent < 9.95 {
        return format!("{percent:.1}%");
    }
    format!("{}%", count(percent.round() as u64))
}

/// The share of a part in a whole, rounded down to `>99.9%` or `99%` where it is not all of it.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0%".into();
    }
    let fraction = part as f64 / whole as f64;
    // 100% must mean all of it: one failure in a million is what people look for.
    if part < whole && fraction >= 0.995 {
        ">99%".into()
    } else {
        percent(fraction)
    }
}

/// Memory in binary units with three digits: `42.0 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), UNITS[unit])
}

/// A dash where there is no value.
pub(crate) fn or_dash(value: Option<String>, charset: Charset) -> String {
    value.unwrap_or_else(|| charset.dash().into())
}

/// A positive number with three significant digits, all of them before the point from 100 on.
fn three_digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        count(value.round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let texts = [0, 12, 999, 1000, 1_234_567].map(count);
        assert_eq!(texts, ["0", "12", "999", "1,000", "1,234,567"]);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn rates_have_at_most_three_digits() {
        let texts = [
            0.0, 0.01, 0.3, 42.0, 99.96, 999.4, 999.6, 12_345.0, 999_600.0,
        ]
        .map(rate);
        assert_eq!(
            texts,
            [
                "0", "<0.1", "0.3", "42.0", "100", "999", "1.00k", "12.3k", "1.00M"
            ]
        );
        assert_eq!(rate(f64::NAN), "?");
    }

    #[test]
    fn one_success_in_a_million_is_not_a_hundred_percent() {
        assert_eq!(share(999_999, 1_000_000), ">99%");
        assert_eq!(share(5, 5), "100%");
        assert_eq!(share(1, 1_000_000), "<0.1%");
        assert_eq!(share(0, 0), "0%");
        assert_eq!(percent(12.5), "1,250%");
    }

    #[test]
    fn memory_is_in_binary_units() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(42 << 20), "42.0 MiB");
        assert_eq!(bytes(u64::MAX), "16,384 PiB");
    }

    proptest! {
        #[test]
        fn no_number_is_too_strange(value: f64, a: u64, b: u64) {
            prop_assert!(!rate(value).is_empty() && !percent(value).is_empty());
            prop_assert!(!share(a, b).is_empty() && !bytes(a).is_empty());
        }
    }
}
