//! Metrics of what an API server tells.

use std::time::Instant;

use crate::{
    kubernetes::{Catalog, Phase, PodFacts},
    metrics::{Registry, families},
};

/// Brings them up to date.
pub(super) fn show(registry: &mut Registry, catalog: &Catalog) {
    show_pods(registry, catalog);
    let now = Instant::now();
    for state in catalog.states() {
        for word in Phase::WORDS {
            let is = f64::from(u8::from(state.phase.word() == word));
            registry.set(&families::KUBERNETES_WATCH, &[state.resource, word], is);
        }
        let age = match state.fresh_at {
            _ if state.is_fresh() => 0.0,
            Some(at) => now.duration_since(at).as_secs_f64(),
            None => f64::INFINITY,
        };
        let of = [state.resource];
        registry.set(&families::KUBERNETES_STALENESS, &of, age);
        registry.set(&families::KUBERNETES_OBJECTS, &of, state.objects as f64);
        registry.raise(&families::KUBERNETES_LISTS, &of, state.lists);
    }
    let counts = catalog.counts();
    for (resource, requests) in &counts.requests {
        for (status, count) in &requests.by_status {
            let labels = [resource.as_str(), &status.to_string()];
            registry.raise(&families::KUBERNETES_REQUESTS, &labels, *count);
        }
        registry.raise(&families::KUBERNETES_RECEIVED, &[resource], requests.bytes);
    }
    registry.raise(&families::KUBERNETES_MALFORMED, &[], counts.malformed);
    for (result, count) in [
        ("written", counts.events.written),
        ("limited", counts.events.limited),
        ("failed", counts.events.failed),
    ] {
        registry.raise(&families::KUBERNETES_EVENTS, &[result], count);
    }
    let labels = ["kubernetes", "join", "addresses_full"];
    registry.raise(&families::RECORDS_LOST, &labels, counts.addresses_refused);
}

fn show_pods(registry: &mut Registry, catalog: &Catalog) {
    registry.clear(&families::POD);
    registry.clear(&families::POD_LABEL);
    for pod in catalog.pods_here() {
        let PodFacts {
            namespace,
            name,
            uid,
            workload,
            ..
        } = &*pod;
        let labels = [namespace, name, uid, &workload.name, &workload.kind];
        registry.set(&families::POD, &labels.map(String::as_str), 1.0);
        for (source, pairs) in [("label", &pod.labels), ("annotation", &pod.annotations)] {
            for (key, value) in pairs {
                let labels = [namespace.as_str(), name, source, key, value];
                registry.set(&families::POD_LABEL, &labels, 1.0);
            }
        }
    }
}
