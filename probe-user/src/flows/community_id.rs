//! Community ID, version 1: one short text for a flow, whichever tool saw it and from which end.
//!
//! As specified by <https://github.com/corelight/community-id-spec>, with seed 0. Who reads several logs joins them by it.
//! It is made from addresses as they are: two ends between which addresses are translated have two ids.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

use crate::model::{Initiator, Transport, Tuple};

/// Separates domains of ids. Every tool that does not ask for one takes this.
const SEED: u16 = 0;

/// The id, `1:` and 28 characters of base64.
///
/// For ICMP the initiator is who sent the message whose type the tuple has.
pub fn community_id(tuple: &Tuple, initiator: Initiator) -> String {
    let mut ends = [
        (tuple.local.to_canonical(), tuple.local_port),
        (tuple.remote.to_canonical(), tuple.remote_port),
    ];
    if initiator == Initiator::Remote {
        ends.reverse();
    }
    let (ports, ordered) = ports(tuple, [ends[0].1, ends[1].1]);
    for (end, port) in ends.iter_mut().zip(ports.unwrap_or_default()) {
        end.1 = port;
    }
    if ordered && ends[0] > ends[1] {
        ends.reverse();
    }
    let mut hash = Sha1::new();
    hash.update(SEED.to_be_bytes());
    for (address, _) in ends {
        match address {
            IpAddr::V4(address) => hash.update(address.octets()),
            IpAddr::V6(address) => hash.update(address.octets()),
        }
    }
    hash.update([tuple.transport.0, 0]);
    if ports.is_some() {
        for (_, port) in ends {
            hash.update(port.to_be_bytes());
        }
    }
    format!("1:{}", STANDARD.encode(hash.finalize()))
}

/// What stands for the ports of initiator and responder, if anything does, and whether the smaller end comes first.
fn ports(tuple: &Tuple, ends: [u16; 2]) -> (Option<[u16; 2]>, bool) {
    match tuple.transport {
        Transport::TCP | Transport::UDP | Transport::SCTP => (Some(ends), true),
        Transport::ICMP | Transport::ICMPV6 => {
            let [kind, code] = tuple.remote_port.to_be_bytes();
            // A message that has an answer is hashed with the type of the answer. One that has none goes one way, from
            // the initiator, whatever the addresses.
            match counterpart(tuple.transport, kind) {
                Some(answer) => (Some([kind.into(), answer.into()]), true),
                None => (Some([kind.into(), code.into()]), false),
            }
        }
        // The specification knows no ports of other protocols, not even of those that have some.
        _ => (None, true),
    }
}

