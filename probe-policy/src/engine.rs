//! Judges connections by the policies of a cluster.
//!
//! An [`Engine`] is built once for a state of the cluster. Pods that no policy can tell apart are one identity; which identities
//! a peer matches is a bitmap, and each identity has the list of the policies that are about it.

mod check;
mod compile;
mod direction;
mod end;
mod identity;
mod index;
mod network;
mod ports;
mod tiers;

use std::net::IpAddr;

use rustc_hash::FxHashMap;

pub use check::{Cell, Doubt, Matrix, Problem, RuleId};
pub use end::{Connection, End};

use crate::{
    model::{Backend, Cluster, Direction, Policy, Protocol},
    verdict::{Caveat, Reason, Side, Verdict, Word},
};
use compile::{About, Compiled};
use identity::Identities;

/// What the API leaves to choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether an `ipBlock` or `networks` matches pods by their addresses.
    pub blocks_match_pods: bool,
    /// Whether pods with the network of their node are pods as any other. Else they are as their node is.
    pub distinguish_host_network: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            blocks_match_pods: true,
            distinguish_host_network: false,
        }
    }
}

/// Policies of one state of a cluster, ready to judge.
#[derive(Debug)]
pub struct Engine {
    cluster: Cluster,
    options: Options,
    identities: Identities,
    compiled: Compiled,
    /// Who has an address.
    addresses: FxHashMap<IpAddr, Holder>,
    /// Who has a name, by namespace.
    names: FxHashMap<String, FxHashMap<String, u32>>,
}

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// A pod, by its index.
    Pod(u32),
    /// A node.
    Node,
    /// A service, by its index.
    Service(u32),
}

impl Engine {
    /// Prepares everything.
    pub fn new(cluster: Cluster, options: Options) -> Self {
        let identities = Identities::of(&cluster);
        let compiled = Compiled::of(&cluster, &identities);
        let addresses = holders(&cluster, options);
        let names = names(&cluster);
        Self {
            cluster,
            options,
            identities,
            compiled,
            addresses,
            names,
        }
    }

    /// What it was built of.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The policy of a [`Hit`](crate::verdict::Hit).
    pub fn policy(&self, index: u32) -> &Policy {
        &self.cluster.policies[index as usize]
    }

    /// Judges a connection in both directions.
    pub fn judge(&self, connection: &Connection) -> Verdict {
        if let End::Address(address) = connection.to
            && let Some(Holder::Service(index)) = self.addresses.get(&address.to_canonical())
        {
            return self.judge_service(connection, *index);
        }
        self.judge_resolved(connection, false)
    }

    fn judge_resolved(&self, connection: &Connection, by_service: bool) -> Verdict {
        let from = self.resolve(connection.from);
        let to = self.resolve(connection.to);
        let is_itself = from.pod.is_some() && from.pod == to.pod;
        if from.is_loopback() || to.is_loopback() || (is_itself && !by_service) {
            let exempt = || Side::because(Word::Exempt, Reason::Loopback);
            return Verdict::new(exempt(), exempt());
        }
        let side = |direction| self.side(direction, &from, &to, connection);
        Verdict::new(side(Direction::Egress), side(Direction::Ingress))
    }

    /// By all that is behind the service: what they have in common is its verdict.
    fn judge_service(&self, connection: &Connection, index: u32) -> Verdict {
        let backends = self.backends(index, connection);
        let judge = |backend| self.judge_resolved(&connection.behind(backend), true);
        let verdicts: Vec<_> = backends.iter().map(judge).collect();
        let words = |verdict: &Verdict| (verdict.egress.word, verdict.ingress.word);
        let same = verdicts
            .windows(2)
            .all(|pair| words(&pair[0]) == words(&pair[1]));
        match verdicts.into_iter().next() {
            Some(mut verdict) if same => {
                verdict.egress.caveat(Caveat::ServiceByEndpointslice);
                verdict.ingress.caveat(Caveat::ServiceByEndpointslice);
                verdict
            }
            _ => {
                let unknown = || Side::because(Word::Unknown, Reason::UnresolvedService);
                Verdict::new(unknown(), unknown())
            }
        }
    }

    /// The pod that has an address, if policies can be about it.
    pub fn pod_at(&self, address: IpAddr) -> Option<u32> {
        self.resolve(End::Address(address)).pod
    }

