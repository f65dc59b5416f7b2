//! Lists.

use serde_json::json;

use super::{client::Client, names, pod, version};
use crate::StubApi;

#[test]
fn a_list_has_what_is_asked_for() {
    let stub = StubApi::start();
    stub.put_many([
        pod("shop", "a", "one"),
        pod("shop", "b", "two"),
        pod("bank", "c", "one"),
    ]);
    let client = Client::new(&stub);
    let all = client.get("/api/v1/pods").1;
    assert_eq!(
        (&all["kind"], names(&all)),
        (&json!("PodList"), vec!["c", "a", "b"])
    );
    assert_eq!(version(&all), stub.resource_version().to_string());
    let item = &all["items"][0];
    assert!(item.get("kind").is_none() && item["metadata"]["uid"].is_string());
    for (path, expected) in [
        ("/api/v1/namespaces/shop/pods", vec!["a", "b"]),
        (
            "/api/v1/pods?fieldSelector=spec.nodeName%3Done&resourceVersion=0",
            vec!["c", "a"],
        ),
        ("/api/v1/pods?fieldSelector=spec.nodeName!%3Done", vec!["b"]),
        (
            "/api/v1/pods?fieldSelector=metadata.name==a,spec.nodeName=one",
            vec!["a"],
        ),
    ] {
        assert_eq!(names(&client.get(path).1), expected, "{path}");
    }
    assert_eq!(
        client
            .get("/api/v1/pods?fieldSelector=spec.tolerations%3Dx")
            .0,
        400
    );
    assert_eq!(client.get("/api/v1/pods?resourceVersion=9999").0, 504);
    assert_eq!(
        client.get("/api/v1/namespaces/shop/pods/a").1["kind"],
        "Pod"
    );
    assert_eq!(client.get("/api/v1/namespaces/shop/pods/z").0, 404);
}

#[test]
fn pages_are_of_one_version() {
    let stub = StubApi::start();
    stub.put_many(["a", "b", "c"].map(|name| pod("shop", name, "one")));
    let client = Client::new(&stub);
    let first = client.get("/api/v1/pods?limit=2").1;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    stub.put(pod("shop", "bb", "one"));
    stub.delete("Pod", "shop", "c");
    let next = first["metadata"]["continue"].as_str().unwrap();
    let path = format!("/api/v1/pods?limit=2&continue={}", next.replace('/', "%2F"));
    let second = client.get(&path).1;
    assert_eq!(
        (names(&second), version(&second)),
        (vec!["c"], version(&first))
    );
    assert!(second["metadata"].get("continue").is_none());
    let exact = format!(
        "resourceVersion={}&resourceVersionMatch=Exact",
        version(&first)
    );
    let exact = client.get(&format!("/api/v1/pods?{exact}")).1;
    assert_eq!(names(&exact), ["a", "b", "c"]);
    stub.compact();
    let (code, status) = client.get(&path);
    assert_eq!((code, &status["reason"]), (410, &json!("Expired")));
}

#[test]
fn one_object_in_two_versions() {
    let stub = StubApi::start();
    stub.put(json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": "shop", "name": "web"},
    }));
    let client = Client::new(&stub);
    for version in ["v1", "v1beta1"] {
        let list = client
            .get(&format!("/apis/discovery.k8s.io/{version}/endpointslices"))
            .1;
        assert_eq!(list["apiVersion"], format!("discovery.k8s.io/{version}"));
        assert_eq!(names(&list), ["web"]);
    }
}

#[test]
fn raw_objects_are_shown_as_they_are() {
    let stub = StubApi::start();
    let object = json!({"metadata": 1, "kind": []});
    stub.put_raw("/api/v1/namespaces/shop/pods", "a", object.clone());
    let list = Client::new(&stub).get("/api/v1/pods").1;
    assert_eq!(list["items"], json!([object]));
}
