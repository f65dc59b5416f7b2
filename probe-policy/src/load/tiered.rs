//! Cluster-wide policies: ClusterNetworkPolicy v1alpha2, and AdminNetworkPolicy and BaselineAdminNetworkPolicy v1alpha1.
//!
//! Source: `policy.networking.k8s.io`. What a version spells in its own way is in [`Dialect`], everything else is the same.

use super::{
    Key, Object,
    meta::Meta,
    network::{cidr, hash, keep, says_something},
    ports,
    read::{Context, Field},
    selector,
};
use crate::model::{
    Action, Block, Body, Invalid, Kind, Namespaces, Peer, Port, PortMatch, Protocol, Rule,
    Selector, Tier, TieredPolicy,
};

/// Rules of a direction, and entries of their lists.
const MOST: usize = 100;
/// CIDRs of a peer.
const MOST_NETWORKS: usize = 25;
/// Domain names of a peer.
const MOST_DOMAINS: usize = 25;

/// How a kind spells what all have.
struct Dialect {
    kind: Kind,
    /// `None` where `spec.tier` says it.
    tier: Option<Tier>,
    actions: &'static [(&'static str, Action)],
    has_priority: bool,
    /// `protocols` with one key each, in place of `ports`.
    has_protocols: bool,
}

pub(super) fn cluster(
    context: &mut Context,
    field: &Field<'_>,
    meta: &Meta,
) -> Option<(Key, Object)> {
    let dialect = Dialect {
        kind: Kind::ClusterNetworkPolicy,
        tier: None,
        actions: &[
            ("Accept", Action::Accept),
            ("Deny", Action::Deny),
            ("Pass", Action::Pass),
        ],
        has_priority: true,
        has_protocols: true,
    };
    Some(dialect.read(context, field, meta))
}

pub(super) fn admin(
    context: &mut Context,
    field: &Field<'_>,
    meta: &Meta,
) -> Option<(Key, Object)> {
    let dialect = Dialect {
        kind: Kind::AdminNetworkPolicy,
        tier: Some(Tier::Admin),
        actions: &[
            ("Allow", Action::Accept),
            ("Deny", Action::Deny),
            ("Pass", Action::Pass),
        ],
        has_priority: true,
        has_protocols: false,
    };
    Some(dialect.read(context, field, meta))
}

pub(super) fn baseline(
    context: &mut Context,
    field: &Field<'_>,
    meta: &Meta,
) -> Option<(Key, Object)> {
    let dialect = Dialect {
        kind: Kind::BaselineAdminNetworkPolicy,
        tier: Some(Tier::Baseline),
        actions: &[("Allow", Action::Accept), ("Deny", Action::Deny)],
        has_priority: false,
        has_protocols: false,
    };
    Some(dialect.read(context, field, meta))
}

impl Dialect {
    fn read(&self, context: &mut Context, field: &Field<'_>, meta: &Meta) -> (Key, Object) {
        let body = self.body(context, field, meta);
        keep(self.kind, None, meta, body)
    }

    fn body(&self, context: &mut Context, field: &Field<'_>, meta: &Meta) -> Body {
        let errors = context.errors();
        if self.kind == Kind::BaselineAdminNetworkPolicy && meta.name != "default" {
            let message = "has to be `default`: a cluster has one such policy";
            context.error("metadata.name", message);
        }
        let Some(spec) = field.object(context, "spec") else {
            context.error("spec", "is missing");
            return Body::Invalid(Invalid {
                tier: self.tier,
                namespaces: None,
                pods: None,
                priority: None,
                ingress: true,
                egress: true,
            });
        };
        spec.only(
            context,
            &["tier", "priority", "subject", "ingress", "egress"],
        );
        let tier = self.tier.or_else(|| tier(context, &spec));
        let priority = if self.has_priority {
            if spec.get("priority").is_none() {
                context.error(&spec.at("priority"), "is missing");
            }
            spec.number(context, "priority", (0, 1000))
        } else {
            Some(0)
        };
        let subject = subject(context, &spec);
        let ingress = self.rules(context, &spec, "ingress", "from");
        let egress = self.rules(context, &spec, "egress", "to");
        match (tier, priority, subject) {
            (Some(tier), Some(priority), Some((namespaces, pods)))
                if context.errors() == errors =>
            {
                Body::Tiered(TieredPolicy {
                    tier,
                    priority,
                    namespaces,
                    pods,
                    ingress,
                    egress,
                })
            }
            (tier, priority, subject) => {
                let (namespaces, pods) = subject.unzip();
                Body::Invalid(Invalid {
                    tier,
                    namespaces,
                    pods,
                    priority,
                    ingress: says_something(&spec, "ingress"),
                    egress: says_something(&spec, "egress"),
                })
            }
        }
    }

