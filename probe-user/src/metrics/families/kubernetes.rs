//! What an API server of Kubernetes tells, and what that costs it. Nothing of it is there where none is asked.

use super::{Desc, Kind, Unit, counter, gauge, off_by_default};

/// Pods of the node.
pub static POD: Desc = Desc {
    kind: Kind::Info,
    ..off_by_default(counter(
        "nodeprobe_pod_info",
        "Pods of this node, with what each belongs to: the Deployment rather than its ReplicaSet. Joins workloads to series of containers.",
        &["namespace", "pod", "uid", "workload", "workload_kind"],
        300,
    ))
};

/// Labels and annotations of pods.
pub static POD_LABEL: Desc = Desc {
    kind: Kind::Info,
    ..off_by_default(counter(
        "nodeprobe_pod_label_info",
        "Labels and annotations of pods of this node that kubernetes.labels and kubernetes.annotations ask for; source is label or annotation.",
        &["namespace", "pod", "source", "key", "value"],
        1000,
    ))
};

/// States of watches.
pub static KUBERNETES_WATCH: Desc = off_by_default(gauge(
    "nodeprobe_kubernetes_watch_state",
    "Whether the watch of a resource is in this state: waiting, synced, failed or absent.",
    Unit::None,
    &["resource", "state"],
    48,
));

/// Ages of what was read.
pub static KUBERNETES_STALENESS: Desc = off_by_default(gauge(
    "nodeprobe_kubernetes_staleness_seconds",
    "Time since what is known of a resource was last up to date; 0 while it is.",
    Unit::Seconds,
    &["resource"],
    12,
));

/// Objects that are known.
pub static KUBERNETES_OBJECTS: Desc = off_by_default(gauge(
    "nodeprobe_kubernetes_objects",
    "Objects of a resource that are known.",
    Unit::None,
    &["resource"],
    12,
));

/// Lists.
pub static KUBERNETES_LISTS: Desc = off_by_default(counter(
    "nodeprobe_kubernetes_lists_total",
    "How often all objects of a resource were read anew.",
    &["resource"],
    12,
));

/// Requests.
pub static KUBERNETES_REQUESTS: Desc = off_by_default(counter(
    "nodeprobe_kubernetes_requests_total",
    "Requests to the API server by resource and status; code 0 for those without an answer.",
    &["resource", "code"],
    100,
));

/// Bytes of answers.
pub static KUBERNETES_RECEIVED: Desc = Desc {
    unit: Unit::Bytes,
    ..off_by_default(counter(
        "nodeprobe_kubernetes_received_bytes_total",
        "Bytes of the API server's answers by resource, without their heads.",
        &["resource"],
        14,
    ))
};

/// Objects with faults.
pub static KUBERNETES_MALFORMED: Desc = off_by_default(counter(
    "nodeprobe_kubernetes_malformed_objects_total",
    "Objects that the API server told and in which something is wrong; the log says what.",
    &[],
    1,
));

/// Events.
pub static KUBERNETES_EVENTS: Desc = off_by_default(counter(
    "nodeprobe_kubernetes_events_total",
    "Events of enforcement gaps by result: written, limited or failed.",
    &["result"],
    4,
));
