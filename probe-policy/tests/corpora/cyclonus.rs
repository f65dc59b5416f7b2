//! Verdict tables of NetworkPolicies.

use std::{fs::File, io::Read as _};

use flate2::read::GzDecoder;
use probe_policy::verdict::Word;
use serde_json::{Value, json};

use crate::{connection, corpus, engine, namespace, pod, text};

#[test]
fn all_tables_agree_in_both_directions() {
    let Some(folder) = corpus("cyclonus") else {
        return;
    };
    let mut cases = String::new();
    let file = File::open(folder.join("cyclonus-cases.jsonl.gz")).expect("the cases");
    GzDecoder::new(file)
        .read_to_string(&mut cases)
        .expect("text");
    let (mut rows, mut differences) = (0, Vec::new());
    for case in cases.lines() {
        let case: Value = serde_json::from_str(case).expect("a case");
        for step in case["Steps"].as_array().expect("steps") {
            let engine = engine(&objects(step));
            for row in step["Results"].as_array().expect("rows") {
                // A pod cannot block itself, which these tables do not know.
                if row["From"] == row["To"] {
                    continue;
                }
                rows += 1;
                let question = connection(&engine, row, ["From", "To", "Protocol", "Port"]);
                let verdict = engine.judge(&question);
                let words = [verdict.ingress.word, verdict.egress.word, verdict.combined];
                let expected = ["Ingress", "Egress", "Combined"].map(|key| text(row, key));
                if words.map(two_words) != expected {
                    differences.push(format!("{} {row}: {verdict:?}", case["Index"]));
                }
            }
        }
    }
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(rows, 55_620);
}

fn two_words(word: Word) -> &'static str {
    match word.allows() {
        Some(true) => "allowed",
        Some(false) => "blocked",
        None => "neither",
    }
}

fn objects(step: &Value) -> Vec<Value> {
    let namespaces = step["Namespaces"].as_object().expect("namespaces");
    let mut objects: Vec<_> = namespaces
        .iter()
        .map(|(name, labels)| namespace(name, labels))
        .collect();
    for each in step["Pods"].as_array().expect("pods") {
        let port = |port: &Value| json!({"name": port["Name"], "containerPort": port["Port"], "protocol": port["Protocol"]});
        let ports = each["Ports"]
            .as_array()
            .expect("ports")
            .iter()
            .map(port)
            .collect();
        let (namespace, name) = (text(each, "Namespace"), text(each, "Name"));
        objects.push(pod(
            namespace,
            name,
            text(each, "IP"),
            &each["Labels"],
            ports,
        ));
    }
    for policy in step["Policies"].as_array().into_iter().flatten() {
        let mut policy = policy.clone();
        let fields = policy.as_object_mut().expect("a policy");
        fields
            .entry("apiVersion")
            .or_insert_with(|| "networking.k8s.io/v1".into());
        fields
            .entry("kind")
            .or_insert_with(|| "NetworkPolicy".into());
        objects.push(policy);
    }
    objects
}
