//! The rigs themselves: what a test relies on before nodeprobe is measured.

use std::{fs, path::Path, process::Command};

use anyhow::Result;
use tests::{
    cgroup::{Cgroup, Everywhere},
    guard::run,
    isolate::Isolate as _,
    lock::alone,
    peers::{Peer, runqlat_histogram, syscount_table},
    runtime::{Container, containerd::Containerd, cri::Cri, docker::Docker, podman::Podman},
    skip::unless_available,
    truth,
    workload::Workload,
};

const WORK: &str = "syscalls --calls 10 --errors 4";

#[test]
fn a_workload_stops_before_and_after_its_work() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("rig")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let running = workload.ready(&cgroup, "pingpong --rounds 100")?;
    let before = truth::scheduling(running.task.pid())?;
    assert_eq!(
        truth::scheduling(running.task.pid())?,
        before,
        "a ready workload sleeps"
    );
    running.work()?;
    let work = truth::scheduling(running.task.pid())? - before;
    assert!(work.voluntary + work.involuntary >= 200, "{work:?}");
    assert_eq!(running.task.cgroup()?, cgroup.path());
    assert_eq!(running.finish()?["rounds"], 100);
    Ok(())
}

#[test]
fn a_cgroup_and_its_children_go_with_their_guard_although_a_task_runs_in_it() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("rig")) else {
        return Ok(());
    };
    let child = cgroup.child("below")?;
    let running = Workload::new()?.ready(&child, WORK)?;
    let folder = cgroup.folder().to_owned();
    assert!(folder.join("below").is_dir());
    std::mem::forget(child);
    drop(cgroup);
    assert!(!folder.exists());
    drop(running);
    Ok(())
}

#[test]
fn a_cgroup_can_be_in_every_hierarchy() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup v1", Everywhere::new("rig")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let running = workload.ready_as(cgroup.command(workload.path()), WORK)?;
    let text = fs::read_to_string(format!("/proc/{}/cgroup", running.task.pid()))?;
    let path = cgroup.unified().path();
    assert!(text.lines().all(|line| line.ends_with(&path)), "{text}");
    Ok(())
}

#[test]
fn an_isolated_command_sees_another_host_and_the_host_stays_as_it_is() -> Result<()> {
    let _alone = alone();
    let before = fs::read_to_string("/proc/self/mounts")?;
    let list =
        |command: &mut Command| run(command.args(["-c", "ls -A /sys/fs/cgroup /sys/kernel/btf"]));
    let v2 = list(Command::new("sh").with_v2_only())?;
    assert!(v2.contains("cgroup.controllers"), "{v2}");
    let no_btf = list(Command::new("sh").without("/sys/kernel/btf"))?;
    assert!(!no_btf.contains("vmlinux"), "{no_btf}");
    if Path::new("/sys/fs/cgroup/unified").is_dir() {
        let v1 = run(Command::new("cat").arg("/proc/self/mounts").with_v1_only())?;
        assert!(!v1.contains("cgroup2"), "{v1}");
    }
    assert_eq!(fs::read_to_string("/proc/self/mounts")?, before);
    Ok(())
}

/// Lets a container do its work and checks where it did it.
fn work(container: &Container, path: &str) -> Result<()> {
    assert_eq!(container.task.cgroup()?, path);
    container.task.go()?;
    container.task.wait_done()
}

#[test]
fn docker_runs_the_workload() -> Result<()> {
    let _alone = alone();
    let Some(docker) = unless_available("docker", Docker::start()) else {
        return Ok(());
    };
    let container = docker.start_workload("rig", WORK)?;
    work(&container, &format!("/docker/{}", container.id))?;
    docker.remove("rig")
}

#[test]
fn docker_runs_the_workload_on_a_host_with_v2_only() -> Result<()> {
    let _alone = alone();
    let Some(docker) = unless_available("docker", Docker::start_on_v2()) else {
        return Ok(());
    };
    let container = docker.start_workload("rig", WORK)?;
    work(&container, &format!("/docker/{}", container.id))
}

#[test]
fn containerd_runs_the_workload() -> Result<()> {
    let _alone = alone();
    let Some(containerd) = unless_available("containerd", Containerd::start()) else {
        return Ok(());
    };
    let container = containerd.start_workload("rig", WORK)?;
    work(&container, "/default/rig")?;
    run(&mut containerd.run_command("short", WORK)).map(drop)
}

#[test]
fn cri_runs_the_workload_in_a_pod() -> Result<()> {
    let _alone = alone();
    let Some(containerd) = unless_available("containerd", Containerd::start()) else {
        return Ok(());
    };
    let cri = Cri::connect(&containerd)?;
    let uid = "0b7f2a04-9a5c-4c9e-8f5e-5d1b6e1f0a01";
    let container = cri.start_workload("shop", "cart-0", uid, "cart", WORK)?;
    work(
        &container,
        &format!("/kubepods/besteffort/pod{uid}/{}", container.id),
    )
}

#[test]
fn podman_runs_the_workload() -> Result<()> {
    let _alone = alone();
    let Some(podman) = unless_available("podman", Podman::start()) else {
        return Ok(());
    };
    let container = podman.start_workload("rig", WORK)?;
    work(
        &container,
        &format!("/libpod_parent/libpod-{}", container.id),
    )
}

#[test]
fn the_peers_measure_a_steady_load() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("rig")) else {
        return Ok(());
    };
    let load = Workload::new()?.start(&cgroup, "steady --per-second 1000 --seconds 60")?;
    let peers = Peer::syscount(3).and_then(|syscount| Ok((syscount, Peer::runqlat(3)?)));
    let Some((syscount, runqlat)) = unless_available("libbpf-tools", peers) else {
        return Ok(());
    };
    let outputs = syscount
        .output()
        .and_then(|calls| Ok((calls, runqlat.output()?)));
    let Some((calls, waits)) = unless_available("libbpf-tools", outputs) else {
        return Ok(());
    };
    drop(load);
    let calls = syscount_table(&calls)?["ioprio_get"];
    assert!(
        (2500..3500).contains(&calls),
        "{calls} calls in three seconds"
    );
    let waits: u64 = runqlat_histogram(&waits)?
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert!(waits > 1000, "{waits} waits in three seconds");
    Ok(())
}
