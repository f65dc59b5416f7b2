//! NetworkPolicies.
//!
//! Source: `networking/v1` of Kubernetes' API, its defaults and its validation.

use std::{
    hash::{Hash as _, Hasher as _},
    net::IpAddr,
};

use ipnet::IpNet;
use rustc_hash::FxHasher;
use serde_json::Value;

use super::{
    Key, Object,
    meta::Meta,
    ports,
    read::{Context, Field},
    selector,
};
use crate::model::{
    Action, Block, Body, Invalid, Kind, Namespaces, NetworkPolicy, Peer, Policy, Requirement, Rule,
    Selector, Tier,
};

pub(super) fn read(context: &mut Context, field: &Field<'_>, meta: &Meta) -> Option<(Key, Object)> {
    let errors = context.errors();
    let spec = field.object(context, "spec");
    if spec.is_none() {
        context.error("spec", "is missing");
    }
    let pods = spec.as_ref().map(|spec| {
        let before = context.errors();
        let pods = match spec.get("podSelector") {
            Some(field) => selector::read(context, &field),
            None => Selector::default(),
        };
        (context.errors() == before).then_some(pods)
    });
    let pods = pods.flatten();
    // Without a specification it may be about both directions.
    let rules = match spec {
        Some(spec) => rules(context, &spec, meta),
        None => (Some(vec![]), Some(vec![])),
    };
    let body = match (pods, context.errors() == errors) {
        (Some(pods), true) => Body::Network(NetworkPolicy {
            pods,
            ingress: rules.0,
            egress: rules.1,
        }),
        (pods, _) => Body::Invalid(Invalid {
            tier: Some(Tier::Network),
            namespaces: Some(in_namespace(&meta.namespace)),
            pods,
            priority: None,
            ingress: rules.0.is_some(),
            egress: rules.1.is_some(),
        }),
    };
    Some(keep(Kind::NetworkPolicy, Some(&meta.namespace), meta, body))
}

/// Selects one namespace by the label that each has.
fn in_namespace(name: &str) -> Selector {
    Selector {
        requirements: vec![Requirement::label(crate::model::NAME_LABEL, name)],
    }
}

pub(super) fn keep(kind: Kind, namespace: Option<&str>, meta: &Meta, body: Body) -> (Key, Object) {
    let policy = Policy {
        kind,
        namespace: namespace.map(str::to_owned),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        generation: meta.generation,
        annotations: meta.annotations.clone(),
        body,
    };
    let namespace = namespace.unwrap_or_default().to_owned();
    let key = (kind.name(), namespace, meta.name.clone());
    (key, Object::Policy(policy))
}

type Both = (Option<Vec<Rule>>, Option<Vec<Rule>>);

fn rules(context: &mut Context, spec: &Field<'_>, meta: &Meta) -> Both {
    spec.only(
        context,
        &["podSelector", "policyTypes", "ingress", "egress"],
    );
    let ingress = directed(context, spec, "ingress", "from", meta);
    let egress = directed(context, spec, "egress", "to", meta);
    let errors = context.errors();
    let (mut has_ingress, mut has_egress) = (true, says_something(spec, "egress"));
    let types = spec.items(context, "policyTypes").unwrap_or_default();
    if !types.is_empty() {
        if types.len() > 2 {
            context.error(&spec.at("policyTypes"), "has more than two entries");
        }
        (has_ingress, has_egress) = (false, false);
        for each in &types {
            match each.value.as_str() {
                Some("Ingress") => has_ingress = true,
                Some("Egress") => has_egress = true,
                _ => context.error(
                    &each.path,
                    format!("{} is neither Ingress nor Egress", each.value),
                ),
            }
        }
        for (has, rules, word) in [
            (has_ingress, &ingress, "ingress"),
            (has_egress, &egress, "egress"),
        ] {
            if !has && !rules.is_empty() {
                context.warn(
                    &spec.at(word),
                    "has no effect, because policyTypes does not name it",
                );
            }
        }
    } else if ingress.is_empty() && !has_egress {
        context.warn(
            &spec.path,
            "has no rules and no policyTypes, which denies all ingress",
        );
    }
    if context.errors() > errors {
        // Which directions are meant cannot be told.
        (has_ingress, has_egress) = (true, true);
    }
    (has_ingress.then_some(ingress), has_egress.then_some(egress))
}

/// Whether a list is there that is not empty, or anything else in its place.
pub(super) fn says_something(spec: &Field<'_>, name: &str) -> bool {
    spec.get(name).is_some_and(|field| {
        let list = field.value.as_array();
        list.is_none_or(|list| !list.is_empty())
    })
}

fn directed(
    context: &mut Context,
    spec: &Field<'_>,
    name: &str,
    ends: &str,
    meta: &Meta,
) -> Vec<Rule> {
    let items = spec.items(context, name).unwrap_or_default();
    items
        .iter()
        .map(|item| rule(context, item, ends, meta))
        .collect()
}

