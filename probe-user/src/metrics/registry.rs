//! Holds every series within its budgets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use probe_common::hist::Histogram;
use rustc_hash::FxHashMap;

use super::{
    Budgets, Desc, Kind,
    containers::{Charge, ContainerCounts, Containers, Slot},
    desc::CONTAINER_LABELS,
    families,
    family::Family,
    labels::{self, Interner},
    series::{Retired, Series, Value},
};
use crate::model::Container;

/// Most labels that a family has.
const MAX_LABELS: usize = 8;

/// How long a retired series waits for a scrape, unless something else is set.
const RETAIN: Duration = Duration::from_secs(600);

/// How long a retired series stays although it was shown: one period of a scraper that scrapes each minute, so that
/// each of several scrapers sees the last value.
const LINGER: Duration = Duration::from_secs(60);

/// Labels of the common overflow of all containers.
const EVERYONE: [&str; CONTAINER_LABELS.len()] = [Container::OTHER; CONTAINER_LABELS.len()];

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
/// over a budget goes to an overflow series, so sums stay exact:
///
/// - A container that is shown has an `~other` of its own in each family with detail, such as the system call. The sum of
///   its series is exact in each family, whatever the budget.
/// - A container without a share is in no family: its values go to the common series with `~other` for its labels.
/// - The labels `kind`, `state`, `direction` and `node` keep their values in both.
///
/// A call with the wrong number of labels or for the wrong kind of family is a bug: it stops a debug build, and a
/// release build counts it as overflow.
#[derive(Debug)]
pub struct Registry {
    node: Arc<str>,
    budgets: Budgets,
    /// How long a retired series waits for a scrape.
    retain: Duration,
    families: Vec<Family>,
    by_name: FxHashMap<&'static str, usize>,
    containers: Containers,
    interner: Interner,
}

impl Registry {
    /// A registry without series. `node` becomes the `node` label of everything that belongs to a container.
    pub fn new(node: &str, budgets: Budgets) -> Self {
        let plan = budgets.plan(0);
        let mut registry = Self {
            node: labels::clip(node).into(),
            budgets,
            retain: RETAIN,
            families: Vec::new(),
            by_name: FxHashMap::default(),
            containers: Containers::new(plan, Instant::now()),
            interner: Interner::default(),
        };
        for desc in families::ALL {
            registry.family(desc);
        }
        registry.replan();
        registry
    }

    /// Reserves a part of each container's share for a family that is not filled by default.
    pub fn expect(&mut self, desc: &'static Desc) {
        let at = self.family(desc);
        if !self.families[at].expected {
            self.families[at].expected = true;
            self.replan();
        }
    }

    /// Begins a collection: containers that wait for a share get those that are free, the oldest first. So all families
    /// of one collection have the same containers.
    pub fn begin(&mut self, now: Instant) {
        self.containers.advance(now);
    }

    /// Containers with series of their own, and without.
    pub fn container_counts(&self) -> ContainerCounts {
        self.containers.counts()
    }

    /// Families that had updates without a series of their own, with how many, since the start.
    pub fn overflows(&self) -> impl Iterator<Item = (&'static Desc, u64)> {
        let over = self.families.iter().filter(|family| family.overflowed > 0);
        over.map(|family| (family.desc, family.overflowed))
    }

    /// Sets how long a retired series waits for a scrape.
    pub fn set_retention(&mut self, retain: Duration) {
        self.retain = retain;
    }

