//! Dropped packets, remembered by who sent them to whom until a flow asks for them.
//!
//! A packet may be dropped before its flow is known: a client's port is not told before it is connected or has failed. So
//! flows ask, again and again, rather than being searched for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use probe_common::id::CgroupId;
use rustc_hash::FxHashMap;

use crate::{
    limits,
    model::{DroppedPackets, Drops, Flow, IdleCapacity as _, OwnerId, Tuple},
};

/// How long packets that no flow asks for are remembered: longer than the kernel tries to connect.
const KEPT: Duration = Duration::from_secs(180);
/// How long packets that no container has wait for the flow of their sender, where that is on this host, before they are their
/// receiver's.
const SENDER_FIRST: Duration = Duration::from_secs(5);
/// Parts of one entry that are kept apart.
const PARTS: usize = 16;

/// Some packets that were dropped for one reason.
#[derive(Debug)]
struct Part {
    reason: Arc<str>,
    packets: u64,
    /// Of these, the ones that no container has yet, and when the last of them were added.
    unattributed: u64,
    added: Duration,
    /// Monotonic time of the last.
    last: Duration,
    /// A flow has them. More of them are that flow's too.
    owned: bool,
}

#[derive(Debug)]
struct Entry {
    parts: Vec<Part>,
    /// When something was added or asked for.
    touched: Duration,
}

/// Dropped packets of all flows.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    entries: FxHashMap<Tuple, Entry>,
    room: usize,
    refused: u64,
    attributed: HashMap<(CgroupId, Arc<str>), u64>,
}

impl Dropped {
    /// Remembers packets of at most so many pairs of sender and receiver.
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Packets that found no room.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Packets that the kernel side knows no socket of, by the container whose flow they are and by reason, since the start.
    pub(super) fn attributed(&self) -> &HashMap<(CgroupId, Arc<str>), u64> {
        &self.attributed
    }

    /// Remembers packets that were dropped.
    pub(super) fn add(&mut self, dropped: DroppedPackets, now: Duration) {
        let known = self.entries.len();
        let entry = match self.entries.entry(dropped.tuple) {
            std::collections::hash_map::Entry::Vacant(_) if known >= self.room => {
                self.refused += dropped.packets;
                return;
            }
            entry => entry.or_insert_with(|| Entry {
                parts: Vec::new(),
                touched: now,
            }),
        };
        entry.touched = now;
        let unattributed = if dropped.is_attributed {
            0
        } else {
            dropped.packets
        };
        let full = entry.parts.len() >= PARTS;
        let same = |part: &&mut Part| part.reason == dropped.reason && (part.owned || full);
        if let Some(part) = entry.parts.iter_mut().rev().find(same) {
            part.packets += dropped.packets;
            if unattributed > 0 {
                part.unattributed += unattributed;
                part.added = now;
            }
            part.last = part.last.max(dropped.last);
            return;
        }
        entry.parts.push(Part {
            reason: dropped.reason,
            packets: dropped.packets,
            unattributed,
            added: now,
            last: dropped.last,
            owned: false,
        });
    }

    /// Gives a flow what was dropped of it since it began; and its container what the kernel side knows no socket of, where the
    /// flow's socket is the sender, or the sender's is not on this host.
    pub(super) fn charge(&mut self, flow: &mut Flow, is_peer_here: bool, now: Duration) {
        let mut drops = Drops::default();
        if !self.entries.is_empty() {
            let tuple = canonical(flow.tuple);
            for (tuple, from_local) in [(tuple, true), (tuple.turned(), false)] {
                let Some(entry) = self.entries.get_mut(&tuple) else {
                    continue;
                };
                entry.touched = now;
                for part in &mut entry.parts {
                    // What was before belongs to a flow that had the same ends.
                    if part.last < flow.start {
                        continue;
                    }
                    part.owned = true;
                    let waits = !from_local
                        && is_peer_here
                        && flow.end.is_none()
                        && now.saturating_sub(part.added) < SENDER_FIRST;
                    if part.unattributed > 0 && !waits {
                        let packets = std::mem::take(&mut part.unattributed);
                        attribute(&mut self.attributed, flow.cgroup, &part.reason, packets);
                    }
                    let (sent, received) = if from_local {
                        (part.packets, 0)
                    } else {
                        (0, part.packets)
                    };
                    drops.add(&part.reason, sent, received);
                }
            }
        }
        flow.drops = Some(drops);
    }

    /// Notes that a flow has ended: what is dropped from now on is another's.
    pub(super) fn release(&mut self, flow: &Flow) {
        if self.entries.is_empty() {
            return;
        }
        let tuple = canonical(flow.tuple);
        for tuple in [tuple, tuple.turned()] {
            let parts = self.entries.get_mut(&tuple).map(|entry| &mut entry.parts);
            for part in parts.into_iter().flatten() {
                part.owned = false;
            }
        }
    }

    /// Forgets what no flow has asked for.
    pub(super) fn expire(&mut self, now: Duration) {
        self.entries
            .retain(|_, entry| now.saturating_sub(entry.touched) < KEPT);
        self.entries.give_back();
    }
}

