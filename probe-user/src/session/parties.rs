//! Who has the ends of a flow.

use std::{sync::Arc, time::Duration};

use probe_common::id::CgroupId;
use probe_policy::model::Owner;

use super::FlowReport;
use crate::{
    flows::{self, Observed, PodName, Sureness, Surroundings, WorkloadName},
    identity::Identities,
    kubernetes::{Catalog, Peer, PodFacts, ServiceName},
    model::{Container, Initiator, Naming, OwnerId},
};

/// The containers at both ends, as far as they are known, and what is known of them besides.
#[derive(Clone, Debug)]
pub struct Parties {
    local: Option<Arc<Container>>,
    remote: Option<(Arc<Container>, Sureness)>,
    local_pod: Option<Arc<PodFacts>>,
    remote_pod: Option<Arc<PodFacts>>,
    peer: Option<Arc<Peer>>,
    service: Option<Arc<ServiceName>>,
}

impl Parties {
    /// Finds them. The catalog of an API server knows who is not on this host.
    pub fn of(report: &FlowReport, identities: &Identities, catalog: Option<&Catalog>) -> Self {
        let container = |cgroup| identities.lookup(of_socket(cgroup));
        let local = container(report.flow.cgroup);
        let remote = report
            .peer
            .and_then(|peer| Some((container(peer.cgroup)?, peer.sureness)));
        let pod = |container: Option<&Arc<Container>>| {
            let uid = container.map(|it| it.pod_uid.as_str())?;
            catalog?.pod(uid).filter(|_| !uid.is_empty())
        };
        Self {
            local_pod: pod(local.as_ref()),
            remote_pod: pod(remote.as_ref().map(|(container, _)| container)),
            peer: if remote.is_some() {
                None
            } else {
                peer_of(report, catalog)
            },
            service: catalog.and_then(|catalog| service(report, catalog)),
            local,
            remote,
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
            remote: self
                .remote
                .as_ref()
                .map(|(container, sureness)| flows::Owner {
                    container,
                    sureness: *sureness,
                }),
            surroundings: self.surroundings(),
            nat: report.nat,
            complete: None,
        }
    }

    fn surroundings(&self) -> Surroundings<'_> {
        let by_socket = self.remote_pod.as_deref().map(|pod| &pod.workload);
        let by_address = self.peer.as_deref().map(|peer| &peer.workload);
        let local = self.local_pod.as_deref().map(|pod| &pod.workload);
        Surroundings {
            local_workload: local.map(name_of),
            remote_workload: by_socket.or(by_address).map(name_of),
            remote_pod: self.peer.as_deref().map(|peer| PodName {
                namespace: &peer.namespace,
                name: &peer.pod,
                uid: &peer.uid,
            }),
            service: self
                .service
                .as_deref()
                .map(|service| (service.namespace.as_str(), service.name.as_str())),
        }
    }
}

fn name_of(workload: &Owner) -> WorkloadName<'_> {
    WorkloadName {
        kind: &workload.kind,
        name: &workload.name,
    }
}

/// Whoever has the other end's address, by what an API server tells: after a translation, if one is known.
pub fn peer_of(report: &FlowReport, catalog: Option<&Catalog>) -> Option<Arc<Peer>> {
    let tuple = report.nat.unwrap_or(report.flow.tuple);
    catalog?.peer(tuple.remote.to_canonical(), report.flow.start)
}

/// The service that was asked, by the address that was used, or by what is behind it.
fn service(report: &FlowReport, catalog: &Catalog) -> Option<Arc<ServiceName>> {
    let tuple = report.flow.tuple;
    match report.flow.initiator {
        Initiator::Local => {
            let behind = report.nat.unwrap_or(tuple);
            catalog
                .service(tuple.remote, tuple.remote_port)
                .or_else(|| catalog.service(behind.remote, behind.remote_port))
        }
        Initiator::Remote => catalog.service(tuple.local, tuple.local_port),
    }
}

/// The container of a socket, once its names will not change any more, nor what its pod belongs to.
pub fn named(
    cgroup: CgroupId,
    identities: &Identities,
    catalog: Option<&Catalog>,
) -> Option<Arc<Container>> {
    let knows_pod = |container: &Container| {
        let uid = container.pod_uid.as_str();
        uid.is_empty() || catalog.is_none_or(|catalog| catalog.pod(uid).is_some())
    };
    identities
        .lookup(of_socket(cgroup))
        .filter(|container| container.naming != Naming::Pending && knows_pod(container))
}

/// The cgroup that a socket counts for.
fn of_socket(cgroup: CgroupId) -> CgroupId {
    CgroupId(OwnerId::of_socket(cgroup.0).0)
}
