//! Paths as real hosts have them, and paths that no host has.

use super::*;

const ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
const INNER: &str = "f9e8d7c6b5a4f9e8d7c6b5a4f9e8d7c6b5a4f9e8d7c6b5a4f9e8d7c6b5a49999";
const UID: &str = "3c1f0b9e-6c1d-4b57-9f31-0b5f6a1d2e3f";

#[test]
fn containers_are_recognised_with_their_own_cgroup() {
    use Runtime::{Containerd, CriO, Docker, Kubernetes, Other, Podman};
    // path, the part of it that is the container, runtime, whether it is in the pod
    let table: &[(&str, &str, Runtime, bool)] = &[
        ("/docker/#", "", Docker, false),
        ("/docker/#", "/system.slice/ssh.service", Docker, false),
        ("/docker/#", "/init.scope", Docker, false),
        ("/system.slice/docker-#.scope", "", Docker, false),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-#.scope",
            "",
            Docker,
            false,
        ),
        ("/actions.runner.service/docker/#", "", Docker, false),
        ("/ecs/3f1c/#", "", Other, false),
        ("/mygroup/#", "", Other, false),
        ("/#", "", Other, false),
        ("/default/#", "", Other, false),
        ("/system.slice/nerdctl-#.scope", "", Containerd, false),
        ("/kubepods/besteffort/pod@/#", "", Kubernetes, true),
        ("/kubepods/burstable/pod@/#", "/sub/sub", Kubernetes, true),
        ("/kubepods/pod@/#", "", Kubernetes, true),
        ("/kubelet/kubepods/besteffort/pod@/#", "", Kubernetes, true),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod%.slice/cri-containerd-#.scope",
            "",
            Kubernetes,
            true,
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod%.slice/crio-#.scope",
            "/container",
            Kubernetes,
            true,
        ),
        (
            "/kubepods.slice/kubepods-pod%.slice/docker-#.scope",
            "",
            Kubernetes,
            true,
        ),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod%.slice/cri-containerd-#.scope",
            "",
            Kubernetes,
            true,
        ),
        (
            "/system.slice/containerd.service/kubepods-burstable-pod%.slice:cri-containerd:#",
            "",
            Kubernetes,
            true,
        ),
        ("/kubepods/besteffort/pod@/crio-#", "", Kubernetes, true),
        ("/system.slice/crio-#.scope", "", CriO, false),
        ("/crio-#", "", CriO, false),
        ("/libpod_parent/libpod-#", "", Podman, false),
        ("/machine.slice/libpod-#.scope", "", Podman, false),
        ("/machine.slice/libpod-#.scope", "/container", Podman, false),
        (
            "/machine.slice/libpod-#.scope",
            "/container/system.slice/nginx.service",
            Podman,
            false,
        ),
        (
            "/machine.slice/machine-libpod_pod_$.slice/libpod-#.scope",
            "/container",
            Podman,
            false,
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-#.scope",
            "/container",
            Podman,
            false,
        ),
        (
            "/system.slice/web.service/libpod-payload-#",
            "",
            Podman,
            false,
        ),
    ];
    for (own, below, runtime, in_pod) in table {
        let own = own
            .replace('@', UID)
            .replace('%', &UID.replace('-', "_"))
            .replace('$', INNER);
        let own = own.replace('#', ID);
        let parsed = parse(&format!("{own}{below}"));
        assert_eq!(parsed.path, own);
        assert_eq!(parsed.runtime, *runtime, "{own}");
        assert_eq!(parsed.id.as_deref(), Some(ID), "{own}");
        assert_eq!(parsed.pod_uid.as_deref(), in_pod.then_some(UID), "{own}");
        assert_eq!(parsed.name, "0a1b2c3d4e5f", "{own}");
        assert_eq!(parsed.question.unwrap().id, ID, "{own}");
    }
}

