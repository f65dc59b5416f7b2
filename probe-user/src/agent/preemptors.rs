//! Who takes the CPU from whom: a few preemptors by victim, all others together.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{delta::Previous, owners::OwnerLabels};
use crate::{
    metrics::{Registry, families},
    model::{Container, OwnerId, PreemptionRow},
};

/// Preemptors that a victim has series of their own for.
const TOP: usize = 3;

/// Passes preemptions on. A preemptor that got a series of its own keeps it until the victim is gone, because moving
/// it in and out of the top would make counters fall.
#[derive(Default)]
pub(super) struct Preemptors {
    counts: Previous<(OwnerId, OwnerId), u64>,
    admitted: FxHashMap<OwnerId, FxHashSet<OwnerId>>,
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
        let admitted = self.admitted.entry(row.victim).or_default();
        let own = admitted.contains(&row.by) || admitted.len() < TOP && admitted.insert(row.by);
        let [namespace, pod, container] = victim.parts();
        let other = Container::OTHER;
        let (by_namespace, by_workload, by_kind) = match () {
            () if !own => (other, other, other),
            // Outside Kubernetes the container is the workload, and its kind is not known.
            () => (by.namespace.as_str(), by.container.as_str(), ""),
        };
        let labels = [
            namespace,
            pod,
            container,
            by_namespace,
            by_workload,
            by_kind,
        ];
        registry.add(&families::SCHED_PREEMPTIONS, &labels, added);
    }

    pub(super) fn forget(&mut self, gone: &FxHashSet<OwnerId>) {
        self.counts
            .forget(|(victim, by)| gone.contains(victim) || gone.contains(by));
        self.admitted.retain(|victim, _| !gone.contains(victim));
    }
}
