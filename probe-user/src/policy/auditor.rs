//! Judges connections that flows tell of, each once at each of its ends.

use std::{mem, time::Duration};

use probe_policy::{
    audit::{Judged, Policies, Seen, Snapshot},
    engine::{Connection, End},
    model::{Direction, Protocol},
    verdict::Word,
};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{
    follow::Change,
    names::name,
    outcome::outcome,
    places::Places,
    residents::Residents,
    sums::{Seat, Sums, VerdictKey},
};
use crate::{
    flows::Event,
    limits,
    model::{Container, Flow, IdleCapacity as _, Initiator, OwnerId, Runtime},
    session::FlowReport,
};

/// Choices of the operator.
#[derive(Clone, Copy, Debug)]
pub struct AuditSettings {
    /// Time in which a change of policies may not be in force everywhere.
    pub grace: Duration,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Who began.
    Src,
    /// The other end.
    Dst,
}

/// How it is known who began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The handshake was seen.
    Syn,
    /// The first datagram was seen.
    FirstPacket,
    /// The local socket comes from one that listens.
    Listener,
    /// It is a guess.
    Guessed,
}

/// Who has the ends of a flow, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub struct Owners<'a> {
    /// The container of the local socket.
    pub local: Option<&'a Container>,
    /// The container of the other end, where that is on this host.
    pub remote: Option<&'a Container>,
}

/// A connection and what is said of it.
#[derive(Debug)]
pub struct Audit<'a> {
    /// Which end this host has.
    pub reporter: Side,
    /// How it is known who began.
    pub how: How,
    /// Verdict and outcome.
    pub judged: Judged<'a>,
    /// What is in force by now.
    pub now: &'a Snapshot,
    /// The connection, for the engine that it was judged by.
    pub connection: Connection,
    /// Whether it was not judged before.
    pub is_first: bool,
}

impl Audit<'_> {
    /// What its ends are called: who began, then who was asked.
    pub fn names(&self) -> (String, String) {
        let engine = &self.judged.snapshot.engine;
        let Connection { from, to, .. } = self.connection;
        (name(engine, from), name(engine, to))
    }
}

/// A connection that goes on and was judged.
#[derive(Clone, Copy, Debug)]
struct Known {
    word: Word,
    generation: u64,
}

/// Judges connections, and remembers which it has judged.
pub struct Auditor {
    policies: Policies,
    /// Pods of what is in force and of what was before, by generations.
    places: Vec<(u64, Places)>,
    known: FxHashMap<u64, Known>,
    residents: Residents,
    settings: AuditSettings,
    sums: Sums,
}

impl Auditor {
    /// Judges by what the files say now.
    pub fn new(first: Change, settings: AuditSettings, now: Duration) -> Self {
        let places = Places::of(first.engine.cluster());
        let policies = Policies::new(first.engine, first.pending, now);
        let mut auditor = Self {
            places: vec![(policies.current().generation, places)],
            policies,
            known: FxHashMap::default(),
            residents: Residents::default(),
            settings,
            sums: Sums::default(),
        };
        auditor.follow_rules();
        auditor
    }

    /// Judges by other policies from now on. Connections that go on are judged again when they are next reported.
    pub fn replace(&mut self, change: Change, now: Duration) {
        let places = Places::of(change.engine.cluster());
        self.policies.replace(change.engine, change.pending, now);
        let generation = self.policies.current().generation;
        self.places.push((generation, places));
        self.places
            .retain(|(known, _)| self.policies.of(*known).is_some());
        self.follow_rules();
    }

    /// Has all rules about some pod counted: those that match nothing are at 0.
    fn follow_rules(&mut self) {
        let engine = &self.policies.current().engine;
        let pods = (0..).zip(&engine.cluster().pods).map(|(index, _)| index);
        self.sums.follow_rules(&engine.rules_about(pods));
    }

    /// What is in force.
    pub fn snapshot(&self) -> &Snapshot {
        self.policies.current()
    }

    /// Whether it is known which pod a container is.
    pub fn knows(&self, container: &Container) -> bool {
        self.pod_of(self.policies.current(), Some(container))
            .is_some()
    }

    /// Counts since the start.
    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Takes the verdicts since the last call.
    pub fn take_verdicts(&mut self) -> FxHashMap<VerdictKey, u64> {
        mem::take(&mut self.sums.verdicts)
    }