/// Adds packets to those of a container. What finds no room is counted for all others together.
fn attribute(
    attributed: &mut HashMap<(CgroupId, Arc<str>), u64>,
    cgroup: CgroupId,
    reason: &Arc<str>,
    packets: u64,
) {
    let mut key = (cgroup, reason.clone());
    if attributed.len() >= limits::DROPS as usize && !attributed.contains_key(&key) {
        key.0 = CgroupId(OwnerId::KERNEL_OVERFLOW.0);
    }
    *attributed.entry(key).or_default() += packets;
}

/// An IPv6 socket writes IPv4 addresses its own way, and packets do not.
fn canonical(tuple: Tuple) -> Tuple {
    Tuple {
        local: tuple.local.to_canonical(),
        remote: tuple.remote.to_canonical(),
        ..tuple
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{client, server};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn dropped(tuple: Tuple, packets: u64, last: u64) -> DroppedPackets {
        DroppedPackets {
            tuple,
            reason: "netfilter_drop".into(),
            packets,
            is_attributed: false,
            last: at(last),
        }
    }

    fn sums(dropped: &mut Dropped, flow: &mut Flow) -> (u64, u64) {
        dropped.charge(flow, false, at(20));
        flow.drops.as_ref().unwrap().sums()
    }

    #[test]
    fn both_ends_of_a_flow_have_what_was_dropped_between_them() {
        let (mut client, mut server) = (client(), server());
        let mut table = Dropped::new(10);
        assert_eq!(sums(&mut table, &mut client), (0, 0));
        table.add(dropped(client.tuple, 3, 5), at(6));
        table.add(dropped(server.tuple, 2, 5), at(6));
        table.add(dropped(client.tuple, 1, 7), at(8));
        assert_eq!(sums(&mut table, &mut client), (4, 2));
        assert_eq!(sums(&mut table, &mut server), (2, 4));
    }

    #[test]
    fn a_flow_does_not_have_what_an_earlier_one_with_the_same_ends_lost() {
        let (mut first, mut second) = (client(), client());
        second.start = at(10);
        let mut table = Dropped::new(10);
        table.add(dropped(first.tuple, 3, 5), at(6));
        assert_eq!(sums(&mut table, &mut first), (3, 0));
        table.add(dropped(first.tuple, 1, 7), at(8));
        assert_eq!(sums(&mut table, &mut first), (4, 0));
        table.release(&first);
        table.add(dropped(first.tuple, 7, 12), at(12));
        assert_eq!(sums(&mut table, &mut second), (7, 0));
    }

    fn attributed(table: &Dropped) -> Vec<(u64, u64)> {
        let mut all: Vec<_> = table
            .attributed()
            .iter()
            .map(|((cgroup, _), packets)| (cgroup.0, *packets))
            .collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn packets_without_a_socket_are_those_of_the_senders_container_once() {
        let (mut client, mut server) = (client(), server());
        let mut table = Dropped::new(10);
        table.add(dropped(client.tuple, 3, 5), at(6));
        let known = DroppedPackets {
            is_attributed: true,
            ..dropped(client.tuple, 5, 5)
        };
        table.add(known, at(6));
        table.charge(&mut server, true, at(7));
        assert_eq!(attributed(&table), [], "the sender is on this host");
        table.charge(&mut client, true, at(7));
        table.charge(&mut server, true, at(20));
        assert_eq!(attributed(&table), [(client.cgroup.0, 3)]);
        assert_eq!(client.drops.as_ref().unwrap().sums(), (8, 0));
    }

    #[test]
    fn packets_without_a_socket_are_the_receivers_where_the_sender_is_elsewhere_or_unknown() {
        let mut server = server();
        let mut table = Dropped::new(10);
        table.add(dropped(server.tuple.turned(), 3, 5), at(6));
        table.charge(&mut server, false, at(7));
        assert_eq!(attributed(&table), [(server.cgroup.0, 3)]);
        // A translation may hide them from the sender's flow.
        table.add(dropped(server.tuple.turned(), 4, 8), at(8));
        table.charge(&mut server, true, at(9));
        assert_eq!(attributed(&table), [(server.cgroup.0, 3)]);
        table.charge(&mut server, true, at(8) + SENDER_FIRST);
        assert_eq!(attributed(&table), [(server.cgroup.0, 7)]);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_what_nobody_asks_for_is_forgotten() {
        let (client, server) = (client(), server());
        let mut table = Dropped::new(1);
        table.add(dropped(client.tuple, 3, 5), at(6));
        table.add(dropped(server.tuple, 2, 5), at(6));
        assert_eq!(table.refused(), 2);
        table.expire(at(7));
        assert_eq!(table.entries.len(), 1);
        table.expire(at(6) + KEPT);
        assert!(table.entries.is_empty());
    }

    #[test]
    fn an_entry_has_a_bound_however_often_packets_are_dropped() {
        let mut flow = client();
        let mut table = Dropped::new(1);
        for second in 0..100 {
            table.add(dropped(flow.tuple, 1, second), at(second));
        }
        assert!(table.entries[&flow.tuple].parts.len() <= PARTS);
        flow.start = at(0);
        assert_eq!(sums(&mut table, &mut flow), (100, 0));
    }
}
