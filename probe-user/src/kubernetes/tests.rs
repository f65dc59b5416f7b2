//! Against a server of lists, watches and faults.

use std::{
    net::IpAddr,
    path::Path,
    time::{Duration, Instant},
};

use kube_stub::StubApi;
use serde_json::{Value, json};

use super::*;
use crate::kernel::clock::monotonic;

fn settings(api: &StubApi, folder: &Path, scope: Scope) -> Settings {
    Settings {
        kubeconfig: Some(api.kubeconfig(folder)),
        node: "n1".to_owned(),
        scope,
        policies: scope == Scope::Cluster,
        events: false,
        labels: vec!["app".to_owned()],
        annotations: Vec::new(),
    }
}

fn wait<T>(what: &str, mut until: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = until() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} does not happen");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A pod of a Deployment.
fn pod(name: &str, node: &str, address: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "labels": {"app": "web", "pod-template-hash": "5d4"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d4", "apiVersion": "apps/v1", "uid": "r"}]},
        "spec": {"nodeName": node, "containers": [{"name": "main"}]},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "containerStatuses": [{"name": "main", "containerID": format!("containerd://id-{name}")}]}})
}

fn service() -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80, "name": "http"}]}})
}

fn slice(version: &str) -> Value {
    json!({"apiVersion": format!("discovery.k8s.io/{version}"), "kind": "EndpointSlice",
        "metadata": {"name": "web-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}],
        "ports": [{"port": 8080, "name": "http", "protocol": "TCP"}]})
}

fn phase(catalog: &Catalog, resource: &str) -> Phase {
    let states = catalog.states();
    let state = states.iter().find(|state| state.resource == resource);
    state.unwrap().phase.clone()
}

fn synced(catalog: &Catalog) {
    wait("the first list of everything", || {
        let states = catalog.states();
        states.iter().all(ResourceState::is_fresh).then_some(())
    });
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn pods_of_our_node_are_named_and_no_others_are_asked_for() {
    let (api, folder) = (StubApi::start(), tempfile::tempdir().unwrap());
    api.put(pod("web-1", "n1", "10.0.0.1"));
    api.put(pod("web-2", "n2", "10.0.1.1"));
    let kubernetes = Kubernetes::start(settings(&api, folder.path(), Scope::Node)).unwrap();
    let catalog = kubernetes.catalog();
    synced(catalog);
    let Named::Container(facts, name) = catalog.names("uid-web-1", "id-web-1") else {
        panic!("it has a name");
    };
    assert_eq!((&*facts.name, &*name), ("web-1", "main"));
    assert_eq!(
        (&*facts.workload.kind, &*facts.workload.name),
        ("Deployment", "web")
    );
    assert_eq!(facts.labels["app"], "web");
    assert!(matches!(catalog.names("uid-web-1", "other"), Named::Pod(_)));
    assert_eq!(catalog.names("uid-web-2", "id-web-2"), Named::Unknown);
    let requests = api.requests();
    assert!(
        requests.iter().all(|it| it.path == "/api/v1/pods"),
        "{requests:?}"
    );
    let selector = |it: &kube_stub::Request| it.parameter("fieldSelector");
    assert!(
        requests
            .iter()
            .all(|it| selector(it).as_deref() == Some("spec.nodeName=n1"))
    );
    // What comes and goes later.
    api.put(pod("web-3", "n1", "10.0.0.3"));
    wait("a new pod", || catalog.pod("uid-web-3"));
    api.delete("Pod", "shop", "web-3");
    wait("the end of a pod", || {
        (catalog.pods_here().len() == 1).then_some(())
    });
    assert!(
        catalog.pod("uid-web-3").is_some(),
        "late records still find its name"
    );
}

#[test]
fn other_ends_are_named_by_addresses_and_services() {
    let (api, folder) = (StubApi::start(), tempfile::tempdir().unwrap());
    api.put(pod("web-2", "n2", "10.0.1.1"));
    api.put(service());
    api.put(slice("v1"));
    api.put(
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.2"}]}}),
    );
    let kubernetes = Kubernetes::start(settings(&api, folder.path(), Scope::Cluster)).unwrap();
    let catalog = kubernetes.catalog();
    synced(catalog);
    let peer = catalog.peer(address("10.0.1.1"), monotonic()).unwrap();
    assert_eq!(
        (&*peer.namespace, &*peer.pod, &*peer.workload.name),
        ("shop", "web-2", "web")
    );
    let node = catalog.peer(address("192.0.2.2"), monotonic()).unwrap();
    assert_eq!((&*node.workload.kind, &*node.workload.name), ("Node", "n2"));
    assert_eq!(catalog.peer(address("198.51.100.1"), monotonic()), None);
    for (at, port) in [("10.96.0.7", 80), ("10.0.0.1", 8080)] {
        assert_eq!(catalog.service(address(at), port).unwrap().name, "web");
    }
    assert_eq!(catalog.service(address("10.0.0.1"), 8081), None);
    api.delete("Service", "shop", "web");
    wait("the end of a service", || {
        catalog
            .service(address("10.96.0.7"), 80)
            .is_none()
            .then_some(())
    });
}

#[test]
fn older_servers_have_older_slices_or_none_at_all() {
    for (lacks, kind) in [
        (&["discovery.k8s.io/v1"][..], "slices of a beta"),
        (&["discovery.k8s.io"][..], "endpoints"),
    ] {
        let (api, folder) = (StubApi::without(lacks), tempfile::tempdir().unwrap());
        api.put(service());
        api.put(slice("v1beta1"));
        api.put(json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web", "namespace": "shop"},
            "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 8080, "name": "http"}]}]}));
        let kubernetes = Kubernetes::start(settings(&api, folder.path(), Scope::Cluster)).unwrap();
        synced(kubernetes.catalog());
        let found = kubernetes.catalog().service(address("10.0.0.1"), 8080);
        assert_eq!(found.unwrap().name, "web", "{kind}");
    }
}

#[test]
fn policies_are_watched_where_the_server_has_them() {
    let lacks = [
        "policy.networking.k8s.io/v1alpha1",
        "policy.networking.k8s.io/v1alpha2",
    ];
    let (api, folder) = (StubApi::without(&lacks), tempfile::tempdir().unwrap());
    api.put(json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "closed", "namespace": "shop"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}));
    let kubernetes = Kubernetes::start(settings(&api, folder.path(), Scope::Cluster)).unwrap();
    let catalog = kubernetes.catalog();
    synced(catalog);
    assert!(catalog.has_policies());
    assert_eq!(phase(catalog, "clusternetworkpolicies"), Phase::Absent);
    assert_eq!(catalog.cluster().policies.len(), 1);
    let before = catalog.policy_generation();
    api.delete("NetworkPolicy", "shop", "closed");
    wait("the end of a policy", || {
        catalog.cluster().policies.is_empty().then_some(())
    });
    assert!(catalog.policy_generation() > before);
}

#[test]
fn what_may_not_be_read_is_told_with_its_reason_and_the_rest_goes_on() {
    let (api, folder) = (StubApi::start(), tempfile::tempdir().unwrap());
    api.refuse("nodes", 403);
    api.put(pod("web-1", "n1", "10.0.0.1"));
    let kubernetes = Kubernetes::start(settings(&api, folder.path(), Scope::Cluster)).unwrap();
    let catalog = kubernetes.catalog();
    let reason = wait("the refusal", || match phase(catalog, "nodes") {
        Phase::Failed(reason) => Some(reason),
        _ => None,
    });
    assert!(reason.contains("forbidden"), "{reason}");
    wait("the rest", || catalog.pod("uid-web-1"));
    // Nodes are not needed to judge, and what was never there is not out of date.
    wait("policies", || catalog.has_policies().then_some(()));
    wait("all that may be read", || {
        (!catalog.is_stale()).then_some(())
    });
    api.allow("nodes");
    wait("nodes after all", || {
        (phase(catalog, "nodes") == Phase::Synced).then_some(())
    });
}

#[test]
fn a_wrong_token_is_told_and_a_right_one_taken_later() {
    let (api, folder) = (StubApi::start(), tempfile::tempdir().unwrap());
    let settings = settings(&api, folder.path(), Scope::Node);
    api.require_token("secret");
    let kubernetes = Kubernetes::start(settings).unwrap();
    let reason = wait("the refusal", || {
        match phase(kubernetes.catalog(), "pods") {
            Phase::Failed(reason) => Some(reason),
            _ => None,
        }
    });
    assert!(
        reason.contains("nauthorized") && !reason.contains("secret"),
        "{reason}"
    );
}

#[test]
fn an_outage_leaves_what_was_known_and_is_shown() {
    let (api, folder) = (StubApi::start(), tempfile::tempdir().unwrap());
    api.put(pod("web-1", "n1", "10.0.0.1"));
    let kubernetes = Kubernetes::start(settings(&api, folder.path(), Scope::Node)).unwrap();
    let catalog = kubernetes.catalog();
    synced(catalog);
    api.pause();
    wait("the outage", || catalog.is_stale().then_some(()));
    assert!(catalog.pod("uid-web-1").is_some());
    assert_eq!(catalog.pods_here().len(), 1);
    api.resume();
    synced(catalog);
    api.put(pod("web-2", "n1", "10.0.0.2"));
    wait("news after the outage", || catalog.pod("uid-web-2"));
}

#[test]
fn a_server_that_is_not_there_at_the_start_is_found_later() {
    let (api, folder) = (StubApi::start(), tempfile::tempdir().unwrap());
    api.put(pod("web-1", "n1", "10.0.0.1"));
    let settings = settings(&api, folder.path(), Scope::Node);
    api.pause();
    let kubernetes = Kubernetes::start(settings).unwrap();
    wait("the failure", || {
        matches!(phase(kubernetes.catalog(), "pods"), Phase::Failed(_)).then_some(())
    });
    api.resume();
    wait("the pod", || kubernetes.catalog().pod("uid-web-1"));
}

#[test]
fn what_was_missed_while_the_history_was_cut_is_read_anew() {
    let (api, folder) = (StubApi::start(), tempfile::tempdir().unwrap());
    api.put(pod("web-1", "n1", "10.0.0.1"));
    api.put(pod("web-2", "n1", "10.0.0.2"));
    let kubernetes = Kubernetes::start(settings(&api, folder.path(), Scope::Node)).unwrap();
    let catalog = kubernetes.catalog();
    synced(catalog);
    api.pause();
    api.delete("Pod", "shop", "web-1");
    api.put(pod("web-3", "n1", "10.0.0.3"));
    api.compact();
    api.resume();
    wait("the new pod", || catalog.pod("uid-web-3"));
    wait("the end of the old one", || {
        (catalog.pods_here().len() == 2).then_some(())
    });
    let states = catalog.states();
    assert!(states[0].lists >= 2, "{states:?}");
}

#[test]
fn malformed_objects_are_counted_and_others_are_read() {
    let (api, folder) = (StubApi::start(), tempfile::tempdir().unwrap());
    api.put(pod("web-1", "n1", "10.0.0.1"));
    let mut odd = pod("odd", "n1", "10.0.0");
    odd["spec"]["containers"] = json!("none");
    api.put(odd);
    // A slice of nobody.
    api.put(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "x", "namespace": "shop"}, "endpoints": [{"addresses": ["10.9.9.9"]}]}));
    let kubernetes = Kubernetes::start(settings(&api, folder.path(), Scope::Cluster)).unwrap();
    let catalog = kubernetes.catalog();
    synced(catalog);
    assert!(catalog.pod("uid-web-1").is_some() && catalog.pod("uid-odd").is_some());
    assert!(catalog.counts().malformed >= 1);
    assert_eq!(catalog.service(address("10.9.9.9"), 80), None);
}

