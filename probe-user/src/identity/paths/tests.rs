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
        ("/kata_overhead/#", "", Other, false),
        ("/kubepods/besteffort/pod@/kata_#", "", Kubernetes, true),
        (
            "/system.slice/docker.service/BestEffort.slice/BestEffort-pod%.slice/#",
            "",
            Kubernetes,
            true,
        ),
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
        ("/docker/buildkit", Other, "/docker/buildkit", ""),
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

const A: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
const B: &str = "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2";

/// Layouts of orchestrators, batch systems and old runtimes, from reports: path, its own part where that is shorter, the container's id
/// or nothing for a part of the host, the pod, the name.
#[test]
fn layouts_that_were_reported_are_told_apart() {
    let task = "c3".repeat(16);
    let table: &[(&str, &str, &str, &str, &str)] = &[
        ("/ecs/@/@-123456789", "", "@-123456789", "", "@-123456789"),
        (
            "/ecs/@/@-1234567890",
            "",
            "@-1234567890",
            "",
            "@-1234567890",
        ),
        (
            "/system.slice/slurmstepd.scope/job_850/step_0/user/task_0",
            "/system.slice/slurmstepd.scope/job_850",
            "",
            "",
            "slurmstepd.scope/job_850",
        ),
        (
            "/system.slice/slurmstepd.scope/job_851/step_0/user/task_0",
            "/system.slice/slurmstepd.scope/job_851",
            "",
            "",
            "slurmstepd.scope/job_851",
        ),
        (
            "/system.slice/node1_slurmstepd.scope/job_852/step_0/user/task_0",
            "/system.slice/node1_slurmstepd.scope/job_852",
            "",
            "",
            "node1_slurmstepd.scope/job_852",
        ),
        (
            "/slurm/uid_1000/job_77/step_batch/task_0",
            "/slurm/uid_1000/job_77",
            "",
            "",
            "/slurm/uid_1000/job_77",
        ),
        (
            "/lxc.payload.samba19/system.slice/smbd.service",
            "/lxc.payload.samba19",
            "samba19",
            "",
            "samba19",
        ),
        (
            "/user/1000.user/2.session/my-container",
            "",
            "my-container",
            "",
            "my-container",
        ),
        (
            "/system.slice/kubepods-besteffort-pod1b5d61a3_28ce_46bc_a2c4_5654e9b20bdd.slice:cri-containerd:#A",
            "",
            "#A",
            "1b5d61a3-28ce-46bc-a2c4-5654e9b20bdd",
            "a1a1a1a1a1a1",
        ),
        (
            "/system.slice/docker.service/BestEffort.slice/BestEffort-pod0d33f94b_ab1a_11e6_9e1a_68f7281d8004.slice/#B",
            "",
            "#B",
            "0d33f94b-ab1a-11e6-9e1a-68f7281d8004",
            "b2b2b2b2b2b2",
        ),
        (
            "/system.slice/var-lib-docker-containers-#A-shm.mount",
            "",
            "",
            "",
            "var-lib-docker-containers-#A-shm.mount",
        ),
        (
            "/docker/#A/kubelet/kubepods/besteffort/pod3c1f0b9e-6c1d-4b57-9f31-0b5f6a1d2e3f/#B",
            "",
            "#B",
            "3c1f0b9e-6c1d-4b57-9f31-0b5f6a1d2e3f",
            "b2b2b2b2b2b2",
        ),
        (
            "/system.slice/docker-#A.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/\
             kubelet-kubepods-burstable-podd8992f589d8dd12c4342376ccb459375.slice/cri-containerd-#B.scope",
            "",
            "#B",
            "d8992f589d8dd12c4342376ccb459375",
            "b2b2b2b2b2b2",
        ),
        (
            r"/machine.slice/machine-qemu\x2drt1host01\x2dgo\x2drt1vlin\x2da.scope/libvirt/emulator",
            r"/machine.slice/machine-qemu\x2drt1host01\x2dgo\x2drt1vlin\x2da.scope",
            "",
            "",
            "machine-qemu-rt1host01-go-rt1vlin-a.scope",
        ),
        (
            r"/machine.slice/machine-qemu\x2drt1host01\x2dgo\x2drt1vwin\x2da.scope/libvirt/emulator",
            r"/machine.slice/machine-qemu\x2drt1host01\x2dgo\x2drt1vwin\x2da.scope",
            "",
            "",
            "machine-qemu-rt1host01-go-rt1vwin-a.scope",
        ),
        (
            "/garden/f7a3b1c2-1111-4a4a-6b6b-0a0a0a0a0a0a",
            "",
            "f7a3b1c2-1111-4a4a-6b6b-0a0a0a0a0a0a",
            "",
            "f7a3b1c2-1111-4a4a-6b6b-0a0a0a0a0a0a",
        ),
        (
            "/system.slice/garden.service/garden/f7a3b1c2-2222-4a4a-6b6b-0a0a0a0a0a0a",
            "",
            "f7a3b1c2-2222-4a4a-6b6b-0a0a0a0a0a0a",
            "",
            "f7a3b1c2-2222-4a4a-6b6b-0a0a0a0a0a0a",
        ),
        (
            "/mesos/f7a3b1c2-3333-4a4a-6b6b-0a0a0a0a0a0a",
            "",
            "f7a3b1c2-3333-4a4a-6b6b-0a0a0a0a0a0a",
            "",
            "f7a3b1c2-3333-4a4a-6b6b-0a0a0a0a0a0a",
        ),
        (
            "/docker/buildkit/v5pl2p1g3qzhcxk7y0x9h1u2w",
            "",
            "v5pl2p1g3qzhcxk7y0x9h1u2w",
            "",
            "v5pl2p1g3qzhcxk7y0x9h1u2w",
        ),
        (
            "/kubepods/besteffort/pod3c1f0b9e-6c1d-4b57-9f31-0b5f6a1d2e40/kata_#A",
            "",
            "#A",
            "3c1f0b9e-6c1d-4b57-9f31-0b5f6a1d2e40",
            "a1a1a1a1a1a1",
        ),
        ("/kata_overhead/#B", "", "#B", "", "b2b2b2b2b2b2"),
        (
            "/nomad.slice/share.slice/0f1e2d3c-aaaa-bbbb-cccc-ddddeeeeffff.web.scope",
            "",
            "0f1e2d3c-aaaa-bbbb-cccc-ddddeeeeffff.web.scope",
            "",
            "web-0f1e2d3c-aaaa-bbbb-cccc-ddddeeeeffff",
        ),
        ("/k8s.io/#A", "", "#A", "", "a1a1a1a1a1a1"),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-1234.scope",
            "",
            "",
            "",
            "user@1000.service/app-gnome-firefox-1234.scope",
        ),
        (
            "/azure.slice/walinuxagent.extensions.slice/x.service",
            "",
            "",
            "",
            "x.service",
        ),
    ];
    let fill = |text: &str| text.replace("#A", A).replace("#B", B).replace('@', &task);
    let split: Vec<CgroupPattern> = crate::config::Config::default().cgroups_split;
    let mut names = std::collections::BTreeSet::new();
    for (path, own, id, pod, name) in table {
        // User managers have an @ of their own.
        let path = &if path.starts_with("/ecs") {
            fill(path)
        } else {
            path.replace("#A", A).replace("#B", B)
        };
        let (id, name) = if path.starts_with("/ecs") {
            (fill(id), fill(name))
        } else {
            (id.replace("#A", A).replace("#B", B), name.replace("#A", A))
        };
        let parsed = parse_with(path, &split);
        assert_eq!(
            parsed.path,
            if own.is_empty() { path } else { *own },
            "{path}"
        );
        assert_eq!(parsed.id.as_deref().unwrap_or_default(), id, "{path}");
        assert_eq!(
            parsed.pod_uid.as_deref().unwrap_or_default(),
            *pod,
            "{path}"
        );
        assert_eq!(parsed.name, name, "{path}");
        names.insert((parsed.id, parsed.name));
    }
    // The ids of the list repeat: one is there three times, one four times.
    assert_eq!(names.len() + 5, table.len(), "{names:#?}");
}

