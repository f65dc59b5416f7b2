//! The records: what a line of the log says.
//!
//! Bytes are those of the transport's payload (IPFIX 231 and 232), packets those of the transport (IPFIX 298 and 299): TCP's
//! are segments on the wire, pure acknowledgements included. Enumerations are texts, so that a reader passes on values that
//! it does not know. Every kind has a version of its own, `name/MAJOR.MINOR`; the rules are in `docs/flow-log.md`.

mod audit;
mod build;
mod marks;
#[cfg(test)]
mod schema;
mod surroundings;
#[cfg(test)]
pub(super) mod tests;

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr, time::Duration};

pub(super) use self::audit::AuditRecord;
pub use self::{
    build::{Event, Observed, Owner, Sureness},
    marks::{Balance, BalanceRecord, Gap, GapRecord, Loss, LossRecord},
    surroundings::{PodName, Surroundings, WorkloadName},
};
use super::{
    clock::WallClock,
    field::{Id, Time, record},
};

/// Who writes a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Name of the node.
    pub node: String,
    /// The kernel's id of this boot, which says how far flow ids and monotonic times reach.
    pub boot_id: String,
    /// Unique for each run of the agent, which says how far sequence numbers reach.
    pub run_id: String,
}

/// What all records begin with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    pub(super) seq: u64,
    pub(super) origin: &'a Origin,
    pub(super) clock: &'a WallClock,
    /// Monotonic time of the record.
    pub(super) at: Duration,
}

impl Envelope<'_> {
    fn time(&self, monotonic: Duration) -> Time {
        Time(self.clock.at(monotonic))
    }
}

/// Nanoseconds, which reach for five centuries.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Counts by name.
pub type ByName<'a> = BTreeMap<Cow<'a, str>, u64>;

record! {
    /// A flow of a local socket in one interval.
    FlowRecord<'a> {
        /// `flow`.
        r#type: Cow<'a, str>,
        /// `nodeprobe.flow/1.0`.
        schema: Cow<'a, str>,
        /// Counts the records of a run. A hole is a loss between the probe and the reader.
        seq: u64,
        /// The kernel's id of this boot.
        boot_id: Cow<'a, str>,
        /// The run of the probe.
        run_id: Cow<'a, str>,
        /// The node.
        node: Cow<'a, str>,
        /// Time of the record: the end of its interval.
        ts: Time,
        /// The same by the monotonic clock of this boot.
        mono_ns: u64,
        /// `start`, `update` or `end`.
        event: Cow<'a, str>,

        /// Community ID, version 1, seed 0: the same in both records of a flow between two local sockets, and in other tools.
        community_id: Cow<'a, str>,
        /// The flow, unique within this boot.
        flow_id: Id,
        /// When it began, or was taken over.
        start: Time,
        /// When it ended. In `end` records.
        end: Option<Time>,
        /// The last sign of life that is known.
        last: Time,
        /// From `start` to `end`; to `last` where it has not ended.
        duration_ns: u64,
        /// When the interval of this record began.
        interval_start: Time,
        /// Address of the initiator.
        src_ip: IpAddr,
        /// Port of the initiator, where the transport has ports.
        src_port: Option<u16>,
        /// Address of the other side.
        dst_ip: IpAddr,
        /// Port of the other side, where the transport has ports.
        dst_port: Option<u16>,
        /// Type of the request. ICMP only, as the next two.
        icmp_type: Option<u8>,
        /// Code of the request.
        icmp_code: Option<u8>,
        /// Identifier that request and answer share.
        icmp_id: Option<u16>,
        /// `tcp`, `udp`, `icmp`, `icmpv6`, `sctp` and so on; the number where it has no name.
        transport: Cow<'a, str>,
        /// Number of the transport protocol.
        protocol: u8,
        /// 4 or 6.
        ip_version: u8,
        /// `egress` if the local socket is the initiator, else `ingress`.
        direction: Cow<'a, str>,
        /// The beginning was not seen, and who began is a guess.
        initiator_guessed: bool,
        /// The flow was there before the probe.
        taken_over: bool,

        /// Namespace of the initiator's pod; `~host` for parts of the host.
        src_namespace: Option<Cow<'a, str>>,
        /// What the pod belongs to, as an API server of Kubernetes tells: the Deployment rather than its ReplicaSet.
        src_workload: Option<Cow<'a, str>>,
        /// `Deployment`, `DaemonSet`, `Node` and so on.
        src_workload_kind: Option<Cow<'a, str>>,
        /// Its pod.
        src_pod: Option<Cow<'a, str>>,
        /// UID of the pod.
        src_pod_uid: Option<Cow<'a, str>>,
        /// Its container, unit or path; a short id where no name is known.
        src_container: Option<Cow<'a, str>>,
        /// The runtime's id of the container.
        src_container_id: Option<Cow<'a, str>>,
        /// Who made its cgroup: `docker`, `kubernetes`, `systemd` and so on.
        src_runtime: Option<Cow<'a, str>>,
        /// Cgroup of the socket; of the container where the socket is not the local one.
        src_cgroup_id: Option<Id>,
        /// Inode number of the socket's network namespace.
        src_netns: Option<u32>,
        /// Name of the thread that made the socket.
        src_process: Option<Cow<'a, str>>,
        /// Its thread group id, in the namespace of the host.
        src_pid: Option<u32>,
        /// How the owner is known: `socket_cgroup`; `pod_ip` by its address from the API server; or `none`.
        src_attribution: Cow<'a, str>,
        /// How sure that is: `exact` or `likely`.
        src_confidence: Option<Cow<'a, str>>,
        /// Name that the local container had looked up for this address. For the other side only.
        src_dns_name: Option<Cow<'a, str>>,

