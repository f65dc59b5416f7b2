//! From measurements of the network to series by container.

use std::{hash::Hash, sync::Arc, time::Instant};

use probe_common::{hist::Histogram, id::CgroupId, tcp};
use rustc_hash::{FxHashMap, FxHashSet};

use super::super::{
    delta::Previous,
    owners::{Owner, OwnerLabels, Owners},
    traffic::{self, Elsewhere, TrafficKey, TrafficPeer},
};
use crate::{
    flows::rcode_name,
    identity::Identities,
    metrics::{Desc, Registry, families},
    model::{Container, Counters, Measurements, OwnerId, Transport, add_totals},
};

/// What is at the other end where that is not on this host.
const EXTERNAL: &str = "~external";

/// Container at the other end where that is a pod or node that is known by its address.
const ELSEWHERE: &str = "~remote";

/// Response code of look-ups that nobody answered.
const TIMEOUT: &str = "~timeout";

/// Reasons of failed attempts to connect, as [`tcp::Totals`] orders them.
const FAILED: [&str; tcp::FAILURES] = [
    "refused",
    "timeout",
    "unreachable",
    "reset",
    "aborted",
    "prohibited",
    "no_local_port",
];

/// Kinds of retransmissions, in the same way.
const RETRANSMITS: [&str; tcp::RETRANSMITS] = ["syn", "data", "loss_probe"];

/// Where the owners of one collection are found.
pub(super) struct Names<'a> {
    pub(super) owners: &'a mut Owners,
    pub(super) identities: &'a Identities,
    pub(super) now: Instant,
    pub(super) last: bool,
}

impl Names<'_> {
    pub(super) fn find(&mut self, owner: OwnerId) -> Owner {
        self.owners
            .find(owner, self.identities, self.now, self.last)
    }
}

