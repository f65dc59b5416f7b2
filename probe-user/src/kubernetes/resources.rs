//! What is watched, in which versions, and for what.

use kube::api::ApiResource;

/// Whose pods are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of our own node: names of what runs here.
    Node,
    /// All of the cluster, with services, nodes and namespaces: names of the other ends, too.
    Cluster,
}

/// A kind of objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource {
    pub(super) kind: &'static str,
    /// As it stands in paths.
    pub(super) plural: &'static str,
    /// The newest version first: the first one that the server has is watched.
    pub(super) versions: &'static [(&'static str, &'static str)],
    /// Watched by a name instead where the server has none of the versions.
    pub(super) instead: Option<&'static Resource>,
    need: Need,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Always,
    Peers,
    Policies,
}

const CORE: &[(&str, &str)] = &[("", "v1")];

/// Before 1.21 slices are a beta, and before that there are only endpoints.
const ENDPOINTS: Resource = Resource {
    kind: "Endpoints",
    plural: "endpoints",
    versions: CORE,
    instead: None,
    need: Need::Peers,
};

const ALL: &[Resource] = &[
    Resource {
        kind: "Pod",
        plural: "pods",
        versions: CORE,
        instead: None,
        need: Need::Always,
    },
    Resource {
        kind: "Namespace",
        plural: "namespaces",
        versions: CORE,
        instead: None,
        need: Need::Policies,
    },
    Resource {
        kind: "Node",
        plural: "nodes",
        versions: CORE,
        instead: None,
        need: Need::Peers,
    },
    Resource {
        kind: "Service",
        plural: "services",
        versions: CORE,
        instead: None,
        need: Need::Peers,
    },
    Resource {
        kind: "EndpointSlice",
        plural: "endpointslices",
        versions: &[("discovery.k8s.io", "v1"), ("discovery.k8s.io", "v1beta1")],
        instead: Some(&ENDPOINTS),
        need: Need::Peers,
    },
    policy(
        "NetworkPolicy",
        "networkpolicies",
        &[("networking.k8s.io", "v1")],
    ),
    policy(
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
        &[("policy.networking.k8s.io", "v1alpha2")],
    ),
    policy(
        "AdminNetworkPolicy",
        "adminnetworkpolicies",
        &[("policy.networking.k8s.io", "v1alpha1")],
    ),
    policy(
        "BaselineAdminNetworkPolicy",
        "baselineadminnetworkpolicies",
        &[("policy.networking.k8s.io", "v1alpha1")],
    ),
];

const fn policy(
    kind: &'static str,
    plural: &'static str,
    versions: &'static [(&'static str, &'static str)],
) -> Resource {
    Resource {
        kind,
        plural,
        versions,
        instead: None,
        need: Need::Policies,
    }
}

/// What is to be watched.
pub(super) fn wanted(scope: Scope, policies: bool) -> impl Iterator<Item = &'static Resource> {
    ALL.iter().filter(move |resource| match resource.need {
        Need::Always => true,
        Need::Peers => scope == Scope::Cluster,
        Need::Policies => policies,
    })
}

impl Resource {
    /// Restricts the watch to what is needed.
    pub(super) fn selector(&self, scope: Scope, node: &str) -> Option<String> {
        (self.kind == "Pod" && scope == Scope::Node).then(|| format!("spec.nodeName={node}"))
    }

    /// Whether its objects are what connections are judged by; where it is missing, nothing can be.
    pub(super) fn is_essential(&self) -> bool {
        matches!(self.kind, "Pod" | "Namespace" | "NetworkPolicy")
    }

    /// Whether every server has it.
    pub(super) fn is_core(&self) -> bool {
        self.versions == CORE
    }

    pub(super) fn api(&self, (group, version): (&str, &str)) -> ApiResource {
        let api_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_watched_than_what_is_wanted() {
        let kinds =
            |scope, policies| -> Vec<_> { wanted(scope, policies).map(|it| it.kind).collect() };
        assert_eq!(kinds(Scope::Node, false), ["Pod"]);
        let peers = kinds(Scope::Cluster, false);
        assert!(peers.contains(&"EndpointSlice") && !peers.contains(&"NetworkPolicy"));
        assert_eq!(kinds(Scope::Cluster, true).len(), ALL.len());
    }

    #[test]
    fn pods_of_other_nodes_are_left_out_where_only_ours_count() {
        let pods = &ALL[0];
        assert_eq!(
            pods.selector(Scope::Node, "n1").as_deref(),
            Some("spec.nodeName=n1")
        );
        assert_eq!(pods.selector(Scope::Cluster, "n1"), None);
    }
}