fn rule(context: &mut Context, field: &Field<'_>, ends: &str, meta: &Meta) -> Rule {
    if !field.value.is_object() {
        context.error(&field.path, "has to be a mapping");
    }
    field.only(context, &[ends, "ports"]);
    let peers = field.items(context, ends).unwrap_or_default();
    let peers: Vec<_> = peers.iter().map(|item| peer(context, item, meta)).collect();
    let items = field.items(context, "ports").unwrap_or_default();
    let ports: Vec<_> = items
        .iter()
        .map(|item| ports::of_rule(context, item))
        .collect();
    Rule {
        name: None,
        action: Action::Accept,
        // An empty list is as good as none.
        peers: (!peers.is_empty()).then_some(peers),
        ports: (!ports.is_empty()).then_some(ports),
        hash: hash(field.value),
    }
}

fn peer(context: &mut Context, field: &Field<'_>, meta: &Meta) -> Peer {
    field.only(context, &["podSelector", "namespaceSelector", "ipBlock"]);
    let block = field.get("ipBlock");
    let (pods, namespaces) = (field.get("podSelector"), field.get("namespaceSelector"));
    if block.is_some() && (pods.is_some() || namespaces.is_some()) {
        context.error(
            &field.path,
            "has both ipBlock and a selector; a peer is one or the other",
        );
    }
    if let Some(block) = block {
        return ip_block(context, &block).map_or(Peer::Unknown, Peer::Block);
    }
    if pods.is_none() && namespaces.is_none() {
        context.error(
            &field.path,
            "is empty: a peer needs podSelector, namespaceSelector or ipBlock",
        );
    }
    Peer::Pods {
        namespaces: match namespaces {
            Some(field) => Namespaces::Selected(selector::read(context, &field)),
            None => Namespaces::Own(meta.namespace.clone()),
        },
        pods: pods
            .map(|field| selector::read(context, &field))
            .unwrap_or_default(),
    }
}

fn ip_block(context: &mut Context, field: &Field<'_>) -> Option<Block> {
    field.only(context, &["cidr", "except"]);
    let text = field.text(context, "cidr");
    if text.is_none() && field.get("cidr").is_none() {
        context.error(&field.at("cidr"), "is missing");
    }
    let block = text.and_then(|text| cidr(context, &field.at("cidr"), text));
    let mut except = Vec::new();
    for item in field.items(context, "except").unwrap_or_default() {
        let text = item.value.as_str().unwrap_or_default();
        let Some(hole) = cidr(context, &item.path, text) else {
            continue;
        };
        if let Some(block) = &block
            && !(block.contains(&hole) && hole.prefix_len() > block.prefix_len())
        {
            context.error(&item.path, format!("{hole} is no part of {block}"));
        }
        except.push(hole);
    }
    Some(Block {
        cidr: block?,
        except,
    })
}

/// Reads a CIDR leniently, because stored objects may be older than today's validation.
pub(super) fn cidr(context: &mut Context, path: &str, text: &str) -> Option<IpNet> {
    let Some(net) = lenient(text) else {
        context.error(path, format!("`{text}` is no CIDR, such as 10.0.0.0/8"));
        return None;
    };
    let masked = net.trunc();
    if masked.to_string() != text {
        context.warn(path, format!("`{text}` is taken as {masked}"));
    }
    Some(masked)
}

/// With host bits, leading zeros, and IPv4 in the clothes of IPv6.
fn lenient(text: &str) -> Option<IpNet> {
    let (address, prefix) = text.split_once('/')?;
    let prefix: u8 = prefix.parse().ok()?;
    let address: IpAddr = address.parse().ok().or_else(|| {
        let octets = address.split('.').map(|octet| {
            let digits = !octet.is_empty() && octet.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| octet.parse().ok()).flatten()
        });
        let octets: Vec<u8> = octets.collect::<Option<_>>()?;
        Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?))
    })?;
    let (address, prefix) = match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() && prefix >= 96 => {
            (address.to_canonical(), prefix - 96)
        }
        _ => (address, prefix),
    };
    IpNet::new(address, prefix).ok()
}

/// Of what a rule says. Keys of mappings are in order, so it does not depend on how they were written.
pub(super) fn hash(rule: &Value) -> u64 {
    let mut hasher = FxHasher::default();
    rule.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cidrs_of_old_objects_are_understood() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("192.168.242.213/24", Some("192.168.242.213/24")),
            ("010.0.0.01/8", Some("10.0.0.1/8")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("10.0.0.0", None),
            ("10.0.0.0/33", None),
            ("10.0.0/8", None),
            ("", None),
        ] {
            assert_eq!(
                lenient(text),
                expected.map(|text| text.parse().unwrap()),
                "{text}"
            );
        }
    }
}