/// A counter or histogram of an owner: the family, and a number where the family has several.
type Which = (OwnerId, &'static str, u16);

/// Passes on what was added since the last time.
#[derive(Default)]
pub(super) struct Network {
    counters: Previous<Which, u64>,
    histograms: Previous<Which, Histogram>,
    /// By owner, where known, and reason.
    drops: Previous<(Option<OwnerId>, String), u64>,
    /// Look-ups that the follower saw end, by cgroup.
    ended: Previous<(u64, Outcome), u64>,
    /// Of these, what has no name yet.
    waiting_ended: FxHashMap<(OwnerId, Outcome), u64>,
    /// Durations of look-ups over TCP, by cgroup.
    over_tcp: Previous<u64, Histogram>,
    /// Of these, what has no name yet.
    waiting_latency: FxHashMap<OwnerId, Histogram>,
    /// Dropped packets that the follower found the container of, by cgroup and reason.
    attributed_drops: Previous<(u64, Arc<str>), u64>,
    /// Of these, what has no name yet.
    waiting_drops: FxHashMap<(OwnerId, Arc<str>), u64>,
    /// Packets that were freed and not dropped, by reason.
    freed: Previous<String, u64>,
    /// Traffic whose owners have no names yet.
    waiting: FxHashMap<TrafficKey, Counters>,
    /// Series of a peer, which go when it is gone.
    peers: FxHashMap<OwnerId, FxHashSet<Pair>>,
}

/// Response code of a look-up's answer; `None` where there was none.
type Outcome = Option<u8>;

/// Local owner, peer and transport of a series.
type Pair = (Arc<OwnerLabels>, Arc<OwnerLabels>, Transport);

impl Network {
    pub(super) fn export(
        &mut self,
        registry: &mut Registry,
        measurements: &Measurements,
        traffic: traffic::State,
        names: &mut Names<'_>,
    ) {
        self.connections(registry, measurements, names);
        self.lookups(registry, measurements, &traffic, names);
        self.drops(registry, measurements, names);
        self.attributed_drops(registry, &traffic, names);
        let untracked = by_owner(
            &measurements.untracked,
            Counters::default(),
            |row| row.owner,
            |sum, row| sum.add(row.counters),
        );
        for row in untracked {
            self.untracked(registry, row, names);
        }
        for (key, counters) in traffic.added {
            self.waiting.entry(key).or_default().add(counters);
        }
        self.traffic(registry, names);
        active(registry, &traffic.active, names);
    }

    /// Forgets owners whose counters have been freed.
    pub(super) fn forget(&mut self, gone: &FxHashSet<OwnerId>) {
        self.counters.forget(|(owner, ..)| gone.contains(owner));
        self.histograms.forget(|(owner, ..)| gone.contains(owner));
        self.drops
            .forget(|(owner, _)| owner.is_some_and(|owner| gone.contains(&owner)));
    }

    /// Ends the series that name owners as the other end, where these are gone or have other labels now.
    pub(super) fn leave(
        &mut self,
        registry: &mut Registry,
        gone: &FxHashSet<OwnerId>,
        now: Instant,
    ) {
        for owner in gone {
            for (local, peer, transport) in self.peers.remove(owner).into_iter().flatten() {
                let transport = transport.to_string();
                for direction in ["egress", "ingress"] {
                    let labels = flow_labels(&local, Some(&peer), &transport, direction);
                    registry.retire_one(&families::FLOW_BYTES, &labels, now);
                    registry.retire_one(&families::FLOW_PACKETS, &labels, now);
                }
            }
        }
    }

    fn connections(
        &mut self,
        registry: &mut Registry,
        measurements: &Measurements,
        names: &mut Names<'_>,
    ) {
        let zero = tcp::Totals::ZERO;
        for (id, totals) in by_owner(
            &measurements.tcp,
            zero,
            |row| row.owner,
            |sum, row| add_totals(sum, &row.totals),
        ) {
            let owner = names.find(id);
            let Some(labels) = owner.labels() else {
                continue;
            };
            let c = labels.parts();
            self.observe(
                registry,
                &families::TCP_CONNECT_DURATION,
                id,
                &c,
                totals.connect,
            );
            self.observe(
                registry,
                &families::TCP_ACCEPT_DURATION,
                id,
                &c,
                totals.accept,
            );
            self.observe(registry, &families::TCP_RTT, id, &c, totals.rtt);
            let connects = self.add(
                registry,
                &families::TCP_CONNECTS,
                (id, 0),
                &c,
                totals.attempts,
            );
            self.add(registry, &families::TCP_CLOSED, (id, 0), &c, totals.closed);
            self.add(
                registry,
                &families::TCP_LISTEN_DROPS,
                (id, 0),
                &c,
                totals.listen_drops,
            );
            let accepted = self.split(
                registry,
                &families::TCP_CONNECTIONS,
                id,
                &c,
                &[("egress", totals.connected), ("ingress", totals.accepted)],
            );
            if owner.is_unknown() {
                let labels = ["tcp", "no_identity"];
                registry.add(&families::UNATTRIBUTED, &labels, connects + accepted[1]);
            }
            self.add(
                registry,
                &families::TCP_SEGMENTS_SENT,
                (id, 0),
                &c,
                totals.segments_sent,
            );
            self.add(
                registry,
                &families::TCP_SEGMENTS_RETRANSMITTED,
                (id, 0),
                &c,
                totals.segments_retransmitted,
            );
            let failed = std::array::from_fn(|at| (FAILED[at], totals.failed[at]));
            self.split::<{ tcp::FAILURES }>(
                registry,
                &families::TCP_FAILED_CONNECTS,
                id,
                &c,
                &failed,
            );
            let again: [_; tcp::RETRANSMITS] =
                std::array::from_fn(|at| (RETRANSMITS[at], totals.retransmits[at]));
            self.split(registry, &families::TCP_RETRANSMITS, id, &c, &again);
            self.split(
                registry,
                &families::TCP_RESETS,
                id,
                &c,
                &[
                    ("sent", totals.resets_sent),
                    ("received", totals.resets_received),
                ],
            );
        }
    }

    fn lookups(
        &mut self,
        registry: &mut Registry,
        measurements: &Measurements,
        traffic: &traffic::State,
        names: &mut Names<'_>,
    ) {
        let desc = &families::DNS_LOOKUPS;
        let by_code = by_owner(
            &measurements.answers,
            0,
            |row| (row.owner, row.rcode),
            |sum, row| *sum += row.count,
        );
        for ((id, rcode), count) in by_code {
            if let Some(labels) = names.find(id).labels() {
                let [namespace, pod, container] = labels.parts();
                let labels = [namespace, pod, container, &rcode_name(rcode.into())];
                self.add(registry, desc, (id, rcode.into()), &labels, count);
            }
        }
        self.ended_lookups(registry, traffic, names);
        let latencies = by_owner(
            &measurements.lookups,
            Histogram::EMPTY,
            |row| row.owner,
            |sum, row| sum.merge(&row.latency),
        );
        for (id, latency) in latencies {
            if let Some(labels) = names.find(id).labels() {
                let c = labels.parts();
                self.observe(registry, &families::DNS_LOOKUP_DURATION, id, &c, latency);
            }
        }
    }

    /// Look-ups that the kernel side does not count: what nobody answered, and those over TCP. The follower remembers longer than the
    /// kernel side: what it says of an owner that was forgotten is not new.
    fn ended_lookups(
        &mut self,
        registry: &mut Registry,
        traffic: &traffic::State,
        names: &mut Names<'_>,
    ) {
        let Some(follower) = &traffic.follower else {
            return;
        };
        let timeouts = follower.lookup_timeouts.iter();
        let timeouts = timeouts.map(|(cgroup, count)| (*cgroup, None, *count));
        let answers = follower.over_tcp.answers.iter();
        let answers = answers.map(|((cgroup, rcode), count)| (*cgroup, Some(*rcode), *count));
        for (cgroup, outcome, count) in timeouts.chain(answers) {
            let added = self.ended.added((cgroup.0, outcome), count);
            if added > 0 {
                let owner = OwnerId::of_socket(cgroup.0);
                *self.waiting_ended.entry((owner, outcome)).or_default() += added;
            }
        }
        for (cgroup, latency) in &follower.over_tcp.latency {
            let since = latency.since(&self.over_tcp.replace(cgroup.0, *latency));
            if since.count() > 0 {
                let owner = OwnerId::of_socket(cgroup.0);
                let waiting = self.waiting_latency.entry(owner);
                waiting.or_insert(Histogram::EMPTY).merge(&since);
            }
        }
        self.waiting_ended.retain(|(id, outcome), count| {
            let Some(labels) = names.find(*id).labels() else {
                return true;
            };
            let [namespace, pod, container] = labels.parts();
            let code = outcome.map_or_else(|| TIMEOUT.into(), |code| rcode_name(code.into()));
            let labels = [namespace, pod, container, &code];
            registry.add(&families::DNS_LOOKUPS, &labels, *count);
            false
        });
        self.waiting_latency.retain(|id, latency| {
            let Some(labels) = names.find(*id).labels() else {
                return true;
            };
            registry.observe(&families::DNS_LOOKUP_DURATION, &labels.parts(), latency);
            false
        });
    }

    fn drops(
        &mut self,
        registry: &mut Registry,
        measurements: &Measurements,
        names: &mut Names<'_>,
    ) {
        for row in &measurements.freed {
            let added = self.freed.added(row.reason.clone(), row.packets);
            add(
                registry,
                &families::NODE_PACKETS_FREED,
                &[&row.reason],
                added,
            );
        }
        // All owners together: freed counters make no sum fall, because each is followed by itself.
        let rows = by_owner(
            &measurements.drops,
            0,
            |row| (row.owner, row.reason.as_str()),
            |sum, row| *sum += row.packets,
        );
        let mut rows: Vec<_> = rows.into_iter().collect();
        most_first(&mut rows, |(_, packets)| *packets);
        for ((owner, reason), packets) in rows {
            let labels = match owner.map(|owner| names.find(owner)) {
                None => None,
                Some(owner) => match owner.labels() {
                    // Both wait, so that one is never ahead of the other.
                    None => continue,
                    labels => labels,
                },
            };
            let added = self.drops.added((owner, reason.to_owned()), packets);
            if added == 0 {
                continue;
            }
            registry.add(&families::NODE_PACKET_DROPS, &[reason], added);
            if let Some(labels) = labels {
                let [namespace, pod, container] = labels.parts();
                let labels = [namespace, pod, container, reason];
                registry.add(&families::CONTAINER_PACKET_DROPS, &labels, added);
            }
        }
    }

    /// Dropped packets that only a flow has a container for. The node has them already.
    fn attributed_drops(
        &mut self,
        registry: &mut Registry,
        traffic: &traffic::State,
        names: &mut Names<'_>,
    ) {
        for ((cgroup, reason), packets) in
            traffic.follower.iter().flat_map(|it| &it.attributed_drops)
        {
            // As with look-ups: the follower remembers longer than the kernel side.
            let added = self
                .attributed_drops
                .added((cgroup.0, reason.clone()), *packets);
            if added > 0 {
                let key = (OwnerId::of_socket(cgroup.0), reason.clone());
                *self.waiting_drops.entry(key).or_default() += added;
            }
        }
        self.waiting_drops.retain(|(id, reason), packets| {
            let Some(labels) = names.find(*id).labels() else {
                return true;
            };
            let [namespace, pod, container] = labels.parts();
            let labels = [namespace, pod, container, &**reason];
            registry.add(&families::CONTAINER_PACKET_DROPS, &labels, *packets);
            false
        });
    }

    /// What found no room in the table of flows has an owner and nothing else.
    fn untracked(
        &mut self,
        registry: &mut Registry,
        (id, counters): (OwnerId, Counters),
        names: &mut Names<'_>,
    ) {
        let Some(local) = names.find(id).labels() else {
            return;
        };
        let other = OwnerLabels::bucket(Container::OTHER);
        for (at, (direction, bytes, packets)) in (0..).zip(directions(counters)) {
            let labels = flow_labels(&local, Some(&other), Container::OTHER, direction);
            self.add(registry, &families::FLOW_BYTES, (id, at), &labels, bytes);
            self.add(
                registry,
                &families::FLOW_PACKETS,
                (id, at),
                &labels,
                packets,
            );
        }
    }

    /// Traffic of flows whose owners have names.
    fn traffic(&mut self, registry: &mut Registry, names: &mut Names<'_>) {
        let Self { waiting, peers, .. } = self;
        let mut all: Vec<(TrafficKey, Counters)> = waiting.drain().collect();
        most_first(&mut all, |(_, it)| it.bytes_sent + it.bytes_received);
        let not_yet = |(key, counters): &(TrafficKey, Counters)| {
            let owner = names.find(key.owner);
            let Some(local) = owner.labels() else {
                return true;
            };
            let peer = match &key.peer {
                TrafficPeer::External => None,
                TrafficPeer::Elsewhere(peer) => Some(Arc::new(elsewhere(peer))),
                TrafficPeer::Here(peer) => match names.find(*peer).labels() {
                    None => return true,
                    labels => labels,
                },
            };
            let transport = key.transport.to_string();
            for (direction, bytes, packets) in directions(*counters) {
                let labels = flow_labels(&local, peer.as_deref(), &transport, direction);
                add(registry, &families::FLOW_BYTES, &labels, bytes);
                add(registry, &families::FLOW_PACKETS, &labels, packets);
            }
            if owner.is_unknown() {
                let packets = counters.packets_sent + counters.packets_received;
                let labels = ["flows", "no_identity"];
                registry.add(&families::UNATTRIBUTED, &labels, packets);
            }
            if let (TrafficPeer::Here(id), Some(peer)) = (&key.peer, peer) {
                let series = (local, peer, key.transport);
                peers.entry(*id).or_default().insert(series);
            }
            false
        };
        waiting.extend(all.into_iter().filter(not_yet));
    }

    /// Adds to the series of an owner that differ in the last label.
    fn split<const N: usize>(
        &mut self,
        registry: &mut Registry,
        desc: &'static Desc,
        id: OwnerId,
        [namespace, pod, container]: &[&str; 3],
        counts: &[(&str, u64); N],
    ) -> [u64; N] {
        std::array::from_fn(|at| {
            let (value, count) = counts[at];
            let labels = [*namespace, *pod, *container, value];
            let which = (id, u16::try_from(at).unwrap_or(u16::MAX));
            self.add(registry, desc, which, &labels, count)
        })
    }

    fn add(
        &mut self,
        registry: &mut Registry,
        desc: &'static Desc,
        (id, which): (OwnerId, u16),
        labels: &[&str],
        count: u64,
    ) -> u64 {
        let added = self.counters.added((id, desc.name, which), count);
        add(registry, desc, labels, added);
        added
    }

    fn observe(
        &mut self,
        registry: &mut Registry,
        desc: &'static Desc,
        id: OwnerId,
        labels: &[&str],
        histogram: Histogram,
    ) {
        let earlier = self.histograms.replace((id, desc.name, 0), histogram);
        let since = histogram.since(&earlier);
        if since.count() > 0 {
            registry.observe(desc, labels, &since);
        }
    }
}

/// Brings what has most to the front: it gets a series of its own before there is no room.
pub(super) fn most_first<T>(rows: &mut [T], amount: impl Fn(&T) -> u64) {
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(amount(row)));
}

