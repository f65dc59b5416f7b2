//! What holds for all manifests.
#![expect(clippy::unwrap_used, reason = "helpers of a test may panic")]

use probe_policy::{
    engine::{Connection, End, Engine, Options},
    load::Loader,
    model::{Cluster, Protocol},
    suggest::Suggested,
    verdict::Word,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn label() -> impl Strategy<Value = String> {
    "[ab]"
}

fn selector() -> impl Strategy<Value = Value> {
    let expression = (
        label(),
        prop::sample::select(vec!["Exists", "DoesNotExist", "In", "NotIn"]),
        label(),
    );
    prop_oneof![
        Just(json!({})),
        (label(), label()).prop_map(|(key, value)| json!({"matchLabels": {key: value}})),
        expression.prop_map(|(key, operator, value)| {
            let values = if operator.ends_with("In") {
                json!([value])
            } else {
                json!([])
            };
            json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
        }),
    ]
}

fn peer() -> impl Strategy<Value = Value> {
    prop_oneof![
        selector().prop_map(|pods| json!({"podSelector": pods})),
        selector().prop_map(|namespaces| json!({"namespaceSelector": namespaces})),
        (selector(), selector())
            .prop_map(|(n, p)| json!({"namespaceSelector": n, "podSelector": p})),
        (0_u8..4).prop_map(|third| json!({"ipBlock": {"cidr": format!("10.0.{third}.0/24")}})),
    ]
}

fn rule(ends: &'static str) -> impl Strategy<Value = Value> {
    let ports = prop::collection::vec((79_u16..82).prop_map(|port| json!({"port": port})), 0..2);
    (prop::collection::vec(peer(), 0..3), ports)
        .prop_map(move |(peers, ports)| json!({ends: peers, "ports": ports}))
}

fn policy(number: usize) -> impl Strategy<Value = Value> {
    let rules = |ends| prop::collection::vec(rule(ends), 0..3);
    let types = prop::sample::subsequence(vec!["Ingress", "Egress"], 1..=2);
    ("[xy]", selector(), types, rules("from"), rules("to")).prop_map(move |(namespace, pods, types, ingress, egress)| {
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"namespace": namespace, "name": format!("p{number}")},
            "spec": {"podSelector": pods, "policyTypes": types, "ingress": ingress, "egress": egress},
        })
    })
}

fn pods() -> impl Strategy<Value = Vec<Value>> {
    let labels = || prop::collection::btree_map(label(), label(), 0..3);
    prop::collection::vec(("[xy]", labels()), 2..6).prop_map(|pods| {
        let pod = |(number, (namespace, labels))| {
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": namespace, "name": format!("pod{number}"), "labels": labels},
                "status": {"podIP": format!("10.0.{}.{}", number % 4, number + 1)},
            })
        };
        pods.into_iter().enumerate().map(pod).collect()
    })
}

fn cluster(files: &[&Value]) -> Cluster {
    let mut loader = Loader::default();
    for (number, file) in files.iter().enumerate() {
        loader.add(&format!("{number}.json"), &file.to_string());
    }
    loader.finish().cluster
}

