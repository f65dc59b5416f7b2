//! Paths made by rule parse back, and garbage does no harm.

use proptest::prelude::*;

use super::*;

fn id() -> impl Strategy<Value = String> {
    "[0-9a-f]{64}"
}

fn uid() -> impl Strategy<Value = String> {
    "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}"
}

/// Directories that may be below any container.
fn below() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("/container".to_owned()),
        "(/[a-z]{1,8}\\.(slice|service|scope)){1,3}",
        "(/[a-zA-Z0-9_.]{1,12}){1,4}",
    ]
}

fn garbage() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "(/(docker|kubepods|pod|lxc|machine\\.slice|kubepods-pod\\.slice|libpod-|[a-f0-9:_-]{0,70}|\\\\x[0-9a-g]{0,2}|\\.scope|é)){0,6}",
    ]
}

proptest! {
    #[test]
    fn no_path_makes_the_parser_panic(path in garbage()) {
        let parsed = parse(&path);
        prop_assert!(parsed.path.starts_with('/'));
        prop_assert!(!parsed.name.is_empty());
        prop_assert!(!parsed.name.chars().any(char::is_control));
        // The own path is a fixed point: a container found twice is found the same.
        let again = parse(&parsed.path);
        prop_assert_eq!(again.path, parsed.path);
        prop_assert_eq!(again.id, parsed.id);
    }

    #[test]
    fn directories_without_any_pattern_are_other(path in "(/[g-z_]{3,20}){1,6}") {
        prop_assert_eq!(parse(&path).runtime, Runtime::Other);
        prop_assert_eq!(parse(&path).id, None);
    }

    #[test]
    fn docker_paths_parse_back(id in id(), below in below(), systemd in any::<bool>()) {
        let own = if systemd { format!("/system.slice/docker-{id}.scope") } else { format!("/docker/{id}") };
        let parsed = parse(&format!("{own}{below}"));
        prop_assert_eq!(parsed.runtime, Runtime::Docker);
        prop_assert_eq!(parsed.id, Some(id));
        prop_assert_eq!(parsed.path, own);
    }

    #[test]
    fn pod_paths_parse_back(
        id in id(), uid in uid(), below in below(),
        qos in prop_oneof![Just(""), Just("besteffort"), Just("burstable")],
        prefix in prop_oneof![Just("cri-containerd"), Just("crio"), Just("docker")],
        systemd in any::<bool>(), node in proptest::option::of(id()),
    ) {
        let node = node.map_or_else(String::new, |outer| format!("/docker/{outer}"));
        let own = if systemd {
            let dash = if qos.is_empty() { String::new() } else { format!("-{qos}") };
            let uid = uid.replace('-', "_");
            format!("{node}/kubepods.slice/kubepods{dash}.slice/kubepods{dash}-pod{uid}.slice/{prefix}-{id}.scope")
        } else {
            let qos = if qos.is_empty() { String::new() } else { format!("/{qos}") };
            format!("{node}/kubepods{qos}/pod{uid}/{id}")
        };
        let parsed = parse(&format!("{own}{below}"));
        prop_assert_eq!(parsed.runtime, Runtime::Kubernetes);
        prop_assert_eq!(parsed.id, Some(id));
        prop_assert_eq!(parsed.pod_uid, Some(uid));
        prop_assert_eq!(parsed.path, own);
    }

    #[test]
    fn podman_paths_parse_back(
        id in id(), below in below(),
        parent in prop_oneof![
            Just("/machine.slice"),
            Just("/user.slice/user-1000.slice/user@1000.service/user.slice"),
        ],
        systemd in any::<bool>(),
    ) {
        let own = if systemd { format!("{parent}/libpod-{id}.scope") } else { format!("/libpod_parent/libpod-{id}") };
        let parsed = parse(&format!("{own}{below}"));
        prop_assert_eq!(parsed.runtime, Runtime::Podman);
        prop_assert_eq!(parsed.id, Some(id));
        prop_assert_eq!(parsed.path, own);
    }

    #[test]
    fn units_parse_back(name in "[a-z][a-z0-9@_.-]{0,20}", slices in 0usize..4) {
        let path = format!("{}/{name}.service", "/x.slice".repeat(slices));
        let parsed = parse(&path);
        prop_assert_eq!(parsed.runtime, Runtime::Systemd);
        prop_assert_eq!(parsed.name, format!("{name}.service"));
        prop_assert_eq!(parsed.path, path);
    }
}
