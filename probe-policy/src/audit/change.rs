//! Policies that are not in force yet, and what they would change.

use serde::{Deserialize, Serialize};

use crate::{model::Cluster, verdict::Word};

/// Annotation or label of a policy that is not in force, with the value `true`.
pub const PENDING: &str = "nodeprobe.io/pending";

/// What other policies would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// What was allowed would be denied.
    AllowToDeny,
    /// What was denied would be allowed.
    DenyToAllow,
    /// It would become open or unknown, or was.
    Uncertain,
    /// The same.
    None,
}

impl Change {
    /// From one verdict to another one.
    pub fn between(now: Word, then: Word) -> Self {
        match (now.allows(), then.allows()) {
            (Some(true), Some(false)) => Self::AllowToDeny,
            (Some(false), Some(true)) => Self::DenyToAllow,
            (now, then) if now == then => Self::None,
            _ => Self::Uncertain,
        }
    }
}

/// The same cluster with the policies of a proposal, and with labels of namespaces that these may need.
#[must_use]
pub fn with_proposed(cluster: &Cluster, proposal: Cluster) -> Cluster {
    let mut proposed = cluster.clone();
    proposed.policies = proposal.policies;
    proposed.namespaces.extend(proposal.namespaces);
    proposed
}

/// Takes policies out that are marked as [`PENDING`]; answers the cluster as it is with them, if there are any.
pub fn pending(cluster: &mut Cluster) -> Option<Cluster> {
    let is_pending = |annotations: &crate::model::Labels| {
        annotations
            .get(PENDING)
            .is_some_and(|value| value == "true")
    };
    let all = cluster.policies.iter();
    if !all.clone().any(|policy| is_pending(&policy.annotations)) {
        return None;
    }
    let with = cluster.clone();
    cluster
        .policies
        .retain(|policy| !is_pending(&policy.annotations));
    Some(with)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Loader;

    #[test]
    fn policies_that_are_marked_are_pending() {
        let policy = |name: &str, marks: &str| {
            format!(
                "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}{marks}}}, spec: {{podSelector: {{}}}}}}\n---\n"
            )
        };
        let mut loader = Loader::default();
        let marked = |by: &str, value| format!(", {by}: {{nodeprobe.io/pending: '{value}'}}");
        let (label, annotation) = (marked("labels", true), marked("annotations", true));
        let undone = label.clone() + &marked("annotations", false);
        let all = policy("old", "")
            + &policy("new", &annotation)
            + &policy("newer", &label)
            + &policy("undone", &undone);
        loader.add("a.yaml", &all);
        let mut cluster = loader.finish().cluster;
        let with = pending(&mut cluster).unwrap();
        let names = |cluster: &Cluster| {
            let policies = cluster.policies.iter();
            policies.map(|it| it.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&cluster), ["old", "undone"]);
        assert_eq!(names(&with), ["new", "newer", "old", "undone"]);
        assert_eq!(pending(&mut cluster), None);
    }

    #[test]
    fn a_change_is_one_of_what_is_certain() {
        use Word::{Allowed, Denied, Exempt, NoPolicy, Unknown, WouldDeny};
        for (now, then, expected) in [
            (Allowed, WouldDeny, Change::AllowToDeny),
            (Denied, NoPolicy, Change::DenyToAllow),
            (NoPolicy, Exempt, Change::None),
            (WouldDeny, Denied, Change::None),
            (Unknown, Unknown, Change::None),
            (Allowed, Unknown, Change::Uncertain),
            (Unknown, WouldDeny, Change::Uncertain),
        ] {
            assert_eq!(Change::between(now, then), expected, "{now:?} {then:?}");
        }
    }
}
