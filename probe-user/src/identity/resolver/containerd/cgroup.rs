//! The cgroup of a container that is known by its first process and its specification.

use serde::Deserialize;

use crate::kernel::cgroupfs::path_of_process;

/// The cgroup that a process is in, below the root of the hierarchy.
pub(super) async fn of_process(pid: u32) -> Option<String> {
    let text = tokio::fs::read(format!("/proc/{pid}/cgroup")).await.ok()?;
    path_of_process(&text)
}

/// The cgroup that the specification of a container asks for: a path, or `slice:prefix:name` for systemd.
pub(super) fn wanted(specification: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Specification {
        linux: Linux,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Linux {
        cgroups_path: String,
    }
    let specification: Specification = serde_json::from_slice(specification).ok()?;
    Some(specification.linux.cgroups_path).filter(|path| !path.is_empty())
}

/// The container's own cgroup: the part of its process's path that ends with what the specification asks for. `None` where the
/// process is elsewhere, so that nothing shows which cgroup is the container's alone.
pub(super) fn own(process: &str, wanted: &str) -> Option<String> {
    let fields: Vec<&str> = wanted.split(':').collect();
    let unit;
    let wanted: Vec<&str> = match fields[..] {
        [_slice, prefix, name] => {
            unit = if name.ends_with(".slice") {
                name.to_owned()
            } else {
                format!("{prefix}-{name}.scope")
            };
            vec![&unit]
        }
        _ => wanted.split('/').filter(|part| !part.is_empty()).collect(),
    };
    let path: Vec<&str> = process.split('/').filter(|part| !part.is_empty()).collect();
    if wanted.is_empty() {
        return None;
    }
    let at = path
        .windows(wanted.len())
        .rposition(|window| window == wanted)?;
    let own = &path[..at + wanted.len()];
    Some(own.iter().flat_map(|part| ["/", part]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_of_a_container_is_where_its_specification_and_its_process_agree() {
        let own = |process, wanted| own(process, wanted);
        let is = |path: &str| Some(path.to_owned());
        assert_eq!(own("/foo/bar", "/foo/bar"), is("/foo/bar"));
        assert_eq!(own("/foo/bar/init.scope", "foo/bar"), is("/foo/bar"));
        assert_eq!(own("/outer/foo/bar/x", "/foo/bar"), is("/outer/foo/bar"));
        assert_eq!(
            own("/system.slice/batch-web.scope", "system.slice:batch:web"),
            is("/system.slice/batch-web.scope")
        );
        assert_eq!(own("/system.slice/containerd.service", "/foo/bar"), None);
        assert_eq!(own("/foo/barn", "/foo/bar"), None);
        assert_eq!(own("/", "/"), None);
    }

    #[test]
    fn a_specification_says_which_cgroup_it_asks_for() {
        let json = br#"{"ociVersion":"1","linux":{"cgroupsPath":"/foo/bar","namespaces":[]}}"#;
        assert_eq!(wanted(json), Some("/foo/bar".to_owned()));
        for json in [
            &b"{"[..],
            b"{\"linux\":{}}",
            b"{\"linux\":{\"cgroupsPath\":\"\"}}",
        ] {
            assert_eq!(wanted(json), None);
        }
    }
}
