//! Every record and every series has the names that kubectl has.

use std::collections::BTreeMap;

use kube_tests::{
    agent::Agent,
    cluster::Cluster,
    inventory::Inventory,
    records::{local_side, of, text},
    wait::within,
};
use serde_json::Value;

/// Pods that the burst has, each of which asks once.
const BURST: usize = 100;

#[test]
fn flows_and_series_have_the_names_that_kubectl_has() {
    let Some(cluster) = super::cluster() else {
        return;
    };
    let agent = Agent::ready(&cluster);
    super::workloads(&cluster);
    let mut inventory = Inventory::default();
    cluster
        .kubectl(&["delete", "job", "-n", "shop", "--all", "--wait=true"])
        .unwrap();
    cluster.apply("burst.yaml").unwrap();
    within(600, "the burst ends", || {
        inventory.look(&cluster)?;
        let job = cluster.get(&["job", "-n", "shop", "burst-28123456"])?;
        Ok((job["status"]["succeeded"] == BURST).then_some(()))
    });
    outside(&cluster);
    let what = "all pods of the burst are in both logs, and the one of a file";
    let records = within(120, what, || {
        inventory.look(&cluster)?;
        let records = agent.records("flows")?;
        let is_there = records
            .iter()
            .any(|it| of(it, "src", "pod") == "on-file-node1");
        // Each is judged, however soon after its start it asks.
        let judged = ended(&agent.records("audit")?, "audit", &inventory);
        let done = ended(&records, "flow", &inventory);
        Ok((done >= BURST && judged >= BURST && is_there).then_some(records))
    });
    let faults = faults(&cluster, &records, &inventory);
    assert!(
        faults.is_empty(),
        "{} faults, such as\n{}",
        faults.len(),
        first(&faults)
    );
    series(&agent, &inventory);
}

/// Somebody outside of the cluster asks through the port of the node.
fn outside(cluster: &Cluster) {
    for _ in 0..5 {
        within(60, "an answer through the node's port", || {
            let url = "http://172.30.0.1:30080/index.html";
            Ok(Some(
                cluster.outside(&["curl", "-s", "-m", "5", "-f", url])?,
            ))
        });
    }
}

/// Pods of the burst whose connection has ended in a log.
fn ended(records: &[Value], kind: &str, inventory: &Inventory) -> usize {
    let mut pods: Vec<_> = records
        .iter()
        .filter(|it| it["type"] == kind && it["event"] == "end")
        .filter(|it| text(it, "src_workload") == "burst")
        .map(|it| text(it, "src_pod_uid"))
        .filter(|uid| inventory.0.contains_key(*uid))
        .collect();
    pods.sort_unstable();
    pods.dedup();
    pods.len()
}

/// Everything in records of connections that kubectl does not confirm.
fn faults(cluster: &Cluster, records: &[Value], inventory: &Inventory) -> Vec<String> {
    let agents = |record: &Value| {
        ["src", "dst"]
            .iter()
            .any(|side| of(record, side, "namespace") == "nodeprobe")
    };
    let mut faults = Vec::new();
    let mut seen = BTreeMap::<&str, usize>::new();
    for record in records
        .iter()
        .filter(|it| it["type"] == "flow" && it["protocol"] == 6)
    {
        if agents(record) {
            continue;
        }
        for side in ["src", "dst"] {
            let said = check(cluster, record, side, inventory);
            match said {
                Ok(kind) => {
                    *seen.entry(kind).or_default() += 1;
                    if kind == "external" {
                        let end = ["ip", "attribution"].map(|field| of(record, side, field));
                        eprintln!("external: {side} {end:?} of {}", text(record, "end_reason"));
                    }
                }
                Err(fault) => faults.push(format!("{side}: {fault}: {record}")),
            }
        }
        let service = text(record, "dst_service");
        let is_shop = ["10.96.0.80"].contains(&text(record, "dst_ip"));
        if is_shop && service != "server" {
            faults.push(format!("the service is `{service}`: {record}"));
        }
    }
    // What is checked must have been there.
    for kind in ["pod", "host"] {
        assert!(seen.contains_key(kind), "nothing by {kind}: {seen:?}");
    }
    eprintln!("ends of connections by how they were named: {seen:?}");
    faults
}

