//! From what is known of a flow to its record.

use std::{borrow::Cow, net::IpAddr, time::Duration};

use super::{
    ByName, Envelope, FlowRecord, nanoseconds,
    surroundings::{Surroundings, WorkloadName},
};
use crate::{
    flows::{community_id, field::Id},
    model::{
        Container, Counters, Drops, EndReason, FlagSet, Flow, FlowEnd, Initiator, TcpFacts,
        Transport, Tuple, errno_name,
    },
};

/// Why a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The flow was seen for the first time.
    Start,
    /// It goes on.
    Update,
    /// It has ended, or is no longer watched.
    End,
}

impl Event {
    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Update => "update",
            Self::End => "end",
        }
    }
}

/// How sure an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sureness {
    /// There is no other possibility.
    Exact,
    /// Another one would be a coincidence, such as the same addresses in two network namespaces.
    Likely,
}

impl Sureness {
    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Likely => "likely",
        }
    }
}

/// Who owns the other end, where that is a local socket too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The container of that socket.
    pub container: &'a Container,
    /// How sure it is that it is this socket.
    pub sureness: Sureness,
}

/// A flow, and what only its observer knows.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Why there is a record.
    pub event: Event,
    /// The flow, counted since its start.
    pub flow: &'a Flow,
    /// What was exchanged in the interval.
    pub interval: Counters,
    /// What of it was dropped, where the kernel is asked.
    pub dropped: Option<&'a Drops>,
    /// Monotonic time of the interval's beginning.
    pub since: Duration,
    /// Monotonic time of its end.
    pub at: Duration,
    /// Owner of the local socket, where known.
    pub local: Option<&'a Container>,
    /// Owner of the other end, where that is local too.
    pub remote: Option<Owner<'a>>,
    /// What is known besides.
    pub surroundings: Surroundings<'a>,
    /// Both ends as they are on the other side of a translation, still as the local socket would see them.
    pub nat: Option<Tuple>,
    /// Whether the counters of the interval lack nothing, where the observer knows. A loss that the log was told of is taken
    /// into account besides.
    pub complete: Option<bool>,
}