/// Whether each pod may reach each other one and something outside, at the ports that rules are about.
fn matrix(engine: &Engine) -> Vec<bool> {
    let pods = u32::try_from(engine.cluster().pods.len()).unwrap();
    let outside = End::Address("192.0.2.1".parse().unwrap());
    let ends: Vec<_> = (0..pods).map(End::Pod).chain([outside]).collect();
    let mut matrix = Vec::new();
    for from in &ends {
        for to in &ends {
            for port in [80, 9] {
                let verdict = engine.judge(&Connection {
                    from: *from,
                    to: *to,
                    protocol: Protocol::Tcp,
                    port,
                });
                matrix.push(verdict.combined.allows().unwrap());
            }
        }
    }
    matrix
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn one_more_rule_of_a_policy_that_isolates_denies_nothing(
        pods in pods(),
        policies in (policy(0), policy(1)),
        ingress in rule("from"),
        egress in rule("to"),
    ) {
        let all = |policy: &Value| {
            let files: Vec<_> = pods.iter().chain([policy, &policies.1]).collect();
            matrix(&Engine::new(cluster(&files), Options::default()))
        };
        let mut wider = policies.0.clone();
        wider["spec"]["ingress"].as_array_mut().unwrap().push(ingress);
        wider["spec"]["egress"].as_array_mut().unwrap().push(egress);
        for (before, after) in all(&policies.0).into_iter().zip(all(&wider)) {
            prop_assert!(after || !before);
        }
    }

    #[test]
    fn other_names_of_labels_change_nothing(pods in pods(), policies in (policy(0), policy(1))) {
        let judged = |rename: &dyn Fn(&Value) -> Value| {
            let files: Vec<_> = pods.iter().chain([&policies.0, &policies.1]).map(rename).collect();
            matrix(&Engine::new(cluster(&files.iter().collect::<Vec<_>>()), Options::default()))
        };
        let renamed = |object: &Value| {
            let text = object.to_string().replace("\"a\"", "\"other.example/c\"");
            // As a value, it has no prefix.
            let text = text.replace(":\"other.example/c\"", ":\"c\"").replace("[\"other.example/c\"]", "[\"c\"]");
            serde_json::from_str(&text.replace("\"key\":\"c\"", "\"key\":\"other.example/c\"")).unwrap()
        };
        prop_assert_eq!(judged(&Value::clone), judged(&renamed));
    }

    #[test]
    fn the_order_of_files_does_not_matter(
        pods in pods(),
        policies in (policy(0), policy(1), policy(1)),
        seed in any::<usize>(),
    ) {
        let mut files: Vec<(String, String)> = pods
            .iter()
            .chain([&policies.0, &policies.1, &policies.2])
            .enumerate()
            .map(|(number, object)| (format!("{number}.json"), object.to_string()))
            .collect();
        let load = |files: &[(String, String)]| {
            let mut loader = Loader::default();
            files.iter().for_each(|(name, text)| loader.add(name, text));
            loader.finish().cluster
        };
        let before = load(&files);
        let count = files.len();
        files.rotate_left(seed % count);
        files.swap(0, seed / count % count);
        prop_assert_eq!(before, load(&files));
    }

    #[test]
    fn what_is_suggested_allows_what_was_seen_and_nothing_that_labels_tell_apart(
        pods in pods(),
        talks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 79_u16..82), 1..6),
    ) {
        let bare = Engine::new(cluster(&pods.iter().collect::<Vec<_>>()), Options::default());
        // The last is something outside.
        let outside = End::Address("192.0.2.1".parse().unwrap());
        let mut ends: Vec<_> = (0..u32::try_from(bare.cluster().pods.len()).unwrap()).map(End::Pod).collect();
        ends.push(outside);
        let talk = |(from, to, port): &(prop::sample::Index, prop::sample::Index, u16)| Connection {
            from: ends[from.index(ends.len())],
            to: ends[to.index(ends.len())],
            protocol: Protocol::Tcp,
            port: *port,
        };
        let seen: Vec<_> = talks.iter().map(talk).collect();
        let observed = seen.iter().map(|connection| (*connection, 1)).collect();
        let yaml = Suggested::of(&bare, &observed).to_yaml();
        let mut loader = Loader::default();
        loader.add("suggested.yaml", &yaml);
        let loaded = loader.finish();
        prop_assert!(loaded.findings.is_empty(), "{:?} of {}", loaded.findings, yaml);
        let with = Cluster { policies: loaded.cluster.policies, ..bare.cluster().clone() };
        let engine = Engine::new(with, Options::default());
        for connection in &seen {
            prop_assert_eq!(engine.judge(connection).combined.allows(), Some(true), "{:?} {}", connection, yaml);
        }
        // As far as labels tell pods apart.
        let like = |end: End, seen: End| match (end, seen) {
            (End::Pod(end), End::Pod(seen)) => {
                let (end, seen) = (&bare.cluster().pods[end as usize], &bare.cluster().pods[seen as usize]);
                end.namespace == seen.namespace && seen.labels.iter().all(|(key, value)| end.labels.get(key) == Some(value))
            }
            (end, seen) => end == seen,
        };
        for from in &ends {
            for to in &ends {
                for port in 78..83 {
                    let connection = Connection { from: *from, to: *to, protocol: Protocol::Tcp, port };
                    let verdict = engine.judge(&connection);
                    let is_seen = seen.iter().any(|seen| {
                        like(*from, seen.from) && like(*to, seen.to) && port == seen.port
                    });
                    for side in [&verdict.egress, &verdict.ingress] {
                        prop_assert!(side.word != Word::Allowed || is_seen, "{connection:?} {yaml}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_text_is_too_much_for_the_loader(text in ".{0,200}", policy in policy(0), at in any::<prop::sample::Index>(), with in ".{0,3}") {
        let mut loader = Loader::default();
        loader.add("any.yaml", &text);
        let mut text = policy.to_string();
        let (mut from, mut to) = (at.index(text.len()), at.index(text.len()) + 1);
        while !text.is_char_boundary(from) { from -= 1; }
        while !text.is_char_boundary(to) { to += 1; }
        text.replace_range(from..to, &with);
        loader.add("broken.yaml", &text);
        let loaded = loader.finish();
        matrix_of_any(&Engine::new(loaded.cluster, Options::default()));
    }
}

/// Judges without expecting anything.
fn matrix_of_any(engine: &Engine) {
    for address in ["10.0.0.1", "::1", "192.0.2.1"] {
        let end = End::Address(address.parse().unwrap());
        engine.judge(&Connection {
            from: end,
            to: end,
            protocol: Protocol::Other(1),
            port: 0,
        });
    }
}
