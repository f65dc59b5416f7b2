//! A row of `nodeprobe flows`, and of `nodeprobe tcp --connections`.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde::Serialize;

use super::{ContainerRef, ProcessRef, Row};

/// A flow, or what several have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlowView {
    /// Whose sockets these are.
    pub container: ContainerRef,
    /// Which process, where rows are single flows and it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessRef>,
    /// Who began; absent where a row has flows of both kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The beginning was not seen, and who began is a guess.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub initiator_guessed: bool,
    /// `tcp`, `udp` and so on; absent where a row has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// The socket's own end, where rows are single flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<EndView>,
    /// The other end, unless rows are containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<EndView>,
    /// How many flows this is.
    pub flows: u64,
    /// Payload sent by the local sockets in bytes.
    pub bytes_sent: u64,
    /// Payload received.
    pub bytes_received: u64,
    /// Packets sent; for TCP segments.
    pub packets_sent: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Segments that the local sockets sent again; absent where nothing is TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<u64>,
    /// Smoothed round-trip time; of several flows the median.
    #[serde(
        rename = "tcp_srtt_ns",
        serialize_with = "super::units::some_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub rtt_seconds: Option<f64>,
    /// State of a TCP socket, where rows are single flows that go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Flows that ended, by reason.
    pub ends: BTreeMap<String, u64>,
}

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EndView {
    /// Its address.
    #[serde(rename = "ip")]
    pub address: IpAddr,
    /// Its port, where rows are single flows and the transport has ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The name that the local container had looked up for the address.
    #[serde(rename = "dns_name", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who that is, where it is a container of this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerRef>,
}

impl EndView {
    /// The container, the name or the address, with the port. Not yet safe for a terminal.
    pub fn display_name(&self) -> String {
        let container = self.container.as_ref().map(ContainerRef::display_name);
        match (container.or_else(|| self.name.clone()), self.port) {
            (Some(name), Some(port)) => format!("{name}:{port}"),
            (Some(name), None) => name,
            (None, Some(port)) => SocketAddr::new(self.address, port).to_string(),
            (None, None) => self.address.to_string(),
        }
    }
}

/// Who began a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The local socket.
    Egress,
    /// The other side.
    Ingress,
}

impl Row for FlowView {
    const TYPE: &'static str = "flow_summary";
}

impl FlowView {
    /// Payload in both directions.
    pub fn bytes(&self) -> u64 {
        self.bytes_sent.saturating_add(self.bytes_received)
    }

    /// Compares two rows: more bytes first, then more packets; names decide between equals.
    pub fn compare(a: &Self, b: &Self) -> Ordering {
        let packets = |row: &Self| row.packets_sent.saturating_add(row.packets_received);
        let names = |row: &Self| {
            (
                row.container.display_name(),
                row.remote.as_ref().map(|end| (end.address, end.port)),
                row.local.as_ref().map(|end| (end.address, end.port)),
            )
        };
        (b.bytes().cmp(&a.bytes()))
            .then_with(|| packets(b).cmp(&packets(a)))
            .then_with(|| names(a).cmp(&names(b)))
    }
}