impl<'a> FlowRecord<'a> {
    /// The record of a flow. `lost_before` is what was lost since the record before, by stage.
    pub(in crate::flows) fn new(
        envelope: &Envelope<'a>,
        observed: &Observed<'a>,
        complete: Option<bool>,
        lost_before: ByName<'a>,
    ) -> Self {
        let flow = observed.flow;
        let by_local = flow.initiator == Initiator::Local;
        let (src, dst) = by_initiator(
            flow.initiator,
            Party::local(observed),
            Party::remote(observed),
        );
        let [(src_ip, src_port), (dst_ip, dst_port)] = ends(&flow.tuple, flow.initiator);
        let nat = observed.nat.map(|tuple| Nat::new(&tuple, flow.initiator));
        let transport = flow.tuple.transport;
        let has_ports = transport.has_ports();
        let icmp = transport
            .is_icmp()
            .then(|| flow.tuple.remote_port.to_be_bytes());
        let interval = Amounts::new(observed.interval, flow.initiator);
        let total = Amounts::new(flow.counters, flow.initiator);
        let sums = |drops: &Drops| {
            let (sent, received) = drops.sums();
            by_initiator(flow.initiator, sent, received)
        };
        let (drops_fwd, drops_rev) = observed.dropped.map(sums).unzip();
        let (drops_fwd_total, drops_rev_total) = flow.drops.as_ref().map(sums).unzip();
        let tcp = flow.tcp.as_ref();
        let segments = tcp.map(|tcp| {
            let (sent, received) = (tcp.data_segments_sent, tcp.data_segments_received);
            by_initiator(flow.initiator, sent, received)
        });
        let flags = tcp.and_then(|tcp| tcp.flags).map(|flags| {
            let (sent, received) = (flag_names(flags.sent), flag_names(flags.received));
            by_initiator(flow.initiator, sent, received)
        });
        let (flags_fwd, flags_rev) = flags.unzip();
        let end = flow.end.filter(|_| observed.event == Event::End);
        let until = end.map_or(flow.last, |end| end.at);
        let (connect_error, socket_error) = errors(end);
        Self {
            r#type: "flow".into(),
            schema: "nodeprobe.flow/1.0".into(),
            seq: envelope.seq,
            boot_id: envelope.origin.boot_id.as_str().into(),
            run_id: envelope.origin.run_id.as_str().into(),
            node: envelope.origin.node.as_str().into(),
            ts: envelope.time(envelope.at),
            mono_ns: nanoseconds(envelope.at),
            event: observed.event.name().into(),
            community_id: community_id(&flow.tuple, flow.initiator).into(),
            flow_id: Id(flow.id),
            start: envelope.time(flow.start),
            end: end.map(|end| envelope.time(end.at)),
            last: envelope.time(flow.last),
            duration_ns: nanoseconds(until.saturating_sub(flow.start)),
            interval_start: envelope.time(observed.since),
            src_ip,
            src_port: has_ports.then_some(src_port),
            dst_ip,
            dst_port: has_ports.then_some(dst_port),
            icmp_type: icmp.map(|[kind, _]| kind),
            icmp_code: icmp.map(|[_, code]| code),
            icmp_id: icmp.map(|_| flow.tuple.local_port),
            transport: transport
                .name()
                .map_or_else(|| transport.0.to_string().into(), Cow::Borrowed),
            protocol: transport.0,
            ip_version: if src_ip.is_ipv4() { 4 } else { 6 },
            direction: if by_local { "egress" } else { "ingress" }.into(),
            initiator_guessed: flow.guessed,
            taken_over: flow.taken_over,
            src_namespace: src.namespace,
            src_workload: src.workload,
            src_workload_kind: src.workload_kind,
            src_pod: src.pod,
            src_pod_uid: src.pod_uid,
            src_container: src.container,
            src_container_id: src.container_id,
            src_runtime: src.runtime,
            src_cgroup_id: src.cgroup_id,
            src_netns: src.netns,
            src_process: src.process,
            src_pid: src.pid,
            src_attribution: src.attribution,
            src_confidence: src.confidence,
            src_dns_name: src.dns_name,
            dst_namespace: dst.namespace,
            dst_workload: dst.workload,
            dst_workload_kind: dst.workload_kind,
            dst_pod: dst.pod,
            dst_pod_uid: dst.pod_uid,
            dst_container: dst.container,
            dst_container_id: dst.container_id,
            dst_runtime: dst.runtime,
            dst_cgroup_id: dst.cgroup_id,
            dst_netns: dst.netns,
            dst_process: dst.process,
            dst_pid: dst.pid,
            dst_attribution: dst.attribution,
            dst_confidence: dst.confidence,
            dst_dns_name: dst.dns_name,
            dst_service_namespace: observed
                .surroundings
                .service
                .and_then(|(namespace, _)| text(namespace)),
            dst_service: observed.surroundings.service.and_then(|it| text(it.1)),
            nat_src_ip: nat.as_ref().map(|nat| nat.src.0),
            nat_src_port: nat.as_ref().and_then(|nat| nat.src.1),
            nat_dst_ip: nat.as_ref().map(|nat| nat.dst.0),
            nat_dst_port: nat.as_ref().and_then(|nat| nat.dst.1),
            nat_community_id: nat.map(|nat| nat.community_id.into()),
            observation_point: if tcp.is_some() { "sock" } else { "cgroup_skb" }.into(),
            evidence: evidence(flow),
            sampling: flow.sampling.max(1),
            bytes_fwd: interval.bytes.0,
            bytes_rev: interval.bytes.1,
            packets_fwd: interval.packets.0,
            packets_rev: interval.packets.1,
            bytes_fwd_total: total.bytes.0,
            bytes_rev_total: total.bytes.1,
            packets_fwd_total: total.packets.0,
            packets_rev_total: total.packets.1,
            drops_fwd,
            drops_rev,
            drop_reasons: observed.dropped.and_then(reasons),
            drops_fwd_total,
            drops_rev_total,
            tcp_state: tcp.map(TcpFacts::state_name),
            tcp_handshake_ns: tcp.and_then(|tcp| tcp.handshake).map(nanoseconds),
            tcp_srtt_ns: tcp.and_then(|tcp| tcp.srtt).map(nanoseconds),
            tcp_rtt_min_ns: tcp.and_then(|tcp| tcp.min_rtt).map(nanoseconds),
            tcp_retransmits_total: tcp.map(|tcp| tcp.retransmits),
            tcp_retransmit_bytes_total: tcp.map(|tcp| tcp.bytes_retransmitted),
            tcp_data_segments_fwd_total: segments.map(|it| it.0),
            tcp_data_segments_rev_total: segments.map(|it| it.1),
            tcp_reset_sent: tcp.map(|tcp| tcp.reset_sent),
            tcp_reset_received: tcp.map(|tcp| tcp.reset_received),
            tcp_flags_fwd: flags_fwd,
            tcp_flags_rev: flags_rev,
            tcp_closed_by: tcp.and_then(|tcp| closed_by(tcp, flow.initiator)),
            connect_error,
            socket_error,
            end_reason: end.map(|end| end.reason.name().into()),
            complete,
            lost_before: (!lost_before.is_empty()).then_some(lost_before),
        }
    }
}

