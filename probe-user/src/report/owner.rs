//! Whom a row belongs to.

use std::sync::Arc;

use probe_common::id::CgroupId;

use crate::{
    identity::Identities,
    model::{Container, Measurements, OwnerId, OwnerKind},
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
            OwnerKind::Process => {
                let known = measurements.processes.get(&owner.0);
                let process = ProcessRef {
                    pid: u32::try_from(owner.0).unwrap_or(u32::MAX),
                    comm: known.map_or_else(|| Container::UNKNOWN.into(), |p| p.comm.clone()),
                };
                (known.map(|p| p.cgroup), (!overflow).then_some(process))
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
