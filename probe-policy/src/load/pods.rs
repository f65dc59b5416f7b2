//! Pods, and workloads whose templates stand for pods.

use std::net::IpAddr;

use super::{
    Key, Object, labels,
    meta::{Meta, annotations},
    ports,
    read::{Context, Field},
};
use crate::model::{Owner, Phase, Pod};

pub(super) fn pod(context: &mut Context, field: &Field<'_>, meta: &Meta) -> Option<(Key, Object)> {
    let mut pod = Pod {
        owner: meta.owner.clone(),
        ..of_spec(context, field, meta, "Pod")
    };
    pod.labels.clone_from(&meta.labels);
    pod.annotations.clone_from(&meta.annotations);
    if let Some(status) = field.get("status") {
        pod.addresses = addresses(context, &status, "podIP", "podIPs");
        pod.host_addresses = addresses(context, &status, "hostIP", "hostIPs");
        if let Some("Succeeded" | "Failed") = status.text(context, "phase") {
            pod.phase = Phase::Ended;
        }
    }
    Some((key("Pod", meta), Object::Pod(pod)))
}

pub(super) fn workload(
    context: &mut Context,
    field: &Field<'_>,
    meta: &Meta,
) -> Option<(Key, Object)> {
    let kind = field.text(context, "kind").unwrap_or_default();
    let template = ["spec", "jobTemplate", "spec", "template"];
    let template = if kind == "CronJob" {
        field.follow(&template)
    } else {
        field.follow(&["spec", "template"])
    };
    let Some(template) = template else {
        context.error("spec.template", "is missing");
        return None;
    };
    let mut pod = of_spec(context, &template, meta, kind);
    if let Some(metadata) = template.get("metadata") {
        pod.labels = labels::read(context, &metadata, "labels");
        pod.annotations = annotations(&metadata);
    }
    // What a workload made is the workload's, and what made it is nearer to what people know.
    let itself = || Owner {
        kind: kind.to_owned(),
        name: meta.name.clone(),
    };
    pod.owner = Some(meta.owner.clone().unwrap_or_else(itself));
    let kind = KINDS.iter().find(|known| **known == kind)?;
    Some((key(kind, meta), Object::Pod(pod)))
}

const KINDS: &[&str] = &[
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];

fn key(kind: &'static str, meta: &Meta) -> Key {
    (kind, meta.namespace.clone(), meta.name.clone())
}

/// What a pod and a template have in common.
fn of_spec(context: &mut Context, field: &Field<'_>, meta: &Meta, kind: &str) -> Pod {
    let spec = field.object(context, "spec");
    let ports = spec
        .as_ref()
        .map(|spec| ports::of_containers(context, spec));
    let host_network = spec.as_ref().and_then(|spec| spec.get("hostNetwork"));
    Pod {
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        kind: kind.to_owned(),
        ports: ports.unwrap_or_default(),
        host_network: host_network.is_some_and(|field| field.value.as_bool() == Some(true)),
        node: spec
            .and_then(|spec| spec.text(context, "nodeName"))
            .map(str::to_owned),
        ..Pod::default()
    }
}

/// One address, and all of them in a list of `ip`.
fn addresses(context: &mut Context, status: &Field<'_>, one: &str, all: &str) -> Vec<IpAddr> {
    let mut texts: Vec<_> = status
        .text(context, one)
        .map(|text| (status.at(one), text))
        .into_iter()
        .collect();
    for item in status.items(context, all).unwrap_or_default() {
        texts.extend(item.text(context, "ip").map(|text| (item.at("ip"), text)));
    }
    let mut addresses = Vec::new();
    for (path, text) in texts {
        match address(context, &path, text) {
            Some(address) if !addresses.contains(&address) => addresses.push(address),
            _ => {}
        }
    }
    addresses
}

/// An address; empty stands for none yet.
pub(super) fn address(context: &mut Context, path: &str, text: &str) -> Option<IpAddr> {
    if text.is_empty() {
        return None;
    }
    let address = text
        .parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical());
    if address.is_none() {
        context.error(path, format!("`{text}` is no IP address"));
    }
    address
}
