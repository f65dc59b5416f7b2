//! Which containers have series, and how much of the budget each has.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::HashTable;

use super::{
    budgets::Plan,
    desc::Desc,
    labels::{self, Interner},
};
use crate::model::Container;

/// From this age on a container has its whole share, before that half of the detail: its first calls, which its runtime
/// makes, do not take the places of all that it goes on to make. Older containers also take the last shares, so that
/// short-lived ones never hold all.
const SETTLED_AGE: Duration = Duration::from_secs(60);

/// One in so many shares is left to containers of that age.
const FOR_SETTLED: usize = 8;

/// Containers that are remembered, with series or without. What comes above has none.
const MAX_CONTAINERS: usize = 1 << 17;

/// A container, as series refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u32);

impl Slot {
    /// Of series that belong to no container.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// Counts of containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerCounts {
    /// With series of their own.
    pub shown: usize,
    /// Without: their counts are in `~other`.
    pub folded: usize,
    /// Most containers that can have series.
    pub limit: usize,
}

/// All containers that values came for.
#[derive(Debug)]
pub(super) struct Containers {
    plan: Plan,
    now: Instant,
    slots: Vec<Option<Known>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    shown: usize,
    folded: usize,
    pool_used: usize,
}

#[derive(Debug)]
struct Known {
    hash: u64,
    labels: [Arc<str>; 3],
    since: Instant,
    /// Whether it has series of its own.
    shown: bool,
    /// `~other` and `~unknown` are shown in any case.
    bucket: bool,
    retired: bool,
    /// Series in all families.
    series: usize,
    /// Time series beyond its share that it has anyway.
    basic: usize,
    /// Time series that it has of the pool.
    borrowed: usize,
    /// By family.
    held: Vec<Held>,
}

/// Series of a container in one family.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    plain: u16,
    detail: u16,
}

/// What a series takes from the budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charge {
    /// Nothing: it is part of the minimum that every container has.
    Plain,
    /// A place of the container's share in the family.
    Share,
    /// Time series that each container has beyond its share.
    Basic,
    /// Time series of the pool.
    Pool,
}

impl Containers {
    pub(super) fn new(plan: Plan, now: Instant) -> Self {
        Self {
            plan,
            now,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            shown: 0,
            folded: 0,
            pool_used: 0,
        }
    }

    pub(super) fn set_plan(&mut self, plan: Plan) {
        self.plan = plan;
        self.admit_waiting();
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan
    }

