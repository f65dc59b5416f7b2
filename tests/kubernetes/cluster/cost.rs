//! What the agent takes from its node and from the API server.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use kube_tests::agent::Agent;
use serde_json::Value;

/// How long the agent's CPU time is watched.
const WATCHED: Duration = Duration::from_secs(30);
/// Resident memory of an agent with hardly any flows, and some room: the goal is 64 MiB.
const MEMORY: f64 = 64.0 * 1024.0 * 1024.0;
/// Of one CPU. The goal is 2 %; the machine may be slow and busy.
const CPU: f64 = 0.10;

#[test]
fn it_takes_little_and_the_api_server_counts_the_same_requests() {
    let Some(cluster) = super::cluster() else {
        return;
    };
    super::workloads(&cluster);
    let agent = Agent::ready(&cluster);
    let metric = |name: &str| agent.sum(name, &[]).unwrap();
    let (start, before) = (Instant::now(), metric("process_cpu_seconds_total"));
    thread::sleep(WATCHED);
    let cpu = (metric("process_cpu_seconds_total") - before) / start.elapsed().as_secs_f64();
    let memory = metric("process_resident_memory_bytes");
    eprintln!(
        "CPU {:.2} % of one, resident {:.1} MiB",
        100.0 * cpu,
        memory / 1_048_576.0
    );
    assert!(
        memory <= MEMORY && cpu <= CPU,
        "{memory} bytes, {cpu} of a CPU"
    );
    for name in ["requests", "received_bytes", "lists"] {
        let name = format!("nodeprobe_kubernetes_{name}_total");
        let samples = agent.samples(&name).unwrap();
        eprintln!("{name}: {samples:?}");
    }
    // The server notes each list and question when it is answered, and a watch when it ends: those are left out.
    let pod = agent.pod().unwrap();
    let noted = requests_of(pod["status"]["podIP"].as_str().unwrap());
    let discovery = ["resource=\"~discovery\""];
    let asked = agent
        .sum("nodeprobe_kubernetes_requests_total", &discovery)
        .unwrap();
    let listed = agent.sum("nodeprobe_kubernetes_lists_total", &[]).unwrap();
    assert_eq!(noted as f64, asked + listed);
}

/// Lists and questions that the API server has answered to the agent at an address.
fn requests_of(address: &str) -> usize {
    let log = std::env::var("NODEPROBE_KUBE_AUDIT").unwrap();
    let text = fs::read_to_string(log).unwrap();
    let mut ids: Vec<String> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["sourceIPs"][0] == address && event["verb"] != "watch")
        .filter_map(|event| Some(event["auditID"].as_str()?.to_owned()))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}
