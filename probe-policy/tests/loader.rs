//! What becomes of texts: defaults, messages, duplicates, lists, and texts that mean harm.

use std::{fmt::Write as _, time::Instant};

use probe_policy::{
    load::{Loaded, Loader},
    model::{Body, PortMatch, Protocol},
};

fn load(files: &[(&str, &str)]) -> Loaded {
    let mut loader = Loader::default();
    files.iter().for_each(|(name, text)| loader.add(name, text));
    loader.finish()
}

fn findings(loaded: &Loaded) -> Vec<String> {
    loaded.findings.iter().map(ToString::to_string).collect()
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

#[test]
fn defaults_are_those_of_the_api_server() {
    let text = policy("p", "{ingress: [{ports: [{port: 80}, {}]}]}")
        + "---\n{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: c, ports: [{containerPort: 1}]}]}}\n";
    let mut loader = Loader::new("mine");
    loader.add("a.yaml", &text);
    let loaded = loader.finish();
    assert_eq!(findings(&loaded), Vec::<String>::new());
    let policy = &loaded.cluster.policies[0];
    assert_eq!(policy.to_string(), "NetworkPolicy mine/p");
    let Body::Network(network) = &policy.body else {
        panic!("{policy:?}");
    };
    assert!(network.pods.is_everything() && network.egress.is_none());
    let ports = network.ingress.as_ref().unwrap()[0].ports.as_ref().unwrap();
    assert!(
        ports
            .iter()
            .all(|port| port.protocol == Some(Protocol::Tcp))
    );
    assert_eq!(ports[0].port, PortMatch::Range(80, 80));
    assert_eq!(ports[1].port, PortMatch::Any);
    let pod = &loaded.cluster.pods[0];
    assert_eq!(pod.namespace, "mine");
    assert_eq!(pod.ports[0].protocol, Protocol::Tcp);
}

#[test]
fn errors_name_file_document_and_field() {
    let text = policy("fine", "{podSelector: {}}")
        + &policy(
            "bad",
            "{podSelector: {}, policyTypes: [Ingress, Egress], egress: [{}, {ports: [{}, {port: '80'}]}]}",
        );
    let loaded = load(&[("dir/a.yaml", &text)]);
    assert_eq!(
        findings(&loaded),
        [
            "warning: dir/a.yaml (document 1): spec: has no rules and no policyTypes, which denies all ingress",
            "error: dir/a.yaml (document 2): spec.egress[1].ports[1].port: `80` cannot be the name of a port; a number has no quotes",
        ]
    );
    assert!(loaded.has_errors());
    assert_eq!(loaded.cluster.policies.len(), 2);
}

#[test]
fn unknown_and_wrongly_cased_fields_are_dropped_with_a_warning() {
    let text = policy(
        "p",
        "{podselector: {matchLabels: {a: b}}, colour: red, ingress: [{From: [], ports: [{port: 1, endport: 2}]}]}",
    );
    let loaded = load(&[("a.yaml", &text)]);
    let all = findings(&loaded);
    for (field, hint) in [
        ("spec.podselector", "`podSelector` is meant"),
        ("spec.colour", "has no effect"),
        ("spec.ingress[0].From", "`from` is meant"),
        ("spec.ingress[0].ports[0].endport", "`endPort` is meant"),
    ] {
        let is_it = |finding: &&String| finding.contains(&format!(" {field}: "));
        let finding = all.iter().find(is_it);
        let finding = finding.unwrap_or_else(|| panic!("{field}: {all:#?}"));
        assert!(
            finding.starts_with("warning") && finding.contains(hint),
            "{finding}"
        );
    }
    assert!(!loaded.has_errors());
}

#[test]
fn of_two_the_later_file_wins_whichever_is_added_first() {
    let one = policy("p", "{podSelector: {}, ingress: [{}]}");
    let two = policy("p", "{podSelector: {}, ingress: [{}, {}]}");
    let rules = |loaded: &Loaded| match &loaded.cluster.policies[..] {
        [policy] => match &policy.body {
            Body::Network(network) => network.ingress.as_ref().unwrap().len(),
            _ => panic!("{policy:?}"),
        },
        policies => panic!("{policies:?}"),
    };
    for files in [[("a", &*one), ("b", &*two)], [("b", &*two), ("a", &*one)]] {
        let loaded = load(&files);
        assert_eq!(rules(&loaded), 2);
        let all = findings(&loaded);
        assert_eq!(all.len(), 1, "{all:#?}");
        assert!(
            all[0].starts_with("warning") && all[0].contains("b (document 1) is used"),
            "{all:#?}"
        );
    }
    // And of one file the later document.
    assert_eq!(rules(&load(&[("a", &(two + &one))])), 1);
}

#[test]
fn items_of_lists_are_objects_even_without_a_kind() {
    let pod = "{metadata: {name: NAME}, spec: {containers: [{name: c}]}}";
    let whole = pod.replace("{metadata", "{apiVersion: v1, kind: Pod, metadata");
    let text = format!(
        "{{apiVersion: v1, kind: List, items: [{}, {{apiVersion: v1, kind: ConfigMap, metadata: {{name: c}}}}]}}\n---\n{{apiVersion: v1, kind: PodList, items: [{}, {}]}}\n",
        whole.replace("NAME", "one"),
        pod.replace("NAME", "two"),
        whole.replace("NAME", "three"),
    );
    let loaded = load(&[("a.yaml", &text)]);
    assert_eq!(findings(&loaded), Vec::<String>::new());
    let names: Vec<_> = loaded
        .cluster
        .pods
        .iter()
        .map(|pod| pod.name.as_str())
        .collect();
    assert_eq!(names, ["one", "three", "two"]);
    assert_eq!(loaded.skipped.get("ConfigMap"), Some(&1));
}

#[test]
fn an_error_in_a_list_names_the_item() {
    let text = r#"{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicyList", "items": [
        {"metadata": {"name": "p"}, "spec": {"podSelector": {}, "ingress": [{"from": [{}]}]}}]}"#;
    let all = findings(&load(&[("a.json", text)]));
    assert_eq!(all.len(), 1);
    assert!(
        all[0].contains("document 1): items[0].spec.ingress[0].from[0]: "),
        "{all:?}"
    );
}

