//! When the counters are read.

use std::time::{Duration, Instant};

/// Readings at whole multiples of an interval since the start: neither a slow reading nor the wait for a name moves the next one.
pub(super) struct Schedule {
    start: Instant,
    interval: Option<Duration>,
    end: Option<Instant>,
}

/// The next reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// When it is due; `None` for at a signal.
    pub(super) at: Option<Instant>,
    /// No other one follows.
    pub(super) is_last: bool,
}

impl Schedule {
    /// Readings every `interval` until `duration` is over, both counted from `start`.
    pub(super) fn new(
        start: Instant,
        interval: Option<Duration>,
        duration: Option<Duration>,
    ) -> Self {
        Self {
            start,
            interval,
            // What cannot be added to a point in time is never over.
            end: duration.and_then(|duration| start.checked_add(duration)),
        }
    }

    /// The first reading that is due after `now`.
    pub(super) fn after(&self, now: Instant) -> Next {
        let next = self.interval.and_then(|interval| {
            let interval = interval.as_nanos().max(1);
            let elapsed = now.saturating_duration_since(self.start).as_nanos();
            let offset = (elapsed / interval + 1).checked_mul(interval)?;
            let seconds = u64::try_from(offset / 1_000_000_000).ok()?;
            let nanos = u32::try_from(offset % 1_000_000_000).ok()?;
            self.start.checked_add(Duration::new(seconds, nanos))
        });
        match (next, self.end) {
            (Some(next), Some(end)) if next < end => Next {
                at: Some(next),
                is_last: false,
            },
            (Some(next), None) => Next {
                at: Some(next),
                is_last: false,
            },
            (_, end) => Next {
                at: end,
                is_last: true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Offsets of the readings in milliseconds, where each happens this much later than it is due.
    fn readings(interval: Option<u64>, duration: Option<u64>, late: u64) -> Vec<u64> {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let schedule = Schedule::new(start, interval.map(ms), duration.map(ms));
        let mut now = start;
        let mut offsets = Vec::new();
        for _ in 0..10 {
            let next = schedule.after(now);
            let Some(at) = next.at else { break };
            offsets.push(at.duration_since(start).as_millis().try_into().unwrap());
            if next.is_last {
                break;
            }
            now = at + ms(late);
        }
        offsets
    }

    #[test]
    fn three_intervals_in_three_seconds_are_three_readings() {
        assert_eq!(readings(Some(1000), Some(3000), 0), [1000, 2000, 3000]);
        assert_eq!(readings(Some(1000), Some(2500), 0), [1000, 2000, 2500]);
        assert_eq!(readings(Some(5000), Some(3000), 0), [3000]);
        assert_eq!(readings(None, Some(3000), 0), [3000]);
    }

    #[test]
    fn late_readings_do_not_move_those_that_follow() {
        assert_eq!(readings(Some(1000), Some(3000), 400), [1000, 2000, 3000]);
        assert_eq!(readings(Some(1000), Some(5000), 1200), [1000, 3000, 5000]);
    }

    #[test]
    fn without_an_end_a_signal_ends_the_measurement() {
        let start = Instant::now();
        let next = Schedule::new(start, None, None).after(start);
        assert_eq!(
            next,
            Next {
                at: None,
                is_last: true
            }
        );
        assert_eq!(readings(Some(1000), None, 0).len(), 10);
    }

    #[test]
    fn times_beyond_the_clock_are_never_over() {
        let start = Instant::now();
        for (interval, duration) in [
            (None, Some(Duration::MAX)),
            (Some(Duration::MAX), None),
            (Some(Duration::MAX), Some(Duration::MAX)),
            (Some(Duration::from_nanos(1)), None),
        ] {
            let schedule = Schedule::new(start, interval, duration);
            schedule.after(start);
            schedule.after(start + 5 * SECOND);
        }
    }
}
