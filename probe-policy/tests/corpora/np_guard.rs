//! Connection lists of manifests.
//!
//! A list gives the ranges of ports that each pair of ends may use. It is compared at the edges of every range, at declared
//! ports, and at one that nobody mentions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use probe_policy::{
    engine::{Connection, End, Engine, Options},
    load::Loader,
    model::Protocol,
};

use crate::{corpus, read};

const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
/// A port that no manifest mentions.
pub(crate) const UNMENTIONED: u16 = 47_123;
/// Somewhere outside.
const ANYWHERE: [&str; 2] = ["8.8.8.8", "203.0.113.77"];

#[test]
fn all_lists_agree_at_all_points() {
    let Some(folder) = corpus("np-guard") else {
        return;
    };
    let (mut lists, mut points, mut differences) = (0, 0, Vec::new());
    for row in read(&folder.join("index.tsv")).lines().skip(1) {
        let columns: Vec<_> = row.split('\t').collect();
        let (name, host_network) = (columns[0], columns[7] != "0");
        let list = folder.join(format!("test_outputs/connlist/{name}_connlist_output.txt"));
        if !list.exists() {
            continue;
        }
        lists += 1;
        let engine = engine(&folder.join("tests").join(name), host_network);
        let listed = Listed::read(&read(&list));
        points += listed.compare(&engine, name, &mut differences);
    }
    assert_eq!(lists, 49);
    assert!(
        differences.is_empty(),
        "{} of {points}: {:#?}",
        differences.len(),
        &differences[..differences.len().min(30)]
    );
    assert!(points > 50_000, "{points}");
}

/// With the choices of that project, where they matter.
pub(crate) fn engine(folder: &Path, host_network: bool) -> Engine {
    let mut loader = Loader::default();
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    for path in files {
        let known = path.extension().is_some_and(|extension| {
            ["yaml", "yml", "json"]
                .iter()
                .any(|known| extension == *known)
        });
        if known {
            loader.add(&path.to_string_lossy(), &read(&path));
        }
    }
    let mut cluster = loader.finish().cluster;
    for pod in &mut cluster.pods {
        // That project exempts nobody for coming from the node.
        pod.host_addresses.clear();
    }
    cluster
        .nodes
        .values_mut()
        .for_each(|node| node.addresses.clear());
    let options = Options {
        distinguish_host_network: host_network,
        ..Options::default()
    };
    Engine::new(cluster, options)
}

/// Allowed ports of a pair, by protocol.
type Ports = BTreeMap<Protocol, Vec<(u16, u16)>>;

#[derive(Default)]
struct Listed {
    pairs: Vec<(Side, Side, Ports)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Side {
    Workload(String),
    External(Ipv4Addr, Ipv4Addr),
}

impl Listed {
    fn read(text: &str) -> Self {
        let mut listed = Self::default();
        for line in text.lines() {
            let Some((pair, ports)) = line.split_once(" : ") else {
                continue;
            };
            let (from, to) = pair.split_once(" => ").expect("a pair");
            listed.pairs.push((side(from), side(to), allowed(ports)));
        }
        listed
    }

    /// Numbers to ask for: edges of ranges and what is just outside.
    fn numbers(&self, engine: &Engine) -> BTreeSet<u16> {
        let mut numbers = BTreeSet::from([UNMENTIONED]);
        for (first, last) in self
            .pairs
            .iter()
            .flat_map(|(_, _, ports)| ports.values().flatten())
        {
            let around = [
                first.saturating_sub(1),
                *first,
                *last,
                last.saturating_add(1),
            ];
            numbers.extend(around.into_iter().filter(|number| *number > 0));
        }
        numbers.extend(
            engine
                .cluster()
                .pods
                .iter()
                .flat_map(|pod| &pod.ports)
                .map(|port| port.number),
        );
        numbers
    }

    fn externals(&self, engine: &Engine) -> BTreeSet<Ipv4Addr> {
        let mut addresses: BTreeSet<Ipv4Addr> = ANYWHERE
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect();
        for side in self.pairs.iter().flat_map(|(from, to, _)| [from, to]) {
            if let Side::External(first, last) = side {
                addresses.extend([*first, *last]);
            }
        }
        let pods = engine.cluster().pods.iter().flat_map(|pod| &pod.addresses);
        let taken: BTreeSet<_> = pods.copied().collect();
        addresses
            .into_iter()
            .filter(|address| !taken.contains(&IpAddr::V4(*address)))
            .collect()
    }

