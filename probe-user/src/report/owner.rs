//! Whom a row belongs to.

use std::{collections::HashMap, sync::Arc};

use probe_common::{id::CgroupId, owner::OTHER_PROCESSES};

use crate::{
    identity::Identities,
    model::{Container, Measurements, Naming, OwnerId, OwnerKind},
    render::view::{ContainerRef, ProcessRef},
};

/// An owner as rows are grouped by it: cgroups of one container are one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupKey {
    /// Cgroup of the container; `None` for owners that nobody knows.
    container: Option<CgroupId>,
    /// What found no room in the kernel's tables.
    overflow: bool,
    pid: Option<u32>,
}

/// Marks containers of one table that have the same names, so that people can tell them apart.
pub(super) fn tell_apart<'a>(containers: impl IntoIterator<Item = &'a mut ContainerRef>) {
    let mut by_name = HashMap::<String, Vec<&mut ContainerRef>>::new();
    for container in containers {
        let same = by_name.entry(container.display_name()).or_default();
        same.push(container);
    }
    for same in by_name.into_values() {
        let cgroup = same.first().map(|it| it.cgroup.clone());
        if same.iter().any(|it| Some(&it.cgroup) != cgroup.as_ref()) {
            for container in same {
                container.apart = container.cgroup.is_some();
            }
        }
    }
}

/// An owner with its names.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) key: GroupKey,
    pub(super) container: Option<Arc<Container>>,
    process: Option<ProcessRef>,
}

impl Resolved {
    /// Looks up an owner of a measurement.
    pub(super) fn find(
        owner: OwnerId,
        kind: OwnerKind,
        measurements: &Measurements,
        identities: &Identities,
    ) -> Self {
        let overflow = owner == OwnerId::OVERFLOW;
        let (cgroup, process) = match kind {
            OwnerKind::Cgroup => (Some(owner.0), None),
            OwnerKind::Process if overflow => (None, None),
            OwnerKind::Process if owner.0 & OTHER_PROCESSES != 0 => {
                (Some(owner.0 & !OTHER_PROCESSES), Some(ProcessRef::other()))
            }
            OwnerKind::Process => {
                let known = measurements.processes.get(&owner.0);
                let process = ProcessRef {
                    pid: u32::try_from(owner.0).unwrap_or(u32::MAX),
                    comm: known.map_or_else(|| Container::UNKNOWN.into(), |p| p.comm.clone()),
                };
                (known.map(|p| p.cgroup), Some(process))
            }
        };
        let container = cgroup
            .filter(|_| !overflow)
            .and_then(|id| identities.lookup(CgroupId(id)));
        let key = GroupKey {
            container: container.as_ref().map(|c| c.cgroup),
            overflow,
            pid: process.as_ref().map(|p| p.pid),
        };
        Self {
            key,
            container,
            process,
        }
    }

    /// Whether its runtime has not answered yet.
    pub(super) fn is_pending(&self) -> bool {
        let container = self.container.as_ref();
        container.is_some_and(|container| container.naming == Naming::Pending)
    }

    /// The process id, where owners are processes.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.pid)
    }

    /// The names for a row.
    pub(super) fn names(&self) -> (ContainerRef, Option<ProcessRef>) {
        let container = match &self.container {
            Some(container) => ContainerRef::from(&**container),
            None if self.key.overflow => ContainerRef::other(),
            None => ContainerRef::unknown(),
        };
        (container, self.process.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Limits, model::ProcessInfo};

    fn named(name: &str, id: Option<char>, cgroup: &str) -> ContainerRef {
        ContainerRef {
            name: name.into(),
            id: id.map(|digit| String::from(digit).repeat(64)),
            cgroup: Some(cgroup.into()),
            ..ContainerRef::default()
        }
    }

    #[test]
    fn containers_of_one_name_are_told_apart_and_rows_of_one_container_are_not() {
        let mut rows = [
            named("web", Some('a'), "/docker/a"),
            named("web", Some('b'), "/libpod_parent/libpod-b"),
            named("db", Some('c'), "/docker/c"),
            named("db", Some('c'), "/docker/c"),
            named("cron.service", None, "/system.slice/cron.service"),
            named("cron.service", None, "/box/system.slice/cron.service"),
            ContainerRef::other(),
            ContainerRef::other(),
        ];
        tell_apart(&mut rows);
        assert_eq!(
            rows.each_ref().map(ContainerRef::display_name),
            [
                "web~aaaaaaaaaaaa",
                "web~bbbbbbbbbbbb",
                "db",
                "db",
                "/system.slice/cron.service",
                "/box/system.slice/cron.service",
                "~other",
                "~other",
            ]
        );
        let json = serde_json::to_value(&rows[0]).unwrap();
        assert_eq!(json["name"], "web");
    }

    fn names(owner: u64, measurements: &Measurements) -> (ContainerRef, Option<ProcessRef>) {
        let identities = Identities::new(Limits::default());
        let owner = OwnerId(owner);
        Resolved::find(owner, OwnerKind::Process, measurements, &identities).names()
    }

    #[test]
    fn processes_that_found_no_room_are_one_of_their_own_in_their_container() {
        let (_, process) = names(OTHER_PROCESSES | 77, &Measurements::default());
        assert_eq!(process, Some(ProcessRef::other()));
        let (container, process) = names(0, &Measurements::default());
        assert!(container.is_other() && process.is_none());
    }

    #[test]
    fn a_process_has_the_name_that_was_read() {
        let mut measurements = Measurements::default();
        let info = ProcessInfo {
            cgroup: 77,
            comm: "postgres".into(),
        };
        measurements.processes.insert(5, info);
        let (_, process) = names(5, &measurements);
        assert_eq!(
            process.map(|it| (it.pid, it.comm)),
            Some((5, "postgres".into()))
        );
    }
}
