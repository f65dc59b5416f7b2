//! Flows of a period, and rows of them.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use probe_common::id::CgroupId;

use crate::{
    identity::Identities,
    model::{Container, Counters, Flow, Initiator, Measurements, OwnerId, OwnerKind, Tuple},
    render::view::{By, ContainerRef, Direction, EndView, FlowView, ProcessRef},
    report::{
        Filter,
        owner::{GroupKey, Resolved, tell_apart},
    },
};

/// Most flows that are kept apart in one period; what comes later is added up.
const MAX_FLOWS: usize = 262_144;

/// What became of a flow, as far as rows show it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// All that is known, counted since its start.
    pub flow: Flow,
    /// What was exchanged since it was seen before.
    pub interval: Counters,
    /// Cgroup of the other end, where that is a socket of this host.
    pub peer: Option<CgroupId>,
}

/// Which counters rows have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Those of the period.
    Period,
    /// Those since the start of each flow, of flows that go on.
    Open,
}

/// Collects the flows of a period.
#[derive(Debug)]
pub struct FlowBook {
    entries: HashMap<(u64, Tuple), Entry>,
    limit: usize,
    over_limit: u64,
    over_limit_counters: Counters,
}

#[derive(Debug)]
struct Entry {
    flow: Flow,
    period: Counters,
    /// Segments that had been sent again when the period began.
    retransmits_before: u64,
    peer: Option<CgroupId>,
    /// Something was told of it in this period.
    active: bool,
}

/// Rows of a period.
#[derive(Debug)]
pub struct FlowRows {
    /// One for each flow or group.
    pub rows: Vec<FlowView>,
    /// What is in no row and why, in plain words.
    pub notes: Vec<String>,
}

impl Default for FlowBook {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            limit: MAX_FLOWS,
            over_limit: 0,
            over_limit_counters: Counters::default(),
        }
    }
}

