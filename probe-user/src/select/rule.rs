//! A rule: conditions on one flow, in the form `transport=udp port=53,5353 cidr=10.0.0.0/8`.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::{Pattern, Ports, network};
use crate::{
    limits::CONFIG_ENTRIES,
    model::{Container, Flow, Transport},
};

/// Kinds of conditions, as the operator writes them.
const KINDS: &str = "cidr, src, dst, port, transport, namespace and container";

/// Conditions on a flow. It meets a condition by any of its values, and a rule by all of its conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Either end is in one of these.
    pub networks: Vec<IpNet>,
    /// Who began is in one of these.
    pub sources: Vec<IpNet>,
    /// The other side is in one of these.
    pub destinations: Vec<IpNet>,
    /// The port of either end is one of these.
    pub ports: Vec<Ports>,
    /// The transport is one of these.
    pub transports: Vec<Transport>,
    /// The socket of either end is in a namespace with such a name.
    pub namespaces: Vec<Pattern>,
    /// The socket of either end is in one of these containers.
    pub containers: Vec<Pattern>,
}

impl Rule {
    /// Whether a flow between these owners meets all conditions. The owner of an end that is no socket of this host is not
    /// known, and meets no condition.
    pub fn matches(&self, flow: &Flow, owners: [Option<&Container>; 2]) -> bool {
        self.matches_packets(flow) && self.matches_owners(owners)
    }

    /// Whether a flow meets the conditions on what is in its packets.
    pub fn matches_packets(&self, flow: &Flow) -> bool {
        let [(source, source_port), (destination, destination_port)] = flow.ends();
        let (source, destination) = (source.to_canonical(), destination.to_canonical());
        let transport = flow.tuple.transport;
        let any = |networks: &[IpNet], ends: &[IpAddr]| {
            networks.is_empty()
                || networks
                    .iter()
                    .any(|network| ends.iter().any(|end| network.contains(end)))
        };
        let has_port = |ports: &Ports| {
            transport.has_ports()
                && (ports.contains(source_port) || ports.contains(destination_port))
        };
        any(&self.networks, &[source, destination])
            && any(&self.sources, &[source])
            && any(&self.destinations, &[destination])
            && (self.ports.is_empty() || self.ports.iter().any(has_port))
            && (self.transports.is_empty() || self.transports.contains(&transport))
    }

    fn matches_owners(&self, owners: [Option<&Container>; 2]) -> bool {
        let any = |is: &dyn Fn(&Container) -> bool| owners.iter().flatten().any(|owner| is(owner));
        let in_namespace = |owner: &Container| {
            let mut names = self.namespaces.iter();
            names.any(|name| name.matches_text(&owner.namespace))
        };
        let is_meant = |owner: &Container| {
            let mut patterns = self.containers.iter();
            patterns.any(|pattern| pattern.matches(owner))
        };
        (self.namespaces.is_empty() || any(&in_namespace))
            && (self.containers.is_empty() || any(&is_meant))
    }

    /// Whether it has conditions on owners, whose names come late.
    pub fn asks_owners(&self) -> bool {
        !(self.namespaces.is_empty() && self.containers.is_empty())
    }

    /// Whether it has conditions on who began.
    pub fn asks_initiator(&self) -> bool {
        !(self.sources.is_empty() && self.destinations.is_empty())
    }

    /// Adds the values of one kind.
    fn add(&mut self, kind: &str, values: &str) -> Result<(), String> {
        if values.split(',').count() > CONFIG_ENTRIES {
            return Err(format!("`{kind}` has more than {CONFIG_ENTRIES} values"));
        }
        match kind {
            "cidr" => read(&mut self.networks, values, network),
            "src" => read(&mut self.sources, values, network),
            "dst" => read(&mut self.destinations, values, network),
            "port" => read(&mut self.ports, values, str::parse),
            "transport" => read(&mut self.transports, values, str::parse),
            "namespace" => read(&mut self.namespaces, values, pattern),
            "container" => read(&mut self.containers, values, pattern),
            _ => Err(format!("`{kind}` is no condition; there are {KINDS}")),
        }
    }
}

fn read<T>(
    into: &mut Vec<T>,
    values: &str,
    one: impl Fn(&str) -> Result<T, String>,
) -> Result<(), String> {
    let (good, bad): (Vec<_>, Vec<_>) = values.split(',').map(one).partition(Result::is_ok);
    into.extend(good.into_iter().flatten());
    let faults: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("; "))
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    if text.is_empty() {
        Err("a name is missing".into())
    } else {
        Ok(Pattern::new(text))
    }
}

impl FromStr for Rule {
    type Err = String;

    /// All faults at once.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut rule = Self::default();
        let mut faults = Vec::new();
        for condition in text.split_whitespace() {
            let read = match condition.split_once('=') {
                Some((kind, values)) => rule.add(kind, values),
                None => Err(format!(
                    "`{condition}` is no condition such as port=53; there are {KINDS}"
                )),
            };
            faults.extend(read.err());
        }
        if text.trim().is_empty() {
            faults.push(format!("a rule is empty; there are {KINDS}"));
        }
        if faults.is_empty() {
            Ok(rule)
        } else {
            Err(faults.join("; "))
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = [
            ("cidr", join(&self.networks)),
            ("src", join(&self.sources)),
            ("dst", join(&self.destinations)),
            ("port", join(&self.ports)),
            ("transport", join(&self.transports)),
            ("namespace", join(&self.namespaces)),
            ("container", join(&self.containers)),
        ];
        let mut space = "";
        for (kind, values) in conditions {
            if !values.is_empty() {
                write!(f, "{space}{kind}={values}")?;
                space = " ";
            }
        }
        Ok(())
    }
}

fn join<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(T::to_string).collect();
    values.join(",")
}

#[cfg(test)]
pub(super) mod tests;