    /// Takes what is said of a flow, and tells of it where there is something to tell: when a connection has come to its outcome,
    /// and when the verdict of one that goes on has become another.
    pub fn take(
        &mut self,
        report: &FlowReport,
        owners: Owners<'_>,
        now: Duration,
        tell: impl FnOnce(&Audit<'_>),
    ) {
        self.policies.settle(now);
        let policies = self.policies.clone();
        let snapshot = policies.current();
        let flow = &report.flow;
        // What policies say of ICMP and the like is open, and whoever sends it is seldom asked.
        if !flow.tuple.transport.has_ports() {
            return;
        }
        let is_over = report.event == Event::End;
        let known = if is_over {
            let known = self.known.remove(&flow.id);
            self.known.give_back();
            known
        } else {
            self.known.get(&flow.id).copied()
        };
        let Some(pod) = self.pod_of(snapshot, owners.local) else {
            self.sums.no_pod += u64::from(is_over);
            return;
        };
        self.meet(report, owners, snapshot, now);
        let connection = |snapshot: &Snapshot| {
            let remote = || self.neighbour(report, snapshot, now);
            let remote = owners.remote.or_else(remote);
            let party = |owner, other| match self.pod_of(snapshot, owner) {
                Some(pod) => Party::Pod(pod),
                None if is_of_node(owner, other) => Party::Host,
                None => Party::Unknown,
            };
            let (local, remote) = (owners.local, remote);
            connection(report, party(local, remote), party(remote, local))
        };
        let how = How::of(flow);
        let would_now = match known {
            None if !is_over && self.known.len() >= limits::JUDGED => {
                self.sums.put_off += 1;
                return;
            }
            None => None,
            Some(known) => {
                // Of a guess nothing is known, whatever policies say.
                let is_new = known.generation != snapshot.generation && how != How::Guessed;
                let word = is_new.then(|| snapshot.would_now(known.word, &connection(snapshot)));
                let Some(word) = word.flatten() else {
                    self.remember(report, known.word, snapshot);
                    return;
                };
                Some(word)
            }
        };
        let Some(outcome) = outcome(report) else {
            return;
        };
        let seen = Seen {
            outcome,
            started: flow.start,
            taken_over: flow.taken_over,
            has_initiator: how != How::Guessed,
        };
        let mut judged = policies.judge(&seen, self.settings.grace, connection);
        judged.would_now = judged.would_now.or(would_now);
        let asked = connection(judged.snapshot);
        let word = judged.would_now.unwrap_or(judged.verdict.combined);
        self.remember(report, word, snapshot);
        if known.is_none() {
            self.sums
                .add(&judged, &Seat::of(report, owners, snapshot, pod));
        }
        tell(&Audit {
            reporter: Side::of(flow),
            how,
            connection: asked,
            judged,
            now: snapshot,
            is_first: known.is_none(),
        });
    }

    fn pod_of(&self, snapshot: &Snapshot, owner: Option<&Container>) -> Option<u32> {
        let mut places = self.places.iter();
        let (_, places) = places.find(|(generation, _)| *generation == snapshot.generation)?;
        places.pod_of(&snapshot.engine, owner?)
    }

    /// Remembers the address of the local socket, unless it is one that the whole host has.
    fn meet(
        &mut self,
        report: &FlowReport,
        owners: Owners<'_>,
        snapshot: &Snapshot,
        now: Duration,
    ) {
        let address = report.flow.tuple.local.to_canonical();
        let is_own = !address.is_loopback() && !address.is_unspecified();
        if let Some(container) = owners.local
            && is_own
            && !snapshot.engine.knows(address)
        {
            self.residents.enter(address, container, now);
            self.sums.residents_refused = self.residents.refused();
        }
    }

    /// The container that was last seen at the other end's address, where the manifests do not know that.
    fn neighbour(
        &self,
        report: &FlowReport,
        snapshot: &Snapshot,
        now: Duration,
    ) -> Option<&Container> {
        let tuple = report.nat.unwrap_or(report.flow.tuple);
        let address = tuple.remote.to_canonical();
        if snapshot.engine.knows(address) {
            return None;
        }
        self.residents.at(address, now)
    }

    fn remember(&mut self, report: &FlowReport, word: Word, snapshot: &Snapshot) {
        if report.event != Event::End {
            let known = Known {
                word,
                generation: snapshot.generation,
            };
            self.known.insert(report.flow.id, known);
        }
    }
}

impl Side {
    fn of(flow: &Flow) -> Self {
        match flow.initiator {
            Initiator::Local => Self::Src,
            Initiator::Remote => Self::Dst,
        }
    }

    /// The direction that policies about the pod at this end judge.
    pub fn direction(self) -> Direction {
        match self {
            Self::Src => Direction::Egress,
            Self::Dst => Direction::Ingress,
        }
    }
}

impl How {
    fn of(flow: &Flow) -> Self {
        match (flow.guessed, flow.tcp) {
            (false, Some(_)) => Self::Syn,
            (false, None) => Self::FirstPacket,
            // Only what listens makes the other side the one who began.
            (true, Some(_)) if flow.initiator == Initiator::Remote => Self::Listener,
            (true, _) => Self::Guessed,
        }
    }
}

impl Seat {
    fn of(report: &FlowReport, owners: Owners<'_>, snapshot: &Snapshot, pod: u32) -> Self {
        let pods = &snapshot.engine.cluster().pods;
        Self {
            owner: OwnerId::of_socket(report.flow.cgroup.0),
            direction: Side::of(&report.flow).direction(),
            namespace: pods[pod as usize].namespace.clone(),
            has_peer: owners.remote.is_some(),
        }
    }
}

/// Who an end is, by who has its socket.
#[derive(Clone, Copy)]
enum Party {
    Pod(u32),
    /// A process of the pod's own node.
    Host,
    Unknown,
}

/// Whether this is a process of the node that the other one's pod is on. Nodes of Kubernetes have more addresses than they tell, and
/// what is in no container there has the network of the node.
fn is_of_node(owner: Option<&Container>, other: Option<&Container>) -> bool {
    owner.is_some_and(|it| !it.runtime.is_container())
        && other.is_some_and(|it| it.runtime == Runtime::Kubernetes)
}

/// As the engine asks for it: after any translation, and by the pods that the ends are.
fn connection(report: &FlowReport, local: Party, remote: Party) -> Connection {
    let tuple = report.flow.tuple;
    let behind = report.nat.unwrap_or(tuple);
    let end = |party, address| match party {
        Party::Pod(pod) => End::PodAt(pod, address),
        Party::Host => End::Host(address),
        Party::Unknown => End::Address(address),
    };
    let (here, there) = (end(local, tuple.local), end(remote, behind.remote));
    let (from, to, port) = match report.flow.initiator {
        Initiator::Local => (here, there, behind.remote_port),
        Initiator::Remote => (there, here, tuple.local_port),
    };
    Connection {
        from,
        to,
        protocol: Protocol::from_number(tuple.transport.0),
        port: if tuple.transport.has_ports() { port } else { 0 },
    }
}

#[cfg(test)]
mod tests;
