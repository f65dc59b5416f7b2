//! Refusals and outages.

use std::{fs, thread::sleep, time::Duration};

use serde_json::Value;

use super::{client::Client, names, pod};
use crate::StubApi;

#[test]
fn a_refusal_says_what_is_refused() {
    let stub = StubApi::start();
    let client = Client::new(&stub);
    stub.refuse("networkpolicies", 403);
    let path = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies";
    let (code, status) = client.get(path);
    assert_eq!((code, status["reason"].as_str()), (403, Some("Forbidden")));
    assert_eq!(
        status["message"],
        "networkpolicies.networking.k8s.io is forbidden: User \
         \"system:serviceaccount:nodeprobe:nodeprobe\" cannot list resource \"networkpolicies\" \
         in API group \"networking.k8s.io\" in the namespace \"shop\""
    );
    assert_eq!(client.get(&format!("{path}?watch=1")).0, 403);
    stub.allow("networkpolicies");
    assert_eq!(client.get(path).0, 200);
    stub.refuse("pods", 500);
    assert_eq!(client.get("/api/v1/pods").1["code"], 500);
}

#[test]
fn a_token_is_required() {
    let stub = StubApi::start();
    stub.require_token("secret");
    assert_eq!(Client::new(&stub).get("/api/v1/pods").0, 401);
    assert_eq!(
        Client::with_token(&stub, "secret").get("/api/v1/pods").0,
        200
    );
    let dir = std::env::temp_dir().join(format!("kube-stub-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let config = fs::read(stub.kubeconfig(&dir)).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["clusters"][0]["cluster"]["server"], stub.url());
    assert_eq!(config["users"][0]["user"]["token"], "secret");
}

#[test]
fn watches_are_broken_off() {
    let stub = StubApi::start();
    let mut watch = Client::new(&stub).watch("/api/v1/pods?watch=1");
    stub.hang_up();
    stub.put(pod("shop", "a", "one"));
    assert_eq!(watch.next(), Err("broken"));
    let mut watch = Client::new(&stub).watch("/api/v1/pods?watch=1");
    assert_eq!(watch.brief(), "ADDED a");
    stub.switch_off(&["v1/pods"]);
    assert_eq!(watch.next(), Err("end"));
}

#[test]
fn an_outage_ends() {
    let stub = StubApi::start();
    let client = Client::new(&stub);
    let mut watch = client.watch("/api/v1/pods?watch=1");
    stub.pause();
    assert_eq!(watch.next(), Err("broken"));
    assert!(client.is_refused());
    while stub.open_watches("pods") != 0 {
        sleep(Duration::from_millis(1));
    }
    stub.put(pod("shop", "a", "one"));
    stub.resume();
    assert_eq!(names(&client.get("/api/v1/pods").1), ["a"]);
}
