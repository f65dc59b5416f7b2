//! Who has the ends of a flow.

use std::{sync::Arc, time::Duration};

use probe_common::id::CgroupId;

use super::FlowReport;
use crate::{
    flows::{Observed, Owner, Sureness},
    identity::Identities,
    model::{Container, Naming, OwnerId},
};

/// The containers at both ends, as far as they are known.
#[derive(Clone, Debug)]
pub struct Parties {
    local: Option<Arc<Container>>,
    remote: Option<(Arc<Container>, Sureness)>,
}

impl Parties {
    /// Finds them.
    pub fn of(report: &FlowReport, identities: &Identities) -> Self {
        let container = |cgroup| identities.lookup(of_socket(cgroup));
        Self {
            local: container(report.flow.cgroup),
            remote: report
                .peer
                .and_then(|peer| Some((container(peer.cgroup)?, peer.sureness))),
        }
    }

    /// The container of the local socket.
    pub fn local(&self) -> Option<&Container> {
        self.local.as_deref()
    }

    /// The container of the other end, where that is a socket of this host.
    pub fn remote(&self) -> Option<&Container> {
        self.remote.as_ref().map(|(container, _)| &**container)
    }

    /// What is to be written of a report that came at the monotonic time `at`.
    pub fn observed<'a>(&'a self, report: &'a FlowReport, at: Duration) -> Observed<'a> {
        Observed {
            event: report.event,
            flow: &report.flow,
            interval: report.interval,
            dropped: report.dropped.as_ref(),
            since: report.since,
            at,
            local: self.local(),
            remote: self.remote.as_ref().map(|(container, sureness)| Owner {
                container,
                sureness: *sureness,
            }),
            nat: report.nat,
            complete: None,
        }
    }
}

/// Whether the names of a socket's container will not change any more.
pub fn is_named(cgroup: CgroupId, identities: &Identities) -> bool {
    identities
        .lookup(of_socket(cgroup))
        .is_some_and(|container| container.naming != Naming::Pending)
}

/// The cgroup that a socket counts for.
fn of_socket(cgroup: CgroupId) -> CgroupId {
    CgroupId(OwnerId::of_socket(cgroup.0).0)
}