    /// Replaces the budgets. Series that were admitted stay.
    pub fn set_budgets(&mut self, budgets: Budgets) {
        self.budgets = budgets;
        for family in &mut self.families {
            family.cap = self.budgets.cap(family.desc);
        }
        self.replan();
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

    /// Adds to a gauge by container that was cleared before: values of containers without a share add up in `~other`.
    pub fn sum(&mut self, desc: &'static Desc, labels: &[&str], value: f64) {
        debug_assert!(
            desc.kind == Kind::Gauge && desc.per_container(),
            "{}",
            desc.name
        );
        if let Some(Series {
            value: Value::Gauge(gauge),
            ..
        }) = self.series(desc, labels, OverBudget::Fold)
        {
            *gauge += value;
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
        let Self {
            families,
            containers,
            ..
        } = self;
        if desc.kind == Kind::Gauge
            && families[at].clear(|series| give_back(containers, series, at, desc))
        {
            self.interner.sweep();
        }
    }

    /// Starts the end of a container's series. They stay for a minute, then until a scrape has shown their last values,
    /// at most for the retention. A series that is updated before that lives on.
    ///
    /// Call it after the last delta of the container, and not while another container has the same three names.
    pub fn retire(&mut self, namespace: &str, pod: &str, container: &str, now: Instant) {
        let labels = [namespace, pod, container].map(labels::clip);
        let Some(slot) = self.containers.find(&labels) else {
            return;
        };
        for family in self.families.iter_mut().filter(|f| f.desc.per_container()) {
            family.retire(slot, now);
        }
        self.containers.retire(slot);
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
        let Self {
            families,
            containers,
            ..
        } = self;
        let times = (LINGER.min(self.retain), self.retain);
        let mut gone = false;
        for (at, family) in families.iter_mut().enumerate() {
            let desc = family.desc;
            gone |= family.sweep(now, times, |series| give_back(containers, series, at, desc));
        }
        if gone {
            self.interner.sweep();
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

    /// Divides the budget anew, because a cap, the total or what is expected has changed.
    fn replan(&mut self) {
        let share = self.families.iter().map(Family::share).sum();
        self.containers.set_plan(self.budgets.plan(share));
    }

    /// Shows use, cap and overflow of every family. All label values exist before the first is counted, because
    /// these are series as well.
    fn count_series(&mut self) {
        for desc in [&families::SERIES, &families::SERIES_LIMIT] {
            for at in 0..self.families.len() {
                self.set(desc, &[self.families[at].desc.name], 0.0);
            }
        }
        let ContainerCounts {
            shown,
            folded,
            limit,
        } = self.containers.counts();
        for (state, count) in [("shown", shown), ("folded", folded)] {
            self.set(&families::SERIES_CONTAINERS, &[state], count as f64);
        }
        self.set(&families::SERIES_CONTAINERS_LIMIT, &[], limit as f64);
        for at in 0..self.families.len() {
            let Family {
                desc, overflowed, ..
            } = self.families[at];
            self.raise(&families::SERIES_OVERFLOW, &[desc.name], overflowed);
            let limit = self.limit(&self.families[at]);
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
            self.families
                .push(Family::new(desc, self.budgets.cap(desc)));
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
        if let Some(own) = self.families[at].find(hash, labels) {
            return self.families[at].revive(own);
        }
        if desc.per_container() {
            return self.of_container(at, hash, labels, over);
        }
        let Self {
            families, interner, ..
        } = self;
        let family = families.get_mut(at)?;
        if family.has_room() {
            return Some(family.admit(hash, labels, (Slot::NONE, Charge::Plain), interner));
        }
        family.refuse();
        (over == OverBudget::Fold).then(|| family.overflow(labels, interner))
    }

    /// The series that takes an update of a container that has none for these labels: a new one, the container's own
    /// overflow, or the common one.
    fn of_container(
        &mut self,
        at: usize,
        hash: u64,
        labels: &[&str],
        over: OverBudget,
    ) -> Option<&mut Series> {
        const C: usize = CONTAINER_LABELS.len();
        self.expect(self.families[at].desc);
        let Self {
            families,
            containers,
            interner,
            ..
        } = self;
        let family = families.get_mut(at)?;
        let desc = family.desc;
        let mut slot = containers.enter(&labels[..C], interner);
        let mut charge = Charge::Plain;
        let mut target = [""; MAX_LABELS];
        let target = &mut target[..labels.len()];
        family.fold(labels, C, true, target);
        let is_shown = slot.is_some_and(|slot| containers.is_shown(slot));
        if !is_shown || family.cap == Some(0) {
            target[..C].copy_from_slice(&EVERYONE);
            slot = containers.enter(&EVERYONE, interner);
        } else if *target != *labels
            && family.has_room()
            && let Some(room) = slot.and_then(|slot| containers.detail(slot, at, desc))
        {
            target.copy_from_slice(labels);
            charge = room;
        }
        let mut target_hash = hash;
        if *target != *labels {
            family.refuse();
            if over == OverBudget::Refuse {
                return None;
            }
            target_hash = labels::hash(target.iter().copied());
        }
        let slot = slot?;
        let mut known = family.find(target_hash, target);
        if known.is_none()
            && charge == Charge::Plain
            && containers.plain(slot, at) >= desc.plain_series()
        {
            // More values than a label with a handful of them has.
            let kept = target.to_vec();
            family.fold(&kept, C, false, target);
            target_hash = labels::hash(target.iter().copied());
            known = family.find(target_hash, target);
        }
        if let Some(known) = known {
            return family.revive(known);
        }
        containers.take(slot, at, charge, desc.kind.cost());
        Some(family.admit(target_hash, target, (slot, charge), interner))
    }

    /// Most time series that a family can have.
    fn limit(&self, family: &Family) -> usize {
        let plan = self.containers.plan();
        match family.cap {
            Some(cap) => cap,
            None if family.desc.per_container() => {
                plan.containers * (family.desc.budget + plan.basic) + plan.pool
            }
            None => family.desc.budget,
        }
    }
}

fn give_back(containers: &mut Containers, series: &Series, family: usize, desc: &Desc) {
    containers.give_back(series.slot, family, series.charge, desc.kind.cost());
}

#[cfg(test)]
mod containers_tests;
#[cfg(test)]
mod tests;
