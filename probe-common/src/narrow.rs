//! Which flows the kernel side leaves out: by rules, and by sampling.
//!
//! Rules are numbered by bits. What a rule says of networks, ports and protocols is in a table each, whose entries have the
//! bit of every rule that they satisfy. So a flow meets a rule if its bit is in all that is found for the flow.

use crate::flows::{DCCP, SCTP, TCP, UDP, UDP_LITE};

/// Most rules.
pub const RULES: usize = 64;
/// Index in the table of ports of what has none.
pub const NO_PORT: u32 = 1 << 16;
/// Entries of the table of ports.
pub const PORTS: u32 = NO_PORT + 1;
/// Entries of the table of protocols.
pub const PROTOCOLS: u32 = 256;

/// An address in the table of networks: its version, so that the zeroes behind an IPv4 address mean nothing, and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Address {
    /// 4 or 6, and zeroes.
    pub version: [u8; 8],
    /// 4 bytes of IPv4 and zeroes, or 16 of IPv6.
    pub bytes: [u8; 16],
}
const _: () = assert!(size_of::<Address>() == 24);

// SAFETY: `repr(C)`, bytes only, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Address {}

impl Address {
    /// Bits in front of the address.
    pub const VERSION_BITS: u32 = 64;
    /// Bits of all.
    pub const BITS: u32 = Self::VERSION_BITS + 128;

    /// An address of this version.
    #[inline(always)]
    pub fn new(ip_version: u8, bytes: [u8; 16]) -> Self {
        Self {
            version: [ip_version, 0, 0, 0, 0, 0, 0, 0],
            bytes,
        }
    }
}

/// Index of a port in the table of ports.
#[inline(always)]
pub fn port_index(protocol: u8, port: u16) -> u32 {
    if matches!(protocol, TCP | UDP | DCCP | SCTP | UDP_LITE) {
        port as u32
    } else {
        NO_PORT
    }
}

/// What tells a flow apart at both of its ends.
#[derive(Clone, Copy, Debug)]
pub struct Tuple {
    /// Address of the socket's side.
    pub local: [u8; 16],
    /// Address of the other side.
    pub remote: [u8; 16],
    /// Port of the socket's side.
    pub local_port: u16,
    /// Port of the other side.
    pub remote_port: u16,
    /// Internet protocol number.
    pub protocol: u8,
    /// 4 or 6.
    pub ip_version: u8,
}

impl Tuple {
    /// Whether the flow is the one in `every` that is counted. Both of its ends answer the same, on any host, unless their
    /// addresses are translated in between.
    #[inline(always)]
    pub fn is_sampled(&self, every: u32) -> bool {
        every <= 1 || self.spread().is_multiple_of(every)
    }

    /// A number that is the same with both ends exchanged, and spreads flows evenly.
    #[inline(always)]
    fn spread(&self) -> u32 {
        let (low, high) = if self.local_port < self.remote_port {
            (self.local_port, self.remote_port)
        } else {
            (self.remote_port, self.local_port)
        };
        let ports = (high as u64) << 24 | (low as u64) << 8 | self.protocol as u64;
        // A sum does not know the order of its parts.
        let addresses = fold(&self.local).wrapping_add(fold(&self.remote));
        (mix(mix(addresses) ^ ports) >> 32) as u32
    }
}

/// One number for an address.
#[inline(always)]
fn fold(address: &[u8; 16]) -> u64 {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *address;
    mix(mix(u64::from_le_bytes([a, b, c, d, e, f, g, h])) ^ u64::from_le_bytes(rest))
}

/// Fibonacci hashing, and the half that it spreads best over the other.
#[inline(always)]
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number ^ number >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> [u8; 16] {
        [10, 0, 0, last, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn tuple(local_port: u16, remote_port: u16) -> Tuple {
        Tuple {
            local: v4(1),
            remote: v4(2),
            local_port,
            remote_port,
            protocol: UDP,
            ip_version: 4,
        }
    }

    #[test]
    fn both_ends_are_sampled_alike() {
        for port in 1000..3000 {
            let one = tuple(port, 53);
            let other = Tuple {
                local: one.remote,
                remote: one.local,
                local_port: one.remote_port,
                remote_port: one.local_port,
                ..one
            };
            assert_eq!(one.spread(), other.spread());
        }
    }

    #[test]
    fn a_share_of_the_flows_is_sampled_whatever_differs() {
        let share = |flows: &mut dyn Iterator<Item = Tuple>| {
            let sampled = flows.filter(|flow| flow.is_sampled(16)).count();
            assert!((150..350).contains(&sampled), "{sampled} of 4096 / 16");
        };
        share(&mut (0..4096).map(|port| tuple(port, 53)));
        share(&mut (0..4096).map(|port| tuple(40_000, port)));
        // Both ports by one each, as those of clients often are.
        share(&mut (0..4096).map(|port| tuple(30_000 + port, 40_000 + port)));
        share(&mut (0..4096u16).map(|n| {
            let [high, low] = n.to_be_bytes();
            let mut flow = tuple(40_000, 443);
            flow.remote[2] = high;
            flow.remote[3] = low;
            flow
        }));
        share(&mut (0..4096u16).map(|n| {
            let [high, low] = n.to_be_bytes();
            let mut flow = tuple(0, 0);
            (flow.local[14], flow.local[15]) = (high, low);
            flow
        }));
        assert!((0..100).all(|port| tuple(port, 53).is_sampled(1)));
    }

    #[test]
    fn what_has_no_ports_has_an_entry_of_its_own() {
        assert_eq!(port_index(UDP, 65_535), 65_535);
        assert_eq!(port_index(crate::flows::ICMP, 53), NO_PORT);
    }
}
