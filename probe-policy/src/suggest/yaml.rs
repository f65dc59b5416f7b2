//! Suggestions as manifests.

use std::{fmt::Write as _, net::IpAddr};

use ipnet::IpNet;

use super::{Allowed, Party, PortName, Suggested, Suggestion};
use crate::model::{Direction, Labels, NAME_LABEL};

pub(super) fn write(suggested: &Suggested) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    let _written = writeln!(
        text,
        "# Suggested by what was seen of {}.",
        counted(suggested.connections, "connection", "connections")
    );
    for (count, what) in [
        (suggested.foreign, "have no pod at either end"),
        (
            suggested.unnamed,
            "are of protocols that policies cannot name",
        ),
        (
            suggested.unlabelled,
            "are of pods without labels to tell them by, for which there is no policy",
        ),
    ] {
        if count > 0 {
            let _written = writeln!(text, "# {count} of them {what}.");
        }
    }
    suggested
        .policies
        .iter()
        .for_each(|policy| one(&mut text, policy));
    text
}

fn one(text: &mut String, policy: &Suggestion) {
    let _written = writeln!(text, "---\n# {}", policy.workload);
    if !policy.also.is_empty() {
        let _written = writeln!(
            text,
            "# These labels select as well: {}.",
            policy.also.join(", ")
        );
    }
    let _written = write!(
        text,
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: {}\n  namespace: {}\nspec:\n  podSelector:\n",
        quoted(&policy.name),
        quoted(&policy.namespace)
    );
    labels(text, "    ", &policy.labels);
    text.push_str("  policyTypes:\n");
    for side in policy.rules.keys() {
        let word = match side {
            Direction::Ingress => "Ingress",
            Direction::Egress => "Egress",
        };
        let _written = writeln!(text, "  - {word}");
    }
    for (side, rules) in &policy.rules {
        let (list, ends) = (side.list(), side.ends());
        let _written = writeln!(text, "  {list}:");
        for rule in rules {
            allowed(text, rule, ends, &policy.namespace);
        }
    }
}

fn allowed(text: &mut String, rule: &Allowed, ends: &str, own: &str) {
    let who = match &rule.peer {
        Party::Workload(namespace, _, name) => format!("{name} of {namespace}"),
        Party::Outside(addresses) => {
            counted(addresses.len() as u64, "address", "addresses") + " outside"
        }
    };
    let _written = writeln!(
        text,
        "  # {} {ends} {who}\n  - {ends}:",
        counted(rule.connections, "connection", "connections")
    );
    match &rule.peer {
        Party::Workload(namespace, its, _) => {
            text.push_str("    - podSelector:\n");
            labels(text, "        ", its);
            if namespace != own {
                text.push_str("      namespaceSelector:\n");
                labels(
                    text,
                    "        ",
                    &Labels::from([(NAME_LABEL.to_owned(), namespace.clone())]),
                );
            }
        }
        Party::Outside(addresses) => {
            for net in blocks(addresses) {
                let _written = writeln!(
                    text,
                    "    - ipBlock:\n        cidr: {}",
                    quoted(&net.to_string())
                );
            }
        }
    }
    text.push_str("    ports:\n");
    for (protocol, port) in &rule.ports {
        let port = match port {
            PortName::Number(number) => number.to_string(),
            PortName::Named(name) => quoted(name),
        };
        let _written = writeln!(text, "    - protocol: {protocol}\n      port: {port}");
    }
}

fn labels(text: &mut String, indent: &str, labels: &Labels) {
    if labels.is_empty() {
        let _written = writeln!(text, "{indent}matchLabels: {{}}");
        return;
    }
    let _written = writeln!(text, "{indent}matchLabels:");
    for (key, value) in labels {
        let _written = writeln!(text, "{indent}  {}: {}", quoted(key), quoted(value));
    }
}

/// Such as `1 connection` and `2 connections`.
fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// Exactly these addresses, neighbours together.
fn blocks(addresses: &[IpAddr]) -> Vec<IpNet> {
    let nets: Vec<_> = addresses
        .iter()
        .map(|address| IpNet::from(*address))
        .collect();
    IpNet::aggregate(&nets)
}

/// A string of JSON is one of YAML, whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