#[test]
fn parts_of_the_host_are_named_from_the_path() {
    use Runtime::{Other, Root, Systemd};
    // path, runtime, name, own path where it is not all of the path
    let table: &[(&str, Runtime, &str, &str)] = &[
        ("/", Root, "/", "/"),
        ("", Root, "/", "/"),
        ("/init.scope", Systemd, "init.scope", "/init.scope"),
        ("/system.slice", Systemd, "system.slice", "/system.slice"),
        (
            "/system.slice/ssh.service",
            Systemd,
            "ssh.service",
            "/system.slice/ssh.service",
        ),
        (
            "/system.slice/foo.service/worker/1",
            Systemd,
            "foo.service",
            "/system.slice/foo.service",
        ),
        (
            "/system.slice/system-getty.slice/getty@tty1.service",
            Systemd,
            "getty@tty1.service",
            "",
        ),
        ("/system.slice/dbus.socket", Systemd, "dbus.socket", ""),
        (
            "/system.slice/system-openvpn\\x2dserver.slice",
            Systemd,
            "system-openvpn-server.slice",
            "",
        ),
        (
            "/system.slice/dev-disk-by\\x2duuid-1.swap",
            Systemd,
            "dev-disk-by-uuid-1.swap",
            "",
        ),
        (
            "/system.slice/a\\xff.service",
            Systemd,
            "a\\xff.service",
            "",
        ),
        ("/system.slice/a\\x0a.service", Systemd, "a\\n.service", ""),
        (
            "/user.slice/user-1000.slice/session-3.scope",
            Systemd,
            "session-3.scope",
            "",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/firefox.service",
            Systemd,
            "user@1000.service/firefox.service",
            "",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice",
            Systemd,
            "user@1000.service/app.slice",
            "",
        ),
        (
            "/machine.slice/systemd-nspawn@web.service/payload/system.slice/ssh.service",
            Systemd,
            "systemd-nspawn@web.service",
            "/machine.slice/systemd-nspawn@web.service",
        ),
        (
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
            Systemd,
            "machine-qemu-1-vm.scope",
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
        ),
        (
            "/system.slice/containerd.service",
            Systemd,
            "containerd.service",
            "",
        ),
        ("/kubepods", Other, "/kubepods", ""),
        ("/kubepods/besteffort", Other, "/kubepods/besteffort", ""),
        (
            "/kubepods.slice/kubepods-besteffort.slice",
            Systemd,
            "kubepods-besteffort.slice",
            "",
        ),
        ("/docker", Other, "/docker", ""),
        (
            "/docker/buildkit/abcdefghijklmnopqrstuvwxy",
            Other,
            "/docker/buildkit/abcdefghijklmnopqrstuvwxy",
            "",
        ),
        ("/lxc.monitor.web", Other, "/lxc.monitor.web", ""),
        ("/libpod_parent/conmon", Other, "/libpod_parent/conmon", ""),
        ("/a/b/c", Other, "/a/b/c", ""),
    ];
    for (path, runtime, name, own) in table {
        let parsed = parse(path);
        assert_eq!(
            (parsed.runtime, parsed.name.as_str()),
            (*runtime, *name),
            "{path}"
        );
        assert_eq!(
            parsed.path,
            if own.is_empty() { *path } else { *own },
            "{path}"
        );
        assert_eq!(parsed.id, None, "{path}");
        let container = parsed.container(CgroupId(1), Naming::Named);
        assert_eq!(container.namespace, Container::HOST, "{path}");
    }
}

#[test]
fn monitors_of_containers_are_not_the_container() {
    for path in [
        "/machine.slice/libpod-conmon-#.scope",
        "/system.slice/crio-conmon-#.scope",
        "/kubepods/besteffort/pod1/crio-conmon-#",
        "/libpod_parent/libpod-conmon-#",
    ] {
        assert_eq!(parse(&path.replace('#', ID)).id, None, "{path}");
    }
}

