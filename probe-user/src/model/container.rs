//! What a cgroup turned out to be.

use std::fmt;

use probe_common::id::CgroupId;

/// Who made a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Runtime {
    /// dockerd, also through its own containerd.
    Docker,
    /// containerd without Kubernetes.
    Containerd,
    /// A container of a Kubernetes pod, whichever CRI runtime made it.
    Kubernetes,
    /// CRI-O.
    CriO,
    /// podman and other users of libpod.
    Podman,
    /// A systemd unit or slice.
    Systemd,
    /// Made by hand or by something that we do not know.
    Other,
    /// The root of the hierarchy: kernel threads and whatever was never moved.
    Root,
}

impl Runtime {
    /// Lower-case name, as used in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Kubernetes => "kubernetes",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Systemd => "systemd",
            Self::Other => "other",
            Self::Root => "root",
        }
    }

    /// Whether this is a container runtime, as opposed to a part of the host.
    pub fn is_container(self) -> bool {
        !matches!(self, Self::Systemd | Self::Other | Self::Root)
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far the search for a name has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The runtime has been asked and has not answered yet.
    Pending,
    /// The names are final.
    Named,
    /// The names are final and made from the path: the runtime could not say more, for this reason.
    Unnamed(&'static str),
}

/// The identity of a cgroup, shared by all cgroups of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Cgroup of the container itself; cgroups below it belong to it too.
    pub cgroup: CgroupId,
    /// Path of that cgroup below the root of its hierarchy, starting with `/`.
    pub cgroup_path: String,
    /// Who made it.
    pub runtime: Runtime,
    /// The runtime's full id of the container, where it is one.
    pub id: Option<String>,
    /// Kubernetes namespace; `~host` for parts of the host; empty for containers outside Kubernetes.
    pub namespace: String,
    /// Kubernetes pod; empty outside Kubernetes.
    pub pod: String,
    /// UID of the pod; empty outside Kubernetes.
    pub pod_uid: String,
    /// Name of the container, unit or path; a short id where no name is known.
    pub name: String,
    /// Whether the names are final.
    pub naming: Naming,
}

impl Container {
    /// Namespace label of what belongs to the host and not to a container.
    pub const HOST: &'static str = "~host";
    /// Label value of an owner that could not be resolved.
    pub const UNKNOWN: &'static str = "~unknown";
    /// Label value of what was folded together over a budget.
    pub const OTHER: &'static str = "~other";

    /// A short form for tables: `namespace/pod/name`, without the parts that are empty.
    pub fn display_name(&self) -> String {
        [
            self.namespace.as_str(),
            self.pod.as_str(),
            self.name.as_str(),
        ]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/")
    }
}