#[test]
fn a_part_of_a_unit_or_a_container_can_be_told_apart() {
    let container = format!("/system.slice/docker-{A}.scope");
    let inside = format!("{container}/worker/1");
    let split = |path: &str| vec![path.parse::<CgroupPattern>().unwrap()];
    let parsed = parse_with(&format!("{inside}/deeper"), &split(&inside));
    assert_eq!(parsed.path, inside);
    assert_eq!((parsed.id, parsed.question), (None, None));
    assert_eq!(parsed.runtime, Runtime::Docker);
    assert!(parsed.name.ends_with("/worker/1"), "{}", parsed.name);
    // The rest of it is the container's.
    let rest = parse_with(&format!("{container}/worker/2"), &split(&inside));
    assert_eq!(
        (rest.path.as_str(), rest.id.as_deref()),
        (container.as_str(), Some(A))
    );
    // A pattern for the host does not reach into containers.
    let job = parse_with(&inside, &split("worker/*"));
    assert_eq!(job.path, container);
    let unit = parse_with(
        "/system.slice/web.service/w1",
        &split("/system.slice/web.service/w1"),
    );
    assert_eq!(
        (unit.name.as_str(), unit.path.as_str()),
        ("web.service/w1", "/system.slice/web.service/w1")
    );
}
