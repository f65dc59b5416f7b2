//! A rolling update, and the removal of everything.

use kube_tests::{
    agent::Agent,
    cluster::{Cluster, manifests},
    records::of,
    wait::within,
};
use serde_json::Value;

#[test]
fn z_an_update_loses_nothing_that_is_not_told_and_removal_leaves_nothing() {
    let Some(cluster) = super::cluster() else {
        return;
    };
    let agent = Agent::ready(&cluster);
    super::workloads(&cluster);
    let old = agent.pod().unwrap()["metadata"]["uid"].clone();
    let before = runs(&agent);
    let patch = r#"{"spec":{"template":{"metadata":{"annotations":{"test/update":"1"}}}}}"#;
    let update = [
        "patch",
        "daemonset",
        "-n",
        "nodeprobe",
        "nodeprobe",
        "-p",
        patch,
    ];
    cluster.kubectl(&update).unwrap();
    let status = [
        "rollout",
        "status",
        "-n",
        "nodeprobe",
        "--timeout=180s",
        "daemonset/nodeprobe",
    ];
    cluster.kubectl(&status).unwrap();
    let agent = Agent::ready(&cluster);
    assert_ne!(agent.pod().unwrap()["metadata"]["uid"], old);
    let records = within(120, "the new agent writes flows", || {
        let records = agent.records("flows")?;
        let runs = runs(&agent);
        let new = runs.iter().find(|it| !before.contains(it));
        let flows = records.iter().filter(|it| it["type"] == "flow");
        let of_new = flows.filter(|it| new.is_some_and(|new| it["run_id"] == **new));
        Ok((of_new.count() >= 20).then_some(records))
    });
    holes(&records, before.last().unwrap());
    removed(&cluster);
}

/// Ids of the runs in the log, in their order.
fn runs(agent: &Agent<'_>) -> Vec<String> {
    let mut runs = Vec::new();
    for record in agent.records("flows").unwrap_or_default() {
        let run = record["run_id"].as_str().unwrap_or_default().to_owned();
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    runs
}

/// The clients ask each second: wherever nothing of them is in the log for longer, a gap says why.
fn holes(records: &[Value], last_run: &str) {
    let ns = |record: &Value, key: &str| record[key].as_u64().unwrap_or_default();
    let from = records
        .iter()
        .position(|it| it["run_id"] == last_run)
        .unwrap_or_default();
    let records = &records[from..];
    let gaps: Vec<_> = records.iter().filter(|it| it["type"] == "gap").collect();
    let ends: Vec<u64> = records
        .iter()
        .filter(|it| {
            it["type"] == "flow" && it["event"] == "end" && of(it, "src", "workload") == "client"
        })
        .map(|it| ns(it, "mono_ns"))
        .collect();
    let mut holes = 0;
    let mut sorted = ends.clone();
    sorted.sort_unstable();
    for pair in sorted
        .windows(2)
        .filter(|pair| pair[1] - pair[0] > 4_000_000_000)
    {
        holes += 1;
        let is_told = gaps.iter().any(|gap| {
            let at = ns(gap, "mono_ns");
            (pair[0]..=pair[1] + 1_000_000_000).contains(&at)
        });
        assert!(
            is_told,
            "nothing from {} to {} ns, and no gap: {gaps:?}",
            pair[0], pair[1]
        );
    }
    assert!(!gaps.is_empty(), "the update is no gap");
    eprintln!(
        "{} connections, {holes} holes, {} gaps told",
        ends.len(),
        gaps.len()
    );
}

/// Nothing of the agent is left: no program, no pin, no cgroup.
fn removed(cluster: &Cluster) {
    let agent = manifests().join("agent");
    let uid = Agent::ready(cluster).pod().unwrap()["metadata"]["uid"].clone();
    let uid = uid.as_str().unwrap().to_owned();
    let programs = || cluster.on_node(&["bpftool", "-j", "prog", "show"]);
    // By the name of one that nobody else has.
    let ours = |text: &str| text.matches("\"name\":\"cgroup_attach_task\"").count();
    assert_eq!(ours(&programs().unwrap()), 1);
    cluster
        .kubectl(&[
            "delete",
            "-k",
            &agent.to_string_lossy(),
            "--wait=true",
            "--timeout=120s",
        ])
        .unwrap();
    within(120, "its programs are gone", || {
        Ok((ours(&programs()?) == 0).then_some(()))
    });
    // The kernel has two files of its own there.
    let pins = cluster
        .on_node(&[
            "find",
            "/sys/fs/bpf",
            "-mindepth",
            "1",
            "-not",
            "-name",
            "*.debug",
        ])
        .unwrap();
    assert_eq!(pins.trim(), "");
    within(120, "its cgroup is gone", || {
        let found = cluster.on_node(&[
            "find",
            "/sys/fs/cgroup",
            "-name",
            &format!("*{uid}*"),
            "-type",
            "d",
        ])?;
        // The kubelet of this version leaves empty folders of pods behind.
        let processes = found
            .lines()
            .map(|it| cluster.on_node(&["cat", &format!("{it}/cgroup.procs")]));
        let all: Result<Vec<_>, _> = processes.collect();
        Ok(all?.iter().all(|it| it.trim().is_empty()).then_some(()))
    });
}
