//! Both ends of a connection on one host: finds the other socket of a flow.
//!
//! The two ends of a TCP connection share the sequence numbers of their first data, whatever translates their addresses. Other
//! flows meet where one's tuple is the other's, turned round.

use std::{collections::VecDeque, time::Duration};

use probe_common::id::CgroupId;
use rustc_hash::FxHashMap;

use super::Sureness;
use crate::model::{Flow, IdleCapacity as _, Initiator, Tuple};

/// How long the end of a flow is remembered for the other end's report.
const KEPT: Duration = Duration::from_secs(30);

/// The other end of a flow, on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Cgroup of its socket.
    pub cgroup: CgroupId,
    /// How sure that is.
    pub sureness: Sureness,
    /// Both ends as they are on the other side of a translation, still as this end would see them; `None` where nothing is
    /// translated.
    pub nat: Option<Tuple>,
}

/// What a flow is found by: its addresses, and where all namespaces have them the namespace.
type ByTuple = (Tuple, Option<u32>);

/// What a connection is found by. The side tells both ends apart: only the other one is looked for.
type ByFingerprint = ((u32, u32), Initiator);

#[derive(Clone, Copy)]
enum Key {
    Tuple(ByTuple),
    Fingerprint(ByFingerprint),
}

/// Ends of flows, while they last and for a while afterwards.
pub struct Ends {
    by_tuple: FxHashMap<ByTuple, CgroupId>,
    by_fingerprint: FxHashMap<ByFingerprint, (CgroupId, Tuple)>,
    leaving: VecDeque<(Duration, Key)>,
    capacity: usize,
    refused: u64,
}

impl Ends {
    /// Remembers at most this many keys; a connection has two.
    pub fn new(capacity: usize) -> Self {
        Self {
            by_tuple: FxHashMap::default(),
            by_fingerprint: FxHashMap::default(),
            leaving: VecDeque::new(),
            capacity,
            refused: 0,
        }
    }

    /// Remembers a flow, or what is new of it.
    pub fn enter(&mut self, flow: &Flow) {
        let has_room =
            |ends: &Self| ends.by_tuple.len() + ends.by_fingerprint.len() < ends.capacity;
        let key = by_tuple(flow);
        if has_room(self) || self.by_tuple.contains_key(&key) {
            self.by_tuple.insert(key, flow.cgroup);
        } else {
            self.refused += 1;
        }
        let Some(key) = by_fingerprint(flow) else {
            return;
        };
        if has_room(self) || self.by_fingerprint.contains_key(&key) {
            self.by_fingerprint.insert(key, (flow.cgroup, flow.tuple));
        } else {
            self.refused += 1;
        }
    }

    /// Lets go of a flow that has ended, after a while.
    pub fn leave(&mut self, flow: &Flow, now: Duration) {
        let due = now + KEPT;
        self.leaving.push_back((due, Key::Tuple(by_tuple(flow))));
        let fingerprint = by_fingerprint(flow).map(Key::Fingerprint);
        self.leaving.extend(fingerprint.map(|key| (due, key)));
    }

    /// Forgets what ended long enough ago.
    pub fn expire(&mut self, now: Duration) {
        while let Some((due, key)) = self.leaving.front().copied()
            && due <= now
        {
            match key {
                Key::Tuple(key) => _ = self.by_tuple.remove(&key),
                Key::Fingerprint(key) => _ = self.by_fingerprint.remove(&key),
            }
            self.leaving.pop_front();
        }
        self.by_tuple.give_back();
        self.by_fingerprint.give_back();
        self.leaving.give_back();
    }

    /// The other end of a flow.
    pub fn peer(&self, flow: &Flow) -> Option<Peer> {
        let turned = flow.tuple.turned();
        let by_fingerprint = by_fingerprint(flow).and_then(|(fingerprint, initiator)| {
            self.by_fingerprint.get(&(fingerprint, initiator.other()))
        });
        if let Some((cgroup, tuple)) = by_fingerprint {
            return Some(Peer {
                cgroup: *cgroup,
                sureness: Sureness::Exact,
                nat: (*tuple != turned).then(|| tuple.turned()),
            });
        }
        self.likely((turned, namespace(flow)), None)
    }

