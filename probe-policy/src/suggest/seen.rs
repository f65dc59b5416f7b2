//! Adds up connections by workload.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Allowed, Party, PortName, Side, Suggested, Suggestion, Workload, labels, pod_of, stable,
    workload,
};
use crate::{
    engine::{Connection, End, Engine},
    model::Protocol,
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

#[derive(Debug, Default)]
pub(super) struct Seen {
    by_workload: BTreeMap<Workload, BTreeMap<Side, Talks>>,
    suggested: Suggested,
}

impl Seen {
    pub(super) fn take(&mut self, engine: &Engine, connection: &Connection, count: u64) {
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
        let port = port_name(engine, to, connection);
        if let Some(from) = from {
            self.add(
                engine,
                (from, Side::Egress),
                (connection.to, to),
                connection,
                &port,
                count,
            );
        }
        if let Some(to) = to {
            self.add(
                engine,
                (to, Side::Ingress),
                (connection.from, from),
                connection,
                &port,
                count,
            );
        }
    }

    fn add(
        &mut self,
        engine: &Engine,
        (subject, side): (u32, Side),
        (end, pod): (End, Option<u32>),
        connection: &Connection,
        port: &PortName,
        count: u64,
    ) {
        let of = workload(engine, subject);
        let (other, key) = match pod {
            Some(pod) => (Other::Workload(workload(engine, pod)), None),
            None => (Other::Outside, Some((connection.protocol, connection.port))),
        };
        // A pod talks to itself whatever policies say, and its node to it.
        if pod == Some(subject)
            || (side == Side::Ingress && pod.is_none() && engine.is_own_node(end, subject))
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
        if let (None, End::Address(address)) = (pod, end) {
            talk.addresses.insert(address.to_canonical());
        }
    }

    pub(super) fn finish(self, engine: &Engine) -> Suggested {
        let mut suggested = self.suggested;
        for (of, sides) in self.by_workload {
            let own = stable(engine, &of);
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
                            .map(|((other, _), talk)| rule(engine, other, talk))
                            .collect(),
                    )
                })
                .collect();
            let (namespace, kind, name) = of.clone();
            suggested.policies.push(Suggestion {
                workload: format!("{kind} {namespace}/{name}"),
                also: labels::others(engine, &of, &own),
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

fn rule(engine: &Engine, other: Other, talk: Talk) -> Allowed {
    let peer = match other {
        Other::Workload(of) => {
            let labels = stable(engine, &of);
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

/// By name, if all pods of the destination's workload mean the same by it.
fn port_name(engine: &Engine, to: Option<u32>, connection: &Connection) -> PortName {
    let number = PortName::Number(connection.port);
    let Some(to) = to else {
        return number;
    };
    let pods = &engine.cluster().pods;
    let is_it = |it: &&crate::model::ContainerPort| {
        it.protocol == connection.protocol && it.number == connection.port
    };
    let Some(name) = pods[to as usize]
        .ports
        .iter()
        .find(is_it)
        .and_then(|port| port.name.clone())
    else {
        return number;
    };
    let of = workload(engine, to);
    let same = (0..)
        .zip(pods)
        .filter(|(index, _)| workload(engine, *index) == of)
        .all(|(_, pod)| {
            let mut named = pod.ports.iter().filter(|port| {
                port.name.as_ref() == Some(&name) && port.protocol == connection.protocol
            });
            named
                .next()
                .is_some_and(|port| port.number == connection.port)
                && named.next().is_none()
        });
    if same { PortName::Named(name) } else { number }
}
