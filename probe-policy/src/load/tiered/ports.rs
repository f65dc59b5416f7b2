//! Ports of cluster-wide policies.

use super::{
    super::{
        ports,
        read::{Context, Field},
    },
    one_of,
};
use crate::model::{Port, PortMatch, Protocol};

/// An item of `protocols` (v1alpha2).
pub(super) fn protocol(context: &mut Context, field: &Field<'_>) -> Port {
    const KNOWN: &[&str] = &["tcp", "udp", "sctp", "destinationNamedPort"];
    let Ok(name) = one_of(context, field, KNOWN) else {
        return unknown();
    };
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
pub(super) fn port(context: &mut Context, field: &Field<'_>) -> Port {
    const KNOWN: &[&str] = &["portNumber", "portRange", "namedPort"];
    let Ok(name) = one_of(context, field, KNOWN) else {
        return unknown();
    };
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
