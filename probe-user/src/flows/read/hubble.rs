//! Flows of Hubble, as `hubble observe -o json` prints them and as Cilium's agents write them to files.
//!
//! Only what a replay needs is read; the rest of `flow.proto` (cilium, `api/v1/flow`) is left alone.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Deserialize;
use serde_json::Value;

/// A packet that Hubble saw. One connection has many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HubbleFlow {
    /// Address that the packet came from.
    pub source: IpAddr,
    /// Namespace and name of the pod there, where it is one.
    pub source_pod: Option<(String, String)>,
    /// Port that it came from; 0 where there are none.
    pub source_port: u16,
    /// Address that it went to.
    pub destination: IpAddr,
    /// Namespace and name of the pod there.
    pub destination_pod: Option<(String, String)>,
    /// Port that it went to; 0 where there are none.
    pub destination_port: u16,
    /// Number of the transport protocol.
    pub protocol: u8,
    /// Whether it is an answer; `None` where Hubble does not know.
    pub is_reply: Option<bool>,
    /// Whether it was seen at its source.
    pub at_source: bool,
}

/// A line of such a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubbleLine {
    /// A packet with addresses.
    Flow(Box<HubbleFlow>),
    /// Events that were lost.
    Lost(u64),
    /// Anything else: the state of nodes, or a packet without an address.
    Other,
}

/// A line, with or without the envelope of the API.
#[derive(Deserialize)]
struct Line {
    flow: Option<Flow>,
    lost_events: Option<Lost>,
    node_status: Option<Value>,
    #[serde(flatten)]
    bare: Flow,
}

#[derive(Deserialize)]
struct Lost {
    #[serde(alias = "numEventsLost")]
    num_events_lost: Option<Number>,
}

/// 64 bits are digits in a string in JSON of protobuf.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Text(String),
}

#[derive(Default, Deserialize)]
struct Flow {
    #[serde(rename = "IP")]
    ip: Option<Addresses>,
    l4: Option<BTreeMap<String, Ports>>,
    source: Option<Endpoint>,
    destination: Option<Endpoint>,
    #[serde(alias = "isReply")]
    is_reply: Option<bool>,
    #[serde(alias = "trafficDirection")]
    traffic_direction: Option<String>,
}

#[derive(Deserialize)]
struct Addresses {
    source: Option<String>,
    destination: Option<String>,
}

#[derive(Deserialize)]
struct Ports {
    #[serde(default, alias = "sourcePort")]
    source_port: u16,
    #[serde(default, alias = "destinationPort")]
    destination_port: u16,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(default)]
    namespace: String,
    #[serde(default, alias = "podName")]
    pod_name: String,
}

impl Endpoint {
    fn pod(self) -> Option<(String, String)> {
        (!self.pod_name.is_empty()).then_some((self.namespace, self.pod_name))
    }
}

/// Transports by their names in `flow.proto`, and their numbers.
const TRANSPORTS: [(&str, u8); 5] = [
    ("TCP", 6),
    ("UDP", 17),
    ("SCTP", 132),
    ("ICMPv4", 1),
    ("ICMPv6", 58),
];

/// Reads a line; `None` if it is none of Hubble's.
pub(super) fn parse(line: &[u8]) -> serde_json::Result<Option<HubbleLine>> {
    let line: Line = serde_json::from_slice(line)?;
    if let Some(lost) = line.lost_events {
        let count = match lost.num_events_lost {
            None => 0,
            Some(Number::Plain(count)) => count,
            Some(Number::Text(digits)) => digits.parse().unwrap_or_default(),
        };
        return Ok(Some(HubbleLine::Lost(count)));
    }
    if line.node_status.is_some() {
        return Ok(Some(HubbleLine::Other));
    }
    let is_enveloped = line.flow.is_some();
    let flow = line.flow.unwrap_or(line.bare);
    if !is_enveloped && flow.ip.is_none() && flow.l4.is_none() {
        return Ok(None);
    }
    Ok(Some(read(flow).map_or(HubbleLine::Other, |flow| {
        HubbleLine::Flow(Box::new(flow))
    })))
}