impl FlowBook {
    /// Enters what was told of a flow.
    pub fn add(&mut self, seen: Seen) {
        let Seen {
            flow,
            interval,
            peer,
        } = seen;
        let key = (flow.id, flow.tuple);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.flow = flow;
            entry.period.add(interval);
            entry.peer = peer.or(entry.peer);
            entry.active = true;
        } else if self.entries.len() < self.limit {
            let retransmits = flow.tcp.as_ref().map_or(0, |tcp| tcp.retransmits);
            let entry = Entry {
                retransmits_before: if flow.taken_over { retransmits } else { 0 },
                flow,
                period: interval,
                peer,
                active: true,
            };
            self.entries.insert(key, entry);
        } else {
            self.over_limit += u64::from(flow.end.is_some());
            self.over_limit_counters.add(interval);
        }
    }

    /// Begins a new period: forgets flows that ended, and what was exchanged until now.
    pub fn next_period(&mut self) {
        let goes_on = |entry: &Entry| entry.flow.end.is_none();
        self.entries.retain(|_, entry| goes_on(entry));
        for entry in self.entries.values_mut() {
            entry.period = Counters::default();
            entry.retransmits_before = entry.flow.tcp.as_ref().map_or(0, |tcp| tcp.retransmits);
            entry.active = false;
        }
        self.over_limit = 0;
        self.over_limit_counters = Counters::default();
    }

    /// Rows of what the filter admits. `by` is a flow, a connection, a peer or a container.
    pub fn rows(
        &self,
        identities: &Identities,
        by: By,
        counted: Counted,
        filter: &Filter,
    ) -> FlowRows {
        let nobody = Measurements::default();
        let mut groups: HashMap<GroupKeys, Group> = HashMap::new();
        for (key, entry) in &self.entries {
            let owner = OwnerId::of_socket(entry.flow.cgroup.0);
            let owner = Resolved::find(owner, OwnerKind::Cgroup, &nobody, identities);
            let peer = entry.peer(identities);
            let local = owner.container.as_deref();
            if !entry.counts(counted) || !filter.admits_flow(&entry.flow, local, peer.as_deref()) {
                continue;
            }
            let single = matches!(by, By::Flow | By::Connection);
            let remote = (by != By::Container).then(|| entry.flow.tuple.remote.to_canonical());
            let keys = (owner.key, remote, single.then_some(*key));
            let row = entry.view(owner.names().0, peer.as_deref(), by, counted);
            match groups.get_mut(&keys) {
                Some(group) => group.add(row),
                None => {
                    groups.insert(keys, Group::new(row));
                }
            }
        }
        let mut rows: Vec<FlowView> = groups.into_values().map(Group::view).collect();
        tell_apart(rows.iter_mut().flat_map(|row| {
            let peer = row.remote.as_mut().and_then(|end| end.container.as_mut());
            std::iter::once(&mut row.container).chain(peer)
        }));
        rows.sort_by(FlowView::compare);
        FlowRows {
            rows,
            notes: self.notes(),
        }
    }

    /// Whether a container without a name yet is in these rows, or may be once it has one.
    pub fn awaits_names(&self, identities: &Identities, counted: Counted, filter: &Filter) -> bool {
        let nobody = Measurements::default();
        let find = |cgroup: CgroupId| {
            let owner = OwnerId::of_socket(cgroup.0);
            Resolved::find(owner, OwnerKind::Cgroup, &nobody, identities)
        };
        let wanted = self.entries.values().filter(|entry| entry.counts(counted));
        wanted.into_iter().any(|entry| {
            let (local, peer) = (find(entry.flow.cgroup), entry.peer.map(find));
            let is_pending = local.is_pending() || peer.is_some_and(|peer| peer.is_pending());
            let pid = entry.flow.process.as_ref().map(|process| process.pid);
            is_pending && filter.may_admit(local.container.as_deref(), pid)
        })
    }

    fn notes(&self) -> Vec<String> {
        let Counters {
            bytes_sent,
            bytes_received,
            ..
        } = self.over_limit_counters;
        if self.over_limit == 0 && self.over_limit_counters.is_zero() {
            return Vec::new();
        }
        vec![format!(
            "more than {} flows in one period: {} that ended, with {bytes_sent} bytes sent and {bytes_received} received, \
             are in no row",
            self.limit, self.over_limit,
        )]
    }
}

/// A row of a single flow with what it exchanged since its start; `None` if the filter does not admit it.
pub fn flow_row(seen: Seen, identities: &Identities, filter: &Filter) -> Option<FlowView> {
    let entry = Entry {
        period: seen.flow.counters,
        retransmits_before: 0,
        flow: seen.flow,
        peer: seen.peer,
        active: true,
    };
    let owner = OwnerId::of_socket(entry.flow.cgroup.0);
    let owner = Resolved::find(
        owner,
        OwnerKind::Cgroup,
        &Measurements::default(),
        identities,
    );
    let peer = entry.peer(identities);
    let admitted = filter.admits_flow(&entry.flow, owner.container.as_deref(), peer.as_deref());
    admitted.then(|| entry.view(owner.names().0, peer.as_deref(), By::Flow, Counted::Period))
}

type GroupKeys = (GroupKey, Option<IpAddr>, Option<(u64, Tuple)>);

impl Entry {
    /// Whether it is in the rows.
    fn counts(&self, counted: Counted) -> bool {
        match counted {
            Counted::Period => self.active,
            Counted::Open => self.is_open_connection(),
        }
    }

    fn is_open_connection(&self) -> bool {
        let over = self.flow.end.is_some_and(|end| end.reason.is_final());
        self.flow.tcp.is_some() && !over
    }

    /// The container of the other end.
    fn peer(&self, identities: &Identities) -> Option<Arc<Container>> {
        let owner = OwnerId::of_socket(self.peer?.0);
        identities.lookup(CgroupId(owner.0))
    }