    /// Whether an address is known: of a pod, a node or a service.
    pub fn knows(&self, address: IpAddr) -> bool {
        self.addresses.contains_key(&address.to_canonical())
    }

    /// The same connection to the first end behind a service, if it is to one.
    pub fn behind_service(&self, connection: &Connection) -> Option<Connection> {
        let End::Address(address) = connection.to else {
            return None;
        };
        let Some(Holder::Service(index)) = self.addresses.get(&address.to_canonical()) else {
            return None;
        };
        let backend = self.backends(*index, connection).first()?;
        Some(connection.behind(backend))
    }

    fn backends(&self, service: u32, connection: &Connection) -> &[Backend] {
        let ports = &self.cluster.services[service as usize].ports;
        let port = ports.iter().find(|(protocol, number, _)| {
            *protocol == connection.protocol && *number == connection.port
        });
        port.map(|(_, _, backends)| backends.as_slice())
            .unwrap_or_default()
    }

    /// The policies about a pod in one direction.
    fn about_pod(&self, pod: u32, direction: Direction) -> &About {
        self.compiled
            .about(self.identities.of_pod[pod as usize], direction)
    }

    /// The valid policies about a pod in one direction, and whether each isolates it.
    pub(crate) fn policies_about(
        &self,
        pod: u32,
        direction: Direction,
    ) -> impl Iterator<Item = (u32, bool)> {
        let about = self.about_pod(pod, direction);
        let isolating = about.isolating.iter().map(|policy| (*policy, true));
        let tiered = about.admin.iter().chain(&about.baseline);
        isolating.chain(tiered.map(|(_, policy)| (*policy, false)))
    }

    /// Whether policies can be about a pod.
    pub fn is_policed(&self, pod: u32) -> bool {
        self.resolve(End::Pod(pod)).pod.is_some()
    }

    /// Whether an end is the node that a pod runs on.
    pub fn is_own_node(&self, end: End, pod: u32) -> bool {
        self.is_node_of(&self.resolve(end), pod)
    }

    /// A pod by its namespace and name, or the workload that stands for one.
    pub fn find(&self, namespace: &str, name: &str) -> Option<u32> {
        self.names.get(namespace)?.get(name).copied()
    }
}

/// Pods by namespace and name. A pod comes before a workload of its name.
fn names(cluster: &Cluster) -> FxHashMap<String, FxHashMap<String, u32>> {
    let mut names: FxHashMap<String, FxHashMap<String, u32>> = FxHashMap::default();
    for (index, pod) in (0..).zip(&cluster.pods) {
        let of_namespace = names.entry(pod.namespace.clone()).or_default();
        let known = of_namespace.entry(pod.name.clone()).or_insert(index);
        if pod.kind == "Pod" {
            *known = index;
        }
    }
    names
}

/// Addresses of what is alive. A pod's comes before a node's, and that before a service's.
fn holders(cluster: &Cluster, options: Options) -> FxHashMap<IpAddr, Holder> {
    let mut holders = FxHashMap::default();
    let numbered = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    for (index, service) in cluster.services.iter().enumerate() {
        for address in &service.addresses {
            holders.insert(*address, Holder::Service(numbered(index)));
        }
    }
    let nodes = cluster.nodes.values().flat_map(|node| &node.addresses);
    let hosts = cluster.pods.iter().flat_map(|pod| &pod.host_addresses);
    for address in nodes.chain(hosts) {
        holders.insert(*address, Holder::Node);
    }
    for (index, pod) in cluster.pods.iter().enumerate() {
        if pod.phase == crate::model::Phase::Ended
            || (pod.host_network && !options.distinguish_host_network)
        {
            continue;
        }
        for address in &pod.addresses {
            // With the network of its node, the address is not the pod's alone.
            if pod.host_network {
                holders
                    .entry(*address)
                    .or_insert(Holder::Pod(numbered(index)));
            } else {
                holders.insert(*address, Holder::Pod(numbered(index)));
            }
        }
    }
    holders
}

/// Shorthand for the protocols of ports.
pub(crate) fn same(protocol: Option<Protocol>, of: Protocol) -> bool {
    protocol.is_none_or(|protocol| protocol == of)
}
