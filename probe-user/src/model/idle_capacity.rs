//! Gives back the memory of tables that were full once.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, Hash},
};

/// Room that is always kept, in elements.
const SMALL: usize = 1024;

/// A table keeps up to so many times the room that its elements need. Large enough that a table whose length goes up and
/// down is not moved each time.
const SLACK: usize = 4;

/// A container that keeps its room when elements are removed.
///
/// Collections of the standard library never shrink by themselves: after a burst they would keep the memory of their
/// largest size for ever.
pub trait IdleCapacity {
    /// Shrinks where most of the room is idle. Cheap where there is nothing to do, so it may be called after each removal.
    fn give_back(&mut self);
}

/// The capacity to shrink to, if that is worth while.
fn target(length: usize, capacity: usize) -> Option<usize> {
    (capacity > 2 * SMALL && length < capacity / SLACK).then(|| (2 * length).max(SMALL))
}

impl<K: Eq + Hash, V, S: BuildHasher> IdleCapacity for HashMap<K, V, S> {
    fn give_back(&mut self) {
        if let Some(target) = target(self.len(), self.capacity()) {
            self.shrink_to(target);
        }
    }
}

impl<T: Eq + Hash, S: BuildHasher> IdleCapacity for HashSet<T, S> {
    fn give_back(&mut self) {
        if let Some(target) = target(self.len(), self.capacity()) {
            self.shrink_to(target);
        }
    }
}

impl<T> IdleCapacity for VecDeque<T> {
    fn give_back(&mut self) {
        if let Some(target) = target(self.len(), self.capacity()) {
            self.shrink_to(target);
        }
    }
}

impl<T> IdleCapacity for Vec<T> {
    fn give_back(&mut self) {
        if let Some(target) = target(self.len(), self.capacity()) {
            self.shrink_to(target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 100_000;

    #[test]
    fn a_table_that_was_full_once_shrinks_as_it_empties() {
        let mut table: HashMap<usize, [u64; 8]> = (0..MANY).map(|key| (key, [0; 8])).collect();
        let full = table.capacity();
        for key in 0..MANY {
            table.remove(&key);
            table.give_back();
            assert!(
                table.capacity() <= (SLACK * table.len() + 4).max(4 * SMALL).max(1)
                    || table.capacity() == full
            );
        }
        assert!(table.capacity() <= 4 * SMALL, "{}", table.capacity());
        let mut queue: VecDeque<usize> = (0..MANY).collect();
        while queue.pop_front().is_some() {
            queue.give_back();
        }
        assert!(queue.capacity() <= 2 * SMALL, "{}", queue.capacity());
    }

    #[test]
    fn elements_survive_and_a_table_in_use_is_not_moved() {
        let mut set: HashSet<usize> = (0..MANY).collect();
        let full = set.capacity();
        set.retain(|value| *value < MANY / 2);
        set.give_back();
        // What is left of removed elements counts as used until the table is moved.
        assert!(set.capacity() > full / 2, "half of it is in use");
        set.retain(|value| *value < 10);
        set.give_back();
        assert!(set.capacity() < full && (0..10).all(|value| set.contains(&value)));
        let mut list: Vec<usize> = Vec::with_capacity(SMALL);
        list.give_back();
        assert_eq!(list.capacity(), SMALL, "small ones are left alone");
    }
}
