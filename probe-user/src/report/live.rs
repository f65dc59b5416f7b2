//! Rows of the live table: what was added between two readings, by second.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use probe_common::{hist::Histogram, id::CgroupId};

use super::owner::tell_apart;
use crate::{
    identity::Identities,
    model::{Measurements, OwnerId},
    render::view::{ContainerRef, LiveRow, Preemptor},
};

/// Remembers the last reading, to tell what was added since.
#[derive(Default)]
pub struct Rates {
    last: HashMap<ContainerKey, Totals>,
    at: Option<Instant>,
}

/// Cgroup of the container; `Err(true)` for what found no room in the kernel, `Err(false)` for what nobody knows.
type ContainerKey = Result<CgroupId, bool>;

#[derive(Clone)]
struct Totals {
    container: ContainerRef,
    calls: u64,
    errors: u64,
    latency: Histogram,
    runqueue: Histogram,
    oncpu_ns: u128,
    preemptors: BTreeMap<String, u64>,
}

impl Rates {
    /// Rows for all containers that did something since the last call, or exist. Empty at the first call.
    pub fn rows(
        &mut self,
        measurements: &Measurements,
        identities: &Identities,
        now: Instant,
    ) -> Vec<LiveRow> {
        let totals = totals(measurements, identities);
        let seconds = self
            .at
            .replace(now)
            .map(|at| now.duration_since(at).as_secs_f64());
        let rows = match seconds {
            Some(seconds) if seconds > 0.0 => {
                let rows = totals.iter();
                let mut rows: Vec<LiveRow> = rows
                    .map(|(key, totals)| row(totals, self.last.get(key), seconds))
                    .collect();
                tell_apart(rows.iter_mut().map(|row| &mut row.container));
                rows
            }
            _ => Vec::new(),
        };
        self.last = totals;
        rows
    }
}

fn row(totals: &Totals, before: Option<&Totals>, seconds: f64) -> LiveRow {
    let added = |total: u64, before: Option<u64>| total.saturating_sub(before.unwrap_or(0));
    let rate = |total, before| added(total, before) as f64 / seconds;
    let latency = before.map_or(totals.latency, |b| totals.latency.since(&b.latency));
    let runqueue = before.map_or(totals.runqueue, |b| totals.runqueue.since(&b.runqueue));
    let oncpu = totals
        .oncpu_ns
        .saturating_sub(before.map_or(0, |b| b.oncpu_ns));
    let top_preemptor = totals
        .preemptors
        .iter()
        .map(|(name, count)| {
            (
                name,
                added(*count, before.and_then(|b| b.preemptors.get(name).copied())),
            )
        })
        .filter(|(_, count)| *count > 0)
        .max_by_key(|(_, count)| *count)
        .map(|(name, count)| Preemptor {
            name: name.clone(),
            per_second: count as f64 / seconds,
        });
    LiveRow {
        container: totals.container.clone(),
        syscalls_per_second: Some(rate(totals.calls, before.map(|b| b.calls))),
        errors_per_second: Some(rate(totals.errors, before.map(|b| b.errors))),
        syscall_p50: latency.quantile_seconds(0.5),
        syscall_p99: latency.quantile_seconds(0.99),
        runqueue_p99: runqueue.quantile_seconds(0.99),
        cpu: Some(oncpu as f64 / 1e9 / seconds),
        top_preemptor,
    }
}

/// Adds up the cgroups of each container.
fn totals(measurements: &Measurements, identities: &Identities) -> HashMap<ContainerKey, Totals> {
    let mut groups = Groups {
        identities,
        by_container: HashMap::new(),
    };
    for row in &measurements.syscalls {
        let totals = groups.of(row.owner);
        totals.calls += row.calls;
        totals.errors += row.errors;
        totals.latency.merge(&row.latency);
    }
    for row in &measurements.sched {
        let totals = groups.of(row.owner);
        totals.runqueue.merge(&row.runqueue);
        totals.oncpu_ns += row.oncpu.as_nanos();
    }
    for row in &measurements.running {
        groups.of(row.owner).oncpu_ns += row.elapsed.as_nanos();
    }
    for row in &measurements.preemptions {
        let by = groups.name(row.by);
        *groups.of(row.victim).preemptors.entry(by).or_default() += row.count;
    }
    groups.by_container
}

struct Groups<'a> {
    identities: &'a Identities,
    by_container: HashMap<ContainerKey, Totals>,
}

impl Groups<'_> {
    fn of(&mut self, owner: OwnerId) -> &mut Totals {
        let (key, container) = self.find(owner);
        self.by_container.entry(key).or_insert_with(|| Totals {
            container,
            calls: 0,
            errors: 0,
            latency: Histogram::EMPTY,
            runqueue: Histogram::EMPTY,
            oncpu_ns: 0,
            preemptors: BTreeMap::new(),
        })
    }

    fn name(&self, owner: OwnerId) -> String {
        self.find(owner).1.display_name()
    }

    fn find(&self, owner: OwnerId) -> (ContainerKey, ContainerRef) {
        if owner == OwnerId::OVERFLOW {
            return (Err(true), ContainerRef::other());
        }
        match self.identities.lookup(CgroupId(owner.0)) {
            Some(container) => (Ok(container.cgroup), ContainerRef::from(&*container)),
            None => (Err(false), ContainerRef::unknown()),
        }
    }
}