/// Makes no series for nothing: a container that never connects has none.
fn add(registry: &mut Registry, desc: &'static Desc, labels: &[&str], count: u64) {
    if count > 0 {
        registry.add(desc, labels, count);
    }
}

fn active(registry: &mut Registry, active: &FxHashMap<OwnerId, u64>, names: &mut Names<'_>) {
    let mut by_labels = FxHashMap::<Arc<OwnerLabels>, u64>::default();
    for (id, count) in active {
        // What a removed container leaves open ends soon, and its series have ended.
        if *id != OwnerId::ROOT && !names.identities.is_live(CgroupId(id.0)) {
            continue;
        }
        if let Some(labels) = names.find(*id).labels() {
            *by_labels.entry(labels).or_default() += count;
        }
    }
    registry.clear(&families::FLOW_ACTIVE);
    for (labels, count) in by_labels {
        registry.sum(&families::FLOW_ACTIVE, &labels.parts(), count as f64);
    }
}

/// Labels of a pod that is known by its address, without its name: there are as many as the cluster has.
fn elsewhere(peer: &Elsewhere) -> OwnerLabels {
    OwnerLabels {
        namespace: peer.namespace.clone(),
        pod: ELSEWHERE.into(),
        container: ELSEWHERE.into(),
        workload: peer.workload.clone(),
    }
}

