//! Watches.

use serde_json::json;

use super::{client::Client, pod, version};
use crate::StubApi;

#[test]
fn a_watch_goes_on_from_a_list() {
    let stub = StubApi::start();
    stub.put(pod("shop", "a", "one"));
    let client = Client::new(&stub);
    let list = client.get("/api/v1/pods").1;
    stub.put(pod("shop", "b", "one"));
    let mut watch = client.watch(&format!(
        "/api/v1/pods?watch=1&resourceVersion={}",
        version(&list)
    ));
    let (kind, object) = watch.next().unwrap();
    assert_eq!((kind.as_str(), &object["kind"]), ("ADDED", &json!("Pod")));
    stub.put(pod("shop", "a", "two"));
    assert_eq!(watch.brief(), "MODIFIED a");
    stub.delete("Pod", "shop", "a");
    let (kind, object) = watch.next().unwrap();
    assert_eq!(kind, "DELETED");
    assert_eq!(version(&object), stub.resource_version().to_string());
    assert_eq!(stub.open_watches("pods"), 1);
    assert!(stub.bytes_sent() > 0);
    let requests = stub.requests();
    assert_eq!(
        requests
            .iter()
            .map(|request| request.watch)
            .collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(
        requests[1].parameter("resourceVersion").as_deref(),
        Some(version(&list))
    );
}

#[test]
fn objects_enter_and_leave_a_selection() {
    let stub = StubApi::start();
    stub.put(pod("shop", "a", "one"));
    let path = "/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Done";
    let mut watch = Client::new(&stub).watch(path);
    assert_eq!(watch.brief(), "ADDED a");
    stub.put(pod("shop", "b", ""));
    stub.put(pod("shop", "b", "one"));
    stub.put(pod("shop", "a", "two"));
    assert_eq!(watch.brief(), "ADDED b");
    assert_eq!(watch.brief(), "DELETED a");
}

#[test]
fn bookmarks_and_the_end() {
    let stub = StubApi::start();
    let path = "/api/v1/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds=2&resourceVersion=1";
    let mut watch = Client::new(&stub).watch(path);
    stub.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    let (kind, object) = watch.next().unwrap();
    assert_eq!((kind.as_str(), version(&object)), ("BOOKMARK", "2"));
    let end = std::iter::from_fn(|| Some(watch.next())).find_map(Result::err);
    assert_eq!(end, Some("end"));
    assert_eq!(
        Client::new(&stub)
            .get("/api/v1/pods?watch=1&sendInitialEvents=true")
            .0,
        422
    );
}

#[test]
fn an_old_version_is_gone() {
    let stub = StubApi::start();
    let client = Client::new(&stub);
    let path = format!(
        "/api/v1/pods?watch=1&resourceVersion={}",
        stub.resource_version()
    );
    let mut watch = client.watch(&path);
    stub.compact();
    assert_eq!(watch.next(), Err("end"));
    let mut watch = client.watch(&path);
    let (kind, status) = watch.next().unwrap();
    assert_eq!((kind.as_str(), &status["code"]), ("ERROR", &json!(410)));
    assert_eq!(watch.next(), Err("end"));
}

#[test]
fn many_changes_come_in_order() {
    let stub = StubApi::start();
    let mut watch = Client::new(&stub).watch("/api/v1/pods?watch=1");
    stub.put_many((0..1000).map(|number| pod("shop", &number.to_string(), "one")));
    for number in 0..1000 {
        assert_eq!(watch.brief(), format!("ADDED {number}"));
    }
}