#[test]
fn a_cluster_of_thousands_of_pods_is_read_with_one_list_and_a_watch() {
    let (api, folder) = (StubApi::start(), tempfile::tempdir().unwrap());
    let pods = (0..5000).map(|n| {
        pod(
            &format!("web-{n}"),
            "n2",
            &format!("10.{}.{}.1", n / 250, n % 250),
        )
    });
    api.put_many(pods);
    let kubernetes = Kubernetes::start(settings(&api, folder.path(), Scope::Cluster)).unwrap();
    let catalog = kubernetes.catalog();
    synced(catalog);
    assert_eq!(catalog.counts().addresses, 5000);
    assert_eq!(catalog.cluster().pods.len(), 5000);
    let of_pods: Vec<_> = api
        .requests()
        .into_iter()
        .filter(|it| it.path == "/api/v1/pods")
        .collect();
    let (watches, lists): (Vec<_>, Vec<_>) = of_pods.iter().partition(|it| it.watch);
    assert!((watches.len(), lists.len()) == (1, 1), "{}", of_pods.len());
    // From the server's cache, not from behind it.
    assert_eq!(lists[0].parameter("resourceVersion").as_deref(), Some("0"));
    let counted = &catalog.counts().requests["pods"];
    assert!(
        counted.bytes > 1_000_000 && counted.by_status[&200] >= 1,
        "{counted:?}"
    );
}

