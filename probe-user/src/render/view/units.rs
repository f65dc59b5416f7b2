//! Times and durations in JSON, in the units of the flow log: RFC 3339 in UTC and whole nanoseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serializer;

/// A moment: RFC 3339 in UTC with nanoseconds.
pub(super) fn time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_nanos((*time).max(UNIX_EPOCH)))
}

/// A duration in nanoseconds.
pub(super) fn duration<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// Seconds, as nanoseconds.
pub(super) fn seconds<S: Serializer>(seconds: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(whole(*seconds))
}

/// Seconds where they are known, as nanoseconds.
pub(super) fn some_seconds<S: Serializer>(
    seconds: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match seconds {
        Some(seconds) => serializer.serialize_some(&whole(*seconds)),
        None => serializer.serialize_none(),
    }
}

/// A conversion of floats saturates; what is no number is 0.
fn whole(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_whole_and_saturate() {
        let known = [0.0, 1e-9, 1.5, 0.1 + 0.2, -1.0, f64::NAN, f64::INFINITY].map(whole);
        assert_eq!(known, [0, 1, 1_500_000_000, 300_000_000, 0, 0, u64::MAX]);
    }
}
