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
            End::Address(address) => {
                // IPv4 in the clothes of IPv6 is IPv4.
                let address = address.to_canonical();
                match self.addresses.get(&address) {
                    Some(Holder::Pod(index)) => {
                        let pod = &self.cluster.pods[*index as usize];
                        self.resolve_pod(*index, pod, Addresses::One(address))
                    }
                    _ => outside(Addresses::One(address)),
                }
            }
        }
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
        }
    }

    /// Whether an end that is no pod is the node that a pod runs on.
    pub(super) fn is_node_of(&self, end: &Resolved<'_>, pod: u32) -> bool {
        if end.pod.is_some() {
            return false;
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
    }
}
