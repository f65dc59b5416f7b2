//! Holds every series within its budgets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use probe_common::hist::Histogram;
use rustc_hash::FxHashMap;

use super::{
    Budgets, Desc, Kind, families,
    family::Family,
    labels::{self, Interner},
    series::{Retired, Series, Value},
};

/// Most labels that a family has.
const MAX_LABELS: usize = 8;

/// How long a retired series waits for a scrape, unless something else is set.
const RETAIN: Duration = Duration::from_secs(600);

/// What becomes of an update that is over a budget.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OverBudget {
    /// It is added to the overflow series.
    Fold,
    /// It is only counted: the sum of gauges that were set by different owners means nothing.
    Refuse,
}

/// All series of a target.
///
/// Values come in as deltas, so counters never fall. A delta of zero creates no series and keeps none alive. What is
/// over a budget goes to an overflow series with `~other` for its labels, so sums stay exact; the labels `kind`,
/// `state` and `node` keep their values there. A call with the wrong number of labels or for the wrong kind of family
/// is a bug: it stops a debug build, and a release build counts it as overflow.
#[derive(Debug)]
pub struct Registry {
    node: Arc<str>,
    budgets: Budgets,
    /// How long a retired series waits for a scrape.
    retain: Duration,
    families: Vec<Family>,
    by_name: FxHashMap<&'static str, usize>,
    /// Time series of the families by container.
    container_series: usize,
    interner: Interner,
}

impl Registry {
    /// A registry without series. `node` becomes the `node` label of everything that belongs to a container.
    pub fn new(node: &str, budgets: Budgets) -> Self {
        let mut registry = Self {
            node: labels::clip(node).into(),
            budgets,
            retain: RETAIN,
            families: Vec::new(),
            by_name: FxHashMap::default(),
            container_series: 0,
            interner: Interner::default(),
        };
        for desc in families::ALL {
            registry.family(desc);
        }
        registry
    }

    /// Sets how long a retired series waits for a scrape.
    pub fn set_retention(&mut self, retain: Duration) {
        self.retain = retain;
    }

    /// Replaces the budgets. Series that were admitted stay.
    pub fn set_budgets(&mut self, budgets: Budgets) {
        self.budgets = budgets;
        for family in &mut self.families {
            family.limit = self.budgets.of(family.desc);
        }
    }

    /// Adds to a counter.
    pub fn add(&mut self, desc: &'static Desc, labels: &[&str], delta: u64) {
        debug_assert_eq!(desc.kind, Kind::Counter, "{}", desc.name);
        self.count_up(desc, labels, delta);
    }

    /// Adds nanoseconds to a counter of seconds.
    pub fn add_ns(&mut self, desc: &'static Desc, labels: &[&str], delta_ns: u64) {
        debug_assert_eq!(desc.kind, Kind::SecondsCounter, "{}", desc.name);
        self.count_up(desc, labels, delta_ns);
    }

    /// Raises a counter to a total that is counted elsewhere (nanoseconds for a counter of seconds). A lower total
    /// is ignored. Over the budget it is refused, because totals cannot be folded together.
    pub fn raise(&mut self, desc: &'static Desc, labels: &[&str], total: u64) {
        debug_assert!(
            matches!(desc.kind, Kind::Counter | Kind::SecondsCounter),
            "{}",
            desc.name
        );
        if let Some(Series {
            value: Value::Counter(count),
            ..
        }) = self.series(desc, labels, OverBudget::Refuse)
        {
            *count = total.max(*count);
        }
    }

    /// Makes a counter or histogram exist at zero, so that its first increase is seen as one.
    pub fn touch(&mut self, desc: &'static Desc, labels: &[&str]) {
        debug_assert!(
            !matches!(desc.kind, Kind::Gauge | Kind::Info),
            "{}",
            desc.name
        );
        self.series(desc, labels, OverBudget::Fold);
    }

    /// Sets a gauge, or an info family to 1. A value that is not finite is unknown, and left out.
    pub fn set(&mut self, desc: &'static Desc, labels: &[&str], value: f64) {
        debug_assert!(
            matches!(desc.kind, Kind::Gauge | Kind::Info),
            "{}",
            desc.name
        );
        if !value.is_finite() {
            return;
        }
        if let Some(Series {
            value: Value::Gauge(gauge),
            ..
        }) = self.series(desc, labels, OverBudget::Refuse)
        {
            *gauge = value;
        }
    }

    /// Adds what was observed since the last call to a histogram.
    pub fn observe(&mut self, desc: &'static Desc, labels: &[&str], delta: &Histogram) {
        debug_assert!(matches!(desc.kind, Kind::Histogram(_)), "{}", desc.name);
        if *delta == Histogram::EMPTY {
            return;
        }
        if let Some(Series {
            value: Value::Histogram(sum),
            ..
        }) = self.series(desc, labels, OverBudget::Fold)
        {
            sum.merge(delta);
        }
    }

    /// Removes all series of a gauge family before it is set anew, so that none is left of what is gone.
    pub fn clear(&mut self, desc: &'static Desc) {
        debug_assert_eq!(desc.kind, Kind::Gauge, "{}", desc.name);
        let at = self.family(desc);
        if desc.kind == Kind::Gauge && self.families[at].clear() {
            self.series_went();
        }
    }

