//! What the path of a cgroup says about who made it. Pure: no I/O, no state.
//!
//! The path is read from the root down, and the innermost container wins: on a node that is itself
//! a container (kind, docker in docker) work belongs to the inner pod, and whatever is below no
//! inner container to the outer one. Everything below a container's own cgroup is part of the
//! container: the leaf that crun adds, a systemd inside.

mod component;
mod units;

use probe_common::id::CgroupId;

use super::bounded::bounded;
use crate::{
    model::{Container, Naming, Runtime},
    select::CgroupPattern,
};
use component::{Found, Place};

/// Runtimes to ask about an id whose maker the path does not tell, most likely first.
const ANYONE: &[Runtime] = &[
    Runtime::Kubernetes,
    Runtime::Docker,
    Runtime::Podman,
    Runtime::Containerd,
];

/// What a path tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Who made the cgroup, as far as the path tells.
    pub runtime: Runtime,
    /// The runtime's full id of the container, where it is one.
    pub id: Option<String>,
    /// Path of the container's or unit's own cgroup: the given path or a part of it from the root.
    pub path: String,
    /// UID of the Kubernetes pod that the cgroup is in.
    pub pod_uid: Option<String>,
    /// Name of the unit, short id of the container, or the path.
    pub name: String,
    /// What to ask a runtime before the name is final.
    pub question: Option<Question>,
}

/// What to ask the runtimes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The container's id.
    pub id: String,
    /// Whom to ask, most likely first.
    pub runtimes: &'static [Runtime],
    /// containerd's namespace of the container, where the path shows one.
    pub namespace: Option<String>,
    /// UID of the Kubernetes pod that it is in, where the path shows one.
    pub pod_uid: Option<String>,
    /// Whether it is open that this is a container at all, so that one "no" ends the search.
    pub guess: bool,
}

impl Parsed {
    /// The identity as the path alone gives it.
    pub fn container(&self, cgroup: CgroupId, naming: Naming) -> Container {
        let host = self.id.is_none();
        Container {
            cgroup,
            cgroup_path: self.path.clone(),
            runtime: self.runtime,
            id: self.id.clone(),
            namespace: if host {
                Container::HOST.to_owned()
            } else {
                String::new()
            },
            pod: String::new(),
            pod_uid: self.pod_uid.clone().unwrap_or_default(),
            name: bounded(self.name.clone()),
            naming,
        }
    }
}

/// The first 12 digits of an id, as the tools of every runtime print it.
pub fn short_id(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// An id that somebody chose is a name already; one that was made up is shortened.
pub fn readable_id(id: &str) -> &str {
    if component::is_id(id) {
        short_id(id)
    } else {
        id
    }
}

/// Reads the path of a cgroup below the root of its hierarchy.
pub fn parse(path: &str) -> Parsed {
    parse_with(path, &[])
}

/// Reads the path of a cgroup. Cgroups of the host that match a pattern are told apart from the unit or directory that they are
/// in, and those inside of containers where the pattern begins at the root.
pub fn parse_with(path: &str, split: &[CgroupPattern]) -> Parsed {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return host(Runtime::Root, "/".to_owned(), "/".to_owned());
    }
    let mut pod: Option<String> = None;
    let mut innermost: Option<(usize, Found, Option<String>)> = None;
    for (index, part) in parts.iter().enumerate() {
        let below = innermost.as_ref().map_or(0, |(outer, ..)| outer + 1);
        if let Some(uid) = component::pod_uid(part, &parts[below..index]) {
            pod = Some(uid);
            continue;
        }
        let place = Place {
            index,
            parent: index.checked_sub(1).map_or("", |parent| parts[parent]),
            in_pod: pod.is_some(),
            in_container: innermost.is_some(),
        };
        if let Some(mut found) = component::container(part, &place) {
            let uid = found.pod_uid.take().or_else(|| pod.take());
            innermost = Some((index, found, uid));
            pod = None;
        }
    }
    match innermost {
        Some((index, found, uid)) => {
            let own = contained(&parts[..=index], found, uid);
            match split
                .iter()
                .filter(|it| it.is_anchored())
                .filter_map(|it| it.depth(&parts))
                .max()
            {
                Some(depth) if depth > index + 1 => part(own, &parts[..depth], index + 1),
                _ => own,
            }
        }
        None => apart(&parts, split).unwrap_or_else(|| outside(&parts, pod)),
    }
}

/// A path in or below a container.
fn contained(own: &[&str], found: Found, pod_uid: Option<String>) -> Parsed {
    let namespace = own
        .len()
        .checked_sub(2)
        .map(|parent| own[parent])
        .filter(|_| own.len() == 2);
    let question = found
        .id
        .as_ref()
        .filter(|_| !found.runtimes.is_empty())
        .map(|id| Question {
            id: id.clone(),
            runtimes: found.runtimes,
            namespace: found.namespace.or(namespace).map(str::to_owned),
            pod_uid: pod_uid.clone(),
            guess: false,
        });
    Parsed {
        runtime: found.runtime,
        id: found.id,
        path: join(own),
        pod_uid,
        name: printable(found.name),
        question,
    }
}

/// A part of a container that is told apart from it. No runtime knows it.
fn part(container: Parsed, own: &[&str], length: usize) -> Parsed {
    let inside = own[length..].iter().flat_map(|part| ["/", part]);
    let name: String = std::iter::once(container.name.as_str())
        .chain(inside)
        .collect();
    Parsed {
        id: None,
        path: join(own),
        name: printable(name),
        question: None,
        ..container
    }
}

/// A path in or below a cgroup of the host that is told apart, such as the job of a batch system.
fn apart(parts: &[&str], split: &[CgroupPattern]) -> Option<Parsed> {
    let depth = split
        .iter()
        .filter_map(|pattern| pattern.depth(parts))
        .max()?;
    let own = &parts[..depth];
    let path = join(own);
    Some(match units::unit(own) {
        Some((length, unit)) => {
            let inside = own[length..].iter().flat_map(|part| ["/", part]);
            let name = std::iter::once(unit.as_str()).chain(inside).collect();
            host(Runtime::Systemd, path, printable(name))
        }
        None => host(Runtime::Other, path.clone(), printable(path)),
    })
}

/// A path that is in no container that can be told from the path.
fn outside(parts: &[&str], pod_uid: Option<String>) -> Parsed {
    let path = join(parts);
    if let Some((length, name)) = units::unit(parts) {
        let unit = host(Runtime::Systemd, join(&parts[..length]), printable(name));
        return Parsed { pod_uid, ..unit };
    }
    let mut other = host(Runtime::Other, path.clone(), printable(path));
    other.pod_uid = pod_uid;
    if let [namespace, name] = parts
        && component::is_containerd_name(namespace)
        && component::is_containerd_name(name)
        && *namespace != "kubepods"
    {
        other.question = Some(Question {
            id: (*name).to_owned(),
            runtimes: &[Runtime::Containerd],
            namespace: Some((*namespace).to_owned()),
            pod_uid: None,
            guess: true,
        });
    }
    other
}

fn host(runtime: Runtime, path: String, name: String) -> Parsed {
    Parsed {
        runtime,
        id: None,
        path,
        pod_uid: None,
        name,
        question: None,
    }
}

fn join(parts: &[&str]) -> String {
    parts.iter().flat_map(|part| ["/", part]).collect()
}

/// Directory names may hold anything, and names end up on terminals: control characters are written
/// out.
fn printable(name: String) -> String {
    if name.chars().any(char::is_control) {
        name.escape_debug().to_string()
    } else {
        name
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
