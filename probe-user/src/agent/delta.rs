//! What was added to counters since they were last passed on.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::model::IdleCapacity as _;

/// The last reading of each counter that was passed on.
///
/// A counter whose owner has no name yet is not passed on: its reading stays behind, and the next one carries what has
/// come together. Nothing is lost, because the kernel's counters only ever grow.
#[derive(Debug)]
pub(super) struct Previous<K, V> {
    readings: FxHashMap<K, V>,
}

impl<K, V> Default for Previous<K, V> {
    fn default() -> Self {
        Self {
            readings: FxHashMap::default(),
        }
    }
}

impl<K: Eq + Hash, V: Copy + Default> Previous<K, V> {
    /// Replaces the reading and answers the one before.
    pub(super) fn replace(&mut self, key: K, reading: V) -> V {
        self.readings.insert(key, reading).unwrap_or_default()
    }

    /// Forgets counters whose owner is gone.
    pub(super) fn forget(&mut self, gone: impl Fn(&K) -> bool) {
        self.readings.retain(|key, _| !gone(key));
        self.readings.give_back();
    }
}

impl<K: Eq + Hash> Previous<K, u64> {
    /// What was added since the last call. A reading below the last one adds nothing and replaces nothing: it happens
    /// where a part of the reading is estimated.
    pub(super) fn added(&mut self, key: K, reading: u64) -> u64 {
        let last = self.readings.entry(key).or_default();
        let added = reading.saturating_sub(*last);
        *last += added;
        added
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_added_is_passed_on() {
        let mut previous = Previous::default();
        assert_eq!(previous.added('a', 5), 5);
        assert_eq!(previous.added('a', 7), 2);
        assert_eq!(previous.added('b', 1), 1);
    }

    #[test]
    fn a_lower_reading_never_counts_twice() {
        let mut previous = Previous::default();
        assert_eq!(previous.added('a', 10), 10);
        assert_eq!(previous.added('a', 8), 0);
        assert_eq!(previous.added('a', 11), 1);
    }

    #[test]
    fn a_forgotten_counter_starts_anew() {
        let mut previous = Previous::default();
        previous.added('a', 10);
        previous.forget(|key| *key == 'a');
        assert_eq!(previous.added('a', 3), 3);
    }
}
