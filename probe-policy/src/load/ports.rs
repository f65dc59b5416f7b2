//! Ports of NetworkPolicies and of containers.

use super::read::{Context, Field};
use crate::model::{ContainerPort, Port, PortMatch, Protocol};

/// Every number that a port can have.
pub(super) const PORTS: (u16, u16) = (1, u16::MAX);
/// Bytes of a port's name.
const LONGEST: usize = 15;

/// A protocol by its exact name; TCP where there is none.
pub(super) fn protocol(context: &mut Context, field: &Field<'_>) -> Protocol {
    let Some(word) = field.text(context, "protocol") else {
        return Protocol::Tcp;
    };
    Protocol::in_policy(word).unwrap_or_else(|| {
        context.error(
            &field.at("protocol"),
            format!("`{word}` is not one of TCP, UDP, SCTP"),
        );
        Protocol::Tcp
    })
}

/// Whether it can be the name of a port.
///
/// Source: RFC 6335 section 5.1, as in `IsValidPortName` of Kubernetes.
pub(super) fn is_name(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= LONGEST
        && text.bytes().all(|b| word(b) || b == b'-')
        && text.bytes().any(|b| b.is_ascii_lowercase())
        && text.bytes().next().is_some_and(word)
        && text.bytes().last().is_some_and(word)
        && !text.contains("--")
}

/// An item of `ports` of a NetworkPolicy.
pub(super) fn of_rule(context: &mut Context, field: &Field<'_>) -> Port {
    field.only(context, &["protocol", "port", "endPort"]);
    let protocol = Some(protocol(context, field));
    let (port, is_number) = match field.get("port") {
        None => (PortMatch::Any, false),
        Some(port) if port.value.is_string() => (PortMatch::Named(name(context, &port)), false),
        Some(_) => {
            let number = field.number(context, "port", PORTS).unwrap_or(PORTS.0);
            (PortMatch::Range(number, number), true)
        }
    };
    let end = field.number(context, "endPort", PORTS);
    let port = match (port, end) {
        (PortMatch::Range(first, _), Some(end)) => {
            if end < first {
                context.error(
                    &field.at("endPort"),
                    format!("{end} is below `port`, {first}"),
                );
            }
            PortMatch::Range(first, end)
        }
        (port, Some(_)) if !is_number => {
            context.error(&field.at("endPort"), "needs a `port` that is a number");
            port
        }
        (port, _) => port,
    };
    Port { protocol, port }
}

/// A name, which a number in quotes is not.
pub(super) fn name(context: &mut Context, field: &Field<'_>) -> String {
    let name = field.value.as_str().unwrap_or_default();
    if !is_name(name) {
        let hint = match name.parse::<u16>() {
            Ok(_) => "; a number has no quotes",
            Err(_) => "",
        };
        context.error(
            &field.path,
            format!("`{name}` cannot be the name of a port{hint}"),
        );
    }
    name.to_owned()
}

/// Ports that the containers of a pod's specification declare.
pub(super) fn of_containers(context: &mut Context, spec: &Field<'_>) -> Vec<ContainerPort> {
    let mut ports = Vec::new();
    for container in spec.items(context, "containers").unwrap_or_default() {
        declared(context, &container, &mut ports);
    }
    for container in spec.items(context, "initContainers").unwrap_or_default() {
        // A sidecar, which runs as long as the others.
        let restart = container.get("restartPolicy");
        if restart.is_some_and(|policy| policy.value == "Always") {
            declared(context, &container, &mut ports);
        }
    }
    ports.sort();
    ports.dedup();
    ports
}

fn declared(context: &mut Context, container: &Field<'_>, ports: &mut Vec<ContainerPort>) {
    for port in container.items(context, "ports").unwrap_or_default() {
        let name = port.text(context, "name").map(str::to_owned);
        let protocol = protocol(context, &port);
        if let Some(number) = port.number(context, "containerPort", PORTS) {
            ports.push(ContainerPort {
                name,
                protocol,
                number,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ports_have_a_letter_and_no_two_dashes() {
        for good in ["http", "a", "80a", "serve-80-tcp"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "80", "a--b", "-a", "a-", "Http", "sixteen-letters-x"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
