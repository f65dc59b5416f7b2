//! Rows of `nodeprobe dns`.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::SystemTime,
};

use serde::Serialize;

use super::{ContainerRef, HistogramView, Row};

/// Look-ups of one container, or of one name or server by it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DnsView {
    /// Who asked.
    pub container: ContainerRef,
    /// For which name, where rows are by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Type of the record by its mnemonic, where rows are by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Which server, where rows are by server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<IpAddr>,
    /// Look-ups: questions that were sent in this period, and answers to questions that were not seen.
    pub lookups: u64,
    /// Look-ups that nobody answered in time.
    pub timeouts: u64,
    /// Look-ups that are not answered yet at the end of the period.
    pub pending: u64,
    /// Answers by response code.
    pub rcodes: BTreeMap<String, u64>,
    /// From the question to its answer.
    pub latency: HistogramView,
    /// Addresses in the answers, at most 16 of them.
    pub addresses: BTreeSet<IpAddr>,
}

impl Row for DnsView {
    const TYPE: &'static str = "dns";
}

impl DnsView {
    /// Compares two rows: more look-ups first; names decide between equals.
    pub fn compare(a: &Self, b: &Self) -> Ordering {
        let names = |row: &Self| {
            let name = (row.name.clone(), row.kind.clone());
            (row.container.display_name(), name, row.server)
        };
        (b.lookups.cmp(&a.lookups)).then_with(|| names(a).cmp(&names(b)))
    }
}

/// A single look-up.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LookupView {
    /// Time of the answer, or of the question where none came.
    #[serde(rename = "ts", serialize_with = "super::units::time")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub time: SystemTime,
    /// Who asked.
    pub container: ContainerRef,
    /// The asked server.
    pub server: IpAddr,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// The name, without the dot at its end.
    pub name: String,
    /// Type of record by its mnemonic.
    pub kind: String,
    /// Response code by its mnemonic; absent where nobody answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// Nobody answered.
    pub timeout: bool,
    /// How long the answer took; absent where that is not known.
    #[serde(
        rename = "latency_ns",
        serialize_with = "super::units::some_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub latency_seconds: Option<f64>,
    /// Addresses of the answer.
    pub addresses: Vec<IpAddr>,
    /// Names that the asked one is another name of, in order.
    pub aliases: Vec<String>,
    /// How long the answer may be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

impl Row for LookupView {
    const TYPE: &'static str = "lookup";
}