/// What a record says of one side.
#[derive(Default)]
struct Party<'a> {
    namespace: Option<Cow<'a, str>>,
    workload: Option<Cow<'a, str>>,
    workload_kind: Option<Cow<'a, str>>,
    pod: Option<Cow<'a, str>>,
    pod_uid: Option<Cow<'a, str>>,
    container: Option<Cow<'a, str>>,
    container_id: Option<Cow<'a, str>>,
    runtime: Option<Cow<'a, str>>,
    cgroup_id: Option<Id>,
    netns: Option<u32>,
    process: Option<Cow<'a, str>>,
    pid: Option<u32>,
    attribution: Cow<'a, str>,
    confidence: Option<Cow<'a, str>>,
    dns_name: Option<Cow<'a, str>>,
}

impl<'a> Party<'a> {
    fn local(observed: &Observed<'a>) -> Self {
        let flow = observed.flow;
        // The kernel tells the socket's cgroup, whether or not its names are known.
        let known = flow.cgroup.0 != 0;
        let process = flow.process.as_ref();
        // What is handed over works for who has it, and belongs to who made it.
        let sureness = match process {
            Some(process) if process.is_elsewhere => Sureness::Likely,
            _ => Sureness::Exact,
        };
        Self {
            cgroup_id: known.then_some(Id(flow.cgroup.0)),
            netns: flow.netns,
            process: process.and_then(|process| text(&process.comm)),
            pid: process.map(|process| process.pid),
            ..Self::owned(
                observed.local,
                known.then_some(sureness),
                observed.surroundings.local_workload,
            )
        }
    }

    fn remote(observed: &Observed<'a>) -> Self {
        let owner = observed.remote;
        let container = owner.map(|owner| owner.container);
        let around = &observed.surroundings;
        let dns_name = observed.flow.remote_name.as_deref().and_then(text);
        if let (None, Some(pod)) = (owner, around.remote_pod) {
            let known = Self::owned(None, None, around.remote_workload);
            return Self {
                namespace: text(pod.namespace),
                pod: text(pod.name),
                pod_uid: text(pod.uid),
                // Another one may have had the address a moment before.
                attribution: "pod_ip".into(),
                confidence: Some(Sureness::Likely.name().into()),
                dns_name,
                ..known
            };
        }
        Self {
            cgroup_id: container.map(|container| Id(container.cgroup.0)),
            dns_name,
            ..Self::owned(
                container,
                owner.map(|owner| owner.sureness),
                around.remote_workload,
            )
        }
    }

