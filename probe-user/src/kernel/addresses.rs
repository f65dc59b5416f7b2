//! Addresses of the host, also where we are in a network namespace of our own.
//!
//! The tables of process 1 are those of the host if we share its process namespace; else they are those of whatever we are in.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// All addresses of the host but loopback, in order.
///
/// # Errors
///
/// If the table of IPv4 cannot be read. That of IPv6 may be missing.
pub fn of_host(proc: &Path) -> io::Result<Vec<IpAddr>> {
    let net = proc.join("1/net");
    let mut addresses: Vec<IpAddr> = v4(&fs::read_to_string(net.join("fib_trie"))?)
        .map(IpAddr::from)
        .chain(v6(&fs::read_to_string(net.join("if_inet6")).unwrap_or_default()).map(IpAddr::from))
        .filter(|address| !address.is_loopback() && !address.is_unspecified())
        .collect();
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

/// Leaves that are followed by `/32 host LOCAL`, as the kernel's `net/ipv4/fib_trie.c` writes them.
fn v4(trie: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut leaf = None;
    trie.lines().filter_map(move |line| {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.trim().parse().ok();
            return None;
        }
        line.starts_with("/32 host LOCAL").then_some(leaf).flatten()
    })
}

/// The first field is the address in 32 hexadecimal digits: `net/ipv6/addrconf.c`. Link-local ones are of no use without a link.
fn v6(table: &str) -> impl Iterator<Item = Ipv6Addr> {
    table
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .filter(|digits| digits.len() == 32)
        .filter_map(|digits| u128::from_str_radix(digits, 16).ok())
        .map(Ipv6Addr::from_bits)
        .filter(|address| !address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let trie = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.78.0.0/24 2 0 2
        |-- 10.78.0.0
           /24 link UNICAST
        |-- 10.78.0.1
           /32 host LOCAL
        |-- 10.78.0.255
           /32 link BROADCAST
Local:
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 172.30.0.1
        /32 host LOCAL
";
        let found: Vec<_> = v4(trie).map(|it| it.to_string()).collect();
        assert_eq!(found, ["10.78.0.1", "127.0.0.1", "172.30.0.1"]);
        let table = "00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000007 02 40 00 80     eth0
fe800000000000000000000000000001 02 40 20 80     eth0
garbage
";
        let found: Vec<_> = v6(table).map(|it| it.to_string()).collect();
        assert_eq!(found, ["::1", "2001:db8::7"]);
    }

    #[test]
    fn this_host_has_the_addresses_that_the_system_lists() {
        let found = of_host(Path::new("/proc")).unwrap();
        for interface in if_addrs::get_if_addrs().unwrap() {
            let address = interface.ip();
            let is_link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
            if !address.is_loopback() && !is_link_local {
                assert!(found.contains(&address), "{address} {found:?}");
            }
        }
    }
}
