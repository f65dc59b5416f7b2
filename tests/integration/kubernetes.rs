//! Pods that an API server names, with policies that newer servers have. The server is a stub; pods are cgroups with the names of pods.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use kube_stub::StubApi;
use probe_user::metrics::families;
use serde_json::{Value, json};
use tests::{
    cgroup::Cgroup,
    lock::alone,
    network::Namespace,
    nodeprobe::{Agent, run},
    scrape::{Sample, Scrape},
    skip::{skip, unless_available},
    wait::LONG,
    workload::Workload,
};

const WEB: &str = "10.77.6.1";
const DB: &str = "10.77.6.2";
const PORT: u16 = 7000;
/// Connections that a policy denies.
const DENIED: u64 = 40;

/// A pod: its network, and the cgroup of its container in that of the pod.
struct Pod {
    namespace: Namespace,
    container: Cgroup,
    _above: Vec<Cgroup>,
    object: Value,
}

impl Pod {
    /// On a cgroup path as the kubelet makes it.
    fn new(workload: &Workload, name: &str, number: u8, address: &str) -> Result<Self> {
        let uid = format!("0b0c0000-0000-4000-8000-0000000000{number:02x}");
        let id = format!("{number:064x}");
        let mut above = vec![Cgroup::new(name)?];
        for folder in ["kubepods", "besteffort", &format!("pod{uid}")] {
            above.push(above[above.len() - 1].child(folder)?);
        }
        let container = above[above.len() - 1].child(&id)?;
        Ok(Self {
            namespace: Namespace::new(workload)?,
            container,
            _above: above,
            object: json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("{name}-5d4-x"), "namespace": "shop", "uid": uid,
                    "labels": {"app": name, "pod-template-hash": "5d4"},
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-5d4"), "uid": "r"}]},
                "spec": {"nodeName": "n1", "containers": [{"name": "main"}]},
                "status": {"phase": "Running", "podIP": address,
                    "containerStatuses": [{"name": "main", "containerID": format!("containerd://{id}")}]}}),
        })
    }
}

/// Two pods whose networks are joined.
fn pods() -> Result<(Pod, Pod)> {
    let workload = Workload::new()?;
    let db = Pod::new(&workload, "db", 0xdb, DB)?;
    let web = Pod::new(&workload, "web", 0xeb, WEB)?;
    web.namespace
        .join(&db.namespace, &format!("{WEB}/24"), &format!("{DB}/24"))?;
    Ok((db, web))
}

fn server(db: &Pod, web: &Pod) -> StubApi {
    let api = StubApi::start();
    let named = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    api.put(named("Namespace", "shop", json!({})));
    api.put(named("Node", "n1", json!({"podCIDRs": ["10.77.6.0/24"]})));
    api.put(db.object.clone());
    api.put(web.object.clone());
    api.put(
        json!({"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
        "metadata": {"name": "db-closed"},
        "spec": {"tier": "Admin", "priority": 10,
            "subject": {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}},
            "ingress": [{"name": "nobody", "action": "Deny", "from": [{"namespaces": {}}]}]}}),
    );
    api
}

fn count(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    scrape.sum(&format!("nodeprobe_{name}"), labels)
}

/// Scrapes until something is there.
fn until(agent: &Agent, what: &str, is_so: impl Fn(&Scrape) -> bool) -> Result<Scrape> {
    let scrape = agent.scrape_until(LONG, &is_so)?;
    ensure!(
        is_so(&scrape),
        "{what}: not in time; the agent said {}",
        agent.said()
    );
    Ok(scrape)
}