        /// As `src_namespace`, for the other side.
        dst_namespace: Option<Cow<'a, str>>,
        /// As `src_workload`.
        dst_workload: Option<Cow<'a, str>>,
        /// As `src_workload_kind`.
        dst_workload_kind: Option<Cow<'a, str>>,
        /// As `src_pod`.
        dst_pod: Option<Cow<'a, str>>,
        /// As `src_pod_uid`.
        dst_pod_uid: Option<Cow<'a, str>>,
        /// As `src_container`.
        dst_container: Option<Cow<'a, str>>,
        /// As `src_container_id`.
        dst_container_id: Option<Cow<'a, str>>,
        /// As `src_runtime`.
        dst_runtime: Option<Cow<'a, str>>,
        /// As `src_cgroup_id`.
        dst_cgroup_id: Option<Id>,
        /// As `src_netns`.
        dst_netns: Option<u32>,
        /// As `src_process`.
        dst_process: Option<Cow<'a, str>>,
        /// As `src_pid`.
        dst_pid: Option<u32>,
        /// As `src_attribution`.
        dst_attribution: Cow<'a, str>,
        /// As `src_confidence`.
        dst_confidence: Option<Cow<'a, str>>,
        /// As `src_dns_name`.
        dst_dns_name: Option<Cow<'a, str>>,

        /// Namespace of the service that was asked, where the API server is.
        dst_service_namespace: Option<Cow<'a, str>>,
        /// The service that was asked: by its address, or by the one of what is behind it.
        dst_service: Option<Cow<'a, str>>,

        /// Address of the initiator on the other side of a translation. Like the next four only where one was found.
        nat_src_ip: Option<IpAddr>,
        /// Its port.
        nat_src_port: Option<u16>,
        /// Address of the responder on the other side of the translation: the pod behind a service.
        nat_dst_ip: Option<IpAddr>,
        /// Its port.
        nat_dst_port: Option<u16>,
        /// Community ID of the translated addresses: what a record from there has.
        nat_community_id: Option<Cow<'a, str>>,

        /// Where it was counted: `sock`, or `cgroup_skb` in both directions.
        observation_point: Cow<'a, str>,
        /// What saw it: `cgroup_skb`, `inet_sock_set_state`, `sock_diag`.
        evidence: Vec<Cow<'a, str>>,
        /// One flow in so many is in the log; 1 for all. Counters are never scaled.
        sampling: u32,

        /// Payload from the initiator in the interval. For TCP without what was sent again.
        bytes_fwd: u64,
        /// Payload to the initiator in the interval.
        bytes_rev: u64,
        /// Packets from the initiator in the interval; for TCP segments.
        packets_fwd: u64,
        /// Packets to the initiator in the interval.
        packets_rev: u64,
        /// `bytes_fwd` since the start.
        bytes_fwd_total: u64,
        /// `bytes_rev` since the start.
        bytes_rev_total: u64,
        /// `packets_fwd` since the start.
        packets_fwd_total: u64,
        /// `packets_rev` since the start.
        packets_rev_total: u64,

        /// Packets from the initiator that the kernel of this host dropped in the interval. Like the next four where the probe
        /// `drops` runs.
        drops_fwd: Option<u64>,
        /// Packets to the initiator that it dropped in the interval.
        drops_rev: Option<u64>,
        /// Both by the kernel's reason, in lower case. Absent where there are none.
        drop_reasons: Option<BTreeMap<Cow<'a, str>, u64>>,
        /// `drops_fwd` since the start.
        drops_fwd_total: Option<u64>,
        /// `drops_rev` since the start.
        drops_rev_total: Option<u64>,

        /// State of the socket; in `end` records the one before. TCP only, as the rest that begins with `tcp_`.
        tcp_state: Option<Cow<'a, str>>,
        /// How long the handshake took.
        tcp_handshake_ns: Option<u64>,
        /// Smoothed round-trip time.
        tcp_srtt_ns: Option<u64>,
        /// Smallest round-trip time of the last minutes.
        tcp_rtt_min_ns: Option<u64>,
        /// Segments that the local socket sent again, since the start.
        tcp_retransmits_total: Option<u64>,
        /// Payload of these, since the start.
        tcp_retransmit_bytes_total: Option<u64>,
        /// Segments with payload from the initiator, since the start.
        tcp_data_segments_fwd_total: Option<u64>,
        /// Segments with payload to the initiator, since the start.
        tcp_data_segments_rev_total: Option<u64>,
        /// The local side sent a reset.
        tcp_reset_sent: Option<bool>,
        /// The local side received a reset.
        tcp_reset_received: Option<bool>,
        /// Flags of the initiator's segments since the start, as its socket or the other one tells: `FIN`, `SYN`, `RST`, `ACK`.
        tcp_flags_fwd: Option<Vec<Cow<'a, str>>>,
        /// Flags of the other side's segments.
        tcp_flags_rev: Option<Vec<Cow<'a, str>>>,
        /// Who closed first: `src` or `dst`.
        tcp_closed_by: Option<Cow<'a, str>>,

        /// Why the connection was not made: the name of the socket's error, such as `ECONNREFUSED`.
        connect_error: Option<Cow<'a, str>>,
        /// The socket's error at the end of a connection that was made.
        socket_error: Option<Cow<'a, str>>,
        /// Why it ended, see below. In `end` records.
        end_reason: Option<Cow<'a, str>>,
        /// Whether the counters of the interval lack nothing. False if any loss or gap fell into it; absent if not known.
        complete: Option<bool>,
        /// What was lost on this node since the record before, by stage.
        lost_before: Option<BTreeMap<Cow<'a, str>, u64>>,
    }
}
