//! Peers of cluster-wide policies.

use super::{
    super::{
        network::cidr,
        read::{Context, Field},
        selector,
    },
    Unclear, one_of,
};
use crate::model::{Action, Block, Namespaces, Peer, Selector};

/// CIDRs of a peer.
const MOST_NETWORKS: usize = 25;
/// Domain names of a peer.
const MOST_DOMAINS: usize = 25;

/// `namespaceSelector` and `podSelector`.
pub(super) fn both(context: &mut Context, field: &Field<'_>) -> (Selector, Selector) {
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
pub(super) fn read(
    context: &mut Context,
    field: &Field<'_>,
    is_egress: bool,
    action: Action,
) -> Vec<Peer> {
    let known: &[&str] = if is_egress {
        &["namespaces", "pods", "nodes", "networks", "domainNames"]
    } else {
        &["namespaces", "pods"]
    };
    let name = match one_of(context, field, known) {
        Ok(name) => name,
        Err(Unclear::Unknown) => return vec![Peer::Unknown],
        Err(Unclear::Several) => return vec![],
    };
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
