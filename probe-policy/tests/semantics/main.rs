//! What policies mean, paragraph by paragraph: a small text of manifests, and a table of connections with their verdicts.
//!
//! A line of a table is `from -> to PROTOCOL PORT = egress ingress combined`. An end is `namespace/pod` or an address. A side is
//! written `word(reason)~lean+caveat`, without the parts that it does not have; after `=`, `_` stands for whatever it is.

use probe_policy::{
    engine::{Connection, End, Engine, Options},
    load::{Finding, Loader},
    verdict::{Side, Verdict},
};

mod blocks;
mod cluster_rules;
mod invalid;
mod life;
mod lists;
mod misses;
mod nodes;
mod ports;
mod selectors;
mod services;
mod tiers;
mod ties;
mod unknown_kinds;

/// Two namespaces on two nodes. `a/bare` has no labels and `b/dual` an address of each family.
const WORLD: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {team: red}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {role: worker}}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2, labels: {role: control}}, status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: a, labels: {app: web, tier: front}}, spec: {nodeName: n1, containers: [{name: c, ports: [{name: serve, containerPort: 80}]}]}, status: {podIP: 10.0.0.1, hostIP: 192.168.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: a, labels: {app: db, tier: back}}, spec: {nodeName: n1, containers: [{name: c, ports: [{name: serve, containerPort: 5432}]}]}, status: {podIP: 10.0.0.2, hostIP: 192.168.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: bare, namespace: a}, spec: {nodeName: n1, containers: [{name: c}]}, status: {podIP: 10.0.0.3, hostIP: 192.168.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: b, labels: {app: web, tier: front}}, spec: {nodeName: n2, containers: [{name: c}]}, status: {podIP: 10.0.1.1, hostIP: 192.168.0.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: dual, namespace: b, labels: {app: dual}}, spec: {nodeName: n2, containers: [{name: c}]}, status: {podIP: 10.0.1.2, podIPs: [{ip: 10.0.1.2}, {ip: 'fd00::2'}], hostIP: 192.168.0.2}}
---
";

/// A NetworkPolicy `p` of namespace `a` with this `spec`.
fn network(spec: &str) -> String {
    named("p", spec)
}

fn named(name: &str, spec: &str) -> String {
    object("networking.k8s.io/v1", "NetworkPolicy", name, spec)
}

/// A ClusterNetworkPolicy with this `spec`.
fn cluster(name: &str, spec: &str) -> String {
    let version = "policy.networking.k8s.io/v1alpha2";
    object(version, "ClusterNetworkPolicy", name, spec)
}

/// An AdminNetworkPolicy with this `spec`.
fn admin(name: &str, spec: &str) -> String {
    let version = "policy.networking.k8s.io/v1alpha1";
    object(version, "AdminNetworkPolicy", name, spec)
}

fn object(version: &str, kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\n{{apiVersion: {version}, kind: {kind}, metadata: {{name: {name}, namespace: a}}, spec: {spec}}}\n"
    )
}

/// The world with these documents, and what is wrong with them.
fn load(text: &str, options: Options) -> (Engine, Vec<Finding>) {
    let mut loader = Loader::default();
    loader.add("world.yaml", WORLD);
    loader.add("case.yaml", text);
    let loaded = loader.finish();
    (Engine::new(loaded.cluster, options), loaded.findings)
}

/// Judges the connections of a table, by manifests without errors.
fn check(text: &str, table: &str) {
    check_with(text, Options::default(), table);
}

fn check_with(text: &str, options: Options, table: &str) {
    let (engine, findings) = load(text, options);
    let errors: Vec<_> = findings.iter().map(ToString::to_string).collect();
    let errors: Vec<_> = errors.iter().filter(|f| f.starts_with("error")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    compare(&engine, table);
}

/// The same of manifests with an error in this field.
fn check_invalid(text: &str, field: &str, table: &str) {
    let (engine, findings) = load(text, Options::default());
    let all: Vec<_> = findings.iter().map(ToString::to_string).collect();
    let has_it = |finding: &String| {
        finding.starts_with("error: case.yaml") && finding.contains(&format!(": {field}: "))
    };
    assert!(all.iter().any(has_it), "no error of {field}: {all:#?}");
    compare(&engine, table);
}

fn compare(engine: &Engine, table: &str) {
    let lines: Vec<_> = table.lines().map(str::trim).collect();
    let lines: Vec<_> = lines.iter().filter(|line| !line.is_empty()).collect();
    assert!(!lines.is_empty());
    for line in lines {
        let (question, expected) = line.split_once(" = ").expect("an answer");
        let verdict = judge(engine, question);
        let combined = show("", verdict.combined, verdict.reason);
        let got = [side(&verdict.egress), side(&verdict.ingress), combined];
        let expected: Vec<_> = expected.split_whitespace().collect();
        assert_eq!(expected.len(), 3, "{line}");
        let agree = |(got, expected): (&String, &&str)| *expected == "_" || got == expected;
        assert!(
            got.iter().zip(&expected).all(agree),
            "{line}\ngot {}\n{verdict:?}",
            got.join(" ")
        );
    }
}

/// The verdict of `from -> to PROTOCOL PORT`.
fn judge(engine: &Engine, question: &str) -> Verdict {
    let [from, "->", to, protocol, port] = question.split_whitespace().collect::<Vec<_>>()[..]
    else {
        panic!("{question}");
    };
    engine.judge(&Connection {
        from: end(engine, from),
        to: end(engine, to),
        protocol: protocol.parse().expect("a protocol"),
        port: port.parse().expect("a port"),
    })
}

fn end(engine: &Engine, text: &str) -> End {
    match text.split_once('/') {
        Some((namespace, name)) => {
            let found = engine.find(namespace, name);
            End::Pod(found.unwrap_or_else(|| panic!("no pod {text}")))
        }
        None => End::Address(text.parse().expect("an address")),
    }
}

fn side(side: &Side) -> String {
    let mut text = show("", side.word, side.reason);
    if let Some(lean) = side.lean {
        text = show(&format!("{text}~"), lean, None::<()>);
    }
    for caveat in &side.caveats {
        text = show(&format!("{text}+"), caveat, None::<()>);
    }
    text
}

fn show(
    before: &str,
    word: impl serde::Serialize,
    reason: Option<impl serde::Serialize>,
) -> String {
    let text = |word: serde_json::Value| word.as_str().expect("a word").to_owned();
    let word = text(serde_json::to_value(word).expect("a word"));
    match reason {
        Some(reason) => {
            let reason = text(serde_json::to_value(reason).expect("a word"));
            format!("{before}{word}({reason})")
        }
        None => format!("{before}{word}"),
    }
}
