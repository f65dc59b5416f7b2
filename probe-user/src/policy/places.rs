//! Which pod of the manifests a container is.
//!
//! Kubernetes' containers say so themselves. Another one is the pod whose annotation names it, or that has its name.

use std::net::IpAddr;

use probe_policy::{
    engine::Engine,
    model::{Cluster, Node, Pod},
};
use rustc_hash::FxHashMap;

use crate::model::{Container, Runtime};

/// Annotation of a pod: the name of the container that it is.
pub(super) const CONTAINER: &str = "nodeprobe.io/container";
/// Annotation of a pod: the path of a cgroup that has it and all below it, starting with `/`.
pub(super) const CGROUP: &str = "nodeprobe.io/cgroup";

/// Pods by what is known of containers.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By name; `None` where several have it.
    by_name: FxHashMap<String, Option<u32>>,
    by_cgroup: Vec<(String, u32)>,
}

impl Places {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let mut places = Self::default();
        let mut own_names = Vec::new();
        for (index, pod) in (0..).zip(&cluster.pods) {
            if let Some(path) = pod.annotations.get(CGROUP) {
                places.by_cgroup.push((path.clone(), index));
            }
            if let Some(name) = pod.annotations.get(CONTAINER) {
                places.enter(name, index);
            } else if !pod.annotations.contains_key(CGROUP) {
                own_names.push((&pod.name, index));
            }
        }
        // An annotation is meant; that a pod has the name of a container may be a coincidence.
        let meant: Vec<_> = own_names
            .into_iter()
            .filter(|(name, _)| !places.by_name.contains_key(*name))
            .collect();
        for (name, index) in meant {
            places.enter(name, index);
        }
        // The nearest comes first.
        places
            .by_cgroup
            .sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        places
    }

    fn enter(&mut self, name: &str, index: u32) {
        self.by_name
            .entry(name.to_owned())
            .and_modify(|known| *known = None)
            .or_insert(Some(index));
    }

    /// The pod that a container belongs to, or the workload that stands for it.
    pub(super) fn pod_of(&self, engine: &Engine, container: &Container) -> Option<u32> {
        if !container.pod.is_empty() {
            return engine
                .find(&container.namespace, &container.pod)
                .or_else(|| workload_of(engine, &container.namespace, &container.pod));
        }
        let by_cgroup = self.by_cgroup.iter().find(|(path, _)| {
            container
                .cgroup_path
                .strip_prefix(path.trim_end_matches('/'))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if let Some((_, index)) = by_cgroup {
            return Some(*index);
        }
        // A part of the host that is called as a pod is still a part of the host.
        let is_container = container.runtime.is_container() || container.runtime == Runtime::Other;
        let by_name = is_container.then(|| self.by_name.get(&container.name));
        by_name.flatten().copied().flatten()
    }
}

/// The workload whose pods are called like this: with its name, and one or two more parts.
fn workload_of(engine: &Engine, namespace: &str, pod: &str) -> Option<u32> {
    let is_workload = |index: &u32| engine.cluster().pods[*index as usize].kind != "Pod";
    let (one, _) = pod.rsplit_once('-')?;
    let two = one.rsplit_once('-').map(|(two, _)| two);
    [Some(one), two]
        .into_iter()
        .flatten()
        .find_map(|name| engine.find(namespace, name).filter(is_workload))
}

/// Has pods of which the manifests have neither node nor address run on this host, where these know no nodes at all.
pub(super) fn settle(cluster: &mut Cluster, node: &str, addresses: &[IpAddr]) {
    if !cluster.nodes.is_empty() {
        return;
    }
    let is_here = |pod: &&mut Pod| {
        pod.node.is_none() && pod.addresses.is_empty() && pod.host_addresses.is_empty()
    };
    for pod in cluster.pods.iter_mut().filter(is_here) {
        pod.node = Some(node.to_owned());
    }
    let host = Node {
        addresses: addresses.to_vec(),
        ..Node::default()
    };
    cluster.nodes.insert(node.to_owned(), host);
}

#[cfg(test)]
mod tests {
    use probe_common::id::CgroupId;
    use probe_policy::{engine::Options, load::Loader};

    use super::*;
    use crate::model::Naming;

    fn container(runtime: Runtime, pod: &str, name: &str, path: &str) -> Container {
        Container {
            cgroup: CgroupId(7),
            cgroup_path: path.to_owned(),
            runtime,
            id: None,
            namespace: if pod.is_empty() { "" } else { "shop" }.to_owned(),
            pod: pod.to_owned(),
            pod_uid: String::new(),
            name: name.to_owned(),
            naming: Naming::Named,
        }
    }

    #[test]
    fn containers_are_the_pods_that_name_them() {
        let mut loader = Loader::new("shop".to_owned());
        loader.add(
            "pods.yaml",
            r#"
{apiVersion: v1, kind: Pod, metadata: {name: web}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, annotations: {nodeprobe.io/container: postgres}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: batch, annotations: {nodeprobe.io/cgroup: /batch.slice/}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: api}, spec: {template: {metadata: {labels: {app: api}}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: twice, namespace: a}}
---
{apiVersion: v1, kind: Pod, metadata: {name: twice, namespace: b}}
"#,
        );
        let loaded = loader.finish();
        assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
        let places = Places::of(&loaded.cluster);
        let engine = Engine::new(loaded.cluster, Options::default());
        let name = |runtime, pod, name, path| {
            let index = places.pod_of(&engine, &container(runtime, pod, name, path))?;
            Some(engine.cluster().pods[index as usize].name.as_str())
        };
        use Runtime::{Docker, Kubernetes, Other, Systemd};
        assert_eq!(name(Docker, "", "web", "/d/1"), Some("web"));
        assert_eq!(name(Docker, "", "postgres", "/d/2"), Some("db"));
        assert_eq!(name(Docker, "", "db", "/d/2"), None);
        assert_eq!(name(Docker, "", "twice", "/d/3"), None);
        assert_eq!(name(Systemd, "", "web", "/web.service"), None);
        assert_eq!(name(Other, "", "x", "/batch.slice/x"), Some("batch"));
        assert_eq!(name(Other, "", "x", "/batch.slices"), None);
        assert_eq!(name(Kubernetes, "web", "main", "/k/1"), Some("web"));
        assert_eq!(
            name(Kubernetes, "api-5d4f-x2x", "main", "/k/2"),
            Some("api")
        );
        assert_eq!(name(Kubernetes, "web-1", "main", "/k/3"), None);
    }

    #[test]
    fn pods_without_an_address_are_on_this_host_unless_nodes_are_known() {
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let pod = |address: Option<&str>| Pod {
            addresses: address.iter().map(|it| it.parse().unwrap()).collect(),
            ..Pod::default()
        };
        let mut cluster = Cluster {
            pods: vec![pod(None), pod(Some("10.0.0.1"))],
            ..Cluster::default()
        };
        settle(&mut cluster, "host", &[here]);
        assert_eq!(cluster.pods[0].node.as_deref(), Some("host"));
        assert_eq!(cluster.pods[1].node, None);
        assert_eq!(cluster.nodes["host"].addresses, [here]);
        let before = cluster.clone();
        settle(&mut cluster, "other", &[here]);
        assert_eq!(cluster, before);
    }
}
