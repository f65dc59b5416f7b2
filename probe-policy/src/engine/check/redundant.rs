//! Rules of NetworkPolicies without which nothing would be different.
//!
//! Each rule is tried with a pod of each identity that it can be about, at the edges of its ports and blocks. That is exact for the
//! pods of the manifests, and for others as far as these are alike.

use rustc_hash::FxHashMap;

use super::{Doubt, Problem, field};
use crate::{
    engine::{Connection, End, Engine},
    model::{Direction, Peer, PortMatch, Protocol, Rule},
    verdict::Hit,
};

/// Connections that are tried for a rule. A rule that would need more is not looked at.
const TRIES: usize = 20_000;
/// Something outside.
const OUTSIDE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

impl Engine {
    pub(super) fn check_redundancy(&self, problems: &mut Vec<Problem>) {
        let pods = self.examples();
        let subjects = self.subjects(&pods);
        for (index, direction, number, rule) in self.rules() {
            let Some(subjects) = subjects.get(&(index, direction)) else {
                continue;
            };
            if let Some(hit) = self.covered(index, direction, number, rule, subjects, &pods) {
                let other = self.policy(hit.policy);
                let at = field(direction, usize::from(hit.rule.unwrap_or_default()));
                problems.push(Problem {
                    doubt: Doubt::Redundant,
                    object: self.policy(index).to_string(),
                    field: field(direction, number),
                    message: format!(
                        "all that it allows is allowed without it, as by {at} of {other}"
                    ),
                });
            }
        }
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

    /// Which of these pods each NetworkPolicy isolates.
    fn subjects(&self, pods: &[u32]) -> FxHashMap<(u32, Direction), Vec<u32>> {
        let mut subjects: FxHashMap<_, Vec<_>> = FxHashMap::default();
        for (pod, direction) in pods
            .iter()
            .flat_map(|pod| Direction::BOTH.map(|it| (*pod, it)))
        {
            for policy in &self.about_pod(pod, direction).isolating {
                subjects.entry((*policy, direction)).or_default().push(pod);
            }
        }
        subjects
    }

    /// A rule that allows something of what this one allows, if others allow all of it.
    fn covered(
        &self,
        index: u32,
        direction: Direction,
        number: usize,
        rule: &Rule,
        subjects: &[u32],
        pods: &[u32],
    ) -> Option<Hit> {
        let peers = self.peers_of((index, direction, number), rule, pods);
        if subjects.len() * peers.len() > TRIES {
            return None;
        }
        let mut covering = None;
        for subject in subjects {
            for peer in &peers {
                let (from, to) = match direction {
                    Direction::Ingress => (*peer, End::Pod(*subject)),
                    Direction::Egress => (End::Pod(*subject), *peer),
                };
                for (protocol, port) in self.ports_of(rule, to) {
                    let verdict = self.judge(&Connection {
                        from,
                        to,
                        protocol,
                        port,
                    });
                    let side = match direction {
                        Direction::Ingress => &verdict.ingress,
                        Direction::Egress => &verdict.egress,
                    };
                    let is_it = |hit: &&Hit| {
                        hit.policy == index && hit.rule.map(usize::from) == Some(number)
                    };
                    if !side.hits.iter().any(|hit| is_it(&hit)) {
                        continue;
                    }
                    covering = Some(*side.hits.iter().find(|hit| !is_it(hit))?);
                }
            }
        }
        covering
    }

    /// Ends that a rule is tried with.
    fn peers_of(&self, rule_id: (u32, Direction, usize), rule: &Rule, pods: &[u32]) -> Vec<End> {
        let (index, direction, number) = rule_id;
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
            End::Address(_) => &[],
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
