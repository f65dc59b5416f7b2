//! Which flows an operator asked for.

use std::{net::IpAddr, str::FromStr};

use crate::model::{Transport, Tuple};

/// Conditions on the addresses of a flow; a kind of condition that names nothing is met by all.
#[derive(Clone, Debug, Default)]
pub struct Narrow {
    /// The transport is one of these.
    pub transports: Vec<Transport>,
    /// The port of either end is one of these.
    pub ports: Vec<u16>,
    /// Either end is in one of these.
    pub networks: Vec<Cidr>,
}

impl Narrow {
    /// Whether a flow is wanted.
    pub fn admits(&self, tuple: &Tuple) -> bool {
        let has_port = |port: &u16| {
            tuple.transport.has_ports() && [tuple.local_port, tuple.remote_port].contains(port)
        };
        let has_end =
            |network: &Cidr| network.contains(tuple.local) || network.contains(tuple.remote);
        (self.transports.is_empty() || self.transports.contains(&tuple.transport))
            && (self.ports.is_empty() || self.ports.iter().any(has_port))
            && (self.networks.is_empty() || self.networks.iter().any(has_end))
    }
}

/// Addresses with a common beginning, such as `10.0.0.0/8`; a single address without a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

impl Cidr {
    /// Whether an address is one of these. IPv4 addresses of an IPv6 socket count as what they are.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let width = width(address);
        if width != width_of(self) {
            return false;
        }
        let different = bits(address) ^ bits(self.address);
        // A shift by the whole width is no shift.
        different
            .checked_shr(u32::from(width - self.length))
            .unwrap_or(0)
            == 0
    }
}

fn width_of(network: &Cidr) -> u8 {
    width(network.address)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| "must be an address or a network such as 10.0.0.0/8".to_owned())?;
        let length = match length {
            None => width(address),
            Some(length) => length
                .parse()
                .ok()
                .filter(|length| *length <= width(address))
                .ok_or_else(|| format!("the length must be 0 to {}", width(address)))?,
        };
        Ok(Self { address, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        assert!(network("10.1.0.0/16").contains(address("10.1.255.255")));
        assert!(!network("10.1.0.0/16").contains(address("10.2.0.0")));
        assert!(network("10.1.0.0/16").contains(address("::ffff:10.1.2.3")));
        assert!(network("0.0.0.0/0").contains(address("255.1.2.3")));
        assert!(!network("0.0.0.0/0").contains(address("fd00::1")));
        assert!(network("::/0").contains(address("fd00::1")));
        assert!(network("fd00::/8").contains(address("fdff::1")));
        assert!(network("10.0.0.1").contains(address("10.0.0.1")));
        assert!(!network("10.0.0.1/32").contains(address("10.0.0.2")));
    }

    #[test]
    fn nonsense_is_no_network() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "::/-1",
            "a/8",
            "10.0.0.0/",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_flow_meets_every_kind_of_condition() {
        let tuple = Tuple {
            transport: Transport::TCP,
            local: address("10.0.0.1"),
            local_port: 40_000,
            remote: address("192.0.2.7"),
            remote_port: 443,
        };
        let narrow = |transport, port, net| Narrow {
            transports: vec![transport],
            ports: vec![port],
            networks: vec![network(net)],
        };
        assert!(Narrow::default().admits(&tuple));
        assert!(narrow(Transport::TCP, 443, "192.0.2.0/24").admits(&tuple));
        assert!(narrow(Transport::TCP, 40_000, "10.0.0.0/8").admits(&tuple));
        assert!(!narrow(Transport::UDP, 443, "192.0.2.0/24").admits(&tuple));
        assert!(!narrow(Transport::TCP, 80, "192.0.2.0/24").admits(&tuple));
        assert!(!narrow(Transport::TCP, 443, "198.51.100.0/24").admits(&tuple));
        let ping = Tuple {
            transport: Transport::ICMP,
            ..tuple
        };
        // What stands in place of a port is none.
        assert!(!narrow(Transport::ICMP, 443, "192.0.2.0/24").admits(&ping));
    }
}
