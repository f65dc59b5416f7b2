//! The server as a client sees it.

mod client;
mod faults;
mod lists;
mod watches;

use serde_json::{Value, json};

use crate::StubApi;
use client::Client;

fn pod(namespace: &str, name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"nodeName": node},
    })
}

fn version(list: &Value) -> &str {
    list["metadata"]["resourceVersion"].as_str().unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

#[test]
fn discovery_shows_what_is_on() {
    let stub = StubApi::without(&["policy.networking.k8s.io/v1alpha2", "discovery.k8s.io"]);
    let client = Client::new(&stub);
    let groups = client.get("/apis").1.to_string();
    assert!(groups.contains("policy.networking.k8s.io/v1alpha1"));
    assert!(!groups.contains("v1alpha2") && !groups.contains("discovery.k8s.io"));
    let (code, resources) = client.get("/api/v1");
    assert_eq!(
        (code, &resources["resources"][0]["name"]),
        (200, &json!("pods"))
    );
    for path in [
        "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies",
        "/apis/discovery.k8s.io/v1",
        "/apis/discovery.k8s.io",
        "/apis/apps/v1/deployments",
    ] {
        let (code, status) = client.get(path);
        assert_eq!((code, &status["kind"]), (404, &json!("Status")), "{path}");
    }
    stub.switch_on(&["discovery.k8s.io"]);
    let group = client.get("/apis/discovery.k8s.io").1;
    assert_eq!(group["preferredVersion"]["version"], "v1");
    assert_eq!(group["versions"][1]["version"], "v1beta1");
    assert_eq!(client.get("/version").1["major"], "1");
}

#[test]
fn events_are_recorded() {
    let stub = StubApi::start();
    let client = Client::new(&stub);
    let path = "/apis/events.k8s.io/v1/namespaces/shop/events";
    let event = json!({"metadata": {"generateName": "e-"}, "note": "first", "type": "Normal"});
    let (code, created) = client.send("POST", path, "application/json", &event);
    assert_eq!(code, 201);
    let name = created["metadata"]["name"].as_str().unwrap();
    let patch = json!({"note": "second", "type": null});
    let path = format!("{path}/{name}");
    let media = "application/merge-patch+json";
    assert_eq!(client.send("PATCH", &path, media, &patch).0, 200);
    assert_eq!(
        client.send("PATCH", &format!("{path}-"), media, &patch).0,
        404
    );
    let events = stub.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["note"], "second");
    assert!(events[0].get("type").is_none());
    assert_eq!(stub.requests()[1].body, Some(patch));
    let pods = "/api/v1/namespaces/shop/pods";
    assert_eq!(client.send("POST", pods, "application/json", &event).0, 403);
}
