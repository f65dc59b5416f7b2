//! Whether rows would have other names a moment later.

use super::{Filter, owner::Resolved};
use crate::{
    identity::Identities,
    model::{Measurements, OwnerId, OwnerKind},
    render::view::By,
};

/// Whether a container whose runtime has not answered yet is in the rows of these measurements, or may be once it has a name.
pub fn awaits_names(
    measurements: &Measurements,
    identities: &Identities,
    by: By,
    filter: &Filter,
) -> bool {
    let kind = if by.has_process() {
        OwnerKind::Process
    } else {
        OwnerKind::Cgroup
    };
    let find = |owner| Resolved::find(owner, kind, measurements, identities);
    let may_be_shown = |owner: &Resolved| filter.may_admit(owner.container.as_deref(), owner.pid());
    let awaits = |owner: OwnerId| {
        let owner = find(owner);
        owner.is_pending() && may_be_shown(&owner)
    };
    let of_socket = |owner: Option<OwnerId>| owner.map(|owner| OwnerId::of_socket(owner.0));
    measurements.syscalls.iter().any(|row| awaits(row.owner))
        || measurements.sched.iter().any(|row| awaits(row.owner))
        || measurements.tcp.iter().any(|row| awaits(row.owner))
        || (measurements.drops.iter()).any(|row| of_socket(row.owner).is_some_and(awaits))
        || (measurements.preemptions.iter())
            .any(|row| find(row.by).is_pending() && may_be_shown(&find(row.victim)))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use probe_common::id::CgroupId;

    use super::*;
    use crate::{
        identity::Limits,
        model::{PreemptionRow, SchedRow},
        select::Pattern,
    };

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// Cgroup 7 is a unit, cgroup 8 a container whose runtime has not answered.
    fn identities() -> Identities {
        let identities = Identities::new(Limits::default());
        identities.appeared(CgroupId(7), "/system.slice/web.service", Instant::now());
        identities.appeared(CgroupId(8), &format!("/docker/{ID}"), Instant::now());
        identities
    }

    fn awaits(owners: &[u64], preemption: Option<(u64, u64)>, filter: &Filter) -> bool {
        let measurements = Measurements {
            sched: owners
                .iter()
                .map(|owner| SchedRow::empty(OwnerId(*owner)))
                .collect(),
            preemptions: preemption
                .map(|(victim, by)| PreemptionRow {
                    victim: OwnerId(victim),
                    by: OwnerId(by),
                    count: 1,
                })
                .into_iter()
                .collect(),
            ..Measurements::default()
        };
        awaits_names(&measurements, &identities(), By::Container, filter)
    }

    #[test]
    fn only_names_that_are_shown_are_waited_for() {
        let all = Filter::default();
        assert!(awaits(&[7, 8], None, &all));
        assert!(!awaits(&[7], None, &all), "the container did nothing");
        assert!(!awaits(&[7, 99], None, &all), "nobody names an unknown one");
        assert!(awaits(&[7], Some((7, 8)), &all), "as a preemptor");
    }

    #[test]
    fn a_filter_by_name_waits_for_containers_that_may_have_it() {
        let named = Filter {
            containers: vec![Pattern::new("web")],
            ..Filter::default()
        };
        assert!(awaits(&[8], None, &named));
        let elsewhere = Filter {
            cgroups: vec!["/system.slice".into()],
            ..Filter::default()
        };
        assert!(!awaits(&[7, 8], None, &elsewhere));
        assert!(!awaits(&[7, 8], Some((8, 7)), &elsewhere));
        assert!(awaits(&[7], Some((7, 8)), &elsewhere));
    }
}
