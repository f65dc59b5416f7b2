//! What commands print for programs is what `docs/schema` says.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    guard::output,
    lock::alone,
    nodeprobe::{Tool, command},
    schema::errors,
};

/// Schemas of `docs/schema` by the type that they are about. Compiled in: a test may run where the repository is not.
macro_rules! schemas {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../docs/schema/nodeprobe.", $name, "-1.json")))),*]
    };
}

fn schemas() -> Result<BTreeMap<String, Value>> {
    let texts = schemas![
        "audit"
        "audit_summary"
        "balance"
        "container"
        "containers"
        "dns"
        "doctor"
        "flow"
        "flow_summary"
        "gap"
        "lookup"
        "loss"
        "policy_check"
        "policy_explain"
        "policy_explain_error"
        "policy_replay"
        "policy_replay_row"
        "report"
        "sched"
        "summary"
        "syscall"
        "tcp"
    ];
    let parsed = texts.map(|(name, text)| Ok((name.to_owned(), serde_json::from_str(text)?)));
    parsed.into_iter().collect()
}

/// Checks an object, and the rows in it, by the schema of its type; answers its type.
fn valid(schemas: &BTreeMap<String, Value>, object: &Value) -> Result<String> {
    let name = object["type"]
        .as_str()
        .with_context(|| format!("no type: {object}"))?;
    let schema = schemas
        .get(name)
        .with_context(|| format!("no schema of {name}"))?;
    let found = errors(schema, object);
    ensure!(found.is_empty(), "{object:#}\n{found:#?}");
    for row in object["rows"].as_array().into_iter().flatten() {
        valid(schemas, row)?;
    }
    Ok(name.to_owned())
}

/// Checks each line; answers their types, each once and in order.
fn lines(schemas: &BTreeMap<String, Value>, text: &str) -> Result<Vec<String>> {
    let types = text
        .lines()
        .map(|line| valid(schemas, &serde_json::from_str(line)?));
    let mut types: Vec<String> = types.collect::<Result<_>>()?;
    types.dedup();
    Ok(types)
}

#[test]
fn the_tools_print_what_their_schemas_say() -> Result<()> {
    let _alone = alone();
    let schemas = schemas()?;
    for (arguments, row) in [
        ("syscalls --by process,syscall", "syscall"),
        ("runqlat", "sched"),
        ("offcpu --by process", "sched"),
        ("tcp", "tcp"),
        ("flows --by peer", "flow_summary"),
        ("dns", "dns"),
    ] {
        let text = Tool::attach(&format!("{arguments} --duration 1s"))?.output()?;
        let report: Value = serde_json::from_str(&text)?;
        assert_eq!(valid(&schemas, &report)?, "report", "{arguments}");
        let rows = report["rows"].as_array().into_iter().flatten();
        assert!(
            rows.into_iter().all(|it| it["type"] == row),
            "{arguments}: {text}"
        );
    }
    let text = Tool::attach_as("syscalls --duration 1s -o ndjson", command())?.output()?;
    assert_eq!(lines(&schemas, &text)?, ["syscall", "summary"]);
    let text = Tool::attach_as("flows --duration 1s -o ndjson", command())?.output()?;
    assert_eq!(
        lines(&schemas, &text)?.last().map(String::as_str),
        Some("summary")
    );
    Ok(())
}

#[test]
fn the_list_of_containers_is_what_its_schema_says() -> Result<()> {
    let schemas = schemas()?;
    let printed = output(command().args(["containers", "--all", "-o", "json"]))?;
    let listing: Value = serde_json::from_slice(&printed.stdout)?;
    assert_eq!(valid(&schemas, &listing)?, "containers");
    for row in listing["containers"].as_array().into_iter().flatten() {
        assert_eq!(valid(&schemas, row)?, "container");
    }
    Ok(())
}

#[test]
fn the_doctor_prints_what_its_schema_says() -> Result<()> {
    let printed = output(command().args(["doctor", "-o", "json"]))?;
    let report = serde_json::from_slice(&printed.stdout)?;
    assert_eq!(valid(&schemas()?, &report)?, "doctor");
    Ok(())
}

const MANIFESTS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
status: {podIP: 10.0.0.1, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: db, ports: [{containerPort: 5432}]}]}
status: {podIP: 10.0.0.2, phase: Running}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-in, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: nobody}}}]}]
"#;

#[test]
fn the_policy_commands_print_what_their_schemas_say() -> Result<()> {
    let schemas = schemas()?;
    let folder = tempfile::tempdir()?;
    let manifests = folder.path().join("manifests.yaml");
    fs::write(&manifests, MANIFESTS)?;
    let (queries, expected) = (
        folder.path().join("queries"),
        folder.path().join("expected"),
    );
    fs::write(
        &queries,
        "{\"from\":\"shop/web\",\"to\":\"shop/db\",\"port\":5432}\n{\"from\":\"shop/none\",\"to\":\"shop/db\"}\n",
    )?;
    fs::write(
        &expected,
        "{\"from\":\"shop/web\",\"to\":\"shop/db\",\"port\":5432,\"allowed\":true}\n",
    )?;
    let log = folder.path().join("flows.ndjson");
    fs::write(&log, include_str!("../fixtures/flows/records.ndjson"))?;
    let run = |arguments: &[&str]| -> Result<String> {
        let mut command = command();
        command
            .arg("policy")
            .args(arguments)
            .arg("--manifests")
            .arg(&manifests);
        let printed = output(&mut command)?;
        let text = String::from_utf8(printed.stdout)?;
        let said = String::from_utf8_lossy(&printed.stderr);
        ensure!(!text.is_empty(), "{arguments:?}: {said}");
        Ok(text)
    };
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let ask = [
        "explain", "--from", "shop/web", "--to", "shop/db", "--port", "5432",
    ];
    let whole = |text: &str| valid(&schemas, &serde_json::from_str(text)?);
    assert_eq!(
        whole(&run(&[&ask[..], &["-o", "json"]].concat())?)?,
        "policy_explain"
    );
    assert_eq!(
        lines(&schemas, &run(&["explain", "--queries", &path(&queries)])?)?,
        ["policy_explain", "policy_explain_error"]
    );
    let check = run(&["check", "--expect", &path(&expected), "-o", "json"])?;
    assert_eq!(whole(&check)?, "policy_check");
    let check: Value = serde_json::from_str(&check)?;
    assert_eq!(
        check["mismatches"].as_array().map(Vec::len),
        Some(1),
        "{check:#}"
    );
    let replay = run(&["replay", "--flows", &path(&log), "-o", "json"])?;
    assert_eq!(whole(&replay)?, "policy_replay");
    Ok(())
}
