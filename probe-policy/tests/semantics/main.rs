//! A case for each paragraph of what policies mean, above all where the tables of others decide nothing.

use probe_policy::{
    engine::{Connection, End, Engine, Options},
    load::{Loaded, Loader},
    verdict::{Verdict, Word},
};

mod addresses;
mod check;
mod network;
mod tiers;

/// Pods `a`, `b` and `c` of the namespaces `x` and `y`, each with the label `pod` and a port `http`, and a node.
fn town() -> String {
    let mut text = String::new();
    for (number, namespace) in [(1, "x"), (2, "y")] {
        text += &format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{ns: {namespace}}}}}\n---\n"
        );
        for (pod, last) in [("a", 1), ("b", 2), ("c", 3)] {
            text += &format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}, namespace: {namespace}, labels: {{pod: {pod}}}}}\n\
                 spec: {{nodeName: n1, containers: [{{name: c, ports: [{{name: http, containerPort: 80{last}}}]}}]}}\n\
                 status: {{podIPs: [{{ip: 10.0.{number}.{last}}}, {{ip: 'fd00::{number}:{last}'}}]}}\n---\n"
            );
        }
    }
    text + "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {pool: front}}\n\
            status: {addresses: [{type: InternalIP, address: 10.9.0.1}, {type: Hostname, address: n1}]}\n---\n\
            apiVersion: v1\nkind: Node\nmetadata: {name: n2}\nstatus: {addresses: [{type: InternalIP, address: 10.9.0.2}]}\n---\n"
}

fn load(manifests: &str) -> Loaded {
    let mut loader = Loader::default();
    loader.add("case.yaml", &(town() + manifests));
    loader.finish()
}

/// An engine of the town and valid manifests.
fn engine(manifests: &str) -> Engine {
    let loaded = load(manifests);
    assert!(!loaded.has_errors(), "{:?}", loaded.findings);
    Engine::new(loaded.cluster, Options::default())
}

/// A NetworkPolicy `p` of the namespace `x` with this specification.
fn policy(spec: &str) -> String {
    named_policy("p", spec)
}

fn named_policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: x}}\nspec: {spec}\n---\n"
    )
}

/// A ClusterNetworkPolicy.
fn cluster_policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n"
    )
}

fn end(engine: &Engine, name: &str) -> End {
    match name.parse() {
        Ok(address) => End::Address(address),
        Err(_) => {
            let (namespace, pod) = name.split_once('/').unwrap_or_else(|| panic!("{name}"));
            End::Pod(
                engine
                    .find(namespace, pod)
                    .unwrap_or_else(|| panic!("no {name}")),
            )
        }
    }
}

/// Judges a question such as `x/a -> y/b TCP 80`.
fn judge(engine: &Engine, question: &str) -> Verdict {
    let words: Vec<_> = question.split_whitespace().collect();
    let [from, "->", to, protocol, port] = words[..] else {
        panic!("{question}");
    };
    engine.judge(&Connection {
        from: end(engine, from),
        to: end(engine, to),
        protocol: protocol.parse().unwrap_or_else(|error| panic!("{error}")),
        port: port
            .parse()
            .unwrap_or_else(|error| panic!("{question}: {error}")),
    })
}

/// Compares the words of egress and ingress.
#[track_caller]
fn expect(engine: &Engine, cases: &[(&str, Word, Word)]) {
    for (question, egress, ingress) in cases {
        let verdict = judge(engine, question);
        assert_eq!(
            (verdict.egress.word, verdict.ingress.word),
            (*egress, *ingress),
            "{question}: {verdict:?}"
        );
    }
}