    fn owned(
        container: Option<&'a Container>,
        sureness: Option<Sureness>,
        workload: Option<WorkloadName<'a>>,
    ) -> Self {
        Self {
            workload: workload.and_then(|it| text(it.name)),
            workload_kind: workload.and_then(|it| text(it.kind)),
            namespace: container.and_then(|it| text(&it.namespace)),
            pod: container.and_then(|it| text(&it.pod)),
            pod_uid: container.and_then(|it| text(&it.pod_uid)),
            container: container.and_then(|it| text(&it.name)),
            container_id: container.and_then(|it| it.id.as_deref()).and_then(text),
            runtime: container.map(|it| it.runtime.name().into()),
            attribution: if sureness.is_some() {
                "socket_cgroup"
            } else {
                "none"
            }
            .into(),
            confidence: sureness.map(|sureness| sureness.name().into()),
            ..Self::default()
        }
    }
}

/// The other side of a translation.
struct Nat {
    src: (IpAddr, Option<u16>),
    dst: (IpAddr, Option<u16>),
    community_id: String,
}

impl Nat {
    fn new(tuple: &Tuple, initiator: Initiator) -> Self {
        let ports = tuple.transport.has_ports();
        let [src, dst] = ends(tuple, initiator).map(|(ip, port)| (ip, ports.then_some(port)));
        Self {
            src,
            dst,
            community_id: community_id(tuple, initiator),
        }
    }
}

/// Counters forth and back.
struct Amounts {
    bytes: (u64, u64),
    packets: (u64, u64),
}

impl Amounts {
    fn new(counters: Counters, initiator: Initiator) -> Self {
        Self {
            bytes: by_initiator(initiator, counters.bytes_sent, counters.bytes_received),
            packets: by_initiator(initiator, counters.packets_sent, counters.packets_received),
        }
    }
}

/// What belongs to the initiator, then what belongs to the other side.
fn by_initiator<T>(initiator: Initiator, local: T, remote: T) -> (T, T) {
    match initiator {
        Initiator::Local => (local, remote),
        Initiator::Remote => (remote, local),
    }
}

/// Address and port of initiator and responder. An IPv6 socket writes IPv4 addresses its own way.
fn ends(tuple: &Tuple, initiator: Initiator) -> [(IpAddr, u16); 2] {
    let local = (tuple.local.to_canonical(), tuple.local_port);
    let remote = (tuple.remote.to_canonical(), tuple.remote_port);
    by_initiator(initiator, local, remote).into()
}

/// A text, where there is one.
fn text(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}

/// Reasons of dropped packets, if there are any.
fn reasons(drops: &Drops) -> Option<ByName<'_>> {
    let reasons: ByName<'_> = drops
        .by_reason()
        .map(|(reason, packets)| (reason.into(), packets))
        .collect();
    (!reasons.is_empty()).then_some(reasons)
}

fn flag_names(flags: FlagSet) -> Vec<Cow<'static, str>> {
    flags.names().map(Cow::Borrowed).collect()
}

fn evidence(flow: &Flow) -> Vec<Cow<'static, str>> {
    if flow.tuple.transport != Transport::TCP {
        return vec!["cgroup_skb".into()];
    }
    let mut hooks = Vec::new();
    if flow.taken_over {
        hooks.push("sock_diag".into());
    }
    if !flow.taken_over || flow.end.is_some() {
        hooks.push("inet_sock_set_state".into());
    }
    hooks
}

/// The socket's error, as one of the attempt to connect or of the connection.
fn errors(end: Option<FlowEnd>) -> (Option<Cow<'static, str>>, Option<Cow<'static, str>>) {
    let Some(FlowEnd { reason, error, .. }) = end else {
        return (None, None);
    };
    let name = error.filter(|error| *error != 0).map(errno_name);
    match reason {
        EndReason::Refused
        | EndReason::ConnectTimeout
        | EndReason::Unreachable
        | EndReason::Prohibited
        | EndReason::NoLocalPort
        | EndReason::Aborted => (name, None),
        _ => (None, name),
    }
}

fn closed_by(tcp: &TcpFacts, initiator: Initiator) -> Option<Cow<'static, str>> {
    let by_initiator = tcp.closed_by? == initiator;
    Some(if by_initiator { "src" } else { "dst" }.into())
}
