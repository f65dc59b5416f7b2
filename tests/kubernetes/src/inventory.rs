//! All pods that there were, as kubectl told of them.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use crate::cluster::Cluster;

/// A pod as kubectl tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Kind and name of what it belongs to.
    pub workload: (String, String),
    /// Its address; empty where it has that of its node.
    pub address: String,
    /// Names of containers by id.
    pub containers: BTreeMap<String, String>,
}

/// Pods by uid; once seen, they stay.
#[derive(Clone, Debug, Default)]
pub struct Inventory(pub BTreeMap<String, Pod>);

impl Inventory {
    /// Adds what there is now.
    ///
    /// # Errors
    ///
    /// If kubectl fails.
    pub fn look(&mut self, cluster: &Cluster) -> Result<()> {
        let list = cluster.get(&["pods", "-A"])?;
        for item in list["items"].as_array().into_iter().flatten() {
            let metadata = &item["metadata"];
            // A pod that the kubelet reads from a file has another uid on its node than on the API server.
            let on_node = &metadata["annotations"]["kubernetes.io/config.hash"];
            let uid = on_node.as_str().or_else(|| metadata["uid"].as_str());
            let uid = uid.unwrap_or_default();
            let pod = self.0.entry(uid.to_owned()).or_default();
            pod.take(item);
        }
        Ok(())
    }

    /// The pod that has an address.
    pub fn at(&self, address: &str) -> Option<&Pod> {
        self.0.values().find(|pod| pod.address == address)
    }
}

impl Pod {
    fn take(&mut self, item: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (metadata, status) = (&item["metadata"], &item["status"]);
        self.namespace = text(&metadata["namespace"]);
        self.name = text(&metadata["name"]);
        self.workload = workload(metadata);
        if item["spec"]["hostNetwork"] != true && status["podIP"].is_string() {
            self.address = text(&status["podIP"]);
        }
        for kind in ["containerStatuses", "initContainerStatuses"] {
            for container in status[kind].as_array().into_iter().flatten() {
                let ids = [
                    &container["containerID"],
                    &container["state"]["terminated"]["containerID"],
                    &container["lastState"]["terminated"]["containerID"],
                ];
                for id in ids.into_iter().filter_map(Value::as_str) {
                    let id = id.rsplit('/').next().unwrap_or_default();
                    self.containers
                        .insert(id.to_owned(), text(&container["name"]));
                }
            }
        }
    }
}

/// By the owners that the controllers note: another way than the agent's, which goes by labels.
fn workload(metadata: &Value) -> (String, String) {
    let owner = &metadata["ownerReferences"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&owner["kind"]), text(&owner["name"]));
    let without_last = || {
        name.rsplit_once('-')
            .map_or(name.clone(), |(name, _)| name.to_owned())
    };
    match kind.as_str() {
        "" | "Node" => ("Pod".to_owned(), text(&metadata["name"])),
        "ReplicaSet" => ("Deployment".to_owned(), without_last()),
        // The jobs of these tests are called as those of a CronJob.
        "Job" => ("CronJob".to_owned(), without_last()),
        _ => (kind, name),
    }
}