/// How an end is named, or what is wrong with it.
fn check<'a>(
    cluster: &Cluster,
    record: &Value,
    side: &str,
    inventory: &Inventory,
) -> Result<&'a str, String> {
    let uid = of(record, side, "pod_uid");
    let is_local = side == local_side(record);
    if let Some(pod) = inventory.0.get(uid) {
        let named = [
            ("namespace", &pod.namespace),
            ("pod", &pod.name),
            ("workload_kind", &pod.workload.0),
            ("workload", &pod.workload.1),
        ];
        for (field, expected) in named {
            if of(record, side, field) != expected {
                return Err(format!("{field} is not {expected}"));
            }
        }
        let id = of(record, side, "container_id");
        if id.is_empty() && !is_local {
            return Ok("address");
        }
        // Of a container that has restarted since, kubectl knows the name only.
        let name = of(record, side, "container");
        let is_right = match pod.containers.get(id) {
            Some(known) => known == name,
            None => pod.containers.values().any(|known| known == name),
        };
        if !is_right {
            return Err(format!("the container is not one of {:?}", pod.containers));
        }
        return Ok("pod");
    }
    if !uid.is_empty() {
        return Err("kubectl knows no such pod".to_owned());
    }
    if of(record, side, "namespace") == "~host" {
        return Ok("host");
    }
    let address = of(record, side, "ip");
    if is_local {
        return Err("a local socket has no owner".to_owned());
    }
    if let Some(pod) = inventory.at(address) {
        return Err(format!(
            "the address is that of {}/{}",
            pod.namespace, pod.name
        ));
    }
    if of(record, side, "workload_kind") == "Node" {
        return Ok("address");
    }
    match (cluster.is_inside(address), text(record, "dst_service")) {
        (true, "") => Err("an address of the cluster has no name".to_owned()),
        (true, _) => Ok("service"),
        (false, _) => Ok("external"),
    }
}

fn first(faults: &[String]) -> String {
    faults
        .iter()
        .take(5)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every series of a container is of a pod that kubectl knows.
fn series(agent: &Agent<'_>, inventory: &Inventory) {
    let label = |labels: &str, key: &str| {
        let (_, rest) = labels.split_once(&format!("{key}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let mut pods = 0;
    for (labels, _) in agent.samples("nodeprobe_tcp_connects_total").unwrap() {
        let [namespace, name, container] =
            ["namespace", "pod", "container"].map(|key| label(&labels, key).unwrap());
        if namespace.starts_with('~') {
            continue;
        }
        let pod = inventory
            .0
            .values()
            .find(|pod| pod.namespace == namespace && pod.name == name)
            .unwrap_or_else(|| panic!("kubectl knows no pod of {labels}"));
        let is_there = pod.containers.values().any(|it| *it == container);
        assert!(is_there, "{labels} of {pod:?}");
        pods += 1;
    }
    assert!(pods >= BURST, "{pods} series of pods");
    let info = agent.samples("nodeprobe_pod_info").unwrap();
    for expected in [
        "workload=\"server\",workload_kind=\"Deployment\"",
        "pod=\"on-host\"",
    ] {
        assert!(
            info.iter().any(|(labels, _)| labels.contains(expected)),
            "{info:?}"
        );
    }
    let labels = agent.samples("nodeprobe_pod_label_info").unwrap();
    let is_label = |labels: &str| labels.contains("key=\"app\",value=\"server\"");
    assert!(
        labels.iter().any(|(labels, _)| is_label(labels)),
        "{labels:?}"
    );
}
