//! Verdicts of recorded connections, by the tool that users have for it.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// Has `nodeprobe policy replay` judge connections by manifests in a folder, and compares with what audit events said live: pairs of
/// an event and the record of the same flow.
///
/// # Panics
///
/// If a verdict is another one, or the tool fails.
pub fn compare(folder: &Path, pairs: &[(Value, Value)]) {
    let mut by_verdict = BTreeMap::<String, Vec<&Value>>::new();
    for (event, flow) in pairs {
        let verdict = event["policy_combined"]["verdict"]
            .as_str()
            .unwrap_or_default();
        by_verdict.entry(verdict.to_owned()).or_default().push(flow);
    }
    eprintln!(
        "replayed: {:?}",
        by_verdict
            .iter()
            .map(|(verdict, flows)| (verdict, flows.len()))
            .collect::<Vec<_>>()
    );
    assert!(by_verdict.len() >= 2, "{:?}", by_verdict.keys());
    for (verdict, flows) in by_verdict {
        let log = folder.join("flows.ndjson");
        let lines: Vec<_> = flows.iter().map(ToString::to_string).collect();
        fs::write(&log, lines.join("\n") + "\n").expect("write the flows");
        let program = std::env::var_os("NODEPROBE_BIN").expect("NODEPROBE_BIN names the program");
        let output = Command::new(program)
            .args(["policy", "replay", "-o", "ndjson", "--manifests"])
            .arg(folder.join("cluster.yaml"))
            .arg("--flows")
            .arg(&log)
            .stdin(Stdio::null())
            .output()
            .expect("start the tool");
        let text = String::from_utf8_lossy(&output.stdout);
        let rows: Vec<Value> = text
            .lines()
            .filter_map(|it| serde_json::from_str(it).ok())
            .collect();
        assert!(
            !rows.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        for row in rows {
            assert_eq!(row["verdict"], verdict, "{row}");
        }
    }
}
