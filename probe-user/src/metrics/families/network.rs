//! Flows, connections, name look-ups and dropped packets, by the container that owns the socket.

use super::{Bounds, C, Desc, Unit, counter, gauge, histogram};

/// Handshakes of clients.
pub static TCP_CONNECT_DURATION: Desc = histogram(
    "nodeprobe_tcp_connect_duration_seconds",
    "TCP handshakes of clients, from connect to established.",
    Bounds::Coarse,
    C,
    10,
);

/// Handshakes of servers.
pub static TCP_ACCEPT_DURATION: Desc = histogram(
    "nodeprobe_tcp_accept_duration_seconds",
    "TCP handshakes of servers, from the answer to its acknowledgement.",
    Bounds::Coarse,
    C,
    10,
);

/// Round-trip times.
pub static TCP_RTT: Desc = histogram(
    "nodeprobe_tcp_rtt_seconds",
    "Smoothed round-trip times of TCP connections: at their end, and once a minute while they last.",
    Bounds::Coarse,
    C,
    10,
);

/// Attempts to connect.
pub static TCP_CONNECTS: Desc = counter(
    "nodeprobe_tcp_connects_total",
    "Attempts to open a TCP connection, those that this host refuses included.",
    C,
    1,
);

/// Connections that were established; `direction` is `egress` for clients, `ingress` for servers.
pub static TCP_CONNECTIONS: Desc = counter(
    "nodeprobe_tcp_connections_total",
    "TCP connections established, by who began: egress for the container, ingress for the other side.",
    &["namespace", "pod", "container", "direction"],
    2,
);

/// Connections that ended.
pub static TCP_CLOSED: Desc = counter(
    "nodeprobe_tcp_closed_total",
    "Established TCP connections that have ended.",
    C,
    1,
);

/// Attempts to connect that failed.
pub static TCP_FAILED_CONNECTS: Desc = counter(
    "nodeprobe_tcp_failed_connects_total",
    "Attempts to open a TCP connection that failed, by reason.",
    &["namespace", "pod", "container", "reason"],
    6,
);

/// Retransmissions; `kind` is `syn`, `data` or `loss_probe`.
pub static TCP_RETRANSMITS: Desc = counter(
    "nodeprobe_tcp_retransmits_total",
    "TCP segments sent again, by kind: of handshakes, data, and data as tail-loss probes.",
    &["namespace", "pod", "container", "kind"],
    3,
);

/// Segments sent: what retransmitted segments are a share of.
pub static TCP_SEGMENTS_SENT: Desc = counter(
    "nodeprobe_tcp_segments_sent_total",
    "TCP segments that sockets of the container sent, retransmissions included, as they are on the wire.",
    C,
    1,
);

/// Segments retransmitted.
pub static TCP_SEGMENTS_RETRANSMITTED: Desc = counter(
    "nodeprobe_tcp_segments_retransmitted_total",
    "TCP segments that sockets of the container sent again, as they are on the wire; those of nodeprobe_tcp_segments_sent_total that were retransmissions.",
    C,
    1,
);

/// Resets; `direction` is `sent` or `received`.
pub static TCP_RESETS: Desc = counter(
    "nodeprobe_tcp_resets_total",
    "TCP resets at sockets of the container, by direction.",
    &["namespace", "pod", "container", "direction"],
    2,
);

/// Handshakes that listening sockets dropped.
pub static TCP_LISTEN_DROPS: Desc = counter(
    "nodeprobe_tcp_listen_drops_total",
    "Handshakes that listening sockets of the container dropped, mostly because their accept queue was full.",
    C,
    1,
);

/// Labels of traffic between two owners.
const FLOW: &[&str] = &[
    "namespace",
    "pod",
    "container",
    "peer_namespace",
    "peer_container",
    "peer_workload",
    "transport",
    "direction",
];

/// Bytes of flows; `direction` is `egress` for what the local socket sent.
pub static FLOW_BYTES: Desc = Desc {
    unit: Unit::Bytes,
    ..counter(
        "nodeprobe_flow_bytes_total",
        "Payload that sockets of the container sent (egress) and received (ingress), by peer, of sampled flows: see nodeprobe_sampling_ratio.",
        FLOW,
        6,
    )
};

/// Packets of flows.
pub static FLOW_PACKETS: Desc = counter(
    "nodeprobe_flow_packets_total",
    "Packets that sockets of the container sent (egress) and received (ingress), by peer, of sampled flows: see nodeprobe_sampling_ratio.",
    FLOW,
    6,
);

/// What the kernel side leaves out; `unit` is `packets` of datagrams or `connections`, `reason` is `sampling` or `rule`.
pub static FLOW_LEFT_OUT: Desc = counter(
    "nodeprobe_flow_left_out_total",
    "Packets of datagrams, and connections that ended, in no record and no metric of flows, by flows.sampling or a rule of flows.ignore.",
    &["unit", "reason"],
    4,
);

/// Flows that last.
pub static FLOW_ACTIVE: Desc = gauge(
    "nodeprobe_flow_active",
    "Flows of the container that have begun and not ended, of sampled flows: see nodeprobe_sampling_ratio.",
    Unit::None,
    C,
    1,
);

/// Name look-ups.
pub static DNS_LOOKUPS: Desc = counter(
    "nodeprobe_dns_lookups_total",
    "Name look-ups of the container, by response code; ~timeout for those that nobody answered.",
    &["namespace", "pod", "container", "rcode"],
    4,
);

/// Durations of name look-ups.
pub static DNS_LOOKUP_DURATION: Desc = histogram(
    "nodeprobe_dns_lookup_duration_seconds",
    "Name look-ups of the container, from the question to its answer.",
    Bounds::Coarse,
    C,
    10,
);

/// Drops by container.
pub static CONTAINER_PACKET_DROPS: Desc = counter(
    "nodeprobe_container_packet_drops_total",
    "Packets for or from sockets of the container that the kernel dropped, by its reason, as they are on the wire.",
    &["namespace", "pod", "container", "reason"],
    3,
);

/// All drops.
pub static NODE_PACKET_DROPS: Desc = counter(
    "nodeprobe_node_packet_drops_total",
    "Packets that the kernel dropped on this node, by its reason, as they are on the wire.",
    &["reason"],
    120,
);

/// What is freed as dropped packets are and was not dropped.
pub static NODE_PACKETS_FREED: Desc = counter(
    "nodeprobe_node_packets_freed_total",
    "Packets that the kernel frees as it does dropped ones and had not dropped: left in the queues of closed sockets, or TCP segments that it was done with.",
    &["reason"],
    4,
);
