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
    /// The runtime was queried and has not responded yet.
    Pending,
    /// The names are those of the runtime, or those of the path of what is no container.
    Named,
    /// The names are made from the path, for this reason. They change when a runtime responds later.
    Unnamed(NoName),
}

/// Why a container has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoName {
    /// No runtime is configured that could know it.
    NotConfigured,
    /// None of the runtimes that could know it is running.
    NotRunning,
    /// The runtimes responded that they do not know it.
    NotFound,
    /// An API server knows its pod, and no runtime knows the container.
    PodOnly,
    /// The runtime cannot be reached.
    Unreachable,
    /// The runtime did not respond in time.
    TimedOut,
    /// The response of the runtime was invalid.
    InvalidResponse,
}

impl NoName {
    /// The value of the label `reason`.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::NotRunning => "not_running",
            Self::NotFound => "not_found",
            Self::PodOnly => "pod_only",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::InvalidResponse => "invalid_response",
        }
    }
}

impl fmt::Display for NoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConfigured => "no runtime that could know it is configured",
            Self::NotRunning => "no runtime that could know it is running",
            Self::NotFound => "no runtime that was queried knows it",
            Self::PodOnly => {
                "the API server knows its pod, and no runtime that was queried knows the container"
            }
            Self::Unreachable => "the runtime cannot be reached",
            Self::TimedOut => "the runtime did not respond in time",
            Self::InvalidResponse => "the response of the runtime was invalid",
        })
    }
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
    /// Where the names come from.
    pub naming: Naming,
}

impl Container {
    /// Namespace label of what belongs to the host and not to a container.
    pub const HOST: &'static str = "~host";
    /// Label value of an owner that could not be resolved.
    pub const UNKNOWN: &'static str = "~unknown";
    /// Label value of what was folded together over a budget.
    pub const OTHER: &'static str = "~other";

    /// A name that no other live container has, see [`unique_name`].
    pub fn unique_name(&self) -> String {
        unique_name(&self.name, self.id.as_deref(), &self.cgroup_path)
    }

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

/// A name that no other live container has: with the short id, `web~1a2b3c4d5e6f`, where the runtime has ids of hexadecimal
/// digits, else the path of the cgroup.
pub fn unique_name(name: &str, id: Option<&str>, cgroup_path: &str) -> String {
    const SHORT: usize = 12;
    let is_hex = |id: &&str| id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match id.and_then(|id| id.get(..SHORT)).filter(is_hex) {
        Some(id) => format!("{name}~{id}"),
        None => cgroup_path.to_owned(),
    }
}
