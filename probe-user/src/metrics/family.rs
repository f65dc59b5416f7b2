//! The series of one family and who is let in.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashTable;

use super::{
    Desc,
    labels::{self, Interner},
    series::{Retired, Series, Value},
};
use crate::model::Container;

/// Overflow series of a family: combinations of the label values that overflow keeps.
const MAX_OVERFLOW_SERIES: usize = 8;

/// A family and its series, in order of admission.
///
/// Admission is sticky: a series stays until its container is gone, and later ones go to the overflow series, because
/// a series that moved between the two would make counters fall. Overflow series are not counted against the cap.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) desc: &'static Desc,
    /// Cap in time series.
    pub(super) limit: usize,
    /// Time series of admitted series.
    pub(super) used: usize,
    /// Updates that found no series of their own.
    pub(super) overflowed: u64,
    series: Vec<Series>,
    index: HashTable<u32>,
    overflow: Vec<Series>,
}

impl Family {
    pub(super) fn new(desc: &'static Desc, limit: usize) -> Self {
        let (series, index, overflow) = (Vec::new(), HashTable::new(), Vec::new());
        Self {
            desc,
            limit,
            used: 0,
            overflowed: 0,
            series,
            index,
            overflow,
        }
    }

    /// Every series, the overflow at the end.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().chain(&self.overflow)
    }

    /// Time series of the text form, overflow included.
    pub(super) fn time_series(&self) -> usize {
        self.used + self.overflow.len() * self.desc.kind.cost()
    }

    /// Where the series with these label values is, if it was admitted.
    pub(super) fn find(&self, hash: u64, labels: &[&str]) -> Option<usize> {
        self.index
            .find(hash, |&i| self.series[i as usize].has(labels))
            .map(|&i| i as usize)
    }

    /// The series that [`Family::find`] found.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Series> {
        self.series.get_mut(at)
    }

    /// Whether the cap has room for one more label combination.
    pub(super) fn has_room(&self) -> bool {
        self.used + self.desc.kind.cost() <= self.limit
    }

    /// Adds a series that is not there yet.
    pub(super) fn admit(
        &mut self,
        hash: u64,
        labels: &[&str],
        interner: &mut Interner,
    ) -> &mut Series {
        let labels = labels.iter().map(|value| interner.intern(value)).collect();
        self.used += self.desc.kind.cost();
        let Self { index, series, .. } = self;
        index.insert_unique(hash, series.len() as u32, |&i| series[i as usize].hash);
        series.push_mut(Series {
            hash,
            labels,
            value: Value::zero(self.desc.kind),
            retired: None,
        })
    }

    /// Counts an update that found no series of its own.
    pub(super) fn refuse(&mut self) {
        self.overflowed = self.overflowed.saturating_add(1);
    }

    /// The overflow series for these label values.
    pub(super) fn overflow(&mut self, labels: &[&str], interner: &mut Interner) -> &mut Series {
        let fold = |keep: bool| -> Vec<&str> {
            let names = self.desc.labels.iter();
            let folded = names.zip(labels).map(|(name, value)| {
                if keep && Desc::keeps_on_overflow(name) {
                    *value
                } else {
                    Container::OTHER
                }
            });
            folded.collect()
        };
        let mut folded = fold(true);
        let mut known = self.overflow.iter().position(|s| s.has(&folded));
        if known.is_none() && self.overflow.len() >= MAX_OVERFLOW_SERIES {
            folded = fold(false);
            known = self.overflow.iter().position(|s| s.has(&folded));
        }
        if let Some(at) = known {
            return &mut self.overflow[at];
        }
        let labels: Box<[Arc<str>]> = folded.iter().map(|value| interner.intern(value)).collect();
        let hash = labels::hash(folded);
        let value = Value::zero(self.desc.kind);
        self.overflow.push_mut(Series {
            hash,
            labels,
            value,
            retired: None,
        })
    }

    /// Marks the series whose first labels are these very values (the interned copies).
    pub(super) fn retire(&mut self, prefix: &[Arc<str>], now: Instant) {
        for series in &mut self.series {
            // From the end: containers differ more often than namespaces.
            let mut pairs = prefix.iter().zip(&series.labels).rev();
            let same = pairs.all(|(wanted, label)| Arc::ptr_eq(wanted, label));
            if same && series.retired.is_none() {
                series.retired = Some(Retired {
                    at: now,
                    shown: false,
                });
            }
        }
    }

    /// Notes that a scrape has shown every series.
    pub(super) fn mark_shown(&mut self) {
        for retired in self.series.iter_mut().filter_map(|s| s.retired.as_mut()) {
            retired.shown = true;
        }
    }

    /// Removes retired series whose last value was shown, or has waited long enough. Answers whether any went.
    pub(super) fn sweep(&mut self, now: Instant, retain: Duration) -> bool {
        self.remove(|series| {
            let retired = series.retired;
            retired.is_some_and(|r| r.shown || now.saturating_duration_since(r.at) >= retain)
        })
    }

    /// Removes all admitted series. Answers whether any went.
    pub(super) fn clear(&mut self) -> bool {
        self.remove(|_| true)
    }

    fn remove(&mut self, gone: impl Fn(&Series) -> bool) -> bool {
        let before = self.series.len();
        self.series.retain(|series| !gone(series));
        if self.series.len() == before {
            return false;
        }
        self.used = self.series.len() * self.desc.kind.cost();
        self.index.clear();
        let Self { index, series, .. } = self;
        for (i, one) in series.iter().enumerate() {
            index.insert_unique(one.hash, i as u32, |&i| series[i as usize].hash);
        }
        true
    }
}
