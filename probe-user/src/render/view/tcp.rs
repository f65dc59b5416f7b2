//! A row of `nodeprobe tcp`.

use std::{cmp::Ordering, collections::BTreeMap};

use serde::Serialize;

use super::{ContainerRef, HistogramView, Row};

/// The connections of one container.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TcpView {
    /// Whose sockets these are.
    pub container: ContainerRef,
    /// Attempts to connect, those that this host refused included.
    pub attempts: u64,
    /// Connections established as client.
    pub connected: u64,
    /// Connections established as server.
    pub accepted: u64,
    /// Connections ended that had been established.
    pub closed: u64,
    /// Attempts that failed, by reason.
    pub failed: BTreeMap<String, u64>,
    /// Segments of handshakes sent again.
    pub retransmits_syn: u64,
    /// Segments of data sent again.
    pub retransmits_data: u64,
    /// Of data, as tail-loss probes; not in `retransmits_data`.
    pub retransmits_probe: u64,
    /// Segments sent as they are on the wire, retransmissions included.
    pub segments_sent: u64,
    /// Of these, the ones that were retransmissions.
    pub segments_retransmitted: u64,
    /// Handshakes that listening sockets dropped, mostly because their accept queue was full.
    pub listen_drops: u64,
    /// The same by the port of the socket.
    pub listen_drops_by_port: BTreeMap<String, u64>,
    /// Resets sent.
    pub resets_sent: u64,
    /// Resets received.
    pub resets_received: u64,
    /// Handshakes of clients, from `connect` to established.
    pub connect: HistogramView,
    /// Handshakes of servers, from the answer to its acknowledgement.
    pub accept: HistogramView,
    /// Smoothed round-trip times of connections that ended, and of those that are open at the end of the period.
    pub rtt: HistogramView,
    /// Packets that the kernel dropped, of any protocol, by its own reason; absent where that is not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drops: Option<BTreeMap<String, u64>>,
}

impl Row for TcpView {
    const TYPE: &'static str = "tcp";
}

impl TcpView {
    /// Compares two rows: more new connections first; names decide between equals.
    pub fn compare(a: &Self, b: &Self) -> Ordering {
        let new = |row: &Self| row.attempts.saturating_add(row.accepted);
        let dropped = |row: &Self| row.drops.as_ref().map(|drops| drops.values().sum::<u64>());
        (new(b).cmp(&new(a)))
            .then_with(|| dropped(b).cmp(&dropped(a)))
            .then_with(|| a.container.display_name().cmp(&b.container.display_name()))
    }
}
