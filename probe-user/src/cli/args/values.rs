//! Values that several commands take in one form.

use std::time::Duration;

/// The shortest interval between two reports.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// A time above zero: `10s`, `1m30s`, `250ms`, or a number of seconds.
///
/// # Errors
///
/// If it is none, or zero.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let duration = time_or_zero(text)?;
    if duration.is_zero() {
        Err("must be greater than zero".into())
    } else {
        Ok(duration)
    }
}

/// As [`time`], and zero.
///
/// # Errors
///
/// If it is no time.
pub(super) fn time_or_zero(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a time such as 10s, 1m30s, 250ms, or a number of seconds".to_owned();
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_number {
        let seconds = text.parse::<f64>().map_err(|_| wrong())?;
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    humantime::parse_duration(text).map_err(|_| wrong())
}

/// A time between two reports.
///
/// # Errors
///
/// If it is no time, or too short.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let duration = time(text)?;
    if duration < SHORTEST_INTERVAL {
        Err("must be at least 10ms".into())
    } else {
        Ok(duration)
    }
}

/// A name that is not empty.
///
/// # Errors
///
/// If it is empty.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("must not be empty".into())
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_seconds() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("5", ms(5000)),
            ("0.25", ms(250)),
            ("5s", ms(5000)),
            ("1m30s", ms(90_000)),
            ("250ms", ms(250)),
        ] {
            assert_eq!(time(text), Ok(expected), "{text}");
        }
        assert_eq!(time_or_zero("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for text in [
            "",
            ".",
            "1.2.3",
            "-5",
            "5 parsecs",
            "soon",
            "NaN",
            "inf",
            "1e3",
        ] {
            assert!(time(text).unwrap_err().contains("such as 10s"), "{text}");
        }
        for text in ["0", "0s", "0.0"] {
            assert_eq!(
                time(text),
                Err("must be greater than zero".into()),
                "{text}"
            );
        }
        let endless = "9".repeat(400);
        assert!(time(&endless).is_err());
        assert!(interval("9ms").is_err());
        assert_eq!(interval("10ms"), Ok(SHORTEST_INTERVAL));
    }
}
