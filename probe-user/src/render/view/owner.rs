//! Whom a row belongs to.

use serde::Serialize;

use crate::model::{Container, Runtime, unique_name};

/// A container or a part of the host, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ContainerRef {
    /// Name of the container, unit or path; `~unknown` or `~other` where there is no single owner.
    pub name: String,
    /// Kubernetes namespace; `~host` for parts of the host; empty and absent for other containers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Kubernetes pod; empty and absent outside Kubernetes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod: String,
    /// The runtime's full id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the runtime, see [`Runtime::name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<&'static str>,
    /// Path of the cgroup below the root of its hierarchy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// Whether another container of the same table has the same names, so that people need more to tell them apart. Not
    /// in JSON, where the id and the cgroup do that.
    #[serde(skip)]
    pub apart: bool,
}

impl ContainerRef {
    /// The owner of what could not be resolved.
    pub fn unknown() -> Self {
        Self {
            name: Container::UNKNOWN.into(),
            ..Self::default()
        }
    }

    /// The owner of what was folded together over a budget.
    pub fn other() -> Self {
        Self {
            name: Container::OTHER.into(),
            ..Self::default()
        }
    }

    /// Whether this is a part of the host and not a container.
    pub fn is_host(&self) -> bool {
        self.namespace == Container::HOST
    }

    /// Whether this stands for what was folded together over a budget.
    pub fn is_other(&self) -> bool {
        self.name == Container::OTHER && self.cgroup.is_none()
    }

    /// `namespace/pod/name`, without the parts that are empty. Not yet safe for a terminal.
    pub fn display_name(&self) -> String {
        let path = self.cgroup.as_deref().unwrap_or_default();
        let unique = self
            .apart
            .then(|| unique_name(&self.name, self.id.as_deref(), path));
        [
            self.namespace.as_str(),
            self.pod.as_str(),
            unique.as_deref().unwrap_or(&self.name),
        ]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/")
    }
}

impl From<&Container> for ContainerRef {
    fn from(container: &Container) -> Self {
        Self {
            name: container.name.clone(),
            namespace: container.namespace.clone(),
            pod: container.pod.clone(),
            id: container.id.clone(),
            runtime: Some(Runtime::name(container.runtime)),
            cgroup: Some(container.cgroup_path.clone()),
            apart: false,
        }
    }
}

/// A process by number and name, or those of one container that were folded together over a budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProcessRef {
    /// Thread group id; 0 for `~other`.
    pub pid: u32,
    /// Name of its first thread: the last one that is known.
    pub comm: String,
}

impl ProcessRef {
    /// Processes of one container that were folded together over a budget.
    pub fn other() -> Self {
        Self {
            pid: 0,
            comm: Container::OTHER.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use probe_common::id::CgroupId;

    use super::*;
    use crate::model::Naming;

    #[test]
    fn unknown_parts_are_absent_from_json() {
        let json = serde_json::to_value(ContainerRef::other()).unwrap();
        assert_eq!(json, serde_json::json!({"name": "~other"}));
    }

    #[test]
    fn a_container_keeps_all_its_names() {
        let container = Container {
            cgroup: CgroupId(7),
            cgroup_path: "/kubepods/x".into(),
            runtime: Runtime::Kubernetes,
            id: Some("abc".into()),
            namespace: "shop".into(),
            pod: "cart-0".into(),
            pod_uid: "u".into(),
            name: "cart".into(),
            naming: Naming::Named,
        };
        let shown = ContainerRef::from(&container);
        assert_eq!(shown.display_name(), container.display_name());
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["runtime"], "kubernetes");
        assert_eq!(json["cgroup"], "/kubepods/x");
        assert!(!shown.is_host() && !shown.is_other());
    }
}
