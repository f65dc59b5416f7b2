//! What holds for whatever clusters, policies and texts.

use std::fmt::Write as _;

use probe_policy::{
    engine::{Connection, End, Engine, Options},
    load::Loader,
    model::Protocol,
    verdict::Word,
};
use proptest::prelude::*;

/// Manifests of one kind each, in pieces that can be put together in any order.
#[derive(Clone, Debug)]
struct World {
    pods: Vec<String>,
    policies: Vec<String>,
}

/// `KEY` and `VALUE` begin all keys and values of labels, so that they can be renamed.
fn labels() -> impl Strategy<Value = String> {
    prop::collection::btree_map(0..3u8, 0..3u8, 0..3).prop_map(|labels| {
        let pairs = labels
            .iter()
            .map(|(key, value)| format!("KEY{key}: VALUE{value}"));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    })
}

fn selector() -> impl Strategy<Value = String> {
    let expression = (0..3u8, 0..3u8, 0..4usize).prop_map(|(key, value, operator)| {
        let operator = [
            format!("In, values: [VALUE{value}]"),
            format!("NotIn, values: [VALUE{value}]"),
            "Exists".to_owned(),
            "DoesNotExist".to_owned(),
        ][operator]
            .clone();
        format!("{{matchExpressions: [{{key: KEY{key}, operator: {operator}}}]}}")
    });
    prop_oneof![
        Just("{}".to_owned()),
        labels().prop_map(|labels| format!("{{matchLabels: {labels}}}")),
        expression,
    ]
}

fn pod(number: usize) -> impl Strategy<Value = String> {
    (labels(), 0..2u8, any::<bool>(), any::<bool>()).prop_map(move |(labels, port, host, ended)| {
        let phase = if ended && number > 2 { "Succeeded" } else { "Running" };
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p{number}, namespace: n{}, labels: {labels}}}, spec: {{hostNetwork: {}, containers: [{{name: c, ports: [{{name: serve, containerPort: 8{port}}}]}}]}}, status: {{phase: {phase}, podIP: 10.0.0.{number}}}}}",
            number % 2,
            host && number > 3,
        )
    })
}

fn peer() -> impl Strategy<Value = String> {
    prop_oneof![
        selector().prop_map(|s| format!("{{podSelector: {s}}}")),
        (selector(), selector())
            .prop_map(|(n, p)| format!("{{namespaceSelector: {n}, podSelector: {p}}}")),
        (0..8u8, 28..33u8)
            .prop_map(|(host, prefix)| format!("{{ipBlock: {{cidr: 10.0.0.{host}/{prefix}}}}}")),
    ]
}

fn rule(ends: &'static str) -> impl Strategy<Value = String> {
    let port = prop_oneof![
        Just("{}"),
        Just("{port: 80}"),
        Just("{port: 80, endPort: 81}"),
        Just("{port: serve}"),
        Just("{protocol: UDP}"),
    ];
    (
        prop::collection::vec(peer(), 0..3),
        prop::collection::vec(port, 0..3),
    )
        .prop_map(move |(peers, ports)| {
            format!(
                "{{{ends}: [{}], ports: [{}]}}",
                peers.join(", "),
                ports.join(", ")
            )
        })
}

fn network(name: String, extra: &str, parts: &(String, Vec<String>, Vec<String>, u8)) -> String {
    let (pods, ingress, egress, namespace) = parts;
    let mut ingress = ingress.clone();
    if !extra.is_empty() {
        ingress.push(extra.to_owned());
    }
    format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {name}, namespace: n{namespace}}}, spec: {{podSelector: {pods}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}}}}",
        ingress.join(", "),
        egress.join(", ")
    )
}

fn parts() -> impl Strategy<Value = (String, Vec<String>, Vec<String>, u8)> {
    let rules = |ends| prop::collection::vec(rule(ends), 0..3);
    (selector(), rules("from"), rules("to"), 0..2u8)
}

