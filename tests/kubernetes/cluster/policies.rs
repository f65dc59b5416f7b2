//! Policies of the cluster, which its network plug-in does not enforce.

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use kube_tests::{agent::Agent, cluster::Cluster, records::of, wait::within};
use serde_json::Value;

const POLICY: &str = "servers-closed";
const GAPS: &str = "nodeprobe_policy_enforcement_gaps_total";

#[test]
fn gaps_are_told_with_policy_names_and_end_with_the_policy() {
    let Some(cluster) = super::cluster() else {
        return;
    };
    let agent = Agent::ready(&cluster);
    super::workloads(&cluster);
    cluster
        .kubectl(&["delete", "networkpolicy", "-n", "shop", "--all"])
        .unwrap();
    let quiet = gaps(&agent).len();
    let policy = Policy::apply(&cluster);
    let told = within(120, "gaps are told", || {
        let gaps = gaps(&agent).split_off(quiet);
        Ok((gaps.len() >= 5).then_some(gaps))
    });
    for gap in &told {
        assert!(is_of_policy(gap), "{gap}");
        assert_eq!(of(gap, "dst", "workload"), "server", "{gap}");
        let late = seconds(gap, "ts") - seconds(gap, "start");
        assert!(late <= 10.0, "{late} s: {gap}");
    }
    within(60, "gaps are counted", || {
        let sum = agent.sum(GAPS, &["namespace=\"shop\"", "direction=\"ingress\""])?;
        Ok((sum >= 5.0).then_some(()))
    });
    // The kubelet's probes of the servers are exempt, whatever policies say.
    within(60, "an exempt probe", || {
        let events = agent.records("audit")?;
        Ok(events.iter().any(is_exempt_probe).then_some(()))
    });
    within(60, "an Event of Kubernetes", || {
        let events = cluster.get(&["events", "-n", "shop"])?;
        let all = events["items"].as_array().into_iter().flatten();
        let ours = all.filter(|it| it["reason"] == "NetworkPolicyNotEnforced");
        Ok(ours
            .into_iter()
            .any(|it| it["message"].to_string().contains(POLICY))
            .then_some(()))
    });
    let settled = agent.records("audit").unwrap().len();
    blocked(&cluster, &agent);
    replayed(&cluster, &agent, settled);
    drop(policy);
    // What was under way when it went may still be told.
    within(120, "the policy is forgotten", || {
        Ok((agent.sum("nodeprobe_policy_objects", &[])? == 0.0).then_some(()))
    });
    thread::sleep(Duration::from_secs(3));
    let before = gaps(&agent).len();
    let start = Instant::now();
    within(60, "connections go on", || {
        let events = agent.records("audit")?;
        let newer = events
            .iter()
            .rev()
            .take(20)
            .filter(|it| of(it, "dst", "workload") == "server");
        Ok((newer.count() >= 5 && start.elapsed() > Duration::from_secs(15)).then_some(()))
    });
    assert_eq!(gaps(&agent).len(), before);
}

/// With rules that enforce the policy nothing is a gap, and what they block is as it should be.
fn blocked(cluster: &Cluster, agent: &Agent<'_>) {
    let _rules = Rules::apply(cluster);
    let before = agent.records("audit").unwrap().len();
    within(120, "blocked connections", || {
        let events = agent.records("audit")?;
        let blocked = events[before..].iter().filter(|it| {
            it["policy_combined"]["verdict"] == "would_deny"
                && it["policy_assessment"] == "consistent"
                && it["src_workload"] == "client"
        });
        Ok((blocked.count() >= 3).then_some(()))
    });
}

/// Manifests that kubectl dumps say of the flow log what was said live of connections since so many events.
fn replayed(cluster: &Cluster, agent: &Agent<'_>, since: usize) {
    let folder = std::env::temp_dir().join(format!("np-replay-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let all = "pods,services,endpoints,namespaces,nodes,networkpolicies";
    let dump = cluster.kubectl(&["get", all, "-A", "-o", "yaml"]).unwrap();
    std::fs::write(folder.join("cluster.yaml"), dump).unwrap();
    let ends = |log: &str, kind: &str| -> Vec<Value> {
        let records = agent.records(log).unwrap().into_iter();
        records
            .filter(|it| it["type"] == kind && it["event"] == "end")
            .collect()
    };
    let by_id: HashMap<String, Value> = ends("flows", "flow")
        .into_iter()
        .map(|it| (it["flow_id"].to_string(), it))
        .collect();
    let events = agent.records("audit").unwrap().split_off(since);
    let pairs: Vec<_> = events
        .into_iter()
        .filter(|it| it["event"] == "end")
        .filter_map(|it| Some((it.clone(), by_id.get(&it["flow_id"].to_string())?.clone())))
        .collect();
    kube_tests::replay::compare(&folder, &pairs);
    std::fs::remove_dir_all(&folder).unwrap();
}

fn gaps(agent: &Agent<'_>) -> Vec<Value> {
    let events = agent.records("audit").unwrap();
    let is_gap = |it: &Value| it["policy_assessment"] == "gap";
    events.into_iter().filter(is_gap).collect()
}

fn is_of_policy(gap: &Value) -> bool {
    let entries = gap["policy_enforced"].as_array();
    entries
        .into_iter()
        .flatten()
        .any(|entry| entry["name"] == POLICY && entry["namespace"] == "shop")
}

fn is_exempt_probe(event: &Value) -> bool {
    event["policy_combined"]["verdict"] == "exempt"
        && of(event, "src", "namespace") == "~host"
        && of(event, "dst", "workload") == "server"
}

/// Seconds since midnight of a time as RFC 3339 writes it; the tests do not run over midnight by days.
fn seconds(record: &Value, key: &str) -> f64 {
    let text = record[key].as_str().unwrap();
    let (_, time) = text.trim_end_matches('Z').split_once('T').unwrap();
    time.split(':')
        .fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

/// A policy that goes when this does.
struct Policy<'a>(&'a Cluster);

impl<'a> Policy<'a> {
    fn apply(cluster: &'a Cluster) -> Self {
        cluster.apply("policies.yaml").unwrap();
        Self(cluster)
    }
}

impl Drop for Policy<'_> {
    fn drop(&mut self) {
        let delete = [
            "delete",
            "networkpolicy",
            "-n",
            "shop",
            POLICY,
            "--ignore-not-found",
        ];
        if let Err(error) = self.0.kubectl(&delete) {
            eprintln!("the policy stays: {error:#}");
        }
    }
}

/// What a plug-in that enforces the policy would do, for as long as this is there.
struct Rules<'a>(&'a Cluster);

impl<'a> Rules<'a> {
    fn apply(cluster: &'a Cluster) -> Self {
        let pods = cluster
            .get(&["pods", "-n", "shop", "-l", "app=server"])
            .unwrap();
        let servers: Vec<_> = pods["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|pod| pod["status"]["podIP"].as_str())
            .collect();
        let rule = format!(
            "add table inet np_enforce; add chain inet np_enforce forward {{ type filter hook forward priority 0 ; }}; \
             add rule inet np_enforce forward ip daddr {{ {} }} tcp dport 8080 ct state new drop",
            servers.join(", ")
        );
        cluster.on_node(&["nft", &rule]).unwrap();
        Self(cluster)
    }
}

impl Drop for Rules<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.on_node(&["nft", "delete table inet np_enforce"]) {
            eprintln!("the rules stay: {error:#}");
        }
    }
}
