//! Workloads, and what all pods of each have in common.

use std::collections::BTreeMap;

use crate::{
    engine::Connection,
    model::{Cluster, Labels, Pod},
    suggest::PortName,
};

/// Labels that controllers give to pods to tell them apart, and that are others after an update.
const UNSTABLE: &[&str] = &[
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/job-name",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "pod-template-generation",
    "pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// What a pod belongs to: namespace, kind and name.
pub(super) type Workload = (String, String, String);

/// All workloads of a cluster.
#[derive(Debug)]
pub(super) struct Workloads<'a> {
    /// That of each pod, by its index.
    of_pod: Vec<Workload>,
    pods: BTreeMap<Workload, Vec<&'a Pod>>,
}

impl<'a> Workloads<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Self {
        let mut pods: BTreeMap<Workload, Vec<&'a Pod>> = BTreeMap::new();
        let mut of_pod = Vec::with_capacity(cluster.pods.len());
        for pod in &cluster.pods {
            let owner = pod.workload();
            let workload = (pod.namespace.clone(), owner.kind, owner.name);
            pods.entry(workload.clone()).or_default().push(pod);
            of_pod.push(workload);
        }
        Self { of_pod, pods }
    }

    pub(super) fn of_pod(&self, pod: u32) -> &Workload {
        &self.of_pod[pod as usize]
    }

    fn pods(&self, of: &Workload) -> &[&'a Pod] {
        self.pods.get(of).map(Vec::as_slice).unwrap_or_default()
    }

    /// Labels that all pods of a workload have, and keep.
    pub(super) fn labels(&self, of: &Workload) -> Labels {
        let Some((first, others)) = self.pods(of).split_first() else {
            return Labels::new();
        };
        let mut common = first.labels.clone();
        common.retain(|key, value| {
            !UNSTABLE.contains(&key.as_str())
                && others.iter().all(|pod| pod.labels.get(key) == Some(value))
        });
        common
    }

    /// Other workloads of the namespace with a pod that has all of these labels.
    pub(super) fn others(&self, of: &Workload, labels: &Labels) -> Vec<String> {
        let is_alike = |pod: &&Pod| {
            labels
                .iter()
                .all(|(key, value)| pod.labels.get(key) == Some(value))
        };
        self.pods
            .iter()
            .filter(|(other, pods)| *other != of && other.0 == of.0 && pods.iter().any(is_alike))
            .map(|((_, kind, name), _)| format!("{kind} {name}"))
            .collect()
    }

    /// The destination's port by its name, if all pods of its workload mean the same by it.
    pub(super) fn port(&self, to: &Pod, of: &Workload, connection: &Connection) -> PortName {
        let number = PortName::Number(connection.port);
        let mut declared = to
            .ports
            .iter()
            .filter(|port| port.protocol == connection.protocol && port.number == connection.port);
        let Some(name) = declared.next().and_then(|port| port.name.as_ref()) else {
            return number;
        };
        let same = self.pods(of).iter().all(|pod| {
            let mut named = pod.ports.iter().filter(|port| {
                port.name.as_ref() == Some(name) && port.protocol == connection.protocol
            });
            let first = named.next();
            first.is_some_and(|port| port.number == connection.port) && named.next().is_none()
        });
        if same {
            PortName::Named(name.clone())
        } else {
            number
        }
    }
}
