//! What the kernel side leaves out, told to its programs; and how much that was, see `probe_common::narrow`.

use std::collections::HashSet;

use aya::{
    Ebpf,
    maps::{
        Array, LpmTrie, MapData, PerCpuArray,
        lpm_trie::{self, Key},
    },
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use probe_common::{
    flows::SEEN,
    narrow::{Address, NO_PORT, PORTS, PROTOCOLS, RULES},
};

use super::Options;
use crate::{
    loader::Globals,
    maps::{self, MapError},
    model::{Fates, Transport},
    select::Rule,
};

// The bits of the rules are those of a number of 64.
const _: () = assert!(crate::limits::CONFIG_ENTRIES <= RULES);

/// The tables of an object with `body/narrow.rs`.
pub(super) struct Tables {
    networks: Vec<(IpNet, u64)>,
    ports: Vec<u64>,
    protocols: Vec<u64>,
}

impl Tables {
    /// For no rules all tables are empty.
    pub(super) fn new(rules: &[Rule]) -> Self {
        if rules.is_empty() {
            return Self {
                networks: Vec::new(),
                ports: Vec::new(),
                protocols: Vec::new(),
            };
        }
        let bits = |satisfies: &dyn Fn(&Rule) -> bool| {
            (0..RULES)
                .zip(rules)
                .filter(|(_, rule)| satisfies(rule))
                .fold(0, |bits, (bit, _)| bits | 1 << bit)
        };
        let all = [Ipv4Net::default().into(), Ipv6Net::default().into()];
        let named = rules.iter().flat_map(|rule| rule.networks.iter().copied());
        let networks: HashSet<IpNet> = named.chain(all).collect();
        let has_network = |rule: &Rule, network: &IpNet| {
            rule.networks.is_empty() || rule.networks.iter().any(|it| it.contains(network))
        };
        let has_port = |rule: &Rule, index: u32| {
            let port = u16::try_from(index).ok();
            rule.ports.is_empty()
                || port.is_some_and(|port| rule.ports.iter().any(|ports| ports.contains(port)))
        };
        let has_transport = |rule: &Rule, transport: Transport| {
            rule.transports.is_empty() || rule.transports.contains(&transport)
        };
        Self {
            networks: networks
                .into_iter()
                .map(|network| (network, bits(&|rule| has_network(rule, &network))))
                .collect(),
            ports: (0..=NO_PORT)
                .map(|index| bits(&|rule| has_port(rule, index)))
                .collect(),
            protocols: (0..=u8::MAX)
                .map(|number| bits(&|rule| has_transport(rule, Transport(number))))
                .collect(),
        }
    }

    /// Sets the globals of the programs.
    pub(super) fn set(&self, globals: &mut Globals, options: &Options) {
        globals
            .set("HAS_RULES", u32::from(!self.networks.is_empty()))
            .set("FLOW_SAMPLING", options.flow_sampling.max(1));
    }

    /// How many entries the maps need, by name. A map has at least one.
    pub(super) fn sizes(&self) -> [(&'static str, u32); 3] {
        let networks = u32::try_from(self.networks.len()).unwrap_or(u32::MAX);
        if networks == 0 {
            return [("NETWORKS", 1), ("PORTS", 1), ("PROTOCOLS", 1)];
        }
        [
            ("NETWORKS", networks),
            ("PORTS", PORTS),
            ("PROTOCOLS", PROTOCOLS),
        ]
    }

    /// Fills the maps, which stay with their programs.
    pub(super) fn fill(&self, ebpf: &mut Ebpf) -> Result<(), MapError> {
        let map = ebpf
            .map_mut("NETWORKS")
            .ok_or(MapError::Missing("NETWORKS"))?;
        let mut trie: LpmTrie<_, Address, u64> = map.try_into().map_err(failed("NETWORKS"))?;
        for (network, rules) in &self.networks {
            trie.insert(&key(network), rules, 0)
                .map_err(failed("NETWORKS"))?;
        }
        for (map, rules) in [("PORTS", &self.ports), ("PROTOCOLS", &self.protocols)] {
            let entries = ebpf.map_mut(map).ok_or(MapError::Missing(map))?;
            let mut array: Array<_, u64> = entries.try_into().map_err(failed(map))?;
            // They begin as zeroes.
            for (index, rules) in (0..).zip(rules).filter(|(_, rules)| **rules != 0) {
                array.set(index, rules, 0).map_err(failed(map))?;
            }
        }
        Ok(())
    }
}

fn key(network: &IpNet) -> Key<Address> {
    let address = match network {
        IpNet::V4(network) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&network.network().octets());
            Address::new(4, bytes)
        }
        IpNet::V6(network) => Address::new(6, network.network().octets()),
    };
    lpm_trie::Key::new(
        Address::VERSION_BITS + u32::from(network.prefix_len()),
        address,
    )
}

