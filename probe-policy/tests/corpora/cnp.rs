//! Connectivity that the conformance tests of ClusterNetworkPolicy expect, and its examples.

use std::fs;

use probe_policy::load::{Loader, Severity};
use serde_json::{Value, json};

use crate::{connection, corpus, engine, namespace, pod, read, text};

#[test]
fn all_probes_connect_or_do_not_as_expected() {
    let Some(folder) = corpus("cnp") else {
        return;
    };
    let topology: Value =
        serde_json::from_str(&read(&folder.join("topology.json"))).expect("a topology");
    let (mut probes, mut differences) = (0, Vec::new());
    for line in read(&folder.join("expected-probes.jsonl")).lines() {
        let record: Value = serde_json::from_str(line).expect("a record");
        let engine = engine(&objects(&topology, &record));
        for probe in record["probes"].as_array().expect("probes") {
            probes += 1;
            let question = connection(&engine, probe, ["from", "to", "protocol", "port"]);
            let verdict = engine.judge(&question);
            if verdict.combined.allows() != probe["connect"].as_bool() {
                differences.push(format!(
                    "{} {} {probe}: {verdict:?}",
                    record["file"], record["step"]
                ));
            }
        }
    }
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(probes, 187);
}

fn objects(topology: &Value, record: &Value) -> Vec<Value> {
    let mut objects = Vec::new();
    let changed = &record["namespace_labels"];
    for each in topology["namespaces"].as_array().expect("namespaces") {
        let name = text(each, "name");
        objects.push(namespace(
            name,
            changed.get(name).unwrap_or(&each["labels"]),
        ));
    }
    for each in topology["pods"].as_array().expect("pods") {
        let port = |port: &Value| {
            let number = port.get("containerPort").unwrap_or(&port["port"]);
            json!({"name": port["name"], "containerPort": number, "protocol": port["protocol"]})
        };
        let ports = each["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .map(port)
            .collect();
        let address = each
            .get("ip")
            .unwrap_or(&each["podIP"])
            .as_str()
            .expect("an address");
        let (namespace, name) = (text(each, "namespace"), text(each, "name"));
        objects.push(pod(namespace, name, address, &each["labels"], ports));
    }
    objects.extend(
        record["objects"]
            .as_array()
            .expect("objects")
            .iter()
            .cloned(),
    );
    objects
}

#[test]
fn examples_load_or_are_refused_with_their_place() {
    let Some(folder) = corpus("cnp") else {
        return;
    };
    let mut refused = Vec::new();
    for part in [
        "pkg/crdtest/testdata/valid",
        "pkg/crdtest/testdata/invalid",
        "site-src/user-story-examples",
    ] {
        for entry in fs::read_dir(folder.join(part)).expect(part) {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .expect("a name")
                .to_owned();
            let mut loader = Loader::default();
            loader.add(&name, &read(&path));
            let loaded = loader.finish();
            let mut errors = loaded
                .findings
                .iter()
                .filter(|finding| finding.severity == Severity::Error);
            if let Some(first) = errors.next() {
                refused.push((name, first.to_string()));
            } else {
                assert_ne!(loaded.cluster.policies.len(), 0, "{name}");
            }
        }
    }
    refused.sort();
    let names: Vec<_> = refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["invalid-ingress-action.yaml", "user-story-4-v2.yaml"],
        "{refused:#?}"
    );
    assert!(
        refused[0].1.contains("spec.ingress[0].action"),
        "{}",
        refused[0].1
    );
}
