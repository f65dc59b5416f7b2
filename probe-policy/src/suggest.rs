//! NetworkPolicies that allow what was seen, and nothing else as far as labels can tell.
//!
//! Workloads are told apart by labels that stay when their pods are replaced. A direction in which nothing was seen is left open,
//! because a policy for it would be a guess.

mod seen;
mod workloads;
mod yaml;

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    engine::{Connection, End, Engine},
    model::{Direction, Labels, Protocol},
};
use seen::Seen;

/// What was seen: connections and how often.
pub type Observed = Vec<(Connection, u64)>;

/// A policy, and what it is founded on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Its namespace.
    pub namespace: String,
    /// Its name, which is that of the workload.
    pub name: String,
    /// What the workload is, such as `Deployment shop/web`.
    pub workload: String,
    /// Labels that select its pods.
    pub labels: Labels,
    /// Other workloads that these labels select too.
    pub also: Vec<String>,
    /// Rules by direction; a direction that is not here was not seen.
    pub rules: BTreeMap<Direction, Vec<Allowed>>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Who is at the other end.
    pub peer: Party,
    /// Ports of the destination.
    pub ports: Vec<(Protocol, PortName)>,
    /// How many connections it is founded on.
    pub connections: u64,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A workload: namespace, labels and name.
    Workload(String, Labels, String),
    /// Addresses outside.
    Outside(Vec<IpAddr>),
}

/// A port, by its name where all pods of the workload have the same number for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortName {
    /// Its number.
    Number(u16),
    /// Its name.
    Named(String),
}

/// What came of the observations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggested {
    /// Policies by namespace and name.
    pub policies: Vec<Suggestion>,
    /// Connections that were looked at.
    pub connections: u64,
    /// Those that no policy can be about: neither end is a pod that policies know.
    pub foreign: u64,
    /// Those of protocols that policies cannot name.
    pub unnamed: u64,
    /// Those with a pod that has no label to tell it by.
    pub unlabelled: u64,
}

impl Suggested {
    /// Of what was seen in a cluster.
    pub fn of(engine: &Engine, observed: &Observed) -> Self {
        let mut seen = Seen::new(engine);
        for (connection, count) in observed {
            seen.take(connection, *count);
        }
        seen.finish()
    }

    /// As manifests, with comments that say what each rule is founded on. The same observations give the same text.
    pub fn to_yaml(&self) -> String {
        yaml::write(self)
    }
}

/// The pod at an end, if policies are about it.
fn pod_of(engine: &Engine, end: End) -> Option<u32> {
    match end {
        End::Pod(pod) | End::PodAt(pod, _) => engine.is_policed(pod).then_some(pod),
        End::Address(address) => engine.pod_at(address),
        End::Host(_) => None,
    }
}
