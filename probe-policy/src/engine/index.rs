//! Which things a selector selects, by bitmaps of their labels.

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;

use crate::model::{Labels, Operator, Requirement, Selector};

/// Labels of many things, by key and value.
#[derive(Debug)]
pub(super) struct Index<'a> {
    count: usize,
    by_key: FxHashMap<&'a str, FixedBitSet>,
    by_label: FxHashMap<(&'a str, &'a str), FixedBitSet>,
}

impl<'a> Index<'a> {
    /// Of things with these labels.
    pub(super) fn of(things: impl ExactSizeIterator<Item = &'a Labels>) -> Self {
        let count = things.len();
        let mut index = Self {
            count,
            by_key: FxHashMap::default(),
            by_label: FxHashMap::default(),
        };
        let none = || FixedBitSet::with_capacity(count);
        for (number, labels) in things.enumerate() {
            for (key, value) in labels {
                index.by_key.entry(key).or_insert_with(none).insert(number);
                index
                    .by_label
                    .entry((key, value))
                    .or_insert_with(none)
                    .insert(number);
            }
        }
        index
    }

    /// Those that the selector selects.
    pub(super) fn select(&self, selector: &Selector) -> FixedBitSet {
        let mut selected = FixedBitSet::with_capacity(self.count);
        selected.insert_range(..);
        for requirement in &selector.requirements {
            self.narrow(requirement, &mut selected);
        }
        selected
    }

    fn narrow(&self, requirement: &Requirement, selected: &mut FixedBitSet) {
        let key = requirement.key.as_str();
        match &requirement.operator {
            Operator::In(values) => {
                let mut any = FixedBitSet::with_capacity(self.count);
                let of_values = values
                    .iter()
                    .filter_map(|value| self.by_label.get(&(key, value.as_str())));
                of_values.for_each(|bits| any.union_with(bits));
                selected.intersect_with(&any);
            }
            Operator::NotIn(values) => {
                let of_values = values
                    .iter()
                    .filter_map(|value| self.by_label.get(&(key, value.as_str())));
                of_values.for_each(|bits| selected.difference_with(bits));
            }
            Operator::Exists => match self.by_key.get(key) {
                Some(bits) => selected.intersect_with(bits),
                None => selected.clear(),
            },
            Operator::DoesNotExist => {
                if let Some(bits) = self.by_key.get(key) {
                    selected.difference_with(bits);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels() -> impl Strategy<Value = Labels> {
        prop::collection::btree_map("[abc]", "[xyz]", 0..4)
    }

    fn requirement() -> impl Strategy<Value = Requirement> {
        let values = || prop::collection::vec("[wxyz]".prop_map(String::from), 1..3);
        let operator = prop_oneof![
            values().prop_map(Operator::In),
            values().prop_map(Operator::NotIn),
            Just(Operator::Exists),
            Just(Operator::DoesNotExist),
        ];
        ("[abcd]", operator).prop_map(|(key, operator)| Requirement { key, operator })
    }

    proptest! {
        #[test]
        fn the_bitmaps_say_what_the_selector_says(
            things in prop::collection::vec(labels(), 0..70),
            requirements in prop::collection::vec(requirement(), 0..4),
        ) {
            let selector = Selector { requirements };
            let selected = Index::of(things.iter()).select(&selector);
            for (number, labels) in things.iter().enumerate() {
                prop_assert_eq!(selected.contains(number), selector.matches(labels));
            }
        }
    }
}
