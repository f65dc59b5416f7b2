//! What one directory of a path is: a pod, a container, or neither.

use crate::model::Runtime;

use super::{ANYONE, short_id, units};

/// Where a directory is.
pub(super) struct Place<'a> {
    /// Its depth, 0 for the first below the root.
    pub(super) index: usize,
    /// The directory above it; empty for the first.
    pub(super) parent: &'a str,
    /// Whether a pod is above it, with no container between.
    pub(super) in_pod: bool,
    /// Whether a container is above it.
    pub(super) in_container: bool,
}

/// A container's own directory.
pub(super) struct Found {
    pub(super) runtime: Runtime,
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) runtimes: &'static [Runtime],
    /// containerd's namespace, where the kind of path implies one.
    pub(super) namespace: Option<&'static str>,
    /// The pod, where the directory itself names it.
    pub(super) pod_uid: Option<String>,
}

impl Found {
    fn with_id(runtime: Runtime, id: &str, runtimes: &'static [Runtime]) -> Self {
        Self {
            runtime,
            id: Some(id.to_owned()),
            name: short_id(id).to_owned(),
            runtimes,
            namespace: None,
            pod_uid: None,
        }
    }
}

/// Recognises the directory of a container.
pub(super) fn container(part: &str, place: &Place<'_>) -> Option<Found> {
    if let Some(name) = part
        .strip_prefix("lxc.payload.")
        .filter(|name| !name.is_empty())
    {
        return Some(lxc(name));
    }
    if place.parent == "lxc" && place.index == 1 {
        return Some(lxc(part));
    }
    if place.parent == "machine.slice" && !place.in_container && is_machine(part) {
        let name = units::unescape(part);
        return Some(Found {
            runtime: Runtime::Systemd,
            id: None,
            name,
            runtimes: &[],
            namespace: None,
            pod_uid: None,
        });
    }
    if let Some(found) = colons(part) {
        return Some(found);
    }
    if is_id(part) {
        return Some(bare(part, place));
    }
    let (prefix, id) = part
        .strip_suffix(".scope")
        .unwrap_or(part)
        .rsplit_once('-')?;
    // The monitor of a container is a process of the host.
    if !is_id(id) || prefix.ends_with("conmon") {
        return None;
    }
    Some(prefixed(prefix, id, place.in_pod))
}

/// UID of the pod whose own directory this is. `above` are the directories between it and the next
/// container.
pub(super) fn pod_uid(part: &str, above: &[&str]) -> Option<String> {
    if let Some(slice) = part.strip_suffix(".slice") {
        return slice_pod_uid(slice);
    }
    let uid = part.strip_prefix("pod").filter(|uid| !uid.is_empty())?;
    above.contains(&"kubepods").then(|| uid.to_owned())
}

/// `kubepods-burstable-pod1234_5678`: systemd takes a dash for the border of a slice, so the
/// kubelet writes `_`.
fn slice_pod_uid(slice: &str) -> Option<String> {
    let (_, below) = slice.split_once("kubepods-")?;
    let (_, after) = below
        .split_once("pod")
        .filter(|(qos, _)| matches!(*qos, "" | "besteffort-" | "burstable-"))?;
    (!after.is_empty()).then(|| after.replace('_', "-"))
}

/// Whether this can be a namespace or a container of containerd.
pub(super) fn is_containerd_name(name: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= 76
        && alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Every runtime makes ids of 64 lower-case hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn lxc(name: &str) -> Found {
    Found {
        name: name.to_owned(),
        ..Found::with_id(Runtime::Other, name, &[])
    }
}

/// systemd-nspawn and libvirt, as registered with systemd-machined.
fn is_machine(part: &str) -> bool {
    part.starts_with("systemd-nspawn@") && part.ends_with(".service")
        || part.starts_with("machine-") && part.ends_with(".scope")
}

/// A directory that is nothing but an id: what drivers without systemd make.
fn bare(id: &str, place: &Place<'_>) -> Found {
    match place.parent {
        _ if place.in_pod => Found::with_id(
            Runtime::Kubernetes,
            id,
            &[Runtime::Kubernetes, Runtime::Docker],
        ),
        "docker" => Found::with_id(Runtime::Docker, id, &[Runtime::Docker]),
        _ => Found::with_id(Runtime::Other, id, ANYONE),
    }
}

/// `docker-<id>.scope`, `libpod-<id>` and so on.
fn prefixed(prefix: &str, id: &str, in_pod: bool) -> Found {
    let pod_or = |alone| if in_pod { Runtime::Kubernetes } else { alone };
    match prefix {
        "docker" => Found::with_id(pod_or(Runtime::Docker), id, &[Runtime::Docker]),
        "cri-containerd" => Found::with_id(Runtime::Kubernetes, id, &[Runtime::Kubernetes]),
        "crio" => Found::with_id(pod_or(Runtime::CriO), id, &[Runtime::Kubernetes]),
        "libpod" | "libpod-payload" => Found::with_id(Runtime::Podman, id, &[Runtime::Podman]),
        // The scope does not tell the namespace, `default` is nerdctl's own default.
        "nerdctl" => Found {
            namespace: Some("default"),
            ..Found::with_id(Runtime::Containerd, id, &[Runtime::Containerd])
        },
        _ => Found::with_id(pod_or(Runtime::Other), id, ANYONE),
    }
}

/// `slice:prefix:id`, meant for systemd, and taken for a plain name where the runtime was not told
/// to use systemd.
fn colons(part: &str) -> Option<Found> {
    let mut fields = part.split(':');
    let (slice, prefix, id) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() || !is_id(id) {
        return None;
    }
    let pod_uid = slice.strip_suffix(".slice").and_then(slice_pod_uid);
    let found = prefixed(prefix, id, pod_uid.is_some());
    Some(Found { pod_uid, ..found })
}