#[test]
fn a_pod_without_containers_is_not_a_container_and_keeps_its_uid() {
    let cgroupfs = parse(&format!("/kubepods/besteffort/pod{UID}"));
    assert_eq!(
        (cgroupfs.runtime, cgroupfs.id.as_ref()),
        (Runtime::Other, None)
    );
    assert_eq!(cgroupfs.pod_uid.as_deref(), Some(UID));
    assert_eq!(cgroupfs.question, None);
    let slice = format!("kubepods-burstable-pod{}.slice", UID.replace('-', "_"));
    let systemd = parse(&format!("/kubepods.slice/kubepods-burstable.slice/{slice}"));
    assert_eq!((systemd.runtime, systemd.id), (Runtime::Systemd, None));
    assert_eq!(systemd.pod_uid.as_deref(), Some(UID));
}

#[test]
fn the_innermost_container_wins() {
    let kind = parse(&format!(
        "/docker/{ID}/kubelet/kubepods/besteffort/pod{UID}/{INNER}/sub"
    ));
    assert_eq!(kind.runtime, Runtime::Kubernetes);
    assert_eq!(kind.id.as_deref(), Some(INNER));
    assert_eq!(kind.pod_uid.as_deref(), Some(UID));
    let dind = parse(&format!("/kubepods/pod{UID}/{ID}/docker/{INNER}"));
    assert_eq!(
        (dind.runtime, dind.id.as_deref()),
        (Runtime::Docker, Some(INNER))
    );
    assert_eq!(
        dind.pod_uid, None,
        "the inner daemon knows nothing of the pod"
    );
    let lxc = parse(&format!("/lxc.payload.a/docker/{INNER}"));
    assert_eq!(
        (lxc.runtime, lxc.id.as_deref()),
        (Runtime::Docker, Some(INNER))
    );
}

#[test]
fn what_is_beside_inner_pods_belongs_to_the_node_container() {
    for below in [
        "/kubelet",
        "/kubelet/kubepods/besteffort/pod12",
        "/system.slice/kubelet.service",
    ] {
        let node = parse(&format!("/docker/{ID}{below}"));
        assert_eq!(node.id.as_deref(), Some(ID), "{below}");
        assert_eq!(node.path, format!("/docker/{ID}"), "{below}");
        assert_eq!(node.pod_uid, None, "{below}");
    }
}

#[test]
fn an_lxc_container_has_its_name_from_the_path() {
    for path in [
        "/lxc.payload.web",
        "/lxc.payload.web/system.slice/ssh.service",
        "/lxc/web/init.scope",
    ] {
        let parsed = parse(path);
        assert_eq!(
            (parsed.id.as_deref(), parsed.name.as_str()),
            (Some("web"), "web"),
            "{path}"
        );
        assert_eq!(parsed.question, None);
        assert_eq!(parsed.container(CgroupId(1), Naming::Named).namespace, "");
    }
}

#[test]
fn a_two_level_path_is_only_a_guess_at_containerd() {
    let parsed = parse("/default/web");
    assert_eq!(parsed.runtime, Runtime::Other);
    let question = parsed.question.unwrap();
    assert!(question.guess);
    assert_eq!(
        (question.namespace.as_deref(), question.id.as_str()),
        (Some("default"), "web")
    );
    for path in [
        "/system.slice/ssh.service",
        "/user.slice/x",
        "/default/web/sub",
        "/web",
        "/de fault/web",
        "/a/-b",
    ] {
        assert_eq!(parse(path).question, None, "{path}");
    }
}

#[test]
fn an_id_with_an_unknown_parent_is_asked_of_everyone_with_containerds_namespace() {
    let question = parse(&format!("/k8s.io/{ID}")).question.unwrap();
    assert_eq!(question.runtimes, ANYONE);
    assert_eq!(question.namespace.as_deref(), Some("k8s.io"));
    assert!(!question.guess);
}