fn tiered(number: usize) -> impl Strategy<Value = String> {
    let rule = (prop::sample::select(vec!["Accept", "Deny", "Pass"]), selector(), selector()).prop_map(
        |(action, namespaces, pods)| {
            format!("{{action: {action}, from: [{{pods: {{namespaceSelector: {namespaces}, podSelector: {pods}}}}}]}}")
        },
    );
    let tier = prop::sample::select(vec!["Admin", "Baseline"]);
    (tier, 0..3u8, selector(), prop::collection::vec(rule, 0..3)).prop_map(
        move |(tier, priority, pods, rules)| {
            format!(
                "{{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {{name: c{number}}}, spec: {{tier: {tier}, priority: {priority}, subject: {{pods: {{namespaceSelector: {{}}, podSelector: {pods}}}}}, ingress: [{}]}}}}",
                rules.join(", ")
            )
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let pods: Vec<_> = (1..6).map(pod).collect();
    let network = prop::collection::vec(parts(), 0..4);
    (pods, network, tiered(0), tiered(1)).prop_map(|(pods, networks, one, two)| World {
        pods,
        policies: (0..)
            .zip(&networks)
            .map(|(number, parts)| network_at(number, parts))
            .chain([one, two])
            .collect(),
    })
}

fn network_at(number: usize, parts: &(String, Vec<String>, Vec<String>, u8)) -> String {
    network(format!("np{number}"), "", parts)
}

/// Of documents in this order, each in a file of its own or all in one.
fn engine(documents: &[String], apart: bool) -> Engine {
    let mut loader = Loader::default();
    if apart {
        for (number, document) in documents.iter().enumerate() {
            loader.add(&format!("{number}.yaml"), document);
        }
    } else {
        loader.add("all.yaml", &documents.join("\n---\n"));
    }
    let loaded = loader.finish();
    assert!(!loaded.has_errors(), "{:?}", loaded.findings);
    Engine::new(loaded.cluster, Options::default())
}

impl World {
    fn documents(&self, key: &str, value: &str) -> Vec<String> {
        let all = self.pods.iter().chain(&self.policies);
        all.map(|text| text.replace("KEY", key).replace("VALUE", value))
            .collect()
    }
}

/// All questions of interest, with all of their answers in words.
fn verdicts(engine: &Engine) -> String {
    let mut text = String::new();
    for (question, connection) in questions(engine) {
        let verdict = engine.judge(&connection);
        let names: Vec<_> = [&verdict.egress, &verdict.ingress]
            .into_iter()
            .flat_map(|side| side.hits.iter().chain(&side.passed))
            .map(|hit| {
                (
                    engine.policy(hit.policy).to_string(),
                    hit.rule,
                    hit.peer,
                    hit.port,
                    hit.miss,
                )
            })
            .collect();
        let sides =
            [&verdict.egress, &verdict.ingress].map(|side| (side.word, side.reason, side.lean));
        writeln!(
            text,
            "{question}: {:?} {sides:?} {names:?}",
            verdict.combined
        )
        .expect("is written well");
    }
    text
}

fn questions(engine: &Engine) -> Vec<(String, Connection)> {
    let mut all = Vec::new();
    let mut ends: Vec<(String, End)> = Vec::new();
    for number in 1..6 {
        let pod = engine.find(&format!("n{}", number % 2), &format!("p{number}"));
        ends.push((format!("p{number}"), End::Pod(pod.expect("a pod"))));
    }
    for address in [
        "10.0.0.1",
        "10.0.0.7",
        "9.9.9.9",
        "::ffff:10.0.0.2",
        "fd00::1",
    ] {
        ends.push((
            address.to_owned(),
            End::Address(address.parse().expect("is written well")),
        ));
    }
    for (from_name, from) in &ends {
        for (to_name, to) in &ends {
            for (protocol, port) in [
                (Protocol::Tcp, 80),
                (Protocol::Tcp, 81),
                (Protocol::Udp, 80),
                (Protocol::Other(1), 0),
            ] {
                let connection = Connection {
                    from: *from,
                    to: *to,
                    protocol,
                    port,
                };
                all.push((
                    format!("{from_name} {to_name} {protocol} {port}"),
                    connection,
                ));
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_rule_more_in_a_policy_that_isolates_denies_nothing_more(
        pods in (1..6).map(pod).collect::<Vec<_>>(),
        others in prop::collection::vec(parts(), 0..3),
        parts in parts(),
        extra in rule("from"),
    ) {
        let mut documents = pods;
        documents.extend((0..).zip(&others).map(|(number, parts)| network_at(number, parts)));
        let with = |extra: &str| {
            let mut documents = documents.clone();
            documents.push(network("more".to_owned(), extra, &parts));
            engine(&documents, false)
        };
        let (before, after) = (with(""), with(&extra));
        for (question, connection) in questions(&before) {
            let (old, new) = (before.judge(&connection), after.judge(&connection));
            prop_assert_eq!(&old.egress.word, &new.egress.word);
            if old.ingress.word.allows() == Some(true) {
                prop_assert_eq!(old.ingress.word, new.ingress.word, "{}", question);
            } else {
                prop_assert!(new.ingress.word == old.ingress.word || new.ingress.word == Word::Allowed);
            }
        }
    }

    #[test]
    fn other_names_of_labels_change_nothing(world in world()) {
        let one = engine(&world.documents("key-", "value-"), false);
        let two = engine(&world.documents("example.com/zz", "A_"), false);
        prop_assert_eq!(verdicts(&one), verdicts(&two));
    }

    #[test]
    fn the_order_of_files_changes_nothing(world in world(), seed in any::<prop::sample::Index>()) {
        let mut documents = world.documents("k", "v");
        let one = engine(&documents, false);
        let middle = seed.index(documents.len());
        documents.rotate_left(middle);
        documents.reverse();
        let two = engine(&documents, true);
        prop_assert_eq!(one.cluster(), two.cluster());
        prop_assert_eq!(verdicts(&one), verdicts(&two));
    }

    #[test]
    fn any_question_has_an_answer(
        world in world(),
        from in any::<u32>(),
        address in any::<std::net::IpAddr>(),
        number in any::<u8>(),
        port in any::<u16>(),
        distinguish_host_network in any::<bool>(),
        blocks_match_pods in any::<bool>(),
    ) {
        let cluster = engine(&world.documents("k", "v"), false).cluster().clone();
        let engine = Engine::new(cluster, Options { blocks_match_pods, distinguish_host_network });
        for from in [End::Pod(from), End::Pod(from % 8), End::Address(address)] {
            for to in [End::Pod(from_number(from)), End::Pod(3), End::Address(address)] {
                let protocol = Protocol::from_number(number);
                engine.judge(&Connection { from, to, protocol, port });
            }
        }
    }

    #[test]
    fn no_text_is_too_much(text in any::<String>(), yaml in "([a-z]{1,3}|[-:\\[\\]{},&*!|>'\"#%@` \n\t0-9]){0,80}") {
        for text in [text, yaml] {
            let mut loader = Loader::default();
            loader.add("a.yaml", &text);
            Engine::new(loader.finish().cluster, Options::default());
        }
    }

    #[test]
    fn no_damage_to_a_manifest_is_too_much(
        world in world(),
        places in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(DAMAGE.to_vec())), 1..6),
    ) {
        let mut text = world.documents("k", "v").join("\n---\n");
        for (place, damage) in places {
            let mut at = place.index(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            // One character, or all until the next one of the same kind of end.
            let end = text[at..].find([',', ':', '}', ']']).map_or(text.len(), |length| at + length);
            text.replace_range(at..end, damage);
        }
        let mut loader = Loader::default();
        loader.add("a.yaml", &text);
        let engine = Engine::new(loader.finish().cluster, Options::default());
        for index in 0..8 {
            engine.judge(&Connection {
                from: End::Pod(index),
                to: End::Pod((index + 1) % 6),
                protocol: Protocol::Tcp,
                port: 80,
            });
        }
    }
}

const DAMAGE: &[&str] = &[
    "",
    "null",
    "{}",
    "[]",
    "-1",
    "99999999999999999999",
    "'80'",
    "1.5",
    "true",
    "~",
    "[null]",
    "{a: b}",
    ",",
    "}",
    "]",
    "\n",
    "é",
    "10.0.0.0/99",
    "::/0",
    "VALUE",
];

fn from_number(end: End) -> u32 {
    match end {
        End::Pod(number) | End::PodAt(number, _) => number.wrapping_add(1),
        End::Address(_) | End::Host(_) => u32::MAX,
    }
}
