//! What network policies say of connections, and what became of these. Nothing of it is there without manifests.

use super::{Desc, Unit, counter, gauge, off_by_default};

/// Verdicts; `direction` is the side of the connection that the container is, from its pod's view.
pub static POLICY_VERDICTS: Desc = off_by_default(counter(
    "nodeprobe_policy_verdicts_total",
    "Connections of the container, by what policies about its pod say in that direction and by what became of them.",
    &[
        "namespace",
        "pod",
        "container",
        "direction",
        "verdict",
        "outcome",
    ],
    8,
));

/// Enforcement gaps.
pub static POLICY_GAPS: Desc = off_by_default(counter(
    "nodeprobe_policy_enforcement_gaps_total",
    "Connections that policies deny and that were made all the same, by the namespace of the pod and the direction.",
    &["namespace", "direction"],
    50,
));

/// Breakages.
pub static POLICY_BREAKAGES: Desc = off_by_default(counter(
    "nodeprobe_policy_breakages_total",
    "Connections that policies allow and that were dropped by something else, by the namespace of the pod and the direction.",
    &["namespace", "direction"],
    50,
));

/// Rules that had a say.
pub static POLICY_RULE_MATCHES: Desc = off_by_default(counter(
    "nodeprobe_policy_rule_matches_total",
    "Connections that a rule allows or denies, counted from 0 for every rule; rule ~none for those that a policy isolates against.",
    &["namespace", "policy", "policy_kind", "direction", "rule"],
    500,
));

/// What pending policies would change.
pub static POLICY_PENDING_CHANGES: Desc = off_by_default(counter(
    "nodeprobe_policy_pending_changes_total",
    "Connections of which pending policies say another thing than those in force, by the namespace of the pod and the change.",
    &["namespace", "change"],
    50,
));

/// Policies in force.
pub static POLICY_OBJECTS: Desc = off_by_default(gauge(
    "nodeprobe_policy_objects",
    "Policies in force, by kind and state: valid or invalid.",
    Unit::None,
    &["policy_kind", "state"],
    8,
));

/// How often policies have changed.
pub static POLICY_GENERATION: Desc = off_by_default(gauge(
    "nodeprobe_policy_generation",
    "The state of the policies that connections are judged by, counted from 1.",
    Unit::None,
    &[],
    1,
));

/// Whether policies may be out of date.
pub static POLICY_STALE: Desc = off_by_default(gauge(
    "nodeprobe_policy_stale",
    "1 while the manifests or the API server cannot be read, so that policies may be out of date.",
    Unit::None,
    &[],
    1,
));

/// Records of the event log; `result` is `written`, `refused`, `unencodable` or `abandoned`.
pub static EVENT_LOG_RECORDS: Desc = off_by_default(counter(
    "nodeprobe_event_log_records_total",
    "Records for the event log, by what became of them.",
    &["result"],
    4,
));
