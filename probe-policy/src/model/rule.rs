//! Rules: one form for all kinds of policies.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Protocol, Selector};

/// What a rule does with what it matches. Those of NetworkPolicies accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Allows it (`Accept`, and `Allow` in v1alpha1).
    Accept,
    /// Denies it.
    Deny,
    /// Leaves it to the next tier.
    Pass,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Of a cluster-wide policy's rule, where it has one.
    pub name: Option<String>,
    /// What it does.
    pub action: Action,
    /// Any of these; `None` matches every peer, external ones too.
    pub peers: Option<Vec<Peer>>,
    /// Any of these; `None` matches every port of every protocol.
    pub ports: Option<Vec<Port>>,
    /// Of its content as it was written, which stays when rules change places.
    pub hash: u64,
}

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// Pods of these namespaces with these labels.
    Pods {
        /// Namespaces.
        namespaces: Namespaces,
        /// Labels of the pods.
        pods: Selector,
    },
    /// Addresses.
    Block(Block),
    /// Nodes with these labels, by their addresses.
    Nodes(Selector),
    /// Names of what is outside, such as `*.example.com`.
    Domains(Vec<String>),
    /// A kind of peer that this version does not know.
    Unknown,
}

/// Namespaces of a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Namespaces {
    /// That of the policy, by name.
    Own(String),
    /// Those with these labels.
    Selected(Selector),
}

/// A range of addresses with holes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// The range, without host bits.
    pub cidr: IpNet,
    /// The holes.
    pub except: Vec<IpNet>,
}

impl Block {
    /// Whether the address is in the range and in no hole. Families never match one another.
    pub fn contains(&self, address: &IpAddr) -> bool {
        self.cidr.contains(address) && !self.except.iter().any(|hole| hole.contains(address))
    }
}

/// A port of the destination.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// Its protocol; `None` for that of the container's port that has the name.
    pub protocol: Option<Protocol>,
    /// Its number.
    pub port: PortMatch,
}

/// Which numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortMatch {
    /// All of the protocol.
    Any,
    /// These, both ends included.
    Range(u16, u16),
    /// What the destination's containers call so.
    Named(String),
    /// A kind that this version does not know.
    Unknown,
}

impl Rule {
    /// Whether some peer is of a kind that is not known.
    pub fn has_unknown_peer(&self) -> bool {
        let mut peers = self.peers.iter().flatten();
        peers.any(|peer| *peer == Peer::Unknown)
    }

    /// Whether some port is of a kind that is not known.
    pub fn has_unknown_port(&self) -> bool {
        let mut ports = self.ports.iter().flatten();
        ports.any(|port| port.port == PortMatch::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_no_part_of_a_block_and_families_are_apart() {
        let block = Block {
            cidr: "10.0.0.0/8".parse().unwrap(),
            except: vec!["10.1.0.0/16".parse().unwrap()],
        };
        let contains = |text: &str| block.contains(&text.parse().unwrap());
        assert!(contains("10.0.0.1") && contains("10.2.0.0"));
        assert!(!contains("10.1.255.255") && !contains("11.0.0.0") && !contains("::a00:1"));
        let all = Block {
            cidr: "0.0.0.0/0".parse().unwrap(),
            except: vec![],
        };
        assert!(!all.contains(&"2001:db8::1".parse().unwrap()));
    }
}
