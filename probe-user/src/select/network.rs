//! Networks as an operator writes them.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Addresses that stand for IPv4 ones, `::ffff:0:0/96` of RFC 4291.
const MAPPED: u8 = 96;

/// Reads a network such as `10.0.0.0/8`, or a single address. Bits behind the length do not count.
///
/// # Errors
///
/// With what is wrong, in plain words.
pub fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text
            .parse()
            .map_err(|_| format!("`{text}` is no address or network such as 10.0.0.0/8"))?,
    };
    Ok(canonical(network).trunc())
}

/// IPv4 addresses of an IPv6 socket count as what they are, so a network of them is one of IPv4.
fn canonical(network: IpNet) -> IpNet {
    let IpAddr::V4(address) = network.addr().to_canonical() else {
        return network;
    };
    network
        .prefix_len()
        .checked_sub(if network.addr().is_ipv6() { MAPPED } else { 0 })
        .and_then(|length| Ipv4Net::new(address, length).ok())
        .map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        super::network(network).unwrap().contains(&address)
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        assert!(holds("10.1.0.0/16", "10.1.255.255"));
        assert!(holds("10.1.2.3/16", "10.1.255.255"));
        assert!(!holds("10.1.0.0/16", "10.2.0.0"));
        assert!(holds("0.0.0.0/0", "255.1.2.3"));
        assert!(!holds("0.0.0.0/0", "fd00::1"));
        assert!(holds("::/0", "fd00::1"));
        assert!(holds("fd00::/8", "fdff::1"));
        assert!(holds("10.0.0.1", "10.0.0.1"));
        assert!(!holds("10.0.0.1/32", "10.0.0.2"));
        assert!(!holds("fd00::1", "fd00::2"));
    }

    #[test]
    fn networks_of_mapped_addresses_are_those_that_they_stand_for() {
        assert_eq!(
            network("::ffff:10.0.0.0/104").unwrap().to_string(),
            "10.0.0.0/8"
        );
        assert_eq!(
            network("::ffff:10.0.0.1").unwrap().to_string(),
            "10.0.0.1/32"
        );
        assert_eq!(network("::/90").unwrap().to_string(), "::/90");
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
            "/8",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}
