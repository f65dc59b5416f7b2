//! Pods by the uid that their cgroups carry.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use probe_policy::model::{Owner, Pod};
use serde_json::Value;

use crate::limits;

/// How long a pod that is gone is remembered, for records that are read late.
const KEPT: Duration = Duration::from_secs(600);

/// Of a pod that the kubelet reads from a file: the uid that its cgroups carry, which is not the one that the API server gave.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// What is known of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// The uid in paths of cgroups.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it belongs to.
    pub workload: Owner,
    /// Whether it runs on our own node.
    pub is_ours: bool,
    /// Labels that were asked for, by key.
    pub labels: BTreeMap<String, String>,
    /// Annotations that were asked for, by key.
    pub annotations: BTreeMap<String, String>,
}

/// Pods, and the names of containers of those of our own node.
#[derive(Debug)]
pub(super) struct Pods {
    node: String,
    labels: Vec<String>,
    annotations: Vec<String>,
    by_uid: HashMap<String, Arc<PodFacts>>,
    by_name: HashMap<(String, String), String>,
    /// Names of containers by their ids, and whose they are.
    containers: HashMap<String, (String, String)>,
    gone: VecDeque<(Instant, String)>,
}

impl Pods {
    pub(super) fn new(node: &str, labels: &[String], annotations: &[String]) -> Self {
        Self {
            node: node.to_owned(),
            labels: labels.to_vec(),
            annotations: annotations.to_vec(),
            by_uid: HashMap::new(),
            by_name: HashMap::new(),
            containers: HashMap::new(),
            gone: VecDeque::new(),
        }
    }

    /// Takes what is said of a pod; answers it, if it has a uid.
    pub(super) fn put(&mut self, pod: &Pod, value: &Value, now: Instant) -> Option<Arc<PodFacts>> {
        let metadata = &value["metadata"];
        let annotations = &metadata["annotations"];
        let uid = annotations[CONFIG_HASH]
            .as_str()
            .or_else(|| metadata["uid"].as_str())?
            .to_owned();
        let name = (pod.namespace.clone(), pod.name.clone());
        // A pod of a StatefulSet comes again by its name with another uid.
        if let Some(other) = self.by_name.insert(name, uid.clone())
            && other != uid
        {
            self.gone.push_back((now, other));
        }
        let facts = PodFacts {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            workload: pod.workload(),
            is_ours: pod.node.as_ref() == Some(&self.node),
            labels: chosen(&self.labels, &metadata["labels"]),
            annotations: chosen(&self.annotations, annotations),
            uid,
        };
        if facts.is_ours {
            self.note_containers(&facts.uid, &value["status"]);
        }
        let known = self.by_uid.get(&facts.uid);
        let facts = match known {
            Some(known) if **known == facts => known.clone(),
            _ => Arc::new(facts),
        };
        self.by_uid.insert(facts.uid.clone(), facts.clone());
        Some(facts)
    }

    /// All kinds of containers; each id that was seen stays for as long as the pod.
    fn note_containers(&mut self, uid: &str, status: &Value) {
        let kinds = [
            "containerStatuses",
            "initContainerStatuses",
            "ephemeralContainerStatuses",
        ];
        let all = kinds.iter().filter_map(|kind| status[kind].as_array());
        for container in all.flatten() {
            let Some(name) = container["name"].as_str() else {
                continue;
            };
            let ids = [
                &container["containerID"],
                &container["state"]["terminated"]["containerID"],
                &container["lastState"]["terminated"]["containerID"],
            ];
            // `containerd://<id>`
            for id in ids.into_iter().filter_map(Value::as_str) {
                let id = id.rsplit_once("//").map_or(id, |(_, id)| id);
                if !id.is_empty() && self.containers.len() < limits::KUBERNETES_CONTAINERS {
                    let owned = (uid.to_owned(), name.to_owned());
                    self.containers.insert(id.to_owned(), owned);
                }
            }
        }
    }

    /// A pod is gone; it is remembered for a while.
    pub(super) fn remove(&mut self, namespace: &str, name: &str, now: Instant) {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(uid) = self.by_name.remove(&key) {
            self.gone.push_back((now, uid));
        }
    }

