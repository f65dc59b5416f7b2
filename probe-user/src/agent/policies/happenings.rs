//! Enforcement gaps as Events of Kubernetes.

use probe_policy::{audit::Assessment, model::Direction};

use crate::{
    kubernetes::{Happening, Kubernetes},
    policy::{Audit, Owners},
};

/// The reason of the Event: what `kubectl get events` shows.
const REASON: &str = "NetworkPolicyNotEnforced";

/// Hands in what is to be said of a connection, where Events are wanted.
pub(super) fn tell(kubernetes: &Kubernetes, audit: &Audit<'_>, owners: Owners<'_>) {
    let Some(events) = kubernetes.events() else {
        return;
    };
    let Some(pod) = owners.local.filter(|it| !it.pod_uid.is_empty()) else {
        return;
    };
    if audit.judged.assessment != Assessment::Gap || !audit.is_first {
        return;
    }
    let verdict = &audit.judged.verdict;
    let denying = [
        (Direction::Egress, &verdict.egress),
        (Direction::Ingress, &verdict.ingress),
    ]
    .into_iter()
    .filter(|(_, side)| side.word.allows() == Some(false))
    .flat_map(|(direction, _)| audit.judged.hits(direction));
    let mut policies: Vec<_> = denying.map(|hit| hit.to_string()).collect();
    policies.sort();
    policies.dedup();
    let (from, to) = audit.names();
    let policies = policies.join(" and ");
    let connection = audit.connection;
    let happening = Happening {
        namespace: pod.namespace.clone(),
        pod: pod.pod.clone(),
        uid: pod.pod_uid.clone(),
        reason: REASON,
        subject: format!("{policies} {from} {to}"),
        message: format!(
            "A connection from {from} to {to}, port {}, was made although it is denied by {policies}",
            connection.port
        ),
    };
    events.tell(happening, kubernetes.catalog());
}