    /// The other end of a flow whose addresses are translated to these, as this end would see them.
    pub fn peer_behind(&self, flow: &Flow, nat: Tuple) -> Option<Peer> {
        let namespace = flow.netns.filter(|_| nat.local.is_loopback());
        self.likely((nat.turned(), namespace), Some(nat))
    }

    fn likely(&self, key: ByTuple, nat: Option<Tuple>) -> Option<Peer> {
        self.by_tuple.get(&key).map(|cgroup| Peer {
            cgroup: *cgroup,
            sureness: Sureness::Likely,
            nat,
        })
    }

    /// Keys that found no room.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// The namespace of a flow over loopback, whose addresses every namespace has and whose ends are both in it.
fn namespace(flow: &Flow) -> Option<u32> {
    flow.netns.filter(|_| flow.tuple.local.is_loopback())
}

fn by_tuple(flow: &Flow) -> ByTuple {
    (flow.tuple, namespace(flow))
}

fn by_fingerprint(flow: &Flow) -> Option<ByFingerprint> {
    Some((flow.tcp?.fingerprint?, flow.initiator))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flows::convert::tests::{client, server},
        model::Transport,
    };

    #[test]
    fn both_ends_of_a_connection_find_each_other() {
        let mut ends = Ends::new(100);
        let (client, server) = (client(), server());
        ends.enter(&client);
        ends.enter(&server);
        assert_eq!(ends.peer(&client).unwrap().cgroup, server.cgroup);
        let peer = ends.peer(&server).unwrap();
        assert_eq!(
            (peer.cgroup, peer.sureness),
            (client.cgroup, Sureness::Exact)
        );
        assert_eq!(peer.nat, None);
    }

    #[test]
    fn translated_ends_find_each_other_by_their_sequence_numbers() {
        let mut ends = Ends::new(100);
        let (mut client, server) = (client(), server());
        client.tuple.remote = "10.96.0.1".parse().unwrap();
        client.tuple.remote_port = 80;
        ends.enter(&client);
        ends.enter(&server);
        let seen_by = |flow| ends.peer(flow).unwrap().nat.unwrap();
        let at_the_client = seen_by(&client);
        assert_eq!(
            (at_the_client.remote, at_the_client.remote_port),
            (server.tuple.local, server.tuple.local_port),
            "a client is told where the service is"
        );
        assert_eq!(
            (at_the_client.local, at_the_client.local_port),
            (client.tuple.local, client.tuple.local_port)
        );
        let at_the_server = seen_by(&server);
        assert_eq!(
            (at_the_server.local, at_the_server.local_port),
            (client.tuple.remote, 80),
            "a server is told what it was asked as"
        );
    }

    #[test]
    fn translated_datagrams_find_each_other_by_the_translation() {
        let mut ends = Ends::new(100);
        let (mut client, mut server) = (client(), server());
        for flow in [&mut client, &mut server] {
            flow.tcp = None;
            flow.tuple.transport = Transport::UDP;
        }
        let behind = server.tuple.turned();
        client.tuple.remote = "10.96.0.1".parse().unwrap();
        ends.enter(&client);
        ends.enter(&server);
        assert_eq!(ends.peer(&client), None);
        let peer = ends.peer_behind(&client, behind).unwrap();
        assert_eq!(
            (peer.cgroup, peer.nat, peer.sureness),
            (server.cgroup, Some(behind), Sureness::Likely)
        );
    }

    #[test]
    fn without_sequence_numbers_the_turned_tuple_is_likely() {
        let mut ends = Ends::new(100);
        let (mut client, mut server) = (client(), server());
        for flow in [&mut client, &mut server] {
            flow.tcp = None;
            flow.tuple.transport = Transport::UDP;
        }
        ends.enter(&client);
        assert_eq!(ends.peer(&client), None);
        assert_eq!(ends.peer(&server).unwrap().sureness, Sureness::Likely);
    }

    #[test]
    fn an_end_is_remembered_for_a_while_and_then_forgotten() {
        let mut ends = Ends::new(100);
        let (client, server) = (client(), server());
        ends.enter(&client);
        ends.leave(&client, Duration::from_secs(10));
        ends.expire(Duration::from_secs(20));
        assert!(ends.peer(&server).is_some());
        ends.expire(Duration::from_secs(41));
        assert_eq!(ends.peer(&server), None);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut ends = Ends::new(1);
        ends.enter(&client());
        assert_eq!(ends.refused(), 1);
    }
}
