//! The kinds of objects that the server knows.

/// A kind, in all versions that serve it.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    /// Empty for the core group.
    pub(crate) group: &'static str,
    /// The preferred one first.
    pub(crate) versions: &'static [&'static str],
    pub(crate) namespaced: bool,
    /// Clients may create and change objects.
    pub(crate) writable: bool,
    /// Defined by a CustomResourceDefinition.
    pub(crate) custom: bool,
    /// What a field selector may ask beside the name and the namespace.
    pub(crate) fields: &'static [&'static str],
}

const POLICIES: &str = "policy.networking.k8s.io";

const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
];

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.uid",
    "reason",
    "type",
];

/// All of them; groups are together.
pub(crate) static KINDS: [Kind; 12] = [
    Kind {
        fields: POD_FIELDS,
        ..core("Pod", "pods", true)
    },
    core("Namespace", "namespaces", false),
    core("Node", "nodes", false),
    core("Service", "services", true),
    core("Endpoints", "endpoints", true),
    Kind {
        writable: true,
        fields: EVENT_FIELDS,
        ..core("Event", "events", true)
    },
    Kind {
        group: "events.k8s.io",
        writable: true,
        ..core("Event", "events", true)
    },
    Kind {
        group: "discovery.k8s.io",
        versions: &["v1", "v1beta1"],
        ..core("EndpointSlice", "endpointslices", true)
    },
    Kind {
        group: "networking.k8s.io",
        ..core("NetworkPolicy", "networkpolicies", true)
    },
    custom(
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
        &["v1alpha2"],
    ),
    custom("AdminNetworkPolicy", "adminnetworkpolicies", &["v1alpha1"]),
    custom(
        "BaselineAdminNetworkPolicy",
        "baselineadminnetworkpolicies",
        &["v1alpha1"],
    ),
];

const fn core(kind: &'static str, plural: &'static str, namespaced: bool) -> Kind {
    Kind {
        kind,
        plural,
        group: "",
        versions: &["v1"],
        namespaced,
        writable: false,
        custom: false,
        fields: &[],
    }
}

const fn custom(
    kind: &'static str,
    plural: &'static str,
    versions: &'static [&'static str],
) -> Kind {
    Kind {
        group: POLICIES,
        versions,
        custom: true,
        ..core(kind, plural, false)
    }
}

impl Kind {
    /// The resource as messages name it: `pods`, `networkpolicies.networking.k8s.io`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// What an object says of itself: `v1`, `networking.k8s.io/v1`.
    pub(crate) fn api_version(&self, version: &str) -> String {
        group_version(self.group, version)
    }

    /// By the `apiVersion`, of any version, and `kind` of an object.
    pub(crate) fn of_object(api_version: &str, kind: &str) -> Option<&'static Self> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        KINDS
            .iter()
            .find(|known| known.kind == kind && known.group == group)
    }

    /// By the words of a path, with the version as the kind has it.
    pub(crate) fn of_path(
        group: &str,
        version: &str,
        plural: &str,
    ) -> Option<(&'static Self, &'static str)> {
        let kind = KINDS
            .iter()
            .find(|kind| kind.group == group && kind.plural == plural)?;
        let version = kind.versions.iter().find(|known| **known == version)?;
        Some((kind, version))
    }

    /// Tells kinds apart; the order of the table.
    pub(crate) fn index(&'static self) -> usize {
        KINDS
            .iter()
            .position(|kind| std::ptr::eq(kind, self))
            .unwrap_or(KINDS.len())
    }
}

/// `v1` of the core group, `networking.k8s.io/v1` of another.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}
