//! Questions and answers of `ctnetlink`, include/uapi/linux/netfilter/nfnetlink_conntrack.h.

use std::net::IpAddr;

use netlink_packet_core::{
    DecodeError, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _,
    parse_u32_be,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    conntrack::{ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Tuple as Parts},
};
use rustix::io::Errno;

use super::Tracked;
use crate::model::{Transport, Tuple};

/// `IPCTNL_MSG_CT_GET_STATS`: numbers of the whole namespace.
const GET_STATS: u8 = 5;
/// `CTA_STATS_GLOBAL_ENTRIES`: connections that are tracked.
const GLOBAL_ENTRIES: u16 = 1;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An entry: the packets that began it, and those that answer.
    Entry { original: Packets, reply: Packets },
    /// How many entries there are.
    Entries(u32),
    /// The kernel says no.
    Refused(Errno),
}

/// Addresses of the packets of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packets {
    pub(super) source: (IpAddr, u16),
    pub(super) destination: (IpAddr, u16),
}

impl Packets {
    /// Those that a socket sends.
    fn sent(flow: &Tuple) -> Self {
        Self {
            source: (flow.local.to_canonical(), flow.local_port),
            destination: (flow.remote.to_canonical(), flow.remote_port),
        }
    }
}

/// The entry of a flow. The kernel compares addresses only, whichever direction they are given for: so the packets that a socket
/// sends find the entry of a connection that it began, and of one that it answered.
pub(super) fn entry_of(flow: &Tuple, sequence: u32) -> Vec<u8> {
    let Packets {
        source,
        destination,
    } = Packets::sent(flow);
    let attribute = ConntrackAttribute::CtaTupleOrig(vec![
        Parts::Ip(vec![
            IPTuple::SourceAddress(source.0),
            IPTuple::DestinationAddress(destination.0),
        ]),
        Parts::Proto(vec![
            ProtoTuple::Protocol(flow.transport.0.into()),
            ProtoTuple::SourcePort(source.1),
            ProtoTuple::DestinationPort(destination.1),
        ]),
    ]);
    let family = if source.0.is_ipv4() {
        NetfilterProtoFamily::IPv4
    } else {
        NetfilterProtoFamily::IPv6
    };
    written(family, ConntrackMessage::Get(vec![attribute]), sequence)
}

/// How many entries there are.
pub(super) fn entries(sequence: u32) -> Vec<u8> {
    let question = ConntrackMessage::Other {
        message_type: GET_STATS,
        attributes: Vec::new(),
    };
    written(NetfilterProtoFamily::Unspec, question, sequence)
}

fn written(family: NetfilterProtoFamily, question: ConntrackMessage, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    header.sequence_number = sequence;
    let message = NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), question);
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The answer to the question with this number; `None` where it answers another one.
pub(super) fn read(bytes: &[u8], sequence: u32) -> Result<Option<Answer>, DecodeError> {
    let message = NetlinkMessage::<NetfilterMessage>::deserialize(bytes)?;
    if message.header.sequence_number != sequence {
        return Ok(None);
    }
    let answer = match message.payload {
        NetlinkPayload::Error(error) => Answer::Refused(Errno::from_raw_os_error(
            error.code.map_or(0, |code| code.get().saturating_neg()),
        )),
        NetlinkPayload::InnerMessage(NetfilterMessage {
            inner: NetfilterMessageInner::Conntrack(message),
            ..
        }) => understood(message)?,
        other => return Err(format!("unexpected message {other:?}").into()),
    };
    Ok(Some(answer))
}

fn understood(message: ConntrackMessage) -> Result<Answer, DecodeError> {
    match message {
        ConntrackMessage::New(attributes) => {
            let (mut original, mut reply) = (None, None);
            for attribute in attributes {
                match attribute {
                    ConntrackAttribute::CtaTupleOrig(parts) => original = packets(&parts),
                    ConntrackAttribute::CtaTupleReply(parts) => reply = packets(&parts),
                    _ => {}
                }
            }
            match (original, reply) {
                (Some(original), Some(reply)) => Ok(Answer::Entry { original, reply }),
                _ => Err("an entry without addresses or ports".into()),
            }
        }
        ConntrackMessage::Other {
            message_type: GET_STATS,
            attributes,
        } => {
            let count = attributes.iter().find(|it| it.kind() == GLOBAL_ENTRIES);
            let count = count.ok_or("no number of entries")?;
            let mut value = vec![0; count.value_len()];
            count.emit_value(&mut value);
            Ok(Answer::Entries(parse_u32_be(&value)?))
        }
        other => Err(format!("unexpected message {other:?}").into()),
    }
}

fn packets(parts: &[Parts]) -> Option<Packets> {
    let (mut source, mut destination) = ((None, None), (None, None));
    for part in parts {
        match part {
            Parts::Ip(addresses) => {
                for address in addresses {
                    match address {
                        IPTuple::SourceAddress(address) => source.0 = Some(*address),
                        IPTuple::DestinationAddress(address) => destination.0 = Some(*address),
                        _ => {}
                    }
                }
            }
            Parts::Proto(ports) => {
                for port in ports {
                    match port {
                        ProtoTuple::SourcePort(port) => source.1 = Some(*port),
                        ProtoTuple::DestinationPort(port) => destination.1 = Some(*port),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(Packets {
        source: (source.0?, source.1?),
        destination: (destination.0?, destination.1?),
    })
}

/// What an entry makes of a flow: the packets of the direction in which the socket does not send say where those that it sends
/// go to, and come from.
pub(super) fn translation(flow: &Tuple, original: &Packets, reply: &Packets) -> Tracked {
    let sent = Packets::sent(flow);
    let other = if *original == sent { reply } else { original };
    let seen = Packets {
        source: other.destination,
        destination: other.source,
    };
    if seen == sent {
        return Tracked::AsItIs;
    }
    Tracked::As(tuple(flow.transport, &seen))
}

fn tuple(transport: Transport, sent: &Packets) -> Tuple {
    Tuple {
        transport,
        local: sent.source.0,
        local_port: sent.source.1,
        remote: sent.destination.0,
        remote_port: sent.destination.1,
    }
}
