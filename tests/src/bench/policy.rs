//! How long it takes to prepare and to judge in a large cluster: 500 namespaces, 10,000 policies, 10,000 pods.

use std::{hint::black_box, time::Instant};

use anyhow::{Result, ensure};
use probe_policy::{
    engine::{Connection, End, Engine, Options},
    load::{Loader, Place},
    model::{Cluster, Protocol},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::spread::Spread;

const NAMESPACES: u32 = 500;
const POLICIES: u32 = 10_000;
const PODS: u32 = 10_000;
const PAIRS: usize = 1 << 16;

/// The same numbers each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(end)).unwrap_or_default()
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Policies {
    /// Time in which an engine is made of a cluster that is loaded.
    pub build_ms: Option<Spread>,
    /// Time of a verdict on a pair of pods, of which there are many.
    pub by_pod_ns: Option<Spread>,
    /// The same where the pods are known by their addresses.
    pub by_address_ns: Option<Spread>,
    /// The same of few pairs.
    pub again_ns: Option<Spread>,
}

/// Measures an engine, `rounds` times each.
///
/// # Errors
///
/// If the manifests of the bench are not what they should be.
pub fn measure(rounds: usize) -> Result<Policies> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let cluster = cluster(&mut numbers)?;
    let mut build = Vec::new();
    for _ in 0..rounds {
        let cluster = cluster.clone();
        let begun = Instant::now();
        black_box(Engine::new(cluster, Options::default()));
        build.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let engine = Engine::new(cluster, Options::default());
    let mut judge = |by_address, different| {
        let connections: Vec<_> = (0..different)
            .map(|_| connection(&mut numbers, by_address))
            .collect();
        let round = || {
            let begun = Instant::now();
            for connection in connections.iter().cycle().take(PAIRS) {
                black_box(engine.judge(connection));
            }
            begun.elapsed().as_secs_f64() * 1e9 / PAIRS as f64
        };
        Spread::of((0..rounds).map(|_| round()))
    };
    Ok(Policies {
        build_ms: Spread::of(build),
        by_pod_ns: judge(false, PAIRS),
        by_address_ns: judge(true, PAIRS),
        again_ns: judge(true, 64),
    })
}

fn cluster(numbers: &mut Numbers) -> Result<Cluster> {
    let mut loader = Loader::default();
    let mut add = |object: Value| {
        let place = Place {
            file: "bench".to_owned(),
            document: 1,
        };
        loader.add_value(&place, &object);
    };
    for number in 0..NAMESPACES {
        let labels = json!({"team": format!("t{}", number % 50)});
        add(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(number), "labels": labels}}),
        );
    }
    for number in 0..PODS {
        add(pod(number, numbers));
    }
    for number in 0..POLICIES {
        add(policy(number, numbers));
    }
    let loaded = loader.finish();
    ensure!(!loaded.has_errors(), "{:?}", loaded.findings);
    Ok(loaded.cluster)
}

fn namespace(number: u32) -> String {
    format!("ns-{number}")
}

fn address(number: u32) -> String {
    format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
}

fn pod(number: u32, numbers: &mut Numbers) -> Value {
    let app = format!("app-{}", numbers.below(8));
    let labels = json!({"app": app, "pod-template-hash": format!("h{number}")});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("p{number}"), "namespace": namespace(number % NAMESPACES), "labels": labels},
        "spec": {"nodeName": format!("node-{}", number % 100), "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"podIP": address(number)},
    })
}

fn policy(number: u32, numbers: &mut Numbers) -> Value {
    let app = |numbers: &mut Numbers| json!({"matchLabels": {"app": format!("app-{}", numbers.below(8))}});
    let peers = json!([
        {"podSelector": app(numbers)},
        {"namespaceSelector": {"matchLabels": {"team": format!("t{}", numbers.below(50))}}, "podSelector": app(numbers)},
        {"ipBlock": {"cidr": format!("{}/24", address(numbers.below(40) << 8)), "except": []}},
    ]);
    let ports = json!([{"port": "http"}, {"port": 9000, "endPort": 9100}]);
    let (direction, ends) = if number.is_multiple_of(4) {
        ("egress", "to")
    } else {
        ("ingress", "from")
    };
    let types = if direction == "egress" {
        "Egress"
    } else {
        "Ingress"
    };
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": format!("np{number}"), "namespace": namespace(number % NAMESPACES)},
        "spec": {"podSelector": app(numbers), "policyTypes": [types], direction: [{ends: peers, "ports": ports}, {ends: [{"podSelector": {}}]}]},
    })
}

fn connection(numbers: &mut Numbers, by_address: bool) -> Connection {
    let mut end = || {
        let number = numbers.below(PODS);
        if by_address {
            End::Address(address(number).parse().expect("an address"))
        } else {
            End::Pod(number)
        }
    };
    Connection {
        from: end(),
        to: end(),
        protocol: Protocol::Tcp,
        port: 8080,
    }
}
