//! How long it takes to prepare and to judge in a large cluster: 500 namespaces, 10,000 policies, 10,000 pods.
//!
//! `cargo run --release -p probe-policy --example scale`

use std::{hint::black_box, time::Instant};

use probe_policy::{
    engine::{Connection, End, Engine, Options},
    load::{Loader, Place},
    model::Protocol,
};
use serde_json::{Value, json};

const NAMESPACES: u32 = 500;
const POLICIES: u32 = 10_000;
const PODS: u32 = 10_000;
const PAIRS: usize = 1 << 16;
const ROUNDS: usize = 7;

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

fn main() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut loader = Loader::default();
    let mut add = |object: Value| {
        let place = Place {
            file: "scale".to_owned(),
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
        add(pod(number, &mut numbers));
    }
    for number in 0..POLICIES {
        add(policy(number, &mut numbers));
    }
    let begun = Instant::now();
    let loaded = loader.finish();
    assert!(!loaded.has_errors());
    println!("finish: {:?}", begun.elapsed());

    let mut compile = Vec::new();
    for _ in 0..ROUNDS {
        let cluster = loaded.cluster.clone();
        let begun = Instant::now();
        black_box(Engine::new(cluster, Options::default()));
        compile.push(begun.elapsed());
    }
    compile.sort();
    println!(
        "Engine::new: {:?} to {:?}, median {:?}",
        compile[0],
        compile[ROUNDS - 1],
        compile[ROUNDS / 2]
    );

    let engine = Engine::new(loaded.cluster, Options::default());
    for (name, by_address, different) in [
        ("by pod", false, PAIRS),
        ("by address", true, PAIRS),
        ("the same 64 pairs", true, 64),
    ] {
        let mut connections: Vec<_> = (0..different)
            .map(|_| connection(&mut numbers, by_address))
            .collect();
        connections = connections.into_iter().cycle().take(PAIRS).collect();
        let mut each = Vec::new();
        let mut allowed = 0;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            allowed = connections
                .iter()
                .filter(|connection| {
                    black_box(engine.judge(connection)).combined.allows() == Some(true)
                })
                .count();
            each.push(begun.elapsed().as_nanos() / PAIRS as u128);
        }
        each.sort_unstable();
        println!(
            "judge {name}: {} to {} ns, median {} ns; {} % allowed",
            each[0],
            each[ROUNDS - 1],
            each[ROUNDS / 2],
            100 * allowed / PAIRS
        );
    }
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
