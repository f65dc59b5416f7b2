//! Objects of a cluster that come and go one by one, as an API server tells of them.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::{
    Key, Object, assemble,
    finding::{Finding, Place},
    meta::Meta,
    read::{Context, Field},
    reader,
};
use crate::model::{Cluster, Pod, Policy, Service};

/// Kinds that an API server is asked for.
const KINDS: &[&str] = &[
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
    "ClusterNetworkPolicy",
    "EndpointSlice",
    "Endpoints",
    "Namespace",
    "NetworkPolicy",
    "Node",
    "Pod",
    "Service",
];

/// The objects that are there.
#[derive(Debug, Default)]
pub struct Store {
    objects: BTreeMap<Key, Object>,
}

/// What became of an object that was put into a [`Store`].
#[derive(Debug)]
pub struct Put<'a> {
    /// Whether anything of it that matters here is other than before.
    pub changed: bool,
    /// What it is by now; `None` where nothing could be made of it.
    pub item: Option<Item<'a>>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

/// An object of a cluster.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A pod.
    Pod(&'a Pod),
    /// A policy.
    Policy(&'a Policy),
    /// Something else.
    Other,
}

impl Store {
    /// Takes an object in place of the one of that kind, namespace and name.
    ///
    /// `origin` names whoever told of it, for messages.
    pub fn put(&mut self, origin: &str, value: &Value) -> Put<'_> {
        let mut context = Context::new(Place {
            file: origin.to_owned(),
            document: 1,
        });
        let read = read(&mut context, value);
        let findings = context.findings;
        let Some((key, object)) = read else {
            return Put {
                changed: false,
                item: None,
                findings,
            };
        };
        let changed = self.objects.get(&key) != Some(&object);
        let object = self
            .objects
            .entry(key)
            .and_modify(|known| known.clone_from(&object))
            .or_insert(object);
        let item = match object {
            Object::Pod(pod) => Item::Pod(pod),
            Object::Policy(policy) => Item::Policy(policy),
            _ => Item::Other,
        };
        Put {
            changed,
            item: Some(item),
            findings,
        }
    }

    /// Forgets an object. Says whether it was there.
    pub fn remove(&mut self, kind: &str, namespace: &str, name: &str) -> bool {
        let known = KINDS.iter().find(|known| **known == kind);
        known.is_some_and(|kind| {
            let key = (*kind, namespace.to_owned(), name.to_owned());
            self.objects.remove(&key).is_some()
        })
    }

    /// Forgets all objects of a kind but those of these namespaces and names. Answers those that it forgot.
    pub fn keep_only(
        &mut self,
        kind: &str,
        keep: &HashSet<(String, String)>,
    ) -> Vec<(String, String)> {
        let mut gone = Vec::new();
        self.objects.retain(|(of, namespace, name), _| {
            let object = (namespace.clone(), name.clone());
            let stays = *of != kind || keep.contains(&object);
            if !stays {
                gone.push(object);
            }
            stays
        });
        gone
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: &str) -> usize {
        self.objects.keys().filter(|key| key.0 == kind).count()
    }

    /// All services with what is behind them.
    pub fn services(&self) -> Vec<Service> {
        let of_services = self
            .objects
            .iter()
            .filter(|(_, object)| matches!(object, Object::Service(_) | Object::Slice(_)));
        assemble(of_services.map(|(key, object)| (key.clone(), object.clone()))).services
    }

    /// All objects together.
    pub fn cluster(&self) -> Cluster {
        let all = self.objects.iter();
        assemble(all.map(|(key, object)| (key.clone(), object.clone())))
    }
}

fn read(context: &mut Context, value: &Value) -> Option<(Key, Object)> {
    let field = Field::root(value);
    let version = field.text(context, "apiVersion").unwrap_or_default();
    let kind = field.text(context, "kind").unwrap_or_default();
    let Some(read) = reader(version, kind) else {
        context.error("kind", format!("{version} {kind} is not understood"));
        return None;
    };
    let meta = Meta::read(context, &field, "")?;
    read(context, &field, &meta)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, address: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "resourceVersion": "7"},
            "status": {"podIP": address}})
    }

    #[test]
    fn objects_come_change_and_go() {
        let mut store = Store::default();
        assert!(store.put("a", &pod("web", "10.0.0.1")).changed);
        let mut same = pod("web", "10.0.0.1");
        same["metadata"]["resourceVersion"] = "8".into();
        assert!(!store.put("a", &same).changed);
        let put = store.put("a", &pod("web", "10.0.0.2"));
        let Some(Item::Pod(read)) = put.item else {
            panic!("it is a pod");
        };
        assert!(put.changed && read.addresses == ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!(store.cluster().pods.len(), 1);
        assert!(!store.remove("Pod", "shop", "other"));
        assert!(store.remove("Pod", "shop", "web"));
        assert_eq!(store.count("Pod"), 0);
    }

    #[test]
    fn a_new_list_has_others_forgotten() {
        let mut store = Store::default();
        for name in ["a", "b", "c"] {
            store.put("a", &pod(name, ""));
        }
        let keep = HashSet::from([("shop".to_owned(), "b".to_owned())]);
        let gone = store.keep_only("Pod", &keep);
        assert_eq!(gone.len(), 2);
        assert_eq!(store.cluster().pods[0].name, "b");
        assert!(store.keep_only("Node", &HashSet::new()).is_empty());
    }

    #[test]
    fn what_is_wrong_with_an_object_is_told_and_others_stay() {
        let mut store = Store::default();
        store.put("a", &pod("web", "10.0.0.1"));
        let put = store.put("api", &json!({"apiVersion": "v1", "kind": "Pod"}));
        assert!(put.item.is_none() && put.findings[0].to_string().contains("metadata"));
        let put = store.put("api", &pod("odd", "10.0.0"));
        assert_eq!(put.findings.len(), 1);
        assert!(put.item.is_some());
        assert_eq!(store.count("Pod"), 2);
    }

    #[test]
    fn slices_of_older_servers_and_endpoints_are_what_is_behind_a_service() {
        let service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80, "name": "http"}]}});
        let slice = json!({"apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
            "metadata": {"name": "web-x", "namespace": "shop",
                "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 8080, "name": "http"}]});
        let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": "web", "namespace": "shop"},
            "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "10.0.0.9"}],
                "ports": [{"port": 8080, "name": "http"}]}]});
        for source in [slice, endpoints] {
            let mut store = Store::default();
            store.put("a", &service);
            assert!(store.put("a", &source).findings.is_empty());
            let services = store.services();
            let (_, port, backends) = &services[0].ports[0];
            assert_eq!((*port, backends.len(), backends[0].port), (80, 1, 8080));
        }
    }
}
