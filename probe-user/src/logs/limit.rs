//! Holds back an event that repeats too often, and says how often it was held back.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use crate::limits::{LOG_EVENTS, LOG_REPEATS};

const WINDOW: Duration = Duration::from_secs(1);

/// Counts the repeats of each event within a second.
pub(super) struct Limiter {
    clock: fn() -> Instant,
    events: Mutex<FxHashMap<u64, Window>>,
    suppressed: AtomicU64,
}

struct Window {
    start: Instant,
    lines: u32,
    suppressed: u32,
}

impl Limiter {
    pub(super) fn new(clock: fn() -> Instant) -> Self {
        let (events, suppressed) = Default::default();
        Self {
            clock,
            events,
            suppressed,
        }
    }

    /// Whether an event may be written, and then how many were held back since its last line.
    pub(super) fn admit(&self, event: u64) -> Option<u32> {
        self.admit_at(event, (self.clock)())
    }

    fn admit_at(&self, event: u64, at: Instant) -> Option<u32> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= LOG_EVENTS && !events.contains_key(&event) {
            events.retain(|_, window| at.saturating_duration_since(window.start) < WINDOW);
            if events.len() >= LOG_EVENTS {
                self.suppressed.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        }
        let window = events.entry(event).or_insert(Window {
            start: at,
            lines: 0,
            suppressed: 0,
        });
        let mut held_back = 0;
        if at.saturating_duration_since(window.start) >= WINDOW {
            held_back = window.suppressed;
            *window = Window {
                start: at,
                lines: 0,
                suppressed: 0,
            };
        }
        if window.lines >= LOG_REPEATS {
            window.suppressed = window.suppressed.saturating_add(1);
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        window.lines += 1;
        Some(held_back)
    }

    pub(super) fn suppressed(&self) -> u64 {
        self.suppressed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_held_back_for_a_second_and_then_counted_in_the_next_line() {
        let start = Instant::now();
        let limiter = Limiter::new(Instant::now);
        for _ in 0..LOG_REPEATS {
            assert_eq!(limiter.admit_at(1, start), Some(0));
        }
        assert_eq!(limiter.admit_at(1, start), None);
        assert_eq!(limiter.admit_at(1, start), None);
        assert_eq!(limiter.admit_at(2, start), Some(0));
        assert_eq!(limiter.admit_at(1, start + WINDOW), Some(2));
        assert_eq!(limiter.admit_at(1, start + WINDOW), Some(0));
        assert_eq!(limiter.suppressed(), 2);
    }

    #[test]
    fn more_events_than_are_tracked_are_refused_until_a_second_has_passed() {
        let start = Instant::now();
        let limiter = Limiter::new(Instant::now);
        for event in 0..LOG_EVENTS as u64 {
            assert_eq!(limiter.admit_at(event, start), Some(0));
        }
        assert_eq!(limiter.admit_at(u64::MAX, start), None);
        assert_eq!(limiter.admit_at(u64::MAX, start + WINDOW), Some(0));
        assert_eq!(limiter.suppressed(), 1);
    }
}