    fn rules(&self, context: &mut Context, spec: &Field<'_>, name: &str, ends: &str) -> Vec<Rule> {
        let items = spec.items(context, name).unwrap_or_default();
        if items.len() > MOST {
            context.error(&spec.at(name), format!("has more than {MOST} rules"));
        }
        items
            .iter()
            .map(|item| self.rule(context, item, ends))
            .collect()
    }

    fn rule(&self, context: &mut Context, field: &Field<'_>, ends: &str) -> Rule {
        let ports_name = if self.has_protocols {
            "protocols"
        } else {
            "ports"
        };
        field.only(context, &["name", "action", ends, ports_name]);
        let word = field.text(context, "action").unwrap_or_default();
        let action = self
            .actions
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, action)| *action);
        if action.is_none() {
            let known: Vec<_> = self.actions.iter().map(|(known, _)| *known).collect();
            let message = format!("`{word}` is not one of {}", known.join(", "));
            context.error(&field.at("action"), message);
        }
        let action = action.unwrap_or(Action::Deny);
        let items = field.items(context, ends).unwrap_or_default();
        if items.is_empty() {
            context.error(&field.at(ends), "is missing or empty: a rule needs a peer");
        }
        let peers = items
            .iter()
            .flat_map(|item| peers(context, item, ends == "to", action))
            .collect();
        let items = field.items(context, ports_name).unwrap_or_default();
        for (items, name) in [(&items, ports_name)] {
            if items.len() > MOST {
                context.error(&field.at(name), format!("has more than {MOST} entries"));
            }
        }
        let port = if self.has_protocols { protocol } else { port };
        let ports: Vec<_> = items.iter().map(|item| port(context, item)).collect();
        Rule {
            name: field
                .text(context, "name")
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            action,
            peers: Some(peers),
            ports: (!ports.is_empty()).then_some(ports),
            hash: hash(field.value),
        }
    }
}

fn tier(context: &mut Context, spec: &Field<'_>) -> Option<Tier> {
    match spec.text(context, "tier") {
        Some("Admin") => Some(Tier::Admin),
        Some("Baseline") => Some(Tier::Baseline),
        word => {
            let message = format!(
                "`{}` is neither Admin nor Baseline",
                word.unwrap_or_default()
            );
            context.error(&spec.at("tier"), message);
            None
        }
    }
}

/// Selectors of namespaces and of pods in them. `None` if they are not valid.
fn subject(context: &mut Context, spec: &Field<'_>) -> Option<(Selector, Selector)> {
    let errors = context.errors();
    let Some(field) = spec.object(context, "subject") else {
        context.error(&spec.at("subject"), "is missing");
        return None;
    };
    field.only(context, &["namespaces", "pods"]);
    let both = match field.which(&["namespaces", "pods"])[..] {
        ["namespaces"] => {
            let namespaces = field.get("namespaces");
            (
                namespaces
                    .map(|f| selector::read(context, &f))
                    .unwrap_or_default(),
                Selector::default(),
            )
        }
        ["pods"] => field
            .get("pods")
            .map(|pods| both(context, &pods))
            .unwrap_or_default(),
        _ => {
            context.error(&field.path, "needs exactly one of namespaces and pods");
            return None;
        }
    };
    (context.errors() == errors).then_some(both)
}

/// `namespaceSelector` and `podSelector`.
fn both(context: &mut Context, field: &Field<'_>) -> (Selector, Selector) {
    field.only(context, &["namespaceSelector", "podSelector"]);
    let mut read = |name| match field.get(name) {
        Some(field) => selector::read(context, &field),
        None => {
            context.warn(
                &field.at(name),
                "is missing, which is taken as `{}`: all; some versions refuse it",
            );
            Selector::default()
        }
    };
    (read("namespaceSelector"), read("podSelector"))
}

/// A peer with several networks is as good as several peers.
fn peers(context: &mut Context, field: &Field<'_>, is_egress: bool, action: Action) -> Vec<Peer> {
    let known: &[&str] = if is_egress {
        &["namespaces", "pods", "nodes", "networks", "domainNames"]
    } else {
        &["namespaces", "pods"]
    };
    let here = field.which(known);
    let [name] = here[..] else {
        if here.is_empty() {
            context.warn(
                &field.path,
                "is of no kind that is known; the rule fails closed",
            );
            return vec![Peer::Unknown];
        }
        context.error(
            &field.path,
            format!("is more than one of {}", here.join(", ")),
        );
        return vec![];
    };
    field.only(context, known);
    let Some(inner) = field.get(name) else {
        return vec![];
    };
    let pods = |namespaces, pods| {
        vec![Peer::Pods {
            namespaces: Namespaces::Selected(namespaces),
            pods,
        }]
    };
    match name {
        "namespaces" => pods(selector::read(context, &inner), Selector::default()),
        "pods" => {
            let (namespaces, of) = both(context, &inner);
            pods(namespaces, of)
        }
        "nodes" => vec![Peer::Nodes(selector::read(context, &inner))],
        "networks" => networks(context, field),
        _ => vec![Peer::Domains(domains(context, field, action))],
    }
}

