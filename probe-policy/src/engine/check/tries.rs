//! Connections that a rule is tried with.
//!
//! A pod of each identity that it can be about, at the edges of its ports and blocks: exact for the pods of the manifests, and for
//! others as far as these are alike.

use rustc_hash::FxHashMap;

use crate::{
    engine::{Connection, End, Engine},
    model::{Direction, Peer, PortMatch, Protocol, Rule},
    verdict::{Hit, Side},
};

/// Connections that are tried for a rule. A rule that would need more is not looked at.
const TRIES: usize = 20_000;
/// Something outside.
const OUTSIDE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

/// A rule by its policy, direction and number.
pub(super) type At = (u32, Direction, usize);

/// Whether a hit is one of a rule.
pub(super) fn is_of((index, _, number): At, hit: &Hit) -> bool {
    hit.policy == index && hit.rule.map(usize::from) == Some(number)
}

/// Pods that policies are about, one of each kind.
pub(super) struct Subjects {
    pods: Vec<u32>,
    by_policy: FxHashMap<(u32, Direction), Vec<u32>>,
}

impl Engine {
    /// Finds them for all policies.
    pub(super) fn subjects(&self) -> Subjects {
        let pods = self.examples();
        let mut by_policy: FxHashMap<_, Vec<_>> = FxHashMap::default();
        for (pod, direction) in pods
            .iter()
            .flat_map(|pod| Direction::BOTH.map(|it| (*pod, it)))
        {
            for (policy, _) in self.policies_about(pod, direction) {
                by_policy.entry((policy, direction)).or_default().push(pod);
            }
        }
        Subjects { pods, by_policy }
    }

    /// What is said, in the direction of a rule, of all that it matches. Nothing if that is too much to try.
    pub(super) fn tries<'a>(
        &'a self,
        at: At,
        rule: &'a Rule,
        subjects: &'a Subjects,
    ) -> impl Iterator<Item = Side> + 'a {
        let (index, direction, _) = at;
        let own = subjects.by_policy.get(&(index, direction));
        let own = own.map(Vec::as_slice).unwrap_or_default();
        let peers = self.peers_of(at, rule, &subjects.pods);
        let own = if own.len() * peers.len() > TRIES {
            &[]
        } else {
            own
        };
        own.iter().flat_map(move |subject| {
            let of_peer = move |peer: End| {
                let (from, to) = match direction {
                    Direction::Ingress => (peer, End::Pod(*subject)),
                    Direction::Egress => (End::Pod(*subject), peer),
                };
                let ports = self.ports_of(rule, to).into_iter();
                ports.map(move |(protocol, port)| {
                    let verdict = self.judge(&Connection {
                        from,
                        to,
                        protocol,
                        port,
                    });
                    match direction {
                        Direction::Ingress => verdict.ingress,
                        Direction::Egress => verdict.egress,
                    }
                })
            };
            peers.clone().into_iter().flat_map(of_peer)
        })
    }

    /// A pod of each identity.
    fn examples(&self) -> Vec<u32> {
        let mut of = vec![None; self.identities.all.len()];
        for (pod, identity) in (0..).zip(&self.identities.of_pod) {
            if self.is_policed(pod) {
                of[*identity as usize].get_or_insert(pod);
            }
        }
        of.into_iter().flatten().collect()
    }

    /// Ends that a rule is tried with.
    fn peers_of(&self, (index, direction, number): At, rule: &Rule, pods: &[u32]) -> Vec<End> {
        let outside = || {
            OUTSIDE
                .iter()
                .filter_map(|text| text.parse().ok())
                .map(End::Address)
        };
        let Some(peers) = &rule.peers else {
            return pods
                .iter()
                .map(|pod| End::Pod(*pod))
                .chain(outside())
                .collect();
        };
        let mut ends = Vec::new();
        for (at, peer) in peers.iter().enumerate() {
            match peer {
                Peer::Pods { .. } => {
                    let matching = pods.iter().filter(|pod| {
                        let identity = self.identities.of_pod[**pod as usize];
                        self.compiled
                            .matches(direction, (index, number, at), identity)
                    });
                    ends.extend(matching.map(|pod| End::Pod(*pod)));
                }
                Peer::Block(block) => {
                    let edges = [block.cidr.network(), block.cidr.broadcast()];
                    ends.extend(
                        edges
                            .into_iter()
                            .filter(|edge| block.contains(edge))
                            .map(End::Address),
                    );
                }
                Peer::Nodes(_) | Peer::Domains(_) | Peer::Unknown => {}
            }
        }
        ends
    }

    /// The edges of a rule's ports, as the destination has them.
    fn ports_of(&self, rule: &Rule, to: End) -> Vec<(Protocol, u16)> {
        const ALL: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
        let Some(ports) = &rule.ports else {
            return ALL
                .into_iter()
                .flat_map(|protocol| [(protocol, 1), (protocol, u16::MAX)])
                .collect();
        };
        let declared = match to {
            End::Pod(pod) | End::PodAt(pod, _) => self.cluster.pods[pod as usize].ports.as_slice(),
            End::Address(_) | End::Host(_) => &[],
        };
        let mut edges = Vec::new();
        for port in ports {
            let protocols = port
                .protocol
                .map_or_else(|| ALL.to_vec(), |protocol| vec![protocol]);
            for protocol in protocols {
                match &port.port {
                    PortMatch::Any => edges.extend([(protocol, 1), (protocol, u16::MAX)]),
                    PortMatch::Range(first, last) => {
                        edges.extend([(protocol, *first), (protocol, *last)])
                    }
                    PortMatch::Named(name) => {
                        let named = declared
                            .iter()
                            .filter(|it| it.name.as_ref() == Some(name) && it.protocol == protocol);
                        edges.extend(named.map(|it| (protocol, it.number)));
                    }
                    PortMatch::Unknown => {}
                }
            }
        }
        edges
    }
}
