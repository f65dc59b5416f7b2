//! Policies.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Labels, Rule, Selector};

/// Which way a connection goes, seen from the pod that a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the pod.
    Ingress,
    /// From the pod.
    Egress,
}

impl Direction {
    /// Both, in the order of manifests.
    pub const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    /// What a manifest calls the list of rules.
    pub fn list(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// What a manifest calls the peers of a rule.
    pub fn ends(self) -> &'static str {
        match self {
            Self::Ingress => "from",
            Self::Egress => "to",
        }
    }
}

/// Kinds of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Kind {
    /// `networking.k8s.io/v1`.
    NetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha2`.
    ClusterNetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha1`.
    AdminNetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha1`.
    BaselineAdminNetworkPolicy,
}

impl Kind {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ClusterNetworkPolicy => "ClusterNetworkPolicy",
            Self::AdminNetworkPolicy => "AdminNetworkPolicy",
            Self::BaselineAdminNetworkPolicy => "BaselineAdminNetworkPolicy",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When a policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Tier {
    /// Before NetworkPolicies.
    #[serde(rename = "admin")]
    Admin,
    /// NetworkPolicies themselves.
    #[serde(rename = "np")]
    Network,
    /// After them, for what they say nothing about.
    #[serde(rename = "baseline")]
    Baseline,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// `metadata.uid`, where an API server gave it one.
    pub uid: Option<String>,
    /// `metadata.generation`, where an API server gave it one.
    pub generation: Option<u64>,
    /// Annotations and labels that are meant for nodeprobe.
    pub annotations: Labels,
    /// What it says.
    pub body: Body,
}

impl Policy {
    /// The rules of a direction, whatever its kind; none of one that is not valid.
    pub fn rules(&self, direction: Direction) -> &[Rule] {
        match &self.body {
            Body::Network(network) => network.rules(direction).unwrap_or_default(),
            Body::Tiered(tiered) => tiered.rules(direction),
            Body::Invalid(_) => &[],
        }
    }
}

impl fmt::Display for Policy {
    /// Such as `NetworkPolicy shop/web-in`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A NetworkPolicy.
    Network(NetworkPolicy),
    /// Any of the cluster-wide ones.
    Tiered(TieredPolicy),
    /// One that an API server would have refused.
    Invalid(Invalid),
}

/// The rules of a NetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// The pods of its namespace that it is about.
    pub pods: Selector,
    /// What may come to them; `None` if it says nothing of that.
    pub ingress: Option<Vec<Rule>>,
    /// Where they may go; `None` if it says nothing of that.
    pub egress: Option<Vec<Rule>>,
}

/// The rules of a cluster-wide policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TieredPolicy {
    /// Admin or baseline.
    pub tier: Tier,
    /// The smallest is asked first, in each tier.
    pub priority: u16,
    /// Namespaces of the pods that it is about.
    pub namespaces: Selector,
    /// Labels of these pods.
    pub pods: Selector,
    /// Asked in this order.
    pub ingress: Vec<Rule>,
    /// Asked in this order.
    pub egress: Vec<Rule>,
}

impl TieredPolicy {
    /// The rules of a direction.
    pub fn rules(&self, direction: Direction) -> &[Rule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

impl Invalid {
    /// Whether it may say something of a direction.
    pub fn has(&self, direction: Direction) -> bool {
        match direction {
            Direction::Ingress => self.ingress,
            Direction::Egress => self.egress,
        }
    }
}

impl NetworkPolicy {
    /// The rules of a direction; `None` if it does not isolate in that.
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// What is certain of a policy that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Its tier, as far as its kind or what it says tells: that of a ClusterNetworkPolicy may be either.
    pub tier: Option<Tier>,
    /// Namespaces of the pods that it is about, by labels; `None` if it cannot be told.
    pub namespaces: Option<Selector>,
    /// Labels of the pods that it is about; `None` if that cannot be told.
    pub pods: Option<Selector>,
    /// Its priority; `None` if it has none or that cannot be told.
    pub priority: Option<u16>,
    /// Whether it may say something of what comes to the pods.
    pub ingress: bool,
    /// Whether it may say something of where they go.
    pub egress: bool,
}
