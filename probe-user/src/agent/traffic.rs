//! What the thread that follows flows hands to the collection: traffic since the last one, and counts.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::{
    flows::{Event, FlowCounts},
    kubernetes::Peer,
    limits,
    model::{Counters, IdleCapacity as _, OwnerId, Transport},
    session::{FlowReport, FollowerCounts},
};

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum TrafficPeer {
    /// A socket of this host, with its owner.
    Here(OwnerId),
    /// A pod or node that is known by its address.
    Elsewhere(Arc<Elsewhere>),
    /// Somebody outside.
    External,
}

/// What is told of a pod or node in a metric.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Elsewhere {
    /// Namespace of the pod; `~node` of a node.
    pub(super) namespace: String,
    /// What the pod belongs to; `~node` of a node.
    pub(super) workload: String,
}

impl TrafficPeer {
    /// Of a report, with who is known to have the other end's address.
    pub(super) fn of(report: &FlowReport, known: Option<&Peer>) -> Self {
        match (report.peer, known) {
            (Some(peer), _) => Self::Here(OwnerId::of_socket(peer.cgroup.0)),
            (None, None) => Self::External,
            (None, Some(peer)) => Self::Elsewhere(Arc::new(Elsewhere::from(peer))),
        }
    }
}

impl From<&Peer> for Elsewhere {
    fn from(peer: &Peer) -> Self {
        const NODE: &str = "~node";
        if peer.pod.is_empty() {
            return Self {
                namespace: NODE.into(),
                workload: NODE.into(),
            };
        }
        Self {
            namespace: peer.namespace.clone(),
            workload: peer.workload.name.clone(),
        }
    }
}

/// Traffic is summed up by this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TrafficKey {
    /// Owner of the local socket.
    pub(super) owner: OwnerId,
    /// Who has the other one.
    pub(super) peer: TrafficPeer,
    pub(super) transport: Transport,
}

/// Handed over under a lock that is held for a few additions at a time.
#[derive(Default)]
pub(super) struct Traffic(Mutex<State>);

/// What there is to hand over.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Since the last collection.
    pub(super) added: FxHashMap<TrafficKey, Counters>,
    /// Flows that last, by owner.
    pub(super) active: FxHashMap<OwnerId, u64>,
    /// Counts of the follower, once there are some.
    pub(super) follower: Option<FollowerCounts>,
    /// Counts of the log, where there is one.
    pub(super) log: Option<FlowCounts>,
    /// Flows that last, by a hash of what tells them apart.
    live: FxHashMap<u64, OwnerId>,
}

impl Traffic {
    /// Adds what a report says. `known` is who is known to have the other end's address.
    pub(super) fn add(&self, report: &FlowReport, known: Option<&Peer>) {
        let owner = OwnerId::of_socket(report.flow.cgroup.0);
        let key = TrafficKey {
            owner,
            peer: TrafficPeer::of(report, known),
            transport: report.flow.tuple.transport,
        };
        let mut state = self.lock();
        if !report.interval.is_zero() {
            state.added.entry(key).or_default().add(report.interval);
        }
        state.count(report, owner);
    }

    /// Shows counts that the thread keeps.
    pub(super) fn show(&self, follower: FollowerCounts, log: Option<FlowCounts>) {
        let mut state = self.lock();
        state.follower = Some(follower);
        state.log = log;
    }

    /// Takes the traffic since the last call, and reads the rest.
    pub(super) fn take(&self) -> State {
        let mut state = self.lock();
        let added = mem::take(&mut state.added);
        State {
            added,
            active: state.active.clone(),
            follower: state.follower.clone(),
            log: state.log.clone(),
            live: FxHashMap::default(),
        }
    }