#[test]
fn pods_have_the_names_and_policies_of_the_api_server() -> Result<()> {
    let _alone = alone();
    let Some((db, web)) = unless_available("netns", pods()) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("events.ndjson");
    let api = server(&db, &web);
    let agent = Agent::start(&format!(
        "node = \"n1\"\npolicy.log = {log:?}\nflows.sweep = \"1s\"\nkubernetes.kubeconfig = {:?}\nkubernetes.policies = true\nkubernetes.labels = [\"app\"]\n",
        api.kubeconfig(folder.path())
    ))?;
    let state = |scrape: &Scrape, state| {
        count(
            scrape,
            "feature_state",
            &[("probe", "tcp"), ("state", state)],
        )
    };
    let scrape = agent.scrape()?;
    if state(&scrape, "on") + state(&scrape, "degraded") == 0.0 {
        skip(
            "tcp",
            "the probe is not attached here; `nodeprobe doctor` says why",
        );
        return Ok(());
    }
    let cluster = [("policy_kind", "ClusterNetworkPolicy"), ("state", "valid")];
    until(&agent, "policies", |scrape| {
        count(scrape, "policy_objects", &cluster) == 1.0
    })?;
    let workload = Workload::new()?;
    let at = |pod: &Pod| pod.namespace.workload(&workload, &pod.container);
    let serve = format!("serve --host {DB} --port {PORT} --connections {DENIED}");
    let serving = workload.ready_as(at(&db)?, &serve)?;
    serving.task.go()?;
    let connect = format!("connect --host {DB} --port {PORT} --connections {DENIED}");
    workload.start_as(at(&web)?, &connect)?.result()?;
    let gaps = [("namespace", "shop"), ("direction", "ingress")];
    let scrape = until(&agent, "gaps", |scrape| {
        count(scrape, "policy_enforcement_gaps_total", &gaps) == DENIED as f64
    })?;
    let of_web = [
        ("namespace", "shop"),
        ("pod", "web-5d4-x"),
        ("container", "main"),
    ];
    assert_eq!(count(&scrape, "tcp_connects_total", &of_web), DENIED as f64);
    let info = [
        ("pod", "web-5d4-x"),
        ("workload", "web"),
        ("workload_kind", "Deployment"),
    ];
    assert_eq!(count(&scrape, "pod_info", &info), 1.0);
    assert_eq!(count(&scrape, "policy_stale", &[]), 0.0);
    let of_kubernetes = |name: &str| {
        name.starts_with("nodeprobe_kubernetes_") || name.starts_with("nodeprobe_pod_")
    };
    for desc in families::ALL.iter().filter(|desc| of_kubernetes(desc.name)) {
        let has_labels =
            |sample: &Sample| desc.labels.iter().all(|it| sample.labels.contains_key(*it));
        assert!(scrape.has(desc.name), "{}", desc.name);
        assert!(scrape.with(desc.name, &[]).all(has_labels), "{}", desc.name);
    }
    // An outage is shown, and what may not be read as well.
    api.pause();
    until(&agent, "an outage", |scrape| {
        count(scrape, "policy_stale", &[]) == 1.0
    })?;
    api.refuse("nodes", 403);
    api.resume();
    let nodes = [("resource", "nodes"), ("state", "failed")];
    let pods = [("resource", "pods"), ("state", "synced")];
    until(&agent, "a refusal", |scrape| {
        count(scrape, "kubernetes_watch_state", &nodes) == 1.0
            && count(scrape, "kubernetes_watch_state", &pods) == 1.0
    })?;
    let (status, _, said) = agent.terminate()?;
    assert!(status.success(), "{said}");
    let text = fs::read_to_string(&log)?;
    let events: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let gap = events
        .iter()
        .find(|it| it["policy_assessment"] == "gap" && it["direction"] == "ingress")
        .context("a gap at the server")?;
    assert_eq!(gap["policy_enforced"][1]["name"], "db-closed", "{gap}");
    for (field, expected) in [
        ("src_workload", "web"),
        ("src_container", "main"),
        ("dst_workload", "db"),
        ("dst_workload_kind", "Deployment"),
        ("dst_pod", "db-5d4-x"),
    ] {
        assert_eq!(gap[field], expected, "{field}: {gap}");
    }
    Ok(())
}

#[test]
fn an_api_server_that_is_not_there_stops_nothing() -> Result<()> {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let api = StubApi::start();
    let kubeconfig = api.kubeconfig(folder.path());
    drop(api);
    let agent = Agent::start(&format!(
        "kubernetes.kubeconfig = {kubeconfig:?}\nkubernetes.policies = true\n"
    ))?;
    let failed = [("resource", "pods"), ("state", "failed")];
    until(&agent, "the failure", |scrape| {
        count(scrape, "kubernetes_watch_state", &failed) == 1.0
    })?;
    assert_eq!(agent.get("/readyz")?.status, 200);
    let (status, _, said) = agent.terminate()?;
    assert!(status.success(), "{said}");
    assert!(
        said.contains("cannot be read from the API server"),
        "{said}"
    );
    Ok(())
}

/// What 5,000 pods of other nodes may take, with the agent itself.
const MEMORY: f64 = 192.0 * 1024.0 * 1024.0;

#[test]
fn thousands_of_pods_fit_into_the_memory_of_the_manifests() -> Result<()> {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let api = StubApi::start();
    api.put_many((0..5000).map(|n| {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("web-5d4-{n}"), "namespace": "shop", "uid": format!("uid-{n}"),
                "labels": {"app": "web", "pod-template-hash": "5d4"},
                // As large as pods are.
                "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:x": "y".repeat(3000)}}]},
            "spec": {"nodeName": "n2", "containers": [{"name": "main"}]},
            "status": {"phase": "Running", "podIP": format!("10.{}.{}.1", n / 250, n % 250)}})
    }));
    let agent = Agent::start(&format!(
        "node = \"n1\"\nkubernetes.kubeconfig = {:?}\nkubernetes.policies = true\n",
        api.kubeconfig(folder.path())
    ))?;
    let all = [("resource", "pods")];
    let scrape = until(&agent, "all pods", |scrape| {
        count(scrape, "kubernetes_objects", &all) == 5000.0
            && count(scrape, "policy_generation", &[]) >= 1.0
    })?;
    let memory = scrape.sum("process_resident_memory_bytes", &[]);
    eprintln!("{:.0} MiB with 5,000 pods", memory / 1_048_576.0);
    assert!(memory <= MEMORY, "{memory} bytes");
    let (status, _, said) = agent.terminate()?;
    assert!(status.success(), "{said}");
    assert!(said.contains("no pod runs on this node"), "{said}");
    Ok(())
}

#[test]
fn keys_that_do_not_go_together_are_refused() -> Result<()> {
    for (keys, reason) in [
        (
            "[\"KUBERNETES_POLICIES=true\", \"POLICY_MANIFESTS=/m\"]",
            "policy.manifests",
        ),
        (
            "[\"KUBERNETES_POLICIES=true\", \"KUBERNETES_NAMES=node\"]",
            "cluster",
        ),
        ("[\"KUBERNETES_EVENTS=true\"]", "kubernetes.policies"),
        ("[\"KUBERNETES_LABELS=a b\"]", "app.kubernetes.io/name"),
    ] {
        let mut command = tests::nodeprobe::command();
        for pair in serde_json::from_str::<Vec<String>>(keys)? {
            let (key, value) = pair.split_once('=').context("a pair")?;
            command.env(format!("NODEPROBE_{key}"), value);
        }
        let (code, _, said) = run("agent", command)?;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(reason), "{said}");
    }
    Ok(())
}
