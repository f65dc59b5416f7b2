//! Rows of `nodeprobe syscalls`.

use std::collections::{BTreeMap, HashMap};

use probe_common::hist::Histogram;

use super::{
    Filter,
    owner::{GroupKey, Resolved, tell_apart},
};
use crate::{
    identity::Identities,
    model::{Measurements, OwnerKind, Syscall, errno_name},
    render::view::{By, HistogramView, SyscallView},
};

struct Group {
    owner: Resolved,
    calls: u64,
    errors: u64,
    errnos: BTreeMap<String, u64>,
    latency: Histogram,
}

/// One row per owner, or per owner and system call, of those that the filter admits.
///
/// `timed` says whether durations were measured; rows have none otherwise.
pub fn syscall_rows(
    measurements: &Measurements,
    identities: &Identities,
    by: By,
    filter: &Filter,
    timed: bool,
) -> Vec<SyscallView> {
    let kind = if by.has_process() {
        OwnerKind::Process
    } else {
        OwnerKind::Cgroup
    };
    let detail = |syscall: Syscall| by.has_syscall().then_some(syscall);
    let mut groups: HashMap<(GroupKey, Option<Syscall>), Group> = HashMap::new();
    for row in &measurements.syscalls {
        let owner = Resolved::find(row.owner, kind, measurements, identities);
        if !filter.admits(owner.container.as_deref(), owner.pid()) {
            continue;
        }
        let group = groups
            .entry((owner.key, detail(row.syscall)))
            .or_insert_with(|| Group {
                owner,
                calls: 0,
                errors: 0,
                errnos: BTreeMap::new(),
                latency: Histogram::EMPTY,
            });
        group.calls += row.calls;
        group.errors += row.errors;
        group.latency.merge(&row.latency);
    }
    for row in &measurements.errnos {
        let owner = Resolved::find(row.owner, kind, measurements, identities);
        // An owner with errnos has calls too, unless the two tables were read between a call's two counts.
        if let Some(group) = groups.get_mut(&(owner.key, detail(row.syscall))) {
            *group
                .errnos
                .entry(errno_name(row.errno).into_owned())
                .or_default() += row.count;
        }
    }
    let mut rows: Vec<SyscallView> = groups
        .into_iter()
        .map(|((_, syscall), group)| {
            let (container, process) = group.owner.names();
            SyscallView {
                container,
                process,
                syscall: syscall.map(|syscall| syscall.name().into_owned()),
                calls: group.calls,
                errors: group.errors,
                errnos: group.errnos,
                latency: timed.then(|| HistogramView::from(&group.latency)),
            }
        })
        .collect();
    tell_apart(rows.iter_mut().map(|row| &mut row.container));
    rows
}
