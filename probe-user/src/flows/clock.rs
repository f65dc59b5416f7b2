//! From the kernel's monotonic time to the time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far both clocks may drift apart before the mapping follows. The time of a flow's start stays the same in its
/// records while the clock is only slewed.
const DRIFT: Duration = Duration::from_millis(5);

/// A moment of both clocks, read one right after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    monotonic: Duration,
    wall: SystemTime,
}

impl WallClock {
    /// Both clocks at the same moment.
    pub fn new(monotonic: Duration, wall: SystemTime) -> Self {
        Self { monotonic, wall }
    }

    /// Follows a clock that was set, or a host that was suspended.
    pub fn follow(&mut self, monotonic: Duration, wall: SystemTime) {
        let expected = self.at(monotonic);
        let drift = expected
            .duration_since(wall)
            .unwrap_or_else(|earlier| earlier.duration());
        if drift > DRIFT {
            *self = Self::new(monotonic, wall);
        }
    }

    /// The time of day at a monotonic time; the beginning of 1970 for what cannot be told.
    pub fn at(&self, monotonic: Duration) -> SystemTime {
        let time = if monotonic >= self.monotonic {
            self.wall.checked_add(monotonic - self.monotonic)
        } else {
            self.wall.checked_sub(self.monotonic - monotonic)
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_follows_a_clock_that_was_set_and_not_one_that_is_slewed() {
        let second = Duration::from_secs(1);
        let day = UNIX_EPOCH + 1000 * second;
        let mut clock = WallClock::new(10 * second, day);
        assert_eq!(clock.at(12 * second), day + 2 * second);
        assert_eq!(clock.at(9 * second), day - second);
        clock.follow(20 * second, day + 10 * second + Duration::from_millis(4));
        assert_eq!(clock.at(20 * second), day + 10 * second);
        clock.follow(20 * second, day - 90 * second);
        assert_eq!(clock.at(20 * second), day - 90 * second);
        assert_eq!(
            WallClock::new(20 * second, UNIX_EPOCH).at(Duration::MAX),
            UNIX_EPOCH
        );
    }
}