#[test]
fn kinds_of_no_concern_are_counted_and_versions_of_others_are_errors() {
    let text = "{apiVersion: v1, kind: Secret, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Secret, metadata: {name: b}}
---\n{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: c}}
---\n{apiVersion: networking.k8s.io/v2, kind: NetworkPolicy, metadata: {name: c}}\n";
    let loaded = load(&[("a.yaml", text)]);
    assert_eq!(loaded.skipped.get("Secret"), Some(&2));
    assert_eq!(loaded.skipped.get("CiliumNetworkPolicy"), Some(&1));
    let all = findings(&loaded);
    assert_eq!(all.len(), 1, "{all:#?}");
    assert!(all[0].contains("document 4): apiVersion: "), "{all:#?}");
}

#[test]
fn a_broken_document_hides_no_other() {
    for broken in [
        "a: [",
        "\ta: b",
        "a: b: c",
        "kind: {}",
        "[]",
        "text",
        "{kind: Pod}",
        "kind: Pod\nkind: Pod",
        "!!binary x",
        "a: *none",
        "\u{0}",
    ] {
        let text = format!(
            "{}---\n{broken}\n{}",
            policy("one", "{ingress: [{}]}"),
            policy("two", "{ingress: [{}]}")
        );
        let loaded = load(&[("a.yaml", &text)]);
        assert_eq!(
            loaded.cluster.policies.len(),
            2,
            "{broken}: {:#?}",
            findings(&loaded)
        );
        let all = findings(&loaded);
        assert!(
            !all.is_empty() && all.iter().all(|f| f.contains("a.yaml (document 2)")),
            "{broken}: {all:#?}"
        );
    }
}

#[test]
fn directives_of_yaml_are_no_document() {
    let text = format!("%YAML 1.2\n{}", policy("p", "{ingress: [{}]}"));
    let loaded = load(&[("a.yaml", &text)]);
    assert_eq!(findings(&loaded), Vec::<String>::new());
    assert_eq!(loaded.cluster.policies.len(), 1);
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let depth = 200_000;
    for text in [
        "[".repeat(depth),
        "[".repeat(depth) + &"]".repeat(depth),
        "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth),
        "- ".repeat(depth),
        (0..3000).fold(String::new(), |text, level| {
            text + &" ".repeat(level) + "a:\n"
        }),
    ] {
        let loaded = load(&[("a.yaml", &text)]);
        assert!(loaded.has_errors());
    }
}

#[test]
fn aliases_of_aliases_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{list}]").unwrap();
    }
    assert!(load(&[("a.yaml", &text)]).has_errors());
}

const POD: &str = "  metadata:
    name: NAME
    namespace: shop
    labels:
      app.kubernetes.io/name: web
      pod-template-hash: 5d4f8c7b9
  spec:
    containers:
    - name: main
      image: registry.example/web:1
      env:
      - name: A
        value: some text of a usual length that nobody reads
      ports:
      - name: http
        containerPort: 8080
        protocol: TCP
  status:
    podIP: 10.1.2.3
    phase: Running
";

/// `count` pods as kubectl prints them: one document.
fn list(count: usize) -> String {
    let mut text = String::from("apiVersion: v1\nkind: List\nitems:\n");
    for number in 0..count {
        text += "- apiVersion: v1\n  kind: Pod\n";
        text += &POD.replace("NAME", &format!("web-{number}"));
    }
    text
}

#[test]
fn a_list_of_eight_thousand_pods_loads() {
    let loaded = load(&[("pods.yaml", &list(8_000))]);
    assert_eq!(findings(&loaded), Vec::<String>::new());
    assert_eq!(loaded.cluster.pods.len(), 8_000);
}

#[test]
#[ignore = "takes a minute unless it is optimised"]
fn twenty_megabytes_of_documents_load_in_reasonable_time() {
    let mut text = String::new();
    let mut count = 0;
    while text.len() < 20 << 20 {
        text += "---\napiVersion: v1\nkind: Pod\n";
        text += &POD
            .replace("NAME", &format!("web-{count}"))
            .replace("\n  ", "\n")[2..];
        count += 1;
    }
    let begun = Instant::now();
    let loaded = load(&[("all.yaml", &text)]);
    let took = begun.elapsed();
    assert_eq!(findings(&loaded), Vec::<String>::new());
    assert_eq!(loaded.cluster.pods.len(), count);
    println!("{} documents, {} MiB: {took:?}", count, text.len() >> 20);
    assert!(took.as_secs() < 120, "{took:?}");
}