fn networks(context: &mut Context, field: &Field<'_>) -> Vec<Peer> {
    let items = field.items(context, "networks").unwrap_or_default();
    if items.is_empty() || items.len() > MOST_NETWORKS {
        context.error(
            &field.at("networks"),
            format!("has to be 1 to {MOST_NETWORKS} CIDRs"),
        );
    }
    let block = |item: &Field<'_>| {
        let cidr = cidr(context, &item.path, item.value.as_str().unwrap_or_default())?;
        Some(Peer::Block(Block {
            cidr,
            except: vec![],
        }))
    };
    items.iter().filter_map(block).collect()
}

fn domains(context: &mut Context, field: &Field<'_>, action: Action) -> Vec<String> {
    let items = field.items(context, "domainNames").unwrap_or_default();
    if items.is_empty() || items.len() > MOST_DOMAINS {
        context.error(
            &field.at("domainNames"),
            format!("has to be 1 to {MOST_DOMAINS} names"),
        );
    }
    if action != Action::Accept {
        context.error(&field.at("domainNames"), "can only be accepted");
    }
    let name = |item: &Field<'_>| {
        let name = item.value.as_str();
        if name.is_none() {
            context.error(&item.path, "has to be text");
        }
        // A dot at the end is the root, which every name ends with.
        name.map(|name| name.trim_end_matches('.').to_ascii_lowercase())
    };
    items.iter().filter_map(name).collect()
}

/// An item of `protocols` (v1alpha2).
fn protocol(context: &mut Context, field: &Field<'_>) -> Port {
    const KNOWN: &[&str] = &["tcp", "udp", "sctp", "destinationNamedPort"];
    let here = field.which(KNOWN);
    let [name] = here[..] else {
        if here.is_empty() {
            context.warn(
                &field.path,
                "is of no kind that is known; the rule fails closed",
            );
        } else {
            context.error(
                &field.path,
                format!("is more than one of {}", here.join(", ")),
            );
        }
        return unknown();
    };
    field.only(context, KNOWN);
    let protocol = match name {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return named(context, field, name),
    };
    let port = match field.follow(&[name, "destinationPort"]) {
        None => PortMatch::Any,
        Some(port) => {
            port.only(context, &["number", "range"]);
            match port.which(&["number", "range"])[..] {
                ["number"] => single(context, &port, "number"),
                ["range"] => range(context, &port, "range"),
                _ => {
                    context.error(&port.path, "needs exactly one of number and range");
                    PortMatch::Any
                }
            }
        }
    };
    Port {
        protocol: Some(protocol),
        port,
    }
}

/// An item of `ports` (v1alpha1).
fn port(context: &mut Context, field: &Field<'_>) -> Port {
    const KNOWN: &[&str] = &["portNumber", "portRange", "namedPort"];
    let here = field.which(KNOWN);
    let [name] = here[..] else {
        if here.is_empty() {
            context.warn(
                &field.path,
                "is of no kind that is known; the rule fails closed",
            );
        } else {
            context.error(
                &field.path,
                format!("is more than one of {}", here.join(", ")),
            );
        }
        return unknown();
    };
    field.only(context, KNOWN);
    let Some(inner) = field.get(name) else {
        return unknown();
    };
    match name {
        "portNumber" => {
            inner.only(context, &["protocol", "port"]);
            Port {
                protocol: Some(ports::protocol(context, &inner)),
                port: single(context, &inner, "port"),
            }
        }
        "portRange" => Port {
            protocol: Some(ports::protocol(context, &inner)),
            port: range(context, field, name),
        },
        _ => named(context, field, name),
    }
}

fn unknown() -> Port {
    Port {
        protocol: None,
        port: PortMatch::Unknown,
    }
}

fn named(context: &mut Context, field: &Field<'_>, name: &str) -> Port {
    let named = field.get(name).map(|field| ports::name(context, &field));
    Port {
        protocol: None,
        port: PortMatch::Named(named.unwrap_or_default()),
    }
}

fn single(context: &mut Context, field: &Field<'_>, name: &str) -> PortMatch {
    if field.get(name).is_none() {
        context.error(&field.at(name), "is missing");
    }
    let number = field
        .number(context, name, ports::PORTS)
        .unwrap_or(ports::PORTS.0);
    PortMatch::Range(number, number)
}

fn range(context: &mut Context, field: &Field<'_>, name: &str) -> PortMatch {
    let Some(field) = field.object(context, name) else {
        return PortMatch::Any;
    };
    field.only(context, &["start", "end", "protocol"]);
    let (start, end) = (
        field.number(context, "start", ports::PORTS),
        field.number(context, "end", ports::PORTS),
    );
    match (start, end) {
        (Some(start), Some(end)) if start < end => PortMatch::Range(start, end),
        _ => {
            context.error(&field.path, "needs a start that is below its end");
            PortMatch::Any
        }
    }
}