#[test]
fn events_are_written_and_counted() {
    let (api, folder) = (StubApi::start(), tempfile::tempdir().unwrap());
    let settings = Settings {
        events: true,
        ..settings(&api, folder.path(), Scope::Node)
    };
    let kubernetes = Kubernetes::start(settings).unwrap();
    let happening = |uid: &str| Happening {
        namespace: "shop".into(),
        pod: "web-1".into(),
        uid: uid.into(),
        reason: "NetworkPolicyNotEnforced",
        subject: "x".into(),
        message: "a connection was made".into(),
    };
    let events = kubernetes.events().unwrap();
    for uid in ["u1", "u1", "u2"] {
        events.tell(happening(uid), kubernetes.catalog());
    }
    wait("two events", || (api.events().len() == 2).then_some(()));
    let event = &api.events()[0];
    assert_eq!(event["reason"], "NetworkPolicyNotEnforced");
    assert_eq!(event["regarding"]["name"], "web-1");
    wait("the counts", || {
        let counts = kubernetes.catalog().counts().events;
        ((counts.written, counts.limited) == (2, 1)).then_some(())
    });
}

#[test]
fn the_doctor_is_told_what_can_be_read() {
    let lacks = ["policy.networking.k8s.io/v1alpha1"];
    let (api, folder) = (StubApi::without(&lacks), tempfile::tempdir().unwrap());
    api.refuse("services", 403);
    let settings = settings(&api, folder.path(), Scope::Cluster);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(readable(&settings)).unwrap();
    let of = |resource| found.iter().find(|it| it.0 == resource).unwrap().1.clone();
    assert_eq!(of("pods"), Readable::Yes);
    assert_eq!(of("adminnetworkpolicies"), Readable::Absent);
    assert!(matches!(of("services"), Readable::No(why) if why.contains("forbidden")));
    drop(api);
    let found = runtime.block_on(readable(&settings)).unwrap();
    assert!(matches!(found[0].1, Readable::No(_)));
}