/// Reads how much was seen, by what became of it.
pub(super) struct FatesReader(PerCpuArray<MapData, u64>);

impl FatesReader {
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        let map = maps::take(ebpf, "FATES")?;
        PerCpuArray::try_from(map)
            .map(Self)
            .map_err(failed("FATES"))
    }

    pub(super) fn read(&self) -> Result<Fates, MapError> {
        let mut sums = [0; SEEN];
        for (index, sum) in (0..).zip(&mut sums) {
            let cpus = self.0.get(&index, 0).map_err(failed("FATES"))?;
            *sum = cpus.iter().sum();
        }
        let [counted, unsampled, ignored, malformed] = sums;
        Ok(Fates {
            counted,
            unsampled,
            ignored,
            malformed,
        })
    }
}

fn failed(map: &'static str) -> impl Fn(aya::maps::MapError) -> MapError {
    move |source| MapError::Aya { map, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(rules: &[&str]) -> Tables {
        let rules: Vec<Rule> = rules.iter().map(|text| text.parse().unwrap()).collect();
        Tables::new(&rules)
    }

    fn of_network(tables: &Tables, text: &str) -> Option<u64> {
        let wanted: IpNet = text.parse().unwrap();
        let mut networks = tables.networks.iter();
        networks
            .find(|(network, _)| *network == wanted)
            .map(|(_, rules)| *rules)
    }

    #[test]
    fn every_entry_has_the_bits_of_all_rules_that_it_satisfies() {
        let tables = tables(&[
            "cidr=10.0.0.0/8 transport=udp",
            "cidr=10.1.0.0/16,fd00::/8 port=53,8000-8001",
            "transport=icmp",
        ]);
        assert_eq!(of_network(&tables, "0.0.0.0/0"), Some(0b100));
        assert_eq!(of_network(&tables, "10.0.0.0/8"), Some(0b101));
        assert_eq!(of_network(&tables, "10.1.0.0/16"), Some(0b111));
        assert_eq!(of_network(&tables, "fd00::/8"), Some(0b110));
        assert_eq!(of_network(&tables, "::/0"), Some(0b100));
        assert_eq!(tables.networks.len(), 5);
        let ports = [53, 54, 8001, NO_PORT].map(|index| tables.ports[index as usize]);
        assert_eq!(ports, [0b111, 0b101, 0b111, 0b101]);
        let protocols = [1, 6, 17].map(|number: usize| tables.protocols[number]);
        assert_eq!(protocols, [0b110, 0b010, 0b011]);
        assert_eq!(tables.ports.len(), PORTS as usize);
    }

    #[test]
    fn without_rules_nothing_takes_room() {
        let tables = tables(&[]);
        assert!(tables.sizes().iter().all(|(_, entries)| *entries == 1));
        assert!(tables.ports.is_empty() && tables.networks.is_empty());
    }

    #[test]
    fn a_key_has_its_version_in_front() {
        let key = key(&"10.0.0.0/8".parse().unwrap());
        assert_eq!((key.prefix_len(), key.data().version[0]), (72, 4));
        assert_eq!(key.data().bytes[..2], [10, 0]);
    }
}
