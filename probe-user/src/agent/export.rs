//! From measurements by cgroup to series by container.

mod network;
mod policies;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use probe_common::hist::Histogram;
use rustc_hash::FxHashSet;

use self::{
    network::{Names, Network, most_first},
    policies::PolicySeries,
};
use super::{
    delta::Previous,
    owners::{Owner, OwnerLabels, Owners},
    policies::Desk,
    preemptors::Preemptors,
    traffic,
};
use crate::{
    identity::Identities,
    kubernetes::Catalog,
    metrics::{Registry, families},
    model::{LostCount, Measurements, OwnerId, Syscall, errno_name},
};

/// What is exported, as far as it is a choice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// Durations of system calls are measured.
    pub(super) latency: bool,
    /// Durations by container and system call, beside those by container.
    pub(super) per_syscall_latency: bool,
}

/// Adds what was measured since the last time to the registry.
pub(super) struct Exporter {
    choice: Choice,
    owners: Owners,
    calls: Previous<(OwnerId, Syscall), u64>,
    latencies: Previous<(OwnerId, Syscall), Histogram>,
    errnos: Previous<(OwnerId, Syscall, u16), u64>,
    runqueue: Previous<OwnerId, Histogram>,
    /// By owner, and whether the switch was voluntary.
    offcpu: Previous<(OwnerId, bool), Histogram>,
    /// By owner and which counter it is.
    sched: Previous<(OwnerId, SchedCounter), u64>,
    preemptors: Preemptors,
    unattributed: Previous<(OwnerId, &'static str), u64>,
    network: Network,
    policies: PolicySeries,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SchedCounter {
    Oncpu,
    Voluntary,
    Involuntary,
    Interruptible,
    Uninterruptible,
}

impl Exporter {
    pub(super) fn new(choice: Choice, patience: Duration, catalog: Option<Arc<Catalog>>) -> Self {
        Self {
            choice,
            owners: Owners::new(patience, catalog),
            calls: Previous::default(),
            latencies: Previous::default(),
            errnos: Previous::default(),
            runqueue: Previous::default(),
            offcpu: Previous::default(),
            sched: Previous::default(),
            preemptors: Preemptors::default(),
            unattributed: Previous::default(),
            network: Network::default(),
            policies: PolicySeries::default(),
        }
    }

    /// Passes on what was added since the last call. With `last`, what waits for a name is passed on without it.
    pub(super) fn export(
        &mut self,
        registry: &mut Registry,
        measurements: &Measurements,
        (traffic, desk): (traffic::State, Option<&Desk>),
        identities: &Identities,
        now: Instant,
        last: bool,
    ) {
        registry.begin(now);
        self.owners.begin(identities, now);
        self.end_series(registry, now);
        let mut names = Names {
            owners: &mut self.owners,
            identities,
            now,
            last,
        };
        self.network
            .export(registry, measurements, traffic, &mut names);
        if let Some(desk) = desk {
            self.policies.export(registry, desk, &mut names);
        }
        self.export_syscalls(registry, measurements, identities, now, last);
        self.export_errnos(registry, measurements, identities, now, last);
        self.export_sched(registry, measurements, identities, now, last);
        // The most frequent first, because the first few are told apart.
        let mut preemptions: Vec<_> = measurements.preemptions.iter().collect();
        preemptions.sort_by_key(|row| std::cmp::Reverse(row.count));
        for row in preemptions {
            let victim = self.owners.find(row.victim, identities, now, last);
            let by = self.owners.find(row.by, identities, now, last);
            if let (Some(victim), Some(by)) = (victim.labels(), by.labels()) {
                self.preemptors.add(registry, row, &victim, &by);
            }
        }
        for LostCount {
            stream,
            stage,
            reason,
            count,
        } in &measurements.lost
        {
            registry.raise(&families::RECORDS_LOST, &[stream, stage, reason], *count);
        }
        self.end_series(registry, now);
    }

    /// Ends the series of labels that no owner has any more. Counts go on under the labels that their owners have now.
    fn end_series(&mut self, registry: &mut Registry, now: Instant) {
        let changes = self.owners.take_changes();
        if changes.is_empty() {
            return;
        }
        let changed: FxHashSet<OwnerId> = changes.iter().map(|change| change.owner).collect();
        self.preemptors.leave(registry, &changed, now);
        self.network.leave(registry, &changed, now);
        let in_use = self.owners.in_use();
        for change in &changes {
            let [namespace, pod, container] = change.labels.parts();
            if !in_use.contains(&[namespace, pod, container]) {
                registry.retire(namespace, pod, container, now);
            }
        }
    }

    /// Changes how long an owner that nobody knows may become known.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.owners.set_patience(patience);
    }

    /// Forgets owners whose counters have been freed.
    pub(super) fn forget(&mut self, registry: &mut Registry, gone: &[OwnerId], now: Instant) {
        if gone.is_empty() {
            return;
        }
        let set: FxHashSet<OwnerId> = gone.iter().copied().collect();
        self.owners.forget(gone);
        self.calls.forget(|(owner, _)| set.contains(owner));
        self.latencies.forget(|(owner, _)| set.contains(owner));
        self.errnos.forget(|(owner, ..)| set.contains(owner));
        self.runqueue.forget(|owner| set.contains(owner));
        self.offcpu.forget(|(owner, _)| set.contains(owner));
        self.sched.forget(|(owner, _)| set.contains(owner));
        self.preemptors.forget(&set);
        self.network.forget(&set);
        self.unattributed.forget(|(owner, _)| set.contains(owner));
        self.end_series(registry, now);
    }

    fn export_syscalls(
        &mut self,
        registry: &mut Registry,
        measurements: &Measurements,
        identities: &Identities,
        now: Instant,
        last: bool,
    ) {
        let mut rows = Vec::new();
        for row in &measurements.syscalls {
            let owner = self.owners.find(row.owner, identities, now, last);
            let Some(labels) = owner.labels() else {
                continue;
            };
            let added = self.calls.added((row.owner, row.syscall), row.calls);
            if owner.is_unknown() {
                registry.add(&families::UNATTRIBUTED, &["syscalls", "no_identity"], added);
            }
            let mut since = Histogram::EMPTY;
            if self.choice.latency {
                let earlier = self
                    .latencies
                    .replace((row.owner, row.syscall), row.latency);
                since = row.latency.since(&earlier);
                registry.observe(&families::SYSCALL_DURATION, &labels.parts(), &since);
                // Also of a container of whose calls none was timed: all families show the same containers.
                if added > 0 {
                    registry.touch(&families::SYSCALL_DURATION, &labels.parts());
                }
            }
            if added > 0 || since.count() > 0 {
                rows.push((added, labels, row.syscall.name(), since));
            }
        }
        most_first(&mut rows, |(added, ..)| *added);
        for (added, labels, name, since) in rows {
            let [namespace, pod, container] = labels.parts();
            let labels = [namespace, pod, container, &name];
            registry.add(&families::SYSCALLS, &labels, added);
            if self.choice.per_syscall_latency {
                registry.observe(&families::SYSCALL_EXACT_DURATION, &labels, &since);
            }
        }
    }

    fn export_errnos(
        &mut self,
        registry: &mut Registry,
        measurements: &Measurements,
        identities: &Identities,
        now: Instant,
        last: bool,
    ) {
        let mut rows = Vec::new();
        for row in &measurements.errnos {
            let owner = self.owners.find(row.owner, identities, now, last);
            let Some(labels) = owner.labels() else {
                continue;
            };
            let added = self
                .errnos
                .added((row.owner, row.syscall, row.errno), row.count);
            if added > 0 {
                rows.push((added, labels, row));
            }
        }
        most_first(&mut rows, |(added, ..)| *added);
        for (added, labels, row) in rows {
            let [namespace, pod, container] = labels.parts();
            let call = row.syscall.name();
            let labels = [namespace, pod, container, &call, &errno_name(row.errno)];
            registry.add(&families::SYSCALL_ERRORS, &labels, added);
        }
    }

    fn export_sched(
        &mut self,
        registry: &mut Registry,
        measurements: &Measurements,
        identities: &Identities,
        now: Instant,
        last: bool,
    ) {
        for row in &measurements.sched {
            let owner = self.owners.find(row.owner, identities, now, last);
            let Some(labels) = owner.labels() else {
                continue;
            };
            let [namespace, pod, container] = labels.parts();
            let c = [namespace, pod, container];
            let earlier = self.runqueue.replace(row.owner, row.runqueue);
            registry.observe(
                &families::SCHED_RUNQUEUE_LATENCY,
                &c,
                &row.runqueue.since(&earlier),
            );
            for (kind, voluntary, histogram) in [
                ("voluntary", true, &row.offcpu_voluntary),
                ("involuntary", false, &row.offcpu_involuntary),
            ] {
                let earlier = self.offcpu.replace((row.owner, voluntary), *histogram);
                let labels = [namespace, pod, container, kind];
                registry.observe(
                    &families::SCHED_OFFCPU_DURATION,
                    &labels,
                    &histogram.since(&earlier),
                );
            }
            let running: u128 = measurements
                .running
                .iter()
                .filter(|running| running.owner == row.owner)
                .map(|running| running.elapsed.as_nanos())
                .sum();
            let oncpu = nanos(row.oncpu.as_nanos() + running);
            let added = self.sched.added((row.owner, SchedCounter::Oncpu), oncpu);
            registry.add_ns(&families::SCHED_ONCPU, &c, added);
            // Also of a container that never waited.
            if added > 0 {
                registry.touch(&families::SCHED_RUNQUEUE_LATENCY, &c);
            }
            if owner.is_unknown() {
                let switches = row.voluntary + row.involuntary;
                let added = self.unattributed.added((row.owner, "scheduler"), switches);
                registry.add(
                    &families::UNATTRIBUTED,
                    &["scheduler", "no_identity"],
                    added,
                );
            }
            for (kind, counter, total) in [
                ("voluntary", SchedCounter::Voluntary, row.voluntary),
                ("involuntary", SchedCounter::Involuntary, row.involuntary),
            ] {
                let added = self.sched.added((row.owner, counter), total);
                let labels = [namespace, pod, container, kind];
                registry.add(&families::SCHED_CONTEXT_SWITCHES, &labels, added);
            }
            let uninterruptible = nanos(row.uninterruptible.as_nanos());
            let interruptible = row.offcpu_voluntary.sum_ns.saturating_sub(uninterruptible);
            for (state, counter, total) in [
                ("interruptible", SchedCounter::Interruptible, interruptible),
                (
                    "uninterruptible",
                    SchedCounter::Uninterruptible,
                    uninterruptible,
                ),
            ] {
                let added = self.sched.added((row.owner, counter), total);
                let labels = [namespace, pod, container, state];
                registry.add_ns(&families::SCHED_OFFCPU, &labels, added);
            }
        }
    }
}

impl Owner {
    fn labels(&self) -> Option<Arc<OwnerLabels>> {
        match self {
            Self::Known(labels) | Self::Unknown(labels) => Some(labels.clone()),
            Self::Waiting => None,
        }
    }

    fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

fn nanos(total: u128) -> u64 {
    u64::try_from(total).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