    fn compare(&self, engine: &Engine, name: &str, differences: &mut Vec<String>) -> u64 {
        let workloads = workloads(engine);
        let numbers = self.numbers(engine);
        let externals = self.externals(engine);
        let mut ends: Vec<(Option<&str>, Option<Ipv4Addr>, End)> = Vec::new();
        ends.extend(
            workloads
                .iter()
                .map(|(name, end)| (Some(name.as_str()), None, *end)),
        );
        ends.extend(
            externals
                .iter()
                .map(|address| (None, Some(*address), End::Address(IpAddr::V4(*address)))),
        );
        let mut points = 0;
        for from in &ends {
            for to in &ends {
                if from == to || (from.0.is_none() && to.0.is_none()) {
                    continue;
                }
                let ports = self.of(from, to);
                for protocol in PROTOCOLS {
                    for number in &numbers {
                        let expected = ports.iter().any(|ports| contains(ports, protocol, *number));
                        let verdict = engine.judge(&Connection {
                            from: from.2,
                            to: to.2,
                            protocol,
                            port: *number,
                        });
                        points += 1;
                        if verdict.combined.allows() != Some(expected) {
                            differences.push(format!(
                                "{name}: {:?} => {:?} {protocol} {number}: expected {expected}, {verdict:?}",
                                (from.0, from.1),
                                (to.0, to.1)
                            ));
                        }
                    }
                }
            }
        }
        points
    }

    fn of(
        &self,
        from: &(Option<&str>, Option<Ipv4Addr>, End),
        to: &(Option<&str>, Option<Ipv4Addr>, End),
    ) -> Vec<&Ports> {
        let is = |side: &Side, end: &(Option<&str>, Option<Ipv4Addr>, End)| match side {
            Side::Workload(name) => end.0 == Some(name.as_str()),
            Side::External(first, last) => end
                .1
                .is_some_and(|address| (*first..=*last).contains(&address)),
        };
        let pairs = self
            .pairs
            .iter()
            .filter(|(a, b, _)| is(a, from) && is(b, to));
        pairs.map(|(_, _, ports)| ports).collect()
    }
}

fn contains(ports: &Ports, protocol: Protocol, number: u16) -> bool {
    let ranges = ports.get(&protocol).map(Vec::as_slice).unwrap_or_default();
    ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&number))
}

/// Workloads by the name that lists have, each by one of its pods.
pub(crate) fn workloads(engine: &Engine) -> BTreeMap<String, End> {
    let mut workloads = BTreeMap::new();
    for (index, pod) in (0..).zip(&engine.cluster().pods) {
        let (kind, name) = match &pod.owner {
            Some(owner) => (owner.kind.as_str(), owner.name.as_str()),
            None => (pod.kind.as_str(), pod.name.as_str()),
        };
        let name = format!("{}/{name}[{kind}]", pod.namespace);
        workloads.entry(name).or_insert(End::Pod(index));
    }
    workloads
}

fn side(text: &str) -> Side {
    let Some(range) = text.strip_suffix("[External]") else {
        return Side::Workload(text.to_owned());
    };
    let (first, last) = range.split_once('-').expect("a range");
    let address = |text: &str| text.parse().expect("an address");
    Side::External(address(first), address(last))
}

/// Such as `TCP 80,443,UDP 53`, or all.
fn allowed(text: &str) -> Ports {
    const ALL: (u16, u16) = (1, u16::MAX);
    let mut ports = Ports::new();
    if text == "All Connections" {
        return PROTOCOLS.map(|protocol| (protocol, vec![ALL])).into();
    }
    let mut protocol = Protocol::Tcp;
    for item in text.split(',') {
        let (word, numbers) =
            item.split_once(' ')
                .unwrap_or_else(|| match Protocol::in_policy(item) {
                    Some(_) => (item, ""),
                    None => ("", item),
                });
        if !word.is_empty() {
            protocol = Protocol::in_policy(word).unwrap_or_else(|| panic!("{text}"));
        }
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{item} of {text}"));
        let range = match numbers.split_once('-') {
            _ if numbers.is_empty() => ALL,
            Some((first, last)) => (number(first), number(last)),
            None => (number(numbers), number(numbers)),
        };
        ports.entry(protocol).or_default().push(range);
    }
    ports
}
