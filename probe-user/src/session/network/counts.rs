//! Counts of the follower, and what reports have of both sides of the sums.

use std::{collections::HashMap, sync::Arc};

use probe_common::id::CgroupId;

use crate::{
    flows::{Event, LookupCounts, NameCounts, OverTcp},
    limits,
    model::{Counters, Flow, Transport},
    session::TranslationCounts,
};

/// What a report has of what the kernel side counts when it sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Packets of datagrams; those of connections are counted by the kernel's sockets.
    pub packets: u64,
    /// Ends of connections that the kernel told of.
    pub ends: u64,
}

impl Units {
    /// What the report of a flow has.
    pub fn of(flow: &Flow, event: Event, interval: Counters) -> Self {
        if flow.tuple.transport != Transport::TCP {
            return Self {
                packets: interval.packets_sent + interval.packets_received,
                ends: 0,
            };
        }
        let told = event == Event::End && flow.end.is_some_and(|end| end.reason.is_told());
        Self {
            packets: 0,
            ends: u64::from(told),
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.ends += other.ends;
    }

    /// Takes others away, which were added before.
    pub fn remove(&mut self, other: Self) {
        self.packets -= other.packets;
        self.ends -= other.ends;
    }
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
    /// Ends of connections that the kernel told of, in reports so far.
    pub reported_ends: u64,
    /// Such ends that wait for the other end to become known.
    pub held_ends: u64,
    /// Flows that were put out of a full table.
    pub evicted: u64,
    /// Ends of flows that could not be remembered: the other end may not be found.
    pub forgotten_ends: u64,
    /// Connections whose socket is gone, and whose end was not seen.
    pub missed_ends: u64,
    /// Dropped packets that could not be remembered: the flow may lack them.
    pub forgotten_drops: u64,
    /// Records and messages that could not be decoded.
    pub undecoded: u64,
    /// Of these, ends of connections.
    pub undecoded_ends: u64,
    /// Look-ups that nobody answered, by the asking cgroup, since the start.
    pub lookup_timeouts: HashMap<CgroupId, u64>,
    /// Dropped packets that the kernel side knows no socket of, by the container whose flow they are and by reason, since the start.
    pub attributed_drops: HashMap<(CgroupId, Arc<str>), u64>,
    /// What became of DNS messages.
    pub lookups: LookupCounts,
    /// Look-ups over TCP.
    pub over_tcp: OverTcp,
    /// The cache of names.
    pub names: NameCounts,
    /// Questions for translated addresses, where somebody asks.
    pub translations: Option<TranslationCounts>,
}

impl FollowerCounts {
    /// Counts a look-up that nobody answered.
    pub(super) fn count_timeout(&mut self, cgroup: CgroupId) {
        let timeouts = &mut self.lookup_timeouts;
        let has_room = timeouts.len() < limits::SOCKET_OWNERS as usize;
        let cgroup = if has_room || timeouts.contains_key(&cgroup) {
            cgroup
        } else {
            CgroupId(0)
        };
        *timeouts.entry(cgroup).or_default() += 1;
    }
}