fn flow_labels<'a>(
    local: &'a OwnerLabels,
    peer: Option<&'a OwnerLabels>,
    transport: &'a str,
    direction: &'a str,
) -> [&'a str; 8] {
    let [namespace, pod, container] = local.parts();
    let (peer_namespace, peer_container, peer_workload) = match peer {
        Some(peer) => (
            peer.namespace.as_str(),
            peer.container.as_str(),
            peer.workload.as_str(),
        ),
        None => (EXTERNAL, EXTERNAL, EXTERNAL),
    };
    [
        namespace,
        pod,
        container,
        peer_namespace,
        peer_container,
        peer_workload,
        transport,
        direction,
    ]
}

/// Direction, bytes and packets as the local socket sees them.
fn directions(counters: Counters) -> [(&'static str, u64, u64); 2] {
    [
        ("egress", counters.bytes_sent, counters.packets_sent),
        (
            "ingress",
            counters.bytes_received,
            counters.packets_received,
        ),
    ]
}

/// Rows of one owner may come twice, because two cgroups stand for the root.
fn by_owner<'a, R, K: Eq + Hash, S: Copy>(
    rows: &'a [R],
    nothing: S,
    key: impl Fn(&'a R) -> K,
    add: impl Fn(&mut S, &R),
) -> FxHashMap<K, S> {
    let mut sums = FxHashMap::default();
    for row in rows {
        add(sums.entry(key(row)).or_insert(nothing), row);
    }
    sums
}

#[cfg(test)]
mod tests;
