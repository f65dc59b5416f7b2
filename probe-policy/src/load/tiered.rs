//! Cluster-wide policies: ClusterNetworkPolicy v1alpha2, and AdminNetworkPolicy and BaselineAdminNetworkPolicy v1alpha1.
//!
//! Source: `policy.networking.k8s.io`. What a version spells in its own way is in [`Dialect`], everything else is the same.

mod peers;
mod ports;

use super::{
    Key, Object,
    meta::Meta,
    network::{hash, keep, says_something},
    read::{Context, Field},
    selector,
};
use crate::model::{Action, Body, Invalid, Kind, Rule, Selector, Tier, TieredPolicy};

/// Rules of a direction, and entries of their lists.
const MOST: usize = 100;
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

const CLUSTER: Dialect = Dialect {
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

const ADMIN: Dialect = Dialect {
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

const BASELINE: Dialect = Dialect {
    kind: Kind::BaselineAdminNetworkPolicy,
    tier: Some(Tier::Baseline),
    actions: &[("Allow", Action::Accept), ("Deny", Action::Deny)],
    has_priority: false,
    has_protocols: false,
};

type Read = Option<(Key, Object)>;

pub(super) fn cluster(context: &mut Context, field: &Field<'_>, meta: &Meta) -> Read {
    CLUSTER.read(context, field, meta)
}

pub(super) fn admin(context: &mut Context, field: &Field<'_>, meta: &Meta) -> Read {
    ADMIN.read(context, field, meta)
}

pub(super) fn baseline(context: &mut Context, field: &Field<'_>, meta: &Meta) -> Read {
    BASELINE.read(context, field, meta)
}

impl Dialect {
    fn read(&self, context: &mut Context, field: &Field<'_>, meta: &Meta) -> Read {
        let body = self.body(context, field, meta);
        Some(keep(self.kind, None, meta, body))
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
            .flat_map(|item| peers::read(context, item, ends == "to", action))
            .collect();
        let items = field.items(context, ports_name).unwrap_or_default();
        if items.len() > MOST {
            context.error(
                &field.at(ports_name),
                format!("has more than {MOST} entries"),
            );
        }
        let port = if self.has_protocols {
            ports::protocol
        } else {
            ports::port
        };
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
            .map(|pods| peers::both(context, &pods))
            .unwrap_or_default(),
        _ => {
            context.error(&field.path, "needs exactly one of namespaces and pods");
            return None;
        }
    };
    (context.errors() == errors).then_some(both)
}

/// The one of the known keys that a field has, or, after a complaint, why it is none.
fn one_of<'n>(
    context: &mut Context,
    field: &Field<'_>,
    known: &[&'n str],
) -> Result<&'n str, Unclear> {
    match field.which(known)[..] {
        [name] => {
            field.only(context, known);
            Ok(name)
        }
        [] => {
            context.warn(
                &field.path,
                "is of no kind that is known; the rule fails closed",
            );
            Err(Unclear::Unknown)
        }
        ref several => {
            let message = format!("is more than one of {}", several.join(", "));
            context.error(&field.path, message);
            Err(Unclear::Several)
        }
    }
}

/// Why a field is none of the kinds that it can be.
enum Unclear {
    Unknown,
    Several,
}
