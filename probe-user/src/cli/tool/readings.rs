//! Readings of the counters, each with the moment at which it was made.

use std::{
    mem,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    model::{Departed, Measurements, OwnerId},
    session::Session,
};

/// Counters since the probes were attached, and when they were read.
pub(super) struct Reading {
    pub(super) measurements: Measurements,
    pub(super) at: Instant,
    pub(super) time: SystemTime,
}

impl Reading {
    /// Reads the counters of a session now.
    pub(super) fn take(session: &Session) -> Self {
        let (at, time) = (Instant::now(), SystemTime::now());
        Self {
            measurements: session.measure(),
            at,
            time,
        }
    }
}

/// What was counted between two readings.
pub(super) struct Added {
    pub(super) measurements: Measurements,
    /// From one reading to the other.
    pub(super) duration: Duration,
    /// When the first of them was made.
    pub(super) started: SystemTime,
}

/// The last reading, and the counters that were freed since.
pub(super) struct Readings {
    earlier: Reading,
    departed: Departed,
}

impl Readings {
    /// Begins with a first reading. What it has was counted while the probes were being attached, and is in no period; what it lost is
    /// in the first one.
    pub(super) fn begin(mut first: Reading) -> Self {
        first.measurements.lost.clear();
        Self {
            earlier: first,
            departed: Departed::default(),
        }
    }

    /// When the last reading was made.
    pub(super) fn last(&self) -> Instant {
        self.earlier.at
    }

    /// Keeps the counters of owners that have been freed since `measurements` were read.
    pub(super) fn keep(&mut self, measurements: &Measurements, freed: &[OwnerId]) {
        self.departed.keep(measurements, freed);
    }

    /// Takes the next reading, and which owners' counters were freed right after it.
    pub(super) fn next(&mut self, mut reading: Reading, freed: &[OwnerId]) -> Added {
        let total = mem::take(&mut self.departed).with(&reading.measurements);
        reading.measurements.forget(freed);
        let added = Added {
            measurements: total.since(&self.earlier.measurements),
            duration: reading.at.duration_since(self.earlier.at),
            started: self.earlier.time,
        };
        self.earlier = reading;
        added
    }
}

#[cfg(test)]
mod tests {
    use probe_common::hist::Histogram;

    use super::*;
    use crate::model::{LostCount, Syscall, SyscallRow};

    fn reading(calls: u64, lost: u64, at: Instant) -> Reading {
        Reading {
            measurements: Measurements {
                syscalls: vec![SyscallRow {
                    owner: OwnerId(7),
                    syscall: Syscall { nr: 0, abi: 0 },
                    calls,
                    errors: 0,
                    latency: Histogram::EMPTY,
                }],
                lost: vec![LostCount {
                    stream: "syscalls",
                    stage: "kernel",
                    reason: "errno_full",
                    count: lost,
                }],
                ..Measurements::default()
            },
            at,
            time: SystemTime::now(),
        }
    }

    #[test]
    fn counts_and_their_time_are_those_between_two_readings() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut readings = Readings::begin(reading(1000, 0, start));
        for (calls, at) in [(1500, start + second), (2500, start + 3 * second)] {
            let before = readings.last();
            let added = readings.next(reading(calls, 0, at), &[]);
            assert_eq!(added.duration, at - before);
            let rate = added.measurements.syscalls[0].calls as f64 / added.duration.as_secs_f64();
            assert!((rate - 500.0).abs() < 1e-9, "{rate}");
        }
    }

    #[test]
    fn losses_before_the_first_reading_are_told_in_the_first_period() {
        let start = Instant::now();
        let mut readings = Readings::begin(reading(0, 3, start));
        let lost = |readings: &mut Readings, count| {
            let added = readings.next(reading(1, count, Instant::now()), &[]);
            added.measurements.lost[0].count
        };
        assert_eq!(lost(&mut readings, 5), 5);
        assert_eq!(lost(&mut readings, 5), 0);
    }

    #[test]
    fn counters_that_were_freed_in_a_period_are_in_it() {
        let start = Instant::now();
        let mut readings = Readings::begin(reading(10, 0, start));
        readings.keep(&reading(25, 0, start).measurements, &[OwnerId(7)]);
        let mut rest = reading(0, 0, start);
        rest.measurements.syscalls.clear();
        let added = readings.next(rest, &[]);
        assert_eq!(added.measurements.syscalls[0].calls, 15);
    }
}