    /// A panic of another thread leaves single values behind at worst, which is no reason to stop.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Follows how many flows last.
    fn count(&mut self, report: &FlowReport, owner: OwnerId) {
        use std::hash::BuildHasher as _;
        let flow = FxBuildHasher.hash_one((report.flow.id, report.flow.tuple));
        if report.event == Event::End {
            let Some(owner) = self.live.remove(&flow) else {
                return;
            };
            self.live.give_back();
            if let Some(count) = self.active.get_mut(&owner) {
                *count -= 1;
                if *count == 0 {
                    self.active.remove(&owner);
                }
            }
        } else if self.live.len() < 2 * limits::FLOWS_MAX as usize
            && self.live.insert(flow, owner).is_none()
        {
            *self.active.entry(owner).or_default() += 1;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{net::IpAddr, time::Duration};

    use probe_common::id::CgroupId;

    use super::*;
    use crate::{
        flows::Sureness,
        model::{Flow, Initiator, Tuple},
        session::Peer,
    };

    /// A flow of a cgroup with so many bytes and packets sent in its interval, and half as many received.
    pub(in crate::agent) fn report(
        event: Event,
        id: u64,
        cgroup: u64,
        peer: Option<u64>,
        sent: u64,
    ) -> FlowReport {
        let counters = Counters {
            bytes_sent: 100 * sent,
            bytes_received: 50 * sent,
            packets_sent: sent,
            packets_received: sent / 2,
        };
        FlowReport {
            event,
            flow: Flow {
                id,
                tuple: Tuple {
                    transport: Transport::UDP,
                    local: IpAddr::from([10, 0, 0, 1]),
                    local_port: 1000,
                    remote: IpAddr::from([10, 0, 0, 2]),
                    remote_port: 53,
                },
                cgroup: CgroupId(cgroup),
                netns: None,
                initiator: Initiator::Local,
                guessed: false,
                taken_over: false,
                start: Duration::ZERO,
                last: Duration::ZERO,
                counters,
                drops: None,
                tcp: None,
                process: None,
                remote_name: None,
                sampling: 1,
                end: None,
            },
            interval: counters,
            dropped: None,
            since: Duration::ZERO,
            peer: peer.map(|cgroup| Peer {
                cgroup: CgroupId(cgroup),
                sureness: Sureness::Exact,
                nat: None,
            }),
            nat: None,
        }
    }

    #[test]
    fn intervals_are_summed_up_by_owner_and_peer_and_taken_once() {
        let traffic = Traffic::default();
        traffic.add(&report(Event::Start, 1, 7, Some(8), 2), None);
        traffic.add(&report(Event::Update, 1, 7, Some(8), 4), None);
        traffic.add(&report(Event::Start, 2, 7, None, 1), None);
        let state = traffic.take();
        let key = |peer| TrafficKey {
            owner: OwnerId(7),
            peer,
            transport: Transport::UDP,
        };
        assert_eq!(
            state.added[&key(TrafficPeer::Here(OwnerId(8)))].bytes_sent,
            600
        );
        assert_eq!(state.added[&key(TrafficPeer::External)].packets_sent, 1);
        assert!(traffic.take().added.is_empty());
    }

    #[test]
    fn a_flow_is_active_from_its_first_report_to_its_end() {
        let traffic = Traffic::default();
        let active = || traffic.take().active.get(&OwnerId(7)).copied();
        traffic.add(&report(Event::Start, 1, 7, None, 0), None);
        traffic.add(&report(Event::Update, 1, 7, None, 0), None);
        traffic.add(&report(Event::Update, 2, 7, None, 0), None);
        assert_eq!(active(), Some(2));
        traffic.add(&report(Event::End, 1, 7, None, 0), None);
        // One whose beginning was not reported ends only.
        traffic.add(&report(Event::End, 3, 7, None, 0), None);
        assert_eq!(active(), Some(1));
        traffic.add(&report(Event::End, 2, 7, None, 0), None);
        assert_eq!(active(), None);
    }

    #[test]
    fn sockets_without_a_cgroup_are_of_the_root() {
        let traffic = Traffic::default();
        traffic.add(&report(Event::Start, 1, 0, None, 1), None);
        traffic.add(&report(Event::Start, 2, 1, None, 1), None);
        let state = traffic.take();
        assert_eq!(state.active.get(&OwnerId::ROOT), Some(&2));
        assert_eq!(state.added.len(), 1);
    }
}
