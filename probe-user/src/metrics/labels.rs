//! Label values: shared, bounded in length, hashed without allocation.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use rustc_hash::{FxHashSet, FxHasher};

/// Longest label value in bytes; the rest is cut. Two values that only differ beyond it share a series.
pub(super) const MAX_VALUE_LEN: usize = 256;

/// Cuts a value at [`MAX_VALUE_LEN`], between characters.
pub(super) fn clip(value: &str) -> &str {
    &value[..value.floor_char_boundary(MAX_VALUE_LEN)]
}

/// Hash of a label combination.
pub(super) fn hash<'a>(values: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hasher = FxHasher::default();
    for value in values {
        value.hash(&mut hasher);
    }
    hasher.finish()
}

/// One copy of every label value in use.
#[derive(Debug, Default)]
pub(super) struct Interner {
    values: FxHashSet<Arc<str>>,
}

impl Interner {
    /// The shared copy of a value.
    pub(super) fn intern(&mut self, value: &str) -> Arc<str> {
        if let Some(known) = self.values.get(value) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = value.into();
        self.values.insert(Arc::clone(&shared));
        shared
    }

    /// Forgets values that no series uses.
    pub(super) fn sweep(&mut self) {
        self.values.retain(|value| Arc::strong_count(value) > 1);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_between_characters() {
        let long = "ä".repeat(MAX_VALUE_LEN);
        assert_eq!(clip(&long).len(), MAX_VALUE_LEN);
        let odd = format!("x{long}");
        assert_eq!(clip(&odd).len(), MAX_VALUE_LEN - 1);
        assert_eq!(clip("short"), "short");
    }

    #[test]
    fn neighbouring_values_do_not_run_together() {
        assert_ne!(hash(["ab", "c"]), hash(["a", "bc"]));
        assert_ne!(hash(["", "a"]), hash(["a", ""]));
    }

    #[test]
    fn values_live_as_long_as_somebody_uses_them() {
        let mut interner = Interner::default();
        let kept = interner.intern("a");
        assert!(Arc::ptr_eq(&kept, &interner.intern("a")));
        interner.intern("b");
        interner.sweep();
        assert!(interner.values.contains("a"));
        assert!(!interner.values.contains("b"));
    }
}