fn read(flow: Flow) -> Option<HubbleFlow> {
    let Addresses {
        source,
        destination,
    } = flow.ip?;
    let (protocol, ports) = flow.l4?.into_iter().find_map(|(name, ports)| {
        let known = TRANSPORTS.iter().find(|(known, _)| *known == name)?;
        Some((known.1, ports))
    })?;
    Some(HubbleFlow {
        source: source?.parse().ok()?,
        source_pod: flow.source.and_then(Endpoint::pod),
        source_port: ports.source_port,
        destination: destination?.parse().ok()?,
        destination_pod: flow.destination.and_then(Endpoint::pod),
        destination_port: ports.destination_port,
        protocol,
        is_reply: flow.is_reply,
        at_source: flow.traffic_direction.as_deref() == Some("EGRESS"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SYN: &str = r#"{"flow":{"time":"2026-03-01T10:00:00Z","verdict":"DROPPED","ethernet":{"source":"02:42:ac:11:00:02"},"IP":{"source":"10.0.1.7","destination":"10.0.2.9","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":41002,"destination_port":5432,"flags":{"SYN":true}}},"source":{"ID":7,"identity":101,"namespace":"shop","labels":["k8s:app=web"],"pod_name":"web-1","workloads":[{"name":"web","kind":"Deployment"}]},"destination":{"identity":102,"namespace":"db","pod_name":"pg-0"},"Type":"L3_L4","node_name":"n1","event_type":{"type":1},"traffic_direction":"EGRESS","is_reply":false,"Summary":"TCP Flags: SYN"},"node_name":"n1","time":"2026-03-01T10:00:00Z"}"#;

    fn line(text: &str) -> Option<HubbleLine> {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_packet_is_read_with_and_without_its_envelope() {
        let pod = |namespace: &str, name: &str| Some((namespace.to_owned(), name.to_owned()));
        let expected = HubbleFlow {
            source: [10, 0, 1, 7].into(),
            source_pod: pod("shop", "web-1"),
            source_port: 41002,
            destination: [10, 0, 2, 9].into(),
            destination_pod: pod("db", "pg-0"),
            destination_port: 5432,
            protocol: 6,
            is_reply: Some(false),
            at_source: true,
        };
        assert_eq!(
            line(SYN),
            Some(HubbleLine::Flow(Box::new(expected.clone())))
        );
        let whole: Value = serde_json::from_str(SYN).unwrap();
        let bare = whole["flow"].to_string();
        assert_eq!(line(&bare), Some(HubbleLine::Flow(Box::new(expected))));
    }

    #[test]
    fn what_is_no_packet_is_told_apart() {
        assert_eq!(
            line(
                r#"{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"12"},"node_name":"n1"}"#
            ),
            Some(HubbleLine::Lost(12))
        );
        assert_eq!(
            line(r#"{"node_status":{"state_change":"NODE_CONNECTED"}}"#),
            Some(HubbleLine::Other)
        );
        assert_eq!(
            line(
                r#"{"flow":{"IP":{"source":"10.0.0.1","destination":"10.0.0.2"},"is_reply":null}}"#
            ),
            Some(HubbleLine::Other)
        );
        assert_eq!(line(r#"{"a":1}"#), None);
    }

    #[test]
    fn what_hubble_does_not_know_stays_unknown() {
        let text = SYN.replace(r#""is_reply":false"#, r#""is_reply":null"#);
        let Some(HubbleLine::Flow(flow)) = line(&text) else {
            panic!("a packet");
        };
        assert_eq!(flow.is_reply, None);
    }

    proptest! {
        #[test]
        fn no_text_panics(start in 0..SYN.len(), text: String) {
            let mut mixed = SYN.to_owned();
            mixed.insert_str(start, &text);
            _ = parse(mixed.as_bytes());
            _ = parse(text.as_bytes());
        }
    }
}
