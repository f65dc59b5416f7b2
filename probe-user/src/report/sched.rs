//! Rows of `nodeprobe runqlat` and `nodeprobe offcpu`.

use std::{collections::HashMap, time::Duration};

use probe_common::hist::Histogram;

use super::{
    Filter,
    owner::{GroupKey, Resolved, tell_apart},
};
use crate::{
    identity::Identities,
    model::{Measurements, OwnerKind},
    render::view::{By, HistogramView, PreemptedBy, SchedView},
};

struct Group {
    owner: Resolved,
    runqueue: Histogram,
    voluntary: Histogram,
    involuntary: Histogram,
    uninterruptible: Duration,
    oncpu: Duration,
    voluntary_switches: u64,
    involuntary_switches: u64,
    preemptors: HashMap<GroupKey, (Resolved, u64)>,
}

impl Group {
    fn new(owner: Resolved) -> Self {
        Self {
            owner,
            runqueue: Histogram::EMPTY,
            voluntary: Histogram::EMPTY,
            involuntary: Histogram::EMPTY,
            uninterruptible: Duration::ZERO,
            oncpu: Duration::ZERO,
            voluntary_switches: 0,
            involuntary_switches: 0,
            preemptors: HashMap::new(),
        }
    }
}

/// One row per owner that the filter admits. The measurements are those of a period, see [`Measurements::since`].
pub fn sched_rows(
    measurements: &Measurements,
    identities: &Identities,
    by: By,
    filter: &Filter,
) -> Vec<SchedView> {
    let kind = if by.has_process() {
        OwnerKind::Process
    } else {
        OwnerKind::Cgroup
    };
    let find = |owner| Resolved::find(owner, kind, measurements, identities);
    let mut groups: HashMap<GroupKey, Group> = HashMap::new();
    for row in &measurements.sched {
        let owner = find(row.owner);
        if !filter.admits(owner.container.as_deref(), owner.pid()) {
            continue;
        }
        let group = groups.entry(owner.key).or_insert_with(|| Group::new(owner));
        group.runqueue.merge(&row.runqueue);
        group.voluntary.merge(&row.offcpu_voluntary);
        group.involuntary.merge(&row.offcpu_involuntary);
        group.uninterruptible += row.uninterruptible;
        group.oncpu += row.oncpu;
        group.voluntary_switches += row.voluntary;
        group.involuntary_switches += row.involuntary;
    }
    for row in &measurements.preemptions {
        if let Some(group) = groups.get_mut(&find(row.victim).key) {
            let by = find(row.by);
            group.preemptors.entry(by.key).or_insert_with(|| (by, 0)).1 += row.count;
        }
    }
    let mut rows: Vec<SchedView> = groups.into_values().map(view).collect();
    tell_apart(rows.iter_mut().flat_map(|row| {
        let preemptors = row.preempted_by.iter_mut();
        std::iter::once(&mut row.container).chain(preemptors.map(|by| &mut by.container))
    }));
    rows
}

fn view(group: Group) -> SchedView {
    let (container, process) = group.owner.names();
    let mut preempted_by: Vec<PreemptedBy> = group
        .preemptors
        .into_values()
        .map(|(by, count)| {
            let (container, process) = by.names();
            PreemptedBy {
                container,
                process,
                count,
            }
        })
        .collect();
    preempted_by.sort_by(|a, b| {
        let name = |p: &PreemptedBy| p.container.display_name();
        b.count.cmp(&a.count).then_with(|| name(a).cmp(&name(b)))
    });
    SchedView {
        container,
        process,
        runqueue: HistogramView::from(&group.runqueue),
        oncpu_seconds: group.oncpu.as_secs_f64(),
        voluntary_switches: group.voluntary_switches,
        involuntary_switches: group.involuntary_switches,
        offcpu_voluntary: HistogramView::from(&group.voluntary),
        offcpu_involuntary: HistogramView::from(&group.involuntary),
        uninterruptible_seconds: group.uninterruptible.as_secs_f64(),
        preempted_by,
    }
}
