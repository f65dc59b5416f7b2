//! Where container runtimes listen or keep their state: usual paths, variables of other tools, and what a command line adds.

use std::path::PathBuf;

/// Where the runtimes listen or keep their state. A `*` in a component stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtimes {
    /// Sockets of dockerd.
    pub docker: Vec<PathBuf>,
    /// Sockets of containerd.
    pub containerd: Vec<PathBuf>,
    /// Sockets of CRI-O and others that speak CRI alone.
    pub crio: Vec<PathBuf>,
    /// Sockets of podman's service.
    pub podman: Vec<PathBuf>,
    /// Directories with podman's storage, for podman without a service.
    pub podman_storage: Vec<PathBuf>,
}

impl Default for Runtimes {
    fn default() -> Self {
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
        Self {
            docker: paths(&["/run/docker.sock", "/run/user/*/docker.sock"]),
            containerd: paths(&[
                "/run/containerd/containerd.sock",
                "/run/k3s/containerd/containerd.sock",
                "/run/k0s/containerd.sock",
                "/var/snap/microk8s/common/run/containerd.sock",
            ]),
            crio: paths(&["/run/crio/crio.sock", "/run/cri-dockerd.sock"]),
            podman: paths(&["/run/podman/podman.sock", "/run/user/*/podman/podman.sock"]),
            podman_storage: paths(&["/var/lib/containers/storage", "/run/containers/storage"]),
        }
    }
}

/// What speaks at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// dockerd.
    Docker,
    /// podman's service.
    Podman,
    /// containerd, which also serves CRI.
    Containerd,
    /// A CRI runtime.
    Cri,
}

impl SocketKind {
    /// Each with its word on the command line.
    pub const WORDS: [(&str, Self); 4] = [
        ("docker", Self::Docker),
        ("podman", Self::Podman),
        ("containerd", Self::Containerd),
        ("cri", Self::Cri),
    ];
}

/// Variables by which other tools are pointed at a socket.
const VARIABLES: [(&str, SocketKind); 5] = [
    ("DOCKER_HOST", SocketKind::Docker),
    ("CONTAINER_HOST", SocketKind::Podman),
    ("CONTAINERD_ADDRESS", SocketKind::Containerd),
    ("CONTAINER_RUNTIME_ENDPOINT", SocketKind::Cri),
    ("IMAGE_SERVICE_ENDPOINT", SocketKind::Cri),
];

impl Runtimes {
    /// Adds a socket before the others of its kind, unless it is listed.
    pub fn add(&mut self, kind: SocketKind, socket: PathBuf) {
        let list = match kind {
            SocketKind::Docker => &mut self.docker,
            SocketKind::Podman => &mut self.podman,
            SocketKind::Containerd => &mut self.containerd,
            // containerd's own interface has what CRI lacks.
            SocketKind::Cri if names_containerd(&socket) => &mut self.containerd,
            SocketKind::Cri => &mut self.crio,
        };
        if !list.contains(&socket) {
            list.insert(0, socket);
        }
    }

    /// Adds the sockets that the variables of docker, podman, containerd and crictl name. Lists that were set to be empty stay
    /// empty, and addresses of other hosts are left out: their containers have no cgroups here.
    pub(super) fn add_from_environment(&mut self, variables: &[(String, String)]) {
        for (variable, kind) in VARIABLES {
            let value = variables.iter().find(|(name, _)| name == variable);
            let Some(socket) = value.and_then(|(_, text)| socket_path(text).ok()) else {
                continue;
            };
            let is_off = match kind {
                SocketKind::Docker => self.docker.is_empty(),
                SocketKind::Podman => self.podman.is_empty(),
                SocketKind::Containerd => self.containerd.is_empty(),
                SocketKind::Cri => self.crio.is_empty(),
            };
            if !is_off {
                self.add(kind, socket);
            }
        }
    }
}

fn names_containerd(socket: &std::path::Path) -> bool {
    let name = socket.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.contains("containerd"))
}

/// The path of a socket, with or without `unix://` before it.
///
/// # Errors
///
/// For what is no absolute path, such as the address of another host.
pub fn socket_path(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    let path = PathBuf::from(path);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!(
            "`{text}` is not the path of a socket of this host, such as unix:///run/docker.sock"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        list.iter().map(owned).collect()
    }

    #[test]
    fn variables_of_other_tools_name_sockets() {
        let mut runtimes = Runtimes::default();
        runtimes.add_from_environment(&variables(&[
            ("DOCKER_HOST", "unix:///run/user/1000/docker.sock"),
            ("CONTAINERD_ADDRESS", "/run/own/containerd.sock"),
            ("CONTAINER_RUNTIME_ENDPOINT", "unix:///run/other/crio.sock"),
            ("CONTAINER_HOST", "unix:///run/own/podman.sock"),
        ]));
        let first = |list: &[PathBuf]| list[0].display().to_string();
        assert_eq!(first(&runtimes.docker), "/run/user/1000/docker.sock");
        assert_eq!(first(&runtimes.containerd), "/run/own/containerd.sock");
        assert_eq!(first(&runtimes.crio), "/run/other/crio.sock");
        assert_eq!(first(&runtimes.podman), "/run/own/podman.sock");
    }

    #[test]
    fn a_cri_endpoint_of_containerd_is_asked_by_its_own_interface_too() {
        let mut runtimes = Runtimes::default();
        runtimes.add(SocketKind::Cri, "/run/own/containerd.sock".into());
        assert_eq!(
            runtimes.containerd[0],
            PathBuf::from("/run/own/containerd.sock")
        );
        assert_eq!(runtimes.crio, Runtimes::default().crio);
    }

    #[test]
    fn other_hosts_known_sockets_and_lists_that_are_off_change_nothing() {
        let mut runtimes = Runtimes {
            podman: Vec::new(),
            ..Runtimes::default()
        };
        let before = runtimes.clone();
        runtimes.add_from_environment(&variables(&[
            ("DOCKER_HOST", "tcp://10.0.0.1:2375"),
            ("CONTAINER_HOST", "unix:///run/podman/podman.sock"),
            ("CONTAINERD_ADDRESS", "/run/containerd/containerd.sock"),
            ("CONTAINER_RUNTIME_ENDPOINT", ""),
        ]));
        assert_eq!(runtimes, before);
    }
}
