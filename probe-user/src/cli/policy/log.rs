//! Connections of a flow log, by who talks with whom.

use std::{
    borrow::Cow,
    io::{self, Write as _},
    net::IpAddr,
    path::PathBuf,
};

use probe_policy::{
    engine::{Connection, End, Engine},
    model::Protocol,
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    cli::CliError,
    flows::{Fault, FlowRecord, HubbleFlow, HubbleLine, Reader, Record},
    model::{Container, Runtime},
};

/// Faults that are told one by one.
const TOLD: u64 = 20;

/// Connections between the same two, to the same port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Talk {
    pub(super) from: Party,
    pub(super) to: Party,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
}

/// One end as the log names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Party {
    /// Namespace and name of its pod, where it is one.
    pub(super) pod: Option<(String, String)>,
    /// A process of the node that the other end's pod is on.
    pub(super) is_host: bool,
    pub(super) address: IpAddr,
}

/// How often, from which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) by_source: u64,
    pub(super) by_destination: u64,
}

impl Seen {
    /// Connections: one that both ends saw is one.
    pub(super) fn connections(self) -> u64 {
        self.by_source.max(self.by_destination)
    }
}

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) talks: FxHashMap<Talk, Seen>,
    /// Connections of which nobody knows who began; nothing is said of them.
    pub(super) guessed: u64,
    /// Lines that are no record.
    pub(super) broken: u64,
    /// Events that the log says were lost.
    pub(super) lost: u64,
}

impl Log {
    /// Reads files in the order of their names on the command line. A broken line is told and left out.
    ///
    /// # Errors
    ///
    /// If a file cannot be opened.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, CliError> {
        let mut log = Self::default();
        let mut known = FxHashSet::default();
        let mut packets = FxHashSet::default();
        for file in files {
            let cannot =
                |error: io::Error| CliError::failure(format!("read {}: {error}", file.display()));
            for record in Reader::open(file).map_err(cannot)? {
                match record {
                    Ok(Record::Flow(flow)) => {
                        // A flow has many records, and is one connection.
                        if known.insert((flow.boot_id.to_string(), flow.flow_id)) {
                            log.take(&flow);
                        }
                    }
                    Ok(Record::Loss(loss)) => log.lost += loss.count,
                    Ok(Record::Hubble(HubbleLine::Lost(count))) => log.lost += count,
                    Ok(Record::Hubble(HubbleLine::Flow(packet))) => {
                        // A connection has many packets, and is one.
                        if packet.is_reply != Some(true) && packets.insert(tuple(&packet)) {
                            log.take_packet(*packet);
                        }
                    }
                    Ok(_) => {}
                    Err(fault) => log.fault(&fault),
                }
            }
        }
        Ok(log)
    }

    fn take(&mut self, flow: &FlowRecord<'_>) {
        if flow.initiator_guessed {
            self.guessed += 1;
            return;
        }
        let party = |side: &Side<'_, '_>, other: &Side<'_, '_>, address: IpAddr| {
            let name = side.namespace.as_ref().zip(side.pod.as_ref());
            Party {
                pod: name.map(|(namespace, pod)| (namespace.to_string(), pod.to_string())),
                is_host: side.is_of_node(other),
                address: address.to_canonical(),
            }
        };
        let src = Side {
            namespace: &flow.src_namespace,
            pod: &flow.src_pod,
            runtime: &flow.src_runtime,
        };
        let dst = Side {
            namespace: &flow.dst_namespace,
            pod: &flow.dst_pod,
            runtime: &flow.dst_runtime,
        };
        let talk = Talk {
            from: party(&src, &dst, flow.src_ip),
            // Behind a service, policies are about the pod.
            to: party(&dst, &src, flow.nat_dst_ip.unwrap_or(flow.dst_ip)),
            protocol: Protocol::from_number(flow.protocol),
            port: flow.nat_dst_port.or(flow.dst_port).unwrap_or_default(),
        };
        let seen = self.talks.entry(talk).or_default();
        match flow.direction.as_ref() {
            "egress" => seen.by_source += 1,
            _ => seen.by_destination += 1,
        }
    }

    fn take_packet(&mut self, packet: HubbleFlow) {
        if packet.is_reply.is_none() {
            self.guessed += 1;
            return;
        }
        let protocol = Protocol::from_number(packet.protocol);
        let party = |pod, address: IpAddr| Party {
            pod,
            is_host: false,
            address: address.to_canonical(),
        };
        let talk = Talk {
            from: party(packet.source_pod, packet.source),
            to: party(packet.destination_pod, packet.destination),
            protocol,
            port: packet.destination_port,
        };
        let seen = self.talks.entry(talk).or_default();
        if packet.at_source {
            seen.by_source += 1;
        } else {
            seen.by_destination += 1;
        }
    }

    fn fault(&mut self, fault: &Fault) {
        self.broken += 1;
        if self.broken <= TOLD {
            let source = std::error::Error::source(fault);
            let why = source
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            writeln!(io::stderr(), "warning: {fault}{why}").ok();
        }
    }
}

/// What tells connections apart, and the ends that they are seen at.
fn tuple(packet: &HubbleFlow) -> ((IpAddr, u16), (IpAddr, u16), u8, bool) {
    (
        (packet.source, packet.source_port),
        (packet.destination, packet.destination_port),
        packet.protocol,
        packet.at_source,
    )
}

/// Who had an end, as a record says.
struct Side<'a, 'r> {
    namespace: &'a Option<Cow<'r, str>>,
    pod: &'a Option<Cow<'r, str>>,
    runtime: &'a Option<Cow<'r, str>>,
}

impl Side<'_, '_> {
    /// Whether this is a process of the node that the other end's pod is on, by the rule of the agent: in no container of a node of
    /// Kubernetes.
    fn is_of_node(&self, other: &Self) -> bool {
        self.namespace.as_deref() == Some(Container::HOST)
            && self.runtime.is_some()
            && other.runtime.as_deref() == Some(Runtime::Kubernetes.name())
    }
}

impl Talk {
    /// As the engine asks for it: pods by their names where the manifests have them, and by address otherwise.
    pub(super) fn connection(&self, engine: &Engine) -> Connection {
        let end = |party: &Party| {
            let named = party
                .pod
                .as_ref()
                .and_then(|(namespace, pod)| engine.find(namespace, pod));
            match named {
                Some(pod) => End::Pod(pod),
                None if party.is_host => End::Host(party.address),
                None => End::Address(party.address),
            }
        };
        Connection {
            from: end(&self.from),
            to: end(&self.to),
            protocol: self.protocol,
            port: self.port,
        }
    }
}
