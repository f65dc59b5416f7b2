//! The series of one family and who is let in.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashTable;

use super::{
    Desc,
    containers::{Charge, Slot},
    labels::{self, Interner},
    series::{Retired, Series, Value},
};
use crate::model::Container;

/// Overflow series of a family: combinations of the label values that overflow keeps.
const MAX_OVERFLOW_SERIES: usize = 8;

/// A family and its series, in order of admission.
///
/// Admission is sticky: a series stays until its container is gone, and later ones go to an overflow series, because
/// a series that moved between the two would make counters fall. The overflow series of a family without containers are
/// not counted against its cap.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) desc: &'static Desc,
    /// Configured cap in time series.
    pub(super) cap: Option<usize>,
    /// Whether values are expected, so that each container has the family's part of its share reserved.
    pub(super) expected: bool,
    /// Time series of admitted series.
    pub(super) used: usize,
    /// Updates that found no series of their own.
    pub(super) overflowed: u64,
    series: Vec<Series>,
    index: HashTable<u32>,
    overflow: Vec<Series>,
}

impl Family {
    pub(super) fn new(desc: &'static Desc, cap: Option<usize>) -> Self {
        let (series, index, overflow) = (Vec::new(), HashTable::new(), Vec::new());
        Self {
            desc,
            cap,
            expected: desc.default_on,
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

    /// The series that [`Family::find`] found; if it was about to go, it stays.
    pub(super) fn revive(&mut self, at: usize) -> Option<&mut Series> {
        let series = self.series.get_mut(at)?;
        series.retired = None;
        Some(series)
    }

    /// Whether the cap has room for one more label combination. Without a configured one, families by container are
    /// bounded by the budgets of the containers.
    pub(super) fn has_room(&self) -> bool {
        let cap = match self.cap {
            None if self.desc.per_container() => return true,
            None => self.desc.budget,
            Some(cap) => cap,
        };
        self.used + self.desc.kind.cost() <= cap
    }

    /// What one container has reserved in this family.
    pub(super) fn share(&self) -> usize {
        let reserves = self.desc.per_container() && self.expected && self.cap != Some(0);
        if reserves { self.desc.budget } else { 0 }
    }

    /// Adds a series that is not there yet.
    pub(super) fn admit(
        &mut self,
        hash: u64,
        labels: &[&str],
        (slot, charge): (Slot, Charge),
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
            slot,
            charge,
        })
    }

    /// Counts an update that found no series of its own.
    pub(super) fn refuse(&mut self) {
        self.overflowed = self.overflowed.saturating_add(1);
    }

    /// The label values of the overflow series that takes these. With `keep`, labels with a handful of values keep
    /// theirs; the first `from` labels always do.
    pub(super) fn fold<'a>(
        &self,
        labels: &[&'a str],
        from: usize,
        keep: bool,
        folded: &mut [&'a str],
    ) {
        let names = self.desc.labels.iter().zip(labels);
        for (at, (out, (name, value))) in folded.iter_mut().zip(names).enumerate() {
            let stays = at < from || keep && Desc::keeps_on_overflow(name);
            *out = if stays { value } else { Container::OTHER };
        }
    }

    /// The overflow series of a family without containers.
    pub(super) fn overflow(&mut self, labels: &[&str], interner: &mut Interner) -> &mut Series {
        let mut folded = vec![""; labels.len()];
        self.fold(labels, 0, true, &mut folded);
        let mut known = self.overflow.iter().position(|s| s.has(&folded));
        if known.is_none() && self.overflow.len() >= MAX_OVERFLOW_SERIES {
            self.fold(labels, 0, false, &mut folded);
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
            slot: Slot::NONE,
            charge: Charge::Plain,
        })
    }

    /// Starts the end of all series of a container.
    pub(super) fn retire(&mut self, slot: Slot, now: Instant) {
        let own = self.series.iter_mut().filter(|series| series.slot == slot);
        for series in own {
            series.retired.get_or_insert(Retired {
                at: now,
                shown: false,
            });
        }
    }

    /// Notes that a scrape has shown every series.
    pub(super) fn mark_shown(&mut self) {
        for retired in self.series.iter_mut().filter_map(|s| s.retired.as_mut()) {
            retired.shown = true;
        }
    }

    /// Removes series that retired at least `linger` ago and were shown since, or retired `retain` ago. Answers whether
    /// any went.
    pub(super) fn sweep(
        &mut self,
        now: Instant,
        (linger, retain): (Duration, Duration),
        gone: impl FnMut(&Series),
    ) -> bool {
        let is_over = |series: &Series| {
            series.retired.is_some_and(|retired| {
                let since = now.saturating_duration_since(retired.at);
                since >= retain || retired.shown && since >= linger
            })
        };
        self.remove(is_over, gone)
    }

    /// Removes all admitted series. Answers whether any went.
    pub(super) fn clear(&mut self, gone: impl FnMut(&Series)) -> bool {
        self.remove(|_| true, gone)
    }

    fn remove(&mut self, is_over: impl Fn(&Series) -> bool, mut gone: impl FnMut(&Series)) -> bool {
        let before = self.series.len();
        self.series.retain(|series| {
            let over = is_over(series);
            if over {
                gone(series);
            }
            !over
        });
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
