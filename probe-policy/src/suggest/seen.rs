//! Adds up connections by workload.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Allowed, Party, PortName, Suggested, Suggestion, pod_of,
    workloads::{Workload, Workloads},
};
use crate::{
    engine::{Connection, End, Engine},
    model::{Direction, Protocol},
};

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Other {
    Workload(Workload),
    Outside,
}

/// Ports, addresses and connections of one pair in one direction.
#[derive(Debug, Default)]
struct Talk {
    ports: BTreeSet<(Protocol, PortName)>,
    addresses: BTreeSet<IpAddr>,
    connections: u64,
}

/// What a rule is made of: other ends outside with the same ports are one.
type Talks = BTreeMap<(Other, Option<(Protocol, u16)>), Talk>;

#[derive(Debug)]
pub(super) struct Seen<'a> {
    engine: &'a Engine,
    workloads: Workloads<'a>,
    by_workload: BTreeMap<Workload, BTreeMap<Direction, Talks>>,
    suggested: Suggested,
}

impl<'a> Seen<'a> {
    pub(super) fn new(engine: &'a Engine) -> Self {
        Self {
            engine,
            workloads: Workloads::of(engine.cluster()),
            by_workload: BTreeMap::new(),
            suggested: Suggested::default(),
        }
    }

    pub(super) fn take(&mut self, connection: &Connection, count: u64) {
        let engine = self.engine;
        self.suggested.connections += count;
        // Policies are about what is behind a service.
        let behind = engine.behind_service(connection);
        let connection = behind.as_ref().unwrap_or(connection);
        let (from, to) = (
            pod_of(engine, connection.from),
            pod_of(engine, connection.to),
        );
        if from.is_none() && to.is_none() {
            self.suggested.foreign += count;
            return;
        }
        if !connection.protocol.is_policed() {
            self.suggested.unnamed += count;
            return;
        }
        let port = match to {
            Some(to) => {
                let pod = &engine.cluster().pods[to as usize];
                self.workloads
                    .port(pod, self.workloads.of_pod(to), connection)
            }
            None => PortName::Number(connection.port),
        };
        if let Some(from) = from {
            self.add(
                (from, Direction::Egress),
                (connection.to, to),
                connection,
                &port,
                count,
            );
        }
        if let Some(to) = to {
            self.add(
                (to, Direction::Ingress),
                (connection.from, from),
                connection,
                &port,
                count,
            );
        }
    }

    fn add(
        &mut self,
        (subject, side): (u32, Direction),
        (end, pod): (End, Option<u32>),
        connection: &Connection,
        port: &PortName,
        count: u64,
    ) {
        let of = self.workloads.of_pod(subject).clone();
        let (other, key) = match pod {
            Some(pod) => (Other::Workload(self.workloads.of_pod(pod).clone()), None),
            None => (Other::Outside, Some((connection.protocol, connection.port))),
        };
        // A pod talks to itself whatever policies say, and its node to it.
        if pod == Some(subject)
            || (side == Direction::Ingress
                && pod.is_none()
                && self.engine.is_own_node(end, subject))
        {
            return;
        }
        let talks = self
            .by_workload
            .entry(of)
            .or_default()
            .entry(side)
            .or_default();
        let talk = talks.entry((other, key)).or_default();
        talk.ports.insert((connection.protocol, port.clone()));
        talk.connections += count;
        if let (None, End::Address(address) | End::Host(address)) = (pod, end) {
            talk.addresses.insert(address.to_canonical());
        }
    }

    pub(super) fn finish(self) -> Suggested {
        let workloads = self.workloads;
        let mut suggested = self.suggested;
        for (of, sides) in self.by_workload {
            let own = workloads.labels(&of);
            if own.is_empty() {
                suggested.unlabelled += sides
                    .values()
                    .flat_map(BTreeMap::values)
                    .map(|talk| talk.connections)
                    .sum::<u64>();
                continue;
            }
            let rules = sides
                .into_iter()
                .map(|(side, talks)| {
                    (
                        side,
                        talks
                            .into_iter()
                            .map(|((other, _), talk)| rule(&workloads, other, talk))
                            .collect(),
                    )
                })
                .collect();
            let (namespace, kind, name) = of.clone();
            suggested.policies.push(Suggestion {
                workload: format!("{kind} {namespace}/{name}"),
                also: workloads.others(&of, &own),
                namespace,
                name,
                labels: own,
                rules,
            });
        }
        unique_names(&mut suggested.policies);
        suggested
    }
}

fn rule(workloads: &Workloads<'_>, other: Other, talk: Talk) -> Allowed {
    let peer = match other {
        Other::Workload(of) => {
            let labels = workloads.labels(&of);
            let (namespace, kind, name) = of;
            Party::Workload(namespace, labels, format!("{kind} {name}"))
        }
        Other::Outside => Party::Outside(talk.addresses.into_iter().collect()),
    };
    Allowed {
        peer,
        ports: talk.ports.into_iter().collect(),
        connections: talk.connections,
    }
}

/// A Deployment and a Job may have one name, and two policies may not.
fn unique_names(policies: &mut [Suggestion]) {
    let mut taken = BTreeSet::new();
    for policy in policies {
        if !taken.insert((policy.namespace.clone(), policy.name.clone())) {
            let kind = policy
                .workload
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            policy.name = format!("{}-{kind}", policy.name);
            taken.insert((policy.namespace.clone(), policy.name.clone()));
        }
    }
}
