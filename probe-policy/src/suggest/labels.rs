//! Labels by which a workload is told.

use crate::{engine::Engine, model::Labels};

use super::{Workload, workload};

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

/// Labels that all pods of a workload have, and keep.
pub(super) fn stable(engine: &Engine, of: &Workload) -> Labels {
    let mut common: Option<Labels> = None;
    for (index, pod) in (0..).zip(&engine.cluster().pods) {
        if workload(engine, index) != *of {
            continue;
        }
        let its = pod
            .labels
            .iter()
            .filter(|(key, _)| !UNSTABLE.contains(&key.as_str()));
        common = Some(match common {
            None => its
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            Some(mut common) => {
                common.retain(|key, value| pod.labels.get(key) == Some(value));
                common
            }
        });
    }
    common.unwrap_or_default()
}

/// Other workloads of the namespace whose pods have all of these labels.
pub(super) fn others(engine: &Engine, of: &Workload, labels: &Labels) -> Vec<String> {
    let mut others: Vec<_> = (0..)
        .zip(&engine.cluster().pods)
        .filter(|(_, pod)| pod.namespace == of.0)
        .filter(|(_, pod)| {
            labels
                .iter()
                .all(|(key, value)| pod.labels.get(key) == Some(value))
        })
        .map(|(index, _)| workload(engine, index))
        .filter(|other| other != of)
        .map(|(_, kind, name)| format!("{kind} {name}"))
        .collect();
    others.sort();
    others.dedup();
    others
}