/// Type of the message that answers this type, or that this type answers (RFC 792, 950, 1256, 4443, 4620, 4861, 6275).
fn counterpart(transport: Transport, kind: u8) -> Option<u8> {
    let pairs: &[(u8, u8)] = if transport == Transport::ICMP {
        &[(8, 0), (10, 9), (13, 14), (15, 16), (17, 18)]
    } else {
        &[
            (128, 129),
            (130, 131),
            (133, 134),
            (135, 136),
            (139, 140),
            (144, 145),
        ]
    };
    pairs.iter().find_map(|&(question, answer)| {
        (question == kind)
            .then_some(answer)
            .or((answer == kind).then_some(question))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tuple(transport: u8, local: (IpAddr, u16), remote: (IpAddr, u16)) -> Tuple {
        Tuple {
            transport: Transport(transport),
            local: local.0,
            local_port: local.1,
            remote: remote.0,
            remote_port: remote.1,
        }
    }

    /// The id of what `from` began.
    fn id(transport: u8, from: (&str, u16), to: (&str, u16)) -> String {
        let end = |(address, port): (&str, u16)| (address.parse().unwrap(), port);
        community_id(&tuple(transport, end(from), end(to)), Initiator::Local)
    }

    /// The id of a message of ICMP.
    fn icmp(transport: u8, from: &str, to: &str, kind: u8, code: u8) -> String {
        id(
            transport,
            (from, 4711),
            (to, u16::from_be_bytes([kind, code])),
        )
    }

    #[test]
    fn ids_of_transports_with_ports_are_those_of_the_reference() {
        let web = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=";
        let (client, server) = (("128.232.110.120", 34855), ("66.35.250.204", 80));
        assert_eq!(id(6, client, server), web);
        assert_eq!(id(6, server, client), web);
        assert_eq!(
            id(6, ("10.0.0.1", 10), ("10.0.0.2", 11569)),
            "1:SXBGMX1lBOwhhoDrZynfROxnhnM="
        );
        assert_eq!(
            id(
                6,
                ("2001:470:e5bf:dead:4957:2174:e82c:4887", 63943),
                ("2607:f8b0:400c:c03::1a", 25)
            ),
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="
        );
        assert_eq!(
            id(17, ("192.168.1.52", 54585), ("8.8.8.8", 53)),
            "1:d/FP5EW3wiY1vCndhwleRRKHowQ="
        );
        assert_eq!(
            id(132, ("192.168.170.8", 7), ("192.168.170.56", 80)),
            "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="
        );
        assert_eq!(
            id(132, ("192.168.170.56", 7), ("192.168.170.8", 7)),
            "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="
        );
    }

    #[test]
    fn ids_of_icmp_are_those_of_the_reference() {
        let (a, b) = ("192.168.0.89", "192.168.0.1");
        let echo = "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=";
        assert_eq!(icmp(1, a, b, 8, 0), echo);
        assert_eq!(icmp(1, b, a, 0, 0), echo);
        assert_eq!(icmp(1, b, a, 0, 20), echo);
        assert_eq!(icmp(1, a, b, 20, 0), "1:3o2RFccXzUgjl7zDpqmY7yJi8rI=");
        assert_eq!(icmp(1, a, b, 20, 1), "1:tz/fHIDUHs19NkixVVoOZywde+I=");
        assert_eq!(
            icmp(1, "10.0.0.1", "10.0.0.2", 11, 0),
            "1:YHxtAirCG//0OzkcVAukqKQN9xM="
        );
    }

    #[test]
    fn ids_of_icmp_for_ipv6_are_those_of_the_reference() {
        let (a, b) = ("fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea");
        assert_eq!(icmp(58, a, b, 135, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
        assert_eq!(icmp(58, b, a, 136, 0), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=");
        assert_eq!(icmp(58, b, a, 135, 0), "1:zavyT/cezQr1fmImYCwYnMXbgck=");
        let (a, b) = (
            "3ffe:507:0:1:260:97ff:fe07:69ea",
            "3ffe:507:0:1:200:86ff:fe05:80da",
        );
        assert_eq!(icmp(58, a, b, 3, 0), "1:NdobDX8PQNJbAyfkWxhtL2Pqp5w=");
        assert_eq!(icmp(58, b, a, 3, 0), "1:/OGBt9BN1ofenrmSPWYicpij2Vc=");
        assert_eq!(
            icmp(
                58,
                "3ffe:507:0:1:200:86ff:fe05:80da",
                "3ffe:501:0:1001::2",
                128,
                0
            ),
            "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="
        );
    }

    #[test]
    fn ids_of_other_protocols_leave_ports_out() {
        let rsvp = "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4=";
        assert_eq!(id(46, ("10.1.24.4", 0), ("10.1.12.1", 0)), rsvp);
        assert_eq!(id(46, ("10.1.12.1", 7), ("10.1.24.4", 9)), rsvp);
    }

    #[test]
    fn an_ipv4_address_of_an_ipv6_socket_is_an_ipv4_address() {
        assert_eq!(
            id(6, ("::ffff:10.0.0.1", 10), ("::ffff:10.0.0.2", 11569)),
            id(6, ("10.0.0.1", 10), ("10.0.0.2", 11569))
        );
    }

    fn address() -> impl Strategy<Value = (IpAddr, IpAddr)> {
        prop_oneof![
            any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (a.into(), b.into())),
            any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (a.into(), b.into())),
        ]
    }

    proptest! {
        #[test]
        fn both_ends_of_a_flow_give_the_same_id(
            transport in prop_oneof![Just(1), Just(6), Just(17), Just(58), Just(132), any::<u8>()],
            (a, b) in address(),
            (port_a, port_b) in any::<(u16, u16)>(),
        ) {
            let client = tuple(transport, (a, port_a), (b, port_b));
            // At both ends `remote_port` of ICMP is the type of the request, and `local_port` its identifier.
            let (local_port, remote_port) = if client.transport.is_icmp() {
                (port_a, port_b)
            } else {
                (port_b, port_a)
            };
            let server = tuple(transport, (b, local_port), (a, remote_port));
            let id = community_id(&client, Initiator::Local);
            prop_assert_eq!(&id, &community_id(&server, Initiator::Remote));
            prop_assert_eq!(id.len(), 30);
        }
    }
}
