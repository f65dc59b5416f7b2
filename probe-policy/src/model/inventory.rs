//! What policies are about: namespaces, pods, nodes and services.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;

use super::{Policy, Protocol};

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// All that is known of a cluster at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Labels of the namespaces, by name. One that is only referred to need not be here.
    pub namespaces: BTreeMap<String, Labels>,
    /// Pods, and workloads that stand for pods.
    pub pods: Vec<Pod>,
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// Services.
    pub services: Vec<Service>,
    /// Policies.
    pub policies: Vec<Policy>,
}

/// What annotations for nodeprobe begin with.
pub const ANNOTATIONS: &str = "nodeprobe.io/";

/// The label that the control plane gives to each namespace.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl Cluster {
    /// Labels of a namespace, with the one that each has.
    pub fn namespace_labels(&self, name: &str) -> Labels {
        let mut labels = self.namespaces.get(name).cloned().unwrap_or_default();
        labels.insert(NAME_LABEL.to_owned(), name.to_owned());
        labels
    }
}

/// A pod, or a workload whose template stands for its pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `Pod`, or the kind of the workload.
    pub kind: String,
    /// Labels in force.
    pub labels: Labels,
    /// Annotations and labels that are meant for nodeprobe: those that begin with [`ANNOTATIONS`].
    pub annotations: Labels,
    /// All its addresses; none while it has none, and none of a workload.
    pub addresses: Vec<IpAddr>,
    /// Ports of its containers.
    pub ports: Vec<ContainerPort>,
    /// Whether it has the network of its node.
    pub host_network: bool,
    /// The node it runs on.
    pub node: Option<String>,
    /// Addresses of that node, as the pod's status has them.
    pub host_addresses: Vec<IpAddr>,
    /// What it belongs to.
    pub owner: Option<Owner>,
    /// Where in its life it is.
    pub phase: Phase,
}

impl Pod {
    /// The workload that people know it by: of a ReplicaSet of a Deployment that Deployment, of a Job of a CronJob that CronJob,
    /// of others the owner, of none itself. A pod that a node reads from a file is none's.
    ///
    /// Both are told by names that controllers give: `<deployment>-<pod-template-hash>`, `<cronjob>-<time in digits>`.
    pub fn workload(&self) -> Owner {
        let Some(owner) = self.owner.as_ref().filter(|owner| owner.kind != "Node") else {
            return Owner {
                kind: self.kind.clone(),
                name: self.name.clone(),
            };
        };
        let hash = self.labels.get("pod-template-hash");
        let of_deployment = hash
            .filter(|_| owner.kind == "ReplicaSet")
            .and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
        let of_cron_job = || {
            let (name, time) = owner.name.rsplit_once('-')?;
            let is_time =
                (8..=10).contains(&time.len()) && time.bytes().all(|b| b.is_ascii_digit());
            (owner.kind == "Job" && is_time).then_some(name)
        };
        let found = of_deployment
            .map(|name| ("Deployment", name))
            .or_else(|| Some(("CronJob", of_cron_job()?)));
        found.map_or_else(
            || owner.clone(),
            |(kind, name)| Owner {
                kind: kind.to_owned(),
                name: name.to_owned(),
            },
        )
    }
}

/// What made a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// Such as `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Where in its life a pod is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It is there, or will be.
    #[default]
    Alive,
    /// It succeeded or failed; its addresses may be another's by now.
    Ended,
}

/// A port that a container declares.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerPort {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub number: u16,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its labels.
    pub labels: Labels,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Where the addresses of its pods come from, if it says so.
    pub pod_blocks: Vec<IpNet>,
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its addresses: of the cluster, external, of load balancers.
    pub addresses: Vec<IpAddr>,
    /// What is behind each port.
    pub ports: Vec<(Protocol, u16, Vec<Backend>)>,
}

/// A ready end of a service's port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Backend {
    /// Address of the pod.
    pub address: IpAddr,
    /// Port of the pod.
    pub port: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_set_with_the_hash_of_its_pods_is_one_of_a_deployment() {
        let mut pod = Pod {
            kind: "Pod".into(),
            name: "web-5d4-x".into(),
            owner: Some(Owner {
                kind: "ReplicaSet".into(),
                name: "web-5d4".into(),
            }),
            ..Pod::default()
        };
        assert_eq!(pod.workload().kind, "ReplicaSet");
        pod.labels.insert("pod-template-hash".into(), "5d4".into());
        let workload = pod.workload();
        assert_eq!((&*workload.kind, &*workload.name), ("Deployment", "web"));
        for (job, kind, name) in [
            ("tidy-28123456", "CronJob", "tidy"),
            ("tidy-1606435200", "CronJob", "tidy"),
            ("tidy-2", "Job", "tidy-2"),
        ] {
            pod.owner = Some(Owner {
                kind: "Job".into(),
                name: job.into(),
            });
            let workload = pod.workload();
            assert_eq!((&*workload.kind, &*workload.name), (kind, name));
        }
        pod.owner = Some(Owner {
            kind: "Node".into(),
            name: "n1".into(),
        });
        assert_eq!(pod.workload().kind, "Pod");
        pod.owner = None;
        assert_eq!(pod.workload().name, "web-5d4-x");
    }
}
