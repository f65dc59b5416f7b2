//! Stands in for `session/network.rs` until that compiles: the same outline, without what it is made of. To be deleted then.
//!
//! Follows flows and name look-ups: reads the rings and tables of the network's probes, and tells what happened.
//!
//! Owns the readers and the tables of flows. Who asks it decides what becomes of the events.
#![expect(clippy::todo, reason = "the file goes before anything is released")]

use std::{collections::HashMap, time::Duration};

use probe_common::id::CgroupId;

use crate::{
    flows::{Event, LookupCounts, NameCounts, Sureness},
    model::{Counters, Flow, Lookup, Tuple},
    probes::{FlowsReader, TcpReader},
};

/// When flows are looked at and reported.
#[derive(Clone, Copy, Debug)]
pub struct FlowSettings {
    /// How often the tables are read.
    pub sweep: Duration,
    /// How often a flow that goes on is reported.
    pub period: Duration,
    /// After how long without a packet a flow of datagrams ends.
    pub idle: Duration,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum FlowEvent {
    /// A flow began, goes on or ended.
    Flow(Box<FlowReport>),
    /// A name was looked up.
    Lookup(Lookup),
}

/// What is to be said of a flow.
#[derive(Clone, Debug)]
pub struct FlowReport {
    /// Began, goes on or ended.
    pub event: Event,
    /// All that is known, counted since its start.
    pub flow: Flow,
    /// What was exchanged since the last report, or the start.
    pub interval: Counters,
    /// When that interval began, as monotonic time.
    pub since: Duration,
    /// The other end, where it is a socket of this host.
    pub peer: Option<Peer>,
}

/// The other end of a flow, on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Cgroup of its socket.
    pub cgroup: CgroupId,
    /// How sure that is.
    pub sureness: Sureness,
    /// Its tuple, where the addresses in between were translated.
    pub nat: Option<Tuple>,
}

/// Counts of the follower itself.
#[derive(Clone, Debug, Default)]
pub struct FollowerCounts {
    /// Flows that are known at the moment.
    pub open: usize,
    /// Packets of datagrams in these, not yet reported.
    pub open_packets: u64,
    /// Packets of datagrams in reports so far.
    pub reported_packets: u64,
    /// Flows that were put out of a full table.
    pub evicted: u64,
    /// Records and messages that could not be decoded.
    pub undecoded: u64,
    /// Look-ups that nobody answered, by the asking cgroup, since the start.
    pub lookup_timeouts: HashMap<CgroupId, u64>,
    /// What became of DNS messages.
    pub lookups: LookupCounts,
    /// The cache of names.
    pub names: NameCounts,
}

/// Follows the flows of a session.
pub struct FlowFollower(());

impl FlowFollower {
    /// Follows what these readers show, from the monotonic time `now` on.
    pub fn new(
        _readers: (Option<FlowsReader>, Option<TcpReader>),
        _settings: FlowSettings,
        _now: Duration,
    ) -> Self {
        todo!("comes with session/network.rs")
    }

    /// What happened since the last call. Call it about ten times a second; it reads the tables when that is due.
    pub fn poll(&mut self, _now: Duration) -> Vec<FlowEvent> {
        todo!("comes with session/network.rs")
    }

    /// Reads everything once more and reports all flows that go on as ended by the end of the probe.
    pub fn finish(&mut self, _now: Duration) -> Vec<FlowEvent> {
        todo!("comes with session/network.rs")
    }

    /// Its own counts.
    pub fn counts(&self) -> FollowerCounts {
        todo!("comes with session/network.rs")
    }
}