    /// Forgets pods that were gone long ago, and the oldest of too many.
    pub(super) fn expire(&mut self, now: Instant) {
        let mut forgotten = Vec::new();
        while let Some((at, _)) = self.gone.front()
            && (now.duration_since(*at) >= KEPT || self.gone.len() > limits::KUBERNETES_GONE)
        {
            forgotten.extend(self.gone.pop_front().map(|(_, uid)| uid));
        }
        for uid in forgotten {
            // The same may have come back.
            let is_there = self.by_uid.get(&uid).is_some_and(|facts| {
                let key = (facts.namespace.clone(), facts.name.clone());
                self.by_name.get(&key) == Some(&uid)
            });
            if !is_there {
                self.by_uid.remove(&uid);
                self.containers.retain(|_, (of, _)| *of != uid);
            }
        }
    }

    pub(super) fn of_uid(&self, uid: &str) -> Option<&Arc<PodFacts>> {
        self.by_uid.get(uid)
    }

    /// The name of a container, and its pod's uid.
    pub(super) fn container(&self, id: &str) -> Option<(&str, &str)> {
        let (uid, name) = self.containers.get(id)?;
        Some((uid, name))
    }

    /// Pods of our own node that are there.
    pub(super) fn ours(&self) -> Vec<Arc<PodFacts>> {
        let there = self.by_name.values();
        there
            .filter_map(|uid| self.by_uid.get(uid))
            .filter(|facts| facts.is_ours)
            .cloned()
            .collect()
    }
}

/// The values of these keys that are there.
fn chosen(keys: &[String], values: &Value) -> BTreeMap<String, String> {
    keys.iter()
        .filter_map(|key| Some((key.clone(), values[key].as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(pods: &mut Pods, name: &str, value: &Value, now: Instant) {
        let pod = Pod {
            namespace: "shop".into(),
            name: name.into(),
            kind: "Pod".into(),
            node: Some("n1".into()),
            ..Pod::default()
        };
        pods.put(&pod, value, now).unwrap();
    }

    fn pods() -> Pods {
        Pods::new("n1", &["app".to_owned()], &[])
    }

    #[test]
    fn containers_of_all_kinds_are_found_by_their_ids() {
        let mut pods = pods();
        let value = json!({"metadata": {"uid": "u1", "labels": {"app": "a", "other": "b"}}, "status": {
            "containerStatuses": [{"name": "main", "containerID": "containerd://c2",
                "lastState": {"terminated": {"containerID": "containerd://c1"}}}],
            "initContainerStatuses": [{"name": "init", "containerID": "docker://c0"}],
            "ephemeralContainerStatuses": [{"name": "debug", "containerID": "cri-o://c3"}, {"name": "waits"}],
        }});
        put(&mut pods, "web", &value, Instant::now());
        for (id, name) in [
            ("c0", "init"),
            ("c1", "main"),
            ("c2", "main"),
            ("c3", "debug"),
        ] {
            assert_eq!(pods.container(id), Some(("u1", name)));
        }
        assert_eq!(pods.container("c4"), None);
        let facts = pods.of_uid("u1").unwrap();
        assert_eq!(facts.labels.iter().next().unwrap().1, "a");
        assert_eq!(facts.labels.len(), 1);
    }

    #[test]
    fn a_static_pod_is_found_by_the_uid_of_its_cgroups() {
        let mut pods = pods();
        let value = json!({"metadata": {"uid": "mirror", "annotations": {CONFIG_HASH: "hash"}}});
        put(&mut pods, "etcd", &value, Instant::now());
        assert!(pods.of_uid("hash").is_some() && pods.of_uid("mirror").is_none());
    }

    #[test]
    fn who_is_gone_is_remembered_and_not_for_ever() {
        let mut pods = pods();
        let now = Instant::now();
        let value = |uid: &str| {
            json!({"metadata": {"uid": uid}, "status": {"containerStatuses":
                [{"name": "main", "containerID": format!("containerd://c-{uid}")}]}})
        };
        put(&mut pods, "web-0", &value("u1"), now);
        // The same name with another uid.
        put(&mut pods, "web-0", &value("u2"), now);
        assert!(pods.of_uid("u1").is_some());
        pods.expire(now + KEPT);
        assert!(pods.of_uid("u1").is_none() && pods.container("c-u1").is_none());
        assert_eq!(pods.ours().len(), 1);
        pods.remove("shop", "web-0", now + KEPT);
        assert!(pods.of_uid("u2").is_some() && pods.ours().is_empty());
        pods.expire(now + KEPT * 2);
        assert!(pods.of_uid("u2").is_none());
    }
}
