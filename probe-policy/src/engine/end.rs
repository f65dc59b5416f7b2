//! The ends of a connection, as rules see them.

use std::net::IpAddr;

use super::{Engine, Holder};
use crate::model::{Backend, Phase, Pod, Protocol};

/// One end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// A pod of the cluster, by its index, by any of its addresses.
    Pod(u32),
    /// A pod of the cluster, by its index, with the address that it uses, which the cluster need not know.
    PodAt(u32, IpAddr),
    /// An address, of a pod or of anything else.
    Address(IpAddr),
    /// A process of the node that the other end's pod runs on, with the address that it uses.
    Host(IpAddr),
}

/// A connection, from who began it to who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Who began it.
    pub from: End,
    /// Who was asked, with the address after any translation if that is known.
    pub to: End,
    /// Its protocol.
    pub protocol: Protocol,
    /// Port of the destination, of the pod itself.
    pub port: u16,
}

impl Connection {
    /// The same to what is behind a service.
    pub(super) fn behind(&self, backend: &Backend) -> Self {
        Self {
            to: End::Address(backend.address),
            port: backend.port,
            ..*self
        }
    }
}

/// What rules ask of an end.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    /// Its pod, if policies are about it.
    pub(super) pod: Option<u32>,
    /// Its identity, if it is a pod.
    pub(super) identity: Option<u32>,
    /// Its addresses: the one of the connection, or all.
    pub(super) addresses: Addresses<'a>,
    /// A pod that has ended.
    pub(super) ended: bool,
    /// An address that nodes give to pods, and no pod that is known has it.
    pub(super) is_stranger: bool,
    /// A process of the other end's node.
    pub(super) is_host: bool,
}

/// One or several.
#[derive(Debug)]
pub(super) enum Addresses<'a> {
    One(IpAddr),
    All(&'a [IpAddr]),
}

impl Addresses<'_> {
    pub(super) fn as_slice(&self) -> &[IpAddr] {
        match self {
            Self::One(address) => std::slice::from_ref(address),
            Self::All(addresses) => addresses,
        }
    }
}

impl Resolved<'_> {
    pub(super) fn is_loopback(&self) -> bool {
        self.pod.is_none() && self.addresses.as_slice().iter().any(IpAddr::is_loopback)
    }
}

impl Engine {
    pub(super) fn resolve(&self, end: End) -> Resolved<'_> {
        match end {
            End::Pod(index) => match self.cluster.pods.get(index as usize) {
                Some(pod) => self.resolve_pod(index, pod, Addresses::All(&pod.addresses)),
                None => outside(Addresses::All(&[])),
            },
            End::PodAt(index, address) => {
                let addresses = Addresses::One(address.to_canonical());
                match self.cluster.pods.get(index as usize) {
                    Some(pod) => self.resolve_pod(index, pod, addresses),
                    None => outside(addresses),
                }
            }
            End::Host(address) => Resolved {
                is_host: true,
                ..outside(Addresses::One(address.to_canonical()))
            },
            End::Address(address) => {
                // IPv4 in the clothes of IPv6 is IPv4.
                let address = address.to_canonical();
                match self.addresses.get(&address) {
                    Some(Holder::Pod(index)) => {
                        let pod = &self.cluster.pods[*index as usize];
                        self.resolve_pod(*index, pod, Addresses::One(address))
                    }
                    Some(_) => outside(Addresses::One(address)),
                    None => Resolved {
                        is_stranger: self.is_in_pod_block(address),
                        ..outside(Addresses::One(address))
                    },
                }
            }
        }
    }

    fn is_in_pod_block(&self, address: IpAddr) -> bool {
        let blocks = self
            .cluster
            .nodes
            .values()
            .flat_map(|node| &node.pod_blocks);
        blocks.into_iter().any(|block| block.contains(&address))
    }

    fn resolve_pod<'a>(&self, index: u32, pod: &Pod, addresses: Addresses<'a>) -> Resolved<'a> {
        if pod.host_network && !self.options.distinguish_host_network {
            return outside(addresses);
        }
        Resolved {
            pod: Some(index),
            identity: Some(self.identities.of_pod[index as usize]),
            addresses,
            ended: pod.phase == Phase::Ended,
            is_stranger: false,
            is_host: false,
        }
    }

    /// Whether an end that is no pod is the node that a pod runs on.
    pub(super) fn is_node_of(&self, end: &Resolved<'_>, pod: u32) -> bool {
        if end.pod.is_some() {
            return false;
        }
        if end.is_host {
            return true;
        }
        let pod = &self.cluster.pods[pod as usize];
        let node = pod
            .node
            .as_ref()
            .and_then(|name| self.cluster.nodes.get(name));
        let of_node = node
            .map(|node| node.addresses.as_slice())
            .unwrap_or_default();
        end.addresses
            .as_slice()
            .iter()
            .any(|address| pod.host_addresses.contains(address) || of_node.contains(address))
    }
}

fn outside(addresses: Addresses<'_>) -> Resolved<'_> {
    Resolved {
        pod: None,
        identity: None,
        addresses,
        ended: false,
        is_stranger: false,
        is_host: false,
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        engine::{Connection, End, Engine, Options},
        load::Loader,
        model::Protocol,
        verdict::{Reason, Word},
    };

    #[test]
    fn who_has_an_address_of_pods_and_is_not_known_is_not_judged() {
        let manifests = "
{apiVersion: v1, kind: Node, metadata: {name: n}, spec: {podCIDRs: [10.0.0.0/24]}, status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: a}}, spec: {nodeName: n}, status: {podIP: 10.0.0.7}}
---
{apiVersion: v1, kind: Pod, metadata: {name: free, labels: {app: free}}, status: {podIP: 10.0.0.8}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: closed}, spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress]}}
";
        let mut loader = Loader::default();
        loader.add("all.yaml", manifests);
        let loaded = loader.finish();
        assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
        let engine = Engine::new(loaded.cluster, Options::default());
        let judge_from = |from: End, to: &str| {
            let verdict = engine.judge(&Connection {
                from,
                to: End::Pod(engine.find("default", to).unwrap()),
                protocol: Protocol::Tcp,
                port: 80,
            });
            (verdict.ingress.word, verdict.ingress.reason)
        };
        let judge = |from: [u8; 4], to| judge_from(End::Address(from.into()), to);
        let unknown = (Word::Unknown, Some(Reason::NoPodData));
        assert_eq!(judge([10, 0, 0, 9], "a"), unknown);
        assert_eq!(judge([10, 0, 0, 9], "free"), (Word::NoPolicy, None));
        assert_eq!(judge([10, 0, 0, 1], "a").0, Word::Exempt);
        assert_eq!(judge([10, 0, 1, 9], "a").0, Word::WouldDeny);
        // A process of the node, at an address of it that nobody told.
        let local = judge_from(End::Host([10, 0, 1, 9].into()), "a");
        assert_eq!(local, (Word::Exempt, Some(Reason::LocalNode)));
    }
}