    /// Moves the clock, and gives shares that are free to the containers that have waited longest.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.admit_waiting();
    }

    pub(super) fn counts(&self) -> ContainerCounts {
        ContainerCounts {
            shown: self.shown,
            folded: self.folded,
            limit: self.plan.containers,
        }
    }

    pub(super) fn find(&self, labels: &[&str]) -> Option<Slot> {
        let hash = labels::hash(labels.iter().copied());
        let same = |at: &u32| self.known(Slot(*at)).is_some_and(|known| known.is(labels));
        self.index.find(hash, same).map(|at| Slot(*at))
    }

    /// The container with these three labels, which is entered if it is new. `None` where there are too many.
    pub(super) fn enter(&mut self, labels: &[&str], interner: &mut Interner) -> Option<Slot> {
        if let Some(known) = self.find(labels) {
            return Some(known);
        }
        let bucket = labels.iter().all(|label| *label == Container::OTHER)
            || labels.iter().all(|label| *label == Container::UNKNOWN);
        let full = self.slots.len() - self.free.len() >= MAX_CONTAINERS;
        let [namespace, pod, container] = labels else {
            return None;
        };
        if full && !bucket {
            return None;
        }
        let shown = bucket || self.shown < self.limit(Duration::ZERO);
        self.count(bucket, shown, true);
        let hash = labels::hash(labels.iter().copied());
        let known = Known {
            hash,
            labels: [namespace, pod, container].map(|label| interner.intern(label)),
            since: self.now,
            shown,
            bucket,
            retired: false,
            series: 0,
            basic: 0,
            borrowed: 0,
            held: Vec::new(),
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = Some(known);
                at
            }
            None => {
                self.slots.push(Some(known));
                self.slots.len() as u32 - 1
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |at| {
            slots[*at as usize].as_ref().map_or(0, |known| known.hash)
        });
        Some(Slot(at))
    }

    /// Whether the container has series of its own.
    pub(super) fn is_shown(&self, slot: Slot) -> bool {
        self.known(slot).is_some_and(|known| known.shown)
    }

    /// Series without detail that the container has in a family.
    pub(super) fn plain(&self, slot: Slot, family: usize) -> usize {
        let held = self.known(slot).and_then(|known| known.held.get(family));
        held.map_or(0, |held| usize::from(held.plain))
    }

    /// What one more series with detail is charged to; `None` where there is no room.
    pub(super) fn detail(&self, slot: Slot, family: usize, desc: &Desc) -> Option<Charge> {
        let known = self.known(slot)?;
        let held = known.held.get(family).copied().unwrap_or_default();
        let settled = self.now.saturating_duration_since(known.since) >= SETTLED_AGE;
        let share = match desc.detail_share() {
            all if settled => all,
            all => all.div_ceil(2),
        };
        if usize::from(held.detail) < share {
            return Some(Charge::Share);
        }
        let cost = desc.kind.cost();
        if known.basic + cost <= self.plan.basic {
            return Some(Charge::Basic);
        }
        let lends = self.plan.lends(cost, known.borrowed, self.pool_used);
        lends.then_some(Charge::Pool)
    }

    /// A series was added.
    pub(super) fn take(&mut self, slot: Slot, family: usize, charge: Charge, cost: usize) {
        let Some(known) = self.known_mut(slot) else {
            return;
        };
        known.retired = false;
        known.series += 1;
        if known.held.len() <= family {
            known.held.resize(family + 1, Held::default());
        }
        let held = &mut known.held[family];
        match charge {
            Charge::Plain => held.plain = held.plain.saturating_add(1),
            Charge::Share => held.detail = held.detail.saturating_add(1),
            Charge::Basic => known.basic += cost,
            Charge::Pool => {
                known.borrowed += cost;
                self.pool_used += cost;
            }
        }
    }

    /// A series is gone.
    pub(super) fn give_back(&mut self, slot: Slot, family: usize, charge: Charge, cost: usize) {
        let Some(known) = self.known_mut(slot) else {
            return;
        };
        known.series = known.series.saturating_sub(1);
        if let Some(held) = known.held.get_mut(family) {
            match charge {
                Charge::Plain => held.plain = held.plain.saturating_sub(1),
                Charge::Share => held.detail = held.detail.saturating_sub(1),
                Charge::Basic => known.basic = known.basic.saturating_sub(cost),
                Charge::Pool => {
                    known.borrowed = known.borrowed.saturating_sub(cost);
                    self.pool_used = self.pool_used.saturating_sub(cost);
                }
            }
        }
        self.remove_if_over(slot);
    }

    /// The container is gone: its place is free once its last series is.
    pub(super) fn retire(&mut self, slot: Slot) {
        if let Some(known) = self.known_mut(slot) {
            known.retired = true;
        }
        self.remove_if_over(slot);
    }

    fn remove_if_over(&mut self, slot: Slot) {
        let over = |known: &Known| known.retired && known.series == 0;
        if !self.known(slot).is_some_and(over) {
            return;
        }
        if let Some(known) = self.slots[slot.0 as usize].take() {
            self.count(known.bucket, known.shown, false);
            if let Ok(entry) = self.index.find_entry(known.hash, |at| *at == slot.0) {
                entry.remove();
            }
            self.free.push(slot.0);
        }
    }

    /// Gives free shares to containers without one, the oldest first.
    fn admit_waiting(&mut self) {
        if self.folded == 0 || self.shown >= self.plan.containers {
            return;
        }
        let waiting = self.slots.iter().enumerate();
        let mut waiting: Vec<(Instant, usize)> = waiting
            .filter_map(|(at, known)| known.as_ref().map(|known| (at, known)))
            .filter(|(_, known)| !known.shown && !known.retired)
            .map(|(at, known)| (known.since, at))
            .collect();
        waiting.sort_unstable();
        for (since, at) in waiting {
            let age = self.now.saturating_duration_since(since);
            if self.shown >= self.limit(age) {
                break;
            }
            if let Some(known) = &mut self.slots[at] {
                known.shown = true;
                self.shown += 1;
                self.folded -= 1;
            }
        }
    }

    /// Most containers that may be shown when one of this age is admitted.
    fn limit(&self, age: Duration) -> usize {
        let all = self.plan.containers;
        if age >= SETTLED_AGE {
            all
        } else {
            all - all / FOR_SETTLED
        }
    }

    fn count(&mut self, bucket: bool, shown: bool, is_new: bool) {
        let count = match (bucket, shown) {
            (true, _) => return,
            (false, true) => &mut self.shown,
            (false, false) => &mut self.folded,
        };
        *count = if is_new {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
    }

    fn known(&self, slot: Slot) -> Option<&Known> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    fn known_mut(&mut self, slot: Slot) -> Option<&mut Known> {
        self.slots.get_mut(slot.0 as usize)?.as_mut()
    }
}

impl Known {
    fn is(&self, labels: &[&str]) -> bool {
        self.labels
            .iter()
            .map(AsRef::as_ref)
            .eq(labels.iter().copied())
    }
}
