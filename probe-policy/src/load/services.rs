//! Nodes, services, and the slices with what is behind these.

use std::{collections::HashMap, net::IpAddr};

use super::{
    Key, Object,
    meta::Meta,
    pods::address,
    ports,
    read::{Context, Field},
};
use crate::model::{Backend, Node, Protocol, Service};

/// The label that tells the service of a slice.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// A service whose slices are not known yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unjoined {
    service: Service,
    /// Protocol, number and name of each port.
    ports: Vec<(Protocol, u16, String)>,
}

/// Ready ends of a service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    namespace: String,
    service: String,
    subsets: Vec<Subset>,
}

/// Ends that have the same ports.
#[derive(Clone, Debug, PartialEq)]
struct Subset {
    addresses: Vec<IpAddr>,
    /// Protocol, number and name of each port.
    ports: Vec<(Protocol, u16, String)>,
}

pub(super) fn node(context: &mut Context, field: &Field<'_>, meta: &Meta) -> Option<(Key, Object)> {
    let mut node = Node {
        labels: meta.labels.clone(),
        ..Node::default()
    };
    for (list, one) in [("podCIDRs", false), ("podCIDR", true)] {
        let Some(spec) = field.object(context, "spec") else {
            break;
        };
        let texts = if one {
            spec.get(list).into_iter().collect()
        } else {
            spec.items(context, list).unwrap_or_default()
        };
        for text in texts {
            match text.value.as_str().unwrap_or_default().parse() {
                Ok(block) if node.pod_blocks.contains(&block) => {}
                Ok(block) => node.pod_blocks.push(block),
                Err(_) => context.error(&text.path, "is no block of addresses such as 10.0.0.0/24"),
            }
        }
    }
    let status = field.get("status");
    for item in status
        .and_then(|status| status.items(context, "addresses"))
        .unwrap_or_default()
    {
        if !matches!(
            item.text(context, "type"),
            Some("InternalIP" | "ExternalIP")
        ) {
            continue;
        }
        let text = item.text(context, "address").unwrap_or_default();
        node.addresses
            .extend(address(context, &item.at("address"), text));
    }
    Some((
        ("Node", String::new(), meta.name.clone()),
        Object::Node(node),
    ))
}

pub(super) fn service(
    context: &mut Context,
    field: &Field<'_>,
    meta: &Meta,
) -> Option<(Key, Object)> {
    let mut addresses = Vec::new();
    let mut take = |context: &mut Context, path: &str, text: &str| {
        // A headless service has none of its own.
        if text != "None" {
            addresses.extend(address(context, path, text).filter(|a| !addresses.contains(a)));
        }
    };
    let spec = field.object(context, "spec");
    if let Some(spec) = &spec {
        if let Some(text) = spec.text(context, "clusterIP") {
            take(context, &spec.at("clusterIP"), text);
        }
        for name in ["clusterIPs", "externalIPs"] {
            for item in spec.items(context, name).unwrap_or_default() {
                take(context, &item.path, item.value.as_str().unwrap_or_default());
            }
        }
    }
    let balancers = field.follow(&["status", "loadBalancer"]);
    for item in balancers
        .and_then(|field| field.items(context, "ingress"))
        .unwrap_or_default()
    {
        if let Some(text) = item.text(context, "ip") {
            take(context, &item.at("ip"), text);
        }
    }
    let ports = spec
        .map(|spec| numbered(context, &spec))
        .unwrap_or_default();
    let service = Service {
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        addresses,
        ports: Vec::new(),
    };
    let key = ("Service", meta.namespace.clone(), meta.name.clone());
    Some((key, Object::Service(Unjoined { service, ports })))
}

pub(super) fn slice(
    context: &mut Context,
    field: &Field<'_>,
    meta: &Meta,
) -> Option<(Key, Object)> {
    let service = meta.labels.get(SERVICE_LABEL)?.clone();
    let mut addresses = Vec::new();
    for endpoint in field.items(context, "endpoints").unwrap_or_default() {
        // Absent means: not known, which counts as ready.
        let ready = endpoint.follow(&["conditions", "ready"]);
        if ready.is_some_and(|ready| ready.value == false) {
            continue;
        }
        for item in endpoint.items(context, "addresses").unwrap_or_default() {
            addresses.extend(address(
                context,
                &item.path,
                item.value.as_str().unwrap_or_default(),
            ));
        }
    }
    let slice = Slice {
        namespace: meta.namespace.clone(),
        service,
        subsets: vec![Subset {
            addresses,
            ports: numbered(context, field),
        }],
    };
    let key = ("EndpointSlice", meta.namespace.clone(), meta.name.clone());
    Some((key, Object::Slice(slice)))
}

/// What servers without slices have. It has the name of its service.
pub(super) fn endpoints(
    context: &mut Context,
    field: &Field<'_>,
    meta: &Meta,
) -> Option<(Key, Object)> {
    let mut subsets = Vec::new();
    for subset in field.items(context, "subsets").unwrap_or_default() {
        let mut addresses = Vec::new();
        for item in subset.items(context, "addresses").unwrap_or_default() {
            let text = item.text(context, "ip").unwrap_or_default();
            addresses.extend(address(context, &item.at("ip"), text));
        }
        let ports = numbered(context, &subset);
        subsets.push(Subset { addresses, ports });
    }
    let slice = Slice {
        namespace: meta.namespace.clone(),
        service: meta.name.clone(),
        subsets,
    };
    let key = ("Endpoints", meta.namespace.clone(), meta.name.clone());
    Some((key, Object::Slice(slice)))
}

fn numbered(context: &mut Context, field: &Field<'_>) -> Vec<(Protocol, u16, String)> {
    let mut numbered = Vec::new();
    for port in field.items(context, "ports").unwrap_or_default() {
        let protocol = ports::protocol(context, &port);
        let name = port.text(context, "name").unwrap_or_default().to_owned();
        if let Some(number) = port.number(context, "port", ports::PORTS) {
            numbered.push((protocol, number, name));
        }
    }
    numbered
}

/// Each service with what is behind its ports, which are told apart by their names.
pub(super) fn join(services: Vec<Unjoined>, slices: &[Slice]) -> Vec<Service> {
    let mut by_service: HashMap<(&str, &str), Vec<&Subset>> = HashMap::new();
    for slice in slices {
        let key = (slice.namespace.as_str(), slice.service.as_str());
        by_service.entry(key).or_default().extend(&slice.subsets);
    }
    let joined = |Unjoined { mut service, ports }: Unjoined| {
        let key = (service.namespace.as_str(), service.name.as_str());
        let subsets = by_service.get(&key).map(Vec::as_slice).unwrap_or_default();
        for (protocol, number, name) in ports {
            let mut backends: Vec<Backend> = subsets
                .iter()
                .flat_map(|subset| {
                    let same = subset
                        .ports
                        .iter()
                        .filter(|port| port.0 == protocol && port.2 == name);
                    same.flat_map(|(_, port, _)| {
                        subset.addresses.iter().map(|address| Backend {
                            address: *address,
                            port: *port,
                        })
                    })
                })
                .collect();
            backends.sort_by_key(|backend| (backend.address, backend.port));
            backends.dedup();
            service.ports.push((protocol, number, backends));
        }
        service
    };
    services.into_iter().map(joined).collect()
}