    /// Starts the end of a container's series: they go once a scrape has shown their last values, or after
    /// the retention. A series that is updated before that lives on.
    ///
    /// Call it after the last delta of the container, and not while another container has the same three names.
    pub fn retire(&mut self, namespace: &str, pod: &str, container: &str, now: Instant) {
        let prefix = [namespace, pod, container].map(|v| self.interner.get(labels::clip(v)));
        // A value that nobody shares belongs to no series.
        let [Some(namespace), Some(pod), Some(container)] = prefix else {
            return;
        };
        let prefix = [namespace, pod, container];
        for family in self.families.iter_mut().filter(|f| f.desc.per_container()) {
            family.retire(&prefix, now);
        }
    }

    /// Starts the end of a single series, as [`Registry::retire`] does for those of a container.
    pub fn retire_one(&mut self, desc: &'static Desc, labels: &[&str], now: Instant) {
        let labels: Vec<&str> = labels.iter().map(|value| labels::clip(value)).collect();
        let at = self.family(desc);
        let family = &mut self.families[at];
        let own = family.find(labels::hash(labels.iter().copied()), &labels);
        if let Some(series) = own.and_then(|own| family.get_mut(own)) {
            series.retired.get_or_insert(Retired {
                at: now,
                shown: false,
            });
        }
    }

    /// Removes what has retired for long enough and brings the series counts up to date; rendering does it.
    pub fn sweep(&mut self, now: Instant) {
        let mut gone = false;
        for family in &mut self.families {
            gone |= family.sweep(now, self.retain);
        }
        if gone {
            self.series_went();
        }
        self.count_series();
    }

    /// Time series of the text form, in all families together.
    pub fn time_series(&self) -> usize {
        self.families.iter().map(Family::time_series).sum()
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    pub(super) fn families(&self) -> &[Family] {
        &self.families
    }

    pub(super) fn mark_shown(&mut self) {
        self.families.iter_mut().for_each(Family::mark_shown);
    }

    fn count_up(&mut self, desc: &'static Desc, labels: &[&str], delta: u64) {
        if delta == 0 {
            return;
        }
        if let Some(Series {
            value: Value::Counter(count),
            ..
        }) = self.series(desc, labels, OverBudget::Fold)
        {
            *count = count.saturating_add(delta);
        }
    }

    fn series_went(&mut self) {
        self.interner.sweep();
        let of_containers = self.families.iter().filter(|f| f.desc.per_container());
        self.container_series = of_containers.map(|f| f.used).sum();
    }

    /// Shows use, cap and overflow of every family. All label values exist before the first is counted, because
    /// these are series as well.
    fn count_series(&mut self) {
        for desc in [&families::SERIES, &families::SERIES_LIMIT] {
            for at in 0..self.families.len() {
                self.set(desc, &[self.families[at].desc.name], 0.0);
            }
        }
        for at in 0..self.families.len() {
            let Family {
                desc,
                limit,
                overflowed,
                ..
            } = self.families[at];
            self.raise(&families::SERIES_OVERFLOW, &[desc.name], overflowed);
            self.set(&families::SERIES_LIMIT, &[desc.name], limit as f64);
        }
        for at in 0..self.families.len() {
            let shown = self.families[at].time_series();
            self.set(
                &families::SERIES,
                &[self.families[at].desc.name],
                shown as f64,
            );
        }
    }

    /// Index of the family.
    fn family(&mut self, desc: &'static Desc) -> usize {
        *self.by_name.entry(desc.name).or_insert_with(|| {
            self.families.push(Family::new(desc, self.budgets.of(desc)));
            self.families.len() - 1
        })
    }

    /// The series that takes an update for these labels: its own, or the overflow.
    fn series(
        &mut self,
        desc: &'static Desc,
        labels: &[&str],
        over: OverBudget,
    ) -> Option<&mut Series> {
        let mut clipped = [""; MAX_LABELS];
        let expected = desc.labels.len();
        let at = self.family(desc);
        debug_assert_eq!(labels.len(), expected, "{}", desc.name);
        if labels.len() != expected || expected > MAX_LABELS {
            self.families[at].refuse();
            return None;
        }
        for (short, value) in clipped.iter_mut().zip(labels) {
            *short = labels::clip(value);
        }
        let labels = &clipped[..expected];
        let hash = labels::hash(labels.iter().copied());
        let cost = desc.kind.cost();
        let target = self
            .budgets
            .for_containers()
            .saturating_sub(self.container_series);
        let Self {
            families, interner, ..
        } = self;
        let family = families.get_mut(at)?;
        if let Some(own) = family.find(hash, labels) {
            let series = family.get_mut(own)?;
            series.retired = None;
            Some(series)
        } else if family.has_room() && (!desc.per_container() || cost <= target) {
            self.container_series += if desc.per_container() { cost } else { 0 };
            Some(family.admit(hash, labels, interner))
        } else {
            family.refuse();
            (over == OverBudget::Fold).then(|| family.overflow(labels, interner))
        }
    }
}

#[cfg(test)]
mod tests;
