//! Who takes the CPU from whom: a few preemptors by victim, all others together.

use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{delta::Previous, owners::OwnerLabels};
use crate::{
    metrics::{Registry, families},
    model::{Container, OwnerId, PreemptionRow},
};

/// Preemptors that a victim has series of their own for.
const TOP: usize = 3;

/// Passes preemptions on. A preemptor that got a series of its own keeps it until it or the victim is gone, because
/// moving it in and out of the top would make counters fall.
#[derive(Default)]
pub(super) struct Preemptors {
    counts: Previous<(OwnerId, OwnerId), u64>,
    victims: FxHashMap<OwnerLabels, Victim>,
}

/// A container that was preempted. Its cgroups share its series.
#[derive(Default)]
struct Victim {
    owners: FxHashSet<OwnerId>,
    places: Vec<Place>,
}

/// A preemptor with a series of its own, and its cgroups that have been seen.
struct Place {
    namespace: String,
    workload: String,
    owners: FxHashSet<OwnerId>,
}

impl Preemptors {
    pub(super) fn add(
        &mut self,
        registry: &mut Registry,
        row: &PreemptionRow,
        victim: &OwnerLabels,
        by: &OwnerLabels,
    ) {
        let added = self.counts.added((row.victim, row.by), row.count);
        if added == 0 {
            return;
        }
        if !self.victims.contains_key(victim) {
            self.victims.insert(victim.clone(), Victim::default());
        }
        let own = self
            .victims
            .get_mut(victim)
            .is_some_and(|known| known.admit(row, by));
        let other = Container::OTHER;
        let by = if own {
            [by.namespace.as_str(), by.container.as_str(), ""]
        } else {
            [other, other, other]
        };
        registry.add(&families::SCHED_PREEMPTIONS, &labels(victim, by), added);
    }

    /// Forgets owners whose counters have been freed.
    pub(super) fn forget(&mut self, gone: &FxHashSet<OwnerId>) {
        self.counts
            .forget(|(victim, by)| gone.contains(victim) || gone.contains(by));
    }

    /// Lets go of what was shown of owners that are gone or have other labels now. A preemptor of which nothing is left
    /// frees its place, and its series go; those of a victim go with all others of that container.
    pub(super) fn leave(
        &mut self,
        registry: &mut Registry,
        gone: &FxHashSet<OwnerId>,
        now: Instant,
    ) {
        for (victim, known) in &mut self.victims {
            known.owners.retain(|owner| !gone.contains(owner));
            known.places.retain_mut(|place| {
                place.owners.retain(|owner| !gone.contains(owner));
                if !place.owners.is_empty() {
                    return true;
                }
                let by = [place.namespace.as_str(), place.workload.as_str(), ""];
                registry.retire_one(&families::SCHED_PREEMPTIONS, &labels(victim, by), now);
                false
            });
        }
        self.victims.retain(|_, known| !known.owners.is_empty());
    }
}

impl Victim {
    /// Whether a preemptor has a place, or gets one.
    fn admit(&mut self, row: &PreemptionRow, by: &OwnerLabels) -> bool {
        self.owners.insert(row.victim);
        let mut places = self.places.iter_mut();
        let own =
            places.find(|place| place.namespace == by.namespace && place.workload == by.container);
        if let Some(place) = own {
            place.owners.insert(row.by);
            return true;
        }
        let room = self.places.len() < TOP;
        if room {
            self.places.push(Place {
                namespace: by.namespace.clone(),
                // Outside Kubernetes the container is the workload.
                workload: by.container.clone(),
                owners: FxHashSet::from_iter([row.by]),
            });
        }
        room
    }
}

fn labels<'a>(victim: &'a OwnerLabels, by: [&'a str; 3]) -> [&'a str; 6] {
    let [namespace, pod, container] = victim.parts();
    let [by_namespace, by_workload, by_kind] = by;
    [
        namespace,
        pod,
        container,
        by_namespace,
        by_workload,
        by_kind,
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::{Budgets, Format, SharedRegistry};

    fn named(name: &str) -> OwnerLabels {
        OwnerLabels {
            namespace: String::new(),
            pod: String::new(),
            workload: String::new(),
            container: name.into(),
        }
    }

    /// Preemptors of `db`, by name, as one scrape shows them.
    fn shown(metrics: &SharedRegistry) -> Vec<String> {
        shown_at(metrics, Instant::now())
    }

    fn shown_at(metrics: &SharedRegistry, at: Instant) -> Vec<String> {
        let text = metrics.render(Format::Text, at).unwrap();
        let mut names: Vec<String> = String::from_utf8(text)
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("nodeprobe_sched_preemptions_total{"))
            .filter_map(|line| {
                Some(
                    line.split("by_workload=\"")
                        .nth(1)?
                        .split('"')
                        .next()?
                        .into(),
                )
            })
            .collect();
        names.sort();
        names
    }

    fn preempt(preemptors: &mut Preemptors, metrics: &SharedRegistry, by: u64, name: &str) {
        let row = PreemptionRow {
            victim: OwnerId(1),
            by: OwnerId(by),
            count: 5,
        };
        preemptors.add(&mut metrics.lock(), &row, &named("db"), &named(name));
    }

    #[test]
    fn a_preemptor_that_is_gone_makes_room_and_its_series_go() {
        let metrics = SharedRegistry::new("n", Budgets::default());
        let mut preemptors = Preemptors::default();
        for (by, name) in [(11, "a"), (12, "b"), (13, "c"), (14, "d")] {
            preempt(&mut preemptors, &metrics, by, name);
        }
        assert_eq!(shown(&metrics), ["a", "b", "c", "~other"]);
        let gone = [OwnerId(11), OwnerId(12), OwnerId(13)];
        let gone = FxHashSet::from_iter(gone);
        preemptors.leave(&mut metrics.lock(), &gone, Instant::now());
        preempt(&mut preemptors, &metrics, 15, "e");
        // The last values are shown for a while, and then they are gone.
        assert_eq!(shown(&metrics), ["a", "b", "c", "e", "~other"]);
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(shown_at(&metrics, later), ["e", "~other"]);
    }

    #[test]
    fn a_preemptor_keeps_its_series_while_one_of_its_cgroups_is_there() {
        let metrics = SharedRegistry::new("n", Budgets::default());
        let mut preemptors = Preemptors::default();
        preempt(&mut preemptors, &metrics, 11, "a");
        preempt(&mut preemptors, &metrics, 12, "a");
        let gone = FxHashSet::from_iter([OwnerId(11)]);
        preemptors.leave(&mut metrics.lock(), &gone, Instant::now());
        assert_eq!(shown(&metrics), ["a"]);
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(shown_at(&metrics, later), ["a"]);
    }
}
