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
    // LXC below the session of a user, as logind made them before cgroup v2.
    if place.index == 3 && is_session(place.parent) && !part.contains('.') {
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
    if let Some(found) = orchestrated(part, place) {
        return Some(found);
    }
    if is_id(part) {
        return Some(bare(part, place));
    }
    if let Some(id) = part.strip_prefix("kata_").filter(|id| is_id(id)) {
        return Some(prefixed("kata", id, place.in_pod));
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
    // Kubelets before 1.6 wrote the classes of service without the prefix.
    for class in ["BestEffort-pod", "Burstable-pod", "Guaranteed-pod"] {
        if let Some(uid) = slice.strip_prefix(class).filter(|uid| !uid.is_empty()) {
            return Some(uid.replace('_', "-"));
        }
    }
    let (_, below) = slice.split_once("kubepods-")?;
    let (_, after) = below
        .split_once("pod")
        .filter(|(qos, _)| matches!(*qos, "" | "besteffort-" | "burstable-"))?;
    (!after.is_empty()).then(|| after.replace('_', "-"))
}

/// Containers of orchestrators whose ids are not those of a runtime, and steps of a build.
fn orchestrated(part: &str, place: &Place<'_>) -> Option<Found> {
    match place.parent {
        // Amazon ECS: the task, and a number for the container.
        task if is_task(task) && is_part_of_task(part, task) => Some(chosen(part, part)),
        "garden" | "mesos" if is_uuid(part) => Some(chosen(part, part)),
        "buildkit" if is_build(part) => Some(chosen(part, part)),
        // HashiCorp Nomad: the allocation and the task, which docker knows by the reverse.
        slice if slice.ends_with(".slice") => {
            let (allocation, task) = part.strip_suffix(".scope")?.split_once('.')?;
            let name = format!("{}-{allocation}", units::unescape(task));
            (is_uuid(allocation) && !task.is_empty()).then(|| chosen(part, &name))
        }
        _ => None,
    }
}

/// A container that no runtime can be asked about.
fn chosen(id: &str, name: &str) -> Found {
    Found {
        name: name.to_owned(),
        ..Found::with_id(Runtime::Other, id, &[])
    }
}

fn is_task(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_part_of_task(part: &str, task: &str) -> bool {
    let number = part
        .strip_prefix(task)
        .and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// BuildKit makes ids of 25 lower-case letters and digits.
fn is_build(text: &str) -> bool {
    text.len() == 25
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// `2.session`
fn is_session(text: &str) -> bool {
    let number = text.strip_suffix(".session");
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_alphanumeric())
    })
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
pub(super) fn is_id(text: &str) -> bool {
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
        // A VM of its own for each pod.
        "kata" => Found::with_id(pod_or(Runtime::Other), id, ANYONE),
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