    /// A row of this flow alone, with the parts that groups of this kind have.
    fn view(
        &self,
        container: ContainerRef,
        peer: Option<&Container>,
        by: By,
        counted: Counted,
    ) -> FlowView {
        let flow = &self.flow;
        let tuple = &flow.tuple;
        let single = matches!(by, By::Flow | By::Connection);
        let ports = single && tuple.transport.has_ports();
        let tcp = flow.tcp.as_ref();
        let (counters, retransmits_before) = match counted {
            Counted::Period => (self.period, self.retransmits_before),
            Counted::Open => (flow.counters, 0),
        };
        let end = flow.end.filter(|end| end.reason.is_final());
        FlowView {
            container,
            process: flow
                .process
                .as_ref()
                .filter(|_| single)
                .map(|process| ProcessRef {
                    pid: process.pid,
                    comm: process.comm.clone(),
                }),
            direction: Some(match flow.initiator {
                Initiator::Local => Direction::Egress,
                Initiator::Remote => Direction::Ingress,
            }),
            initiator_guessed: flow.guessed,
            transport: Some(tuple.transport.to_string()),
            local: single.then(|| EndView {
                address: tuple.local.to_canonical(),
                port: ports.then_some(tuple.local_port),
                name: None,
                container: None,
            }),
            remote: (by != By::Container).then(|| EndView {
                address: tuple.remote.to_canonical(),
                port: ports.then_some(tuple.remote_port),
                name: flow.remote_name.clone(),
                container: peer.map(ContainerRef::from),
            }),
            flows: 1,
            bytes_sent: counters.bytes_sent,
            bytes_received: counters.bytes_received,
            packets_sent: counters.packets_sent,
            packets_received: counters.packets_received,
            retransmits: tcp.map(|tcp| tcp.retransmits.saturating_sub(retransmits_before)),
            rtt_seconds: tcp.and_then(|tcp| tcp.srtt).map(|rtt| rtt.as_secs_f64()),
            state: tcp
                .filter(|_| single && end.is_none())
                .map(|tcp| tcp.state_name().into_owned()),
            ends: end
                .map(|end| (end.reason.name().to_owned(), 1))
                .into_iter()
                .collect(),
        }
    }
}

/// Flows that make one row.
struct Group {
    row: FlowView,
    rtts: Vec<Duration>,
}

impl Group {
    fn new(row: FlowView) -> Self {
        Self {
            rtts: rtt(&row).into_iter().collect(),
            row,
        }
    }

    fn add(&mut self, other: FlowView) {
        self.rtts.extend(rtt(&other));
        let row = &mut self.row;
        row.flows += 1;
        row.bytes_sent += other.bytes_sent;
        row.bytes_received += other.bytes_received;
        row.packets_sent += other.packets_sent;
        row.packets_received += other.packets_received;
        row.retransmits = match (row.retransmits, other.retransmits) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        row.direction = row.direction.filter(|_| row.direction == other.direction);
        row.initiator_guessed |= other.initiator_guessed;
        if row.transport != other.transport {
            row.transport = None;
        }
        add_counts(&mut row.ends, other.ends);
        if let (Some(end), Some(other)) = (&mut row.remote, other.remote) {
            end.container = end.container.take().or(other.container);
            // The same whatever the order of the flows.
            end.name = match (end.name.take(), other.name) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }

    fn view(mut self) -> FlowView {
        self.rtts.sort_unstable();
        let median = self.rtts.get(self.rtts.len() / 2);
        self.row.rtt_seconds = median.map(Duration::as_secs_f64);
        self.row
    }
}

fn rtt(row: &FlowView) -> Option<Duration> {
    row.rtt_seconds.map(Duration::from_secs_f64)
}

fn add_counts(sum: &mut BTreeMap<String, u64>, other: BTreeMap<String, u64>) {
    for (name, n) in other {
        *sum.entry(name).or_default() += n;
    }
}

#[cfg(test)]
mod tests;
