//! A container in the list.

use serde::Serialize;

use crate::{
    identity::paths::readable_id,
    model::{Container, Naming},
    render::view::Row,
};

/// A container or a part of the host.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ContainerRow {
    /// Name of the container, unit or path; the short id where there is no name.
    name: String,
    /// Kubernetes namespace; `~host` for parts of the host.
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    /// Kubernetes pod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pod: String,
    /// UID of the pod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pod_uid: String,
    /// The runtime's full id.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Name of the runtime.
    runtime: &'static str,
    /// Path of the cgroup below the root of its hierarchy.
    cgroup: String,
    /// Id of the cgroup: 64 bits, decimal.
    cgroup_id: String,
    /// `named`, `unnamed` or `pending`.
    naming: &'static str,
    /// Why there is no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip)]
    display_name: String,
}

impl Row for ContainerRow {
    const TYPE: &'static str = "container";
}

impl ContainerRow {
    /// What rows are sorted by.
    pub(super) fn place(&self) -> (bool, &str, &str) {
        (self.id.is_none(), &self.display_name, &self.cgroup)
    }

    /// The row of the table.
    pub(super) fn cells(&self) -> [String; 5] {
        [
            self.display_name.clone(),
            self.id
                .as_deref()
                .map(readable_id)
                .unwrap_or_default()
                .to_owned(),
            self.runtime.to_owned(),
            self.cgroup.clone(),
            self.reason.clone().unwrap_or_default(),
        ]
    }
}

impl From<&Container> for ContainerRow {
    fn from(container: &Container) -> Self {
        let (naming, reason) = match container.naming {
            Naming::Named => ("named", None),
            Naming::Pending => ("pending", None),
            Naming::Unnamed(reason) => ("unnamed", Some(reason.to_string())),
        };
        Self {
            name: container.name.clone(),
            namespace: container.namespace.clone(),
            pod: container.pod.clone(),
            pod_uid: container.pod_uid.clone(),
            id: container.id.clone(),
            runtime: container.runtime.name(),
            cgroup: container.cgroup_path.clone(),
            cgroup_id: container.cgroup.0.to_string(),
            naming,
            reason,
            display_name: container.display_name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use probe_common::id::CgroupId;

    use super::*;
    use crate::{identity::paths::parse, model::NoName};

    #[test]
    fn a_container_without_a_name_says_why() {
        let path = format!("/docker/{}", "a1".repeat(32));
        let naming = Naming::Unnamed(NoName::NotRunning);
        let row = ContainerRow::from(&parse(&path).container(CgroupId(7), naming));
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["naming"], "unnamed");
        assert_eq!(json["reason"], "no runtime that could know it is running");
        assert_eq!(json["cgroup"], path);
        assert_eq!(
            (&json["cgroup_id"], &json["runtime"]),
            (&"7".into(), &"docker".into())
        );
        assert_eq!(row.cells()[..2], ["a1a1a1a1a1a1", "a1a1a1a1a1a1"]);
    }
}
