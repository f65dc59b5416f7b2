//! Exact counts in containers of real runtimes.

use anyhow::Result;
use tests::{
    lock::alone,
    nodeprobe::Tool,
    report::{Calls, Row},
    runtime::{Container, containerd::Containerd, cri::Cri, docker::Docker, podman::Podman},
    skip::unless_available,
};

use crate::measure::BY_CALL;

const BUSY: &str = "syscalls --calls 5000 --errors 251 --other 3";
const CALM: &str = "syscalls --calls 77";

/// Measures two containers, the first of which is `BUSY` and the second `CALM`, and returns a row of each.
fn exact(busy: &Container, calm: &Container) -> Result<[Row; 2]> {
    let tool = Tool::attach(BY_CALL)?;
    for container in [busy, calm] {
        container.task.go()?;
        container.task.wait_done()?;
    }
    let paths = [busy.task.cgroup()?, calm.task.cgroup()?];
    let report = tool.finish()?;
    let expected = Calls::expected(5000, &[("EINVAL", 126), ("ESRCH", 125)]);
    assert_eq!(report.calls(&paths[0], "getpriority"), expected);
    assert_eq!(
        report.calls(&paths[0], "sched_get_priority_max"),
        Calls::expected(3, &[])
    );
    assert_eq!(
        report.calls(&paths[1], "getpriority"),
        Calls::expected(77, &[])
    );
    assert_eq!(
        report.calls_elsewhere(&[&paths[0], &paths[1]], "getpriority"),
        Calls::default()
    );
    assert_eq!(report.lost_total(), 0, "{:?}", report.lost);
    let row = |path: &str| {
        report
            .of(path)
            .next()
            .expect("the calls above have a row")
            .clone()
    };
    Ok([row(&paths[0]), row(&paths[1])])
}

#[test]
fn docker_containers_are_exact() -> Result<()> {
    let _alone = alone();
    let Some(docker) = unless_available("docker", Docker::start()) else {
        return Ok(());
    };
    let busy = docker.start_workload("busy", BUSY)?;
    let calm = docker.start_workload("calm", CALM)?;
    for (row, container) in exact(&busy, &calm)?.iter().zip([&busy, &calm]) {
        assert_eq!(
            (row.container.runtime.as_str(), &row.container.id),
            ("docker", &container.id)
        );
    }
    Ok(())
}

#[test]
fn containerd_containers_are_exact() -> Result<()> {
    let _alone = alone();
    let Some(containerd) = unless_available("containerd", Containerd::start()) else {
        return Ok(());
    };
    let busy = containerd.start_workload("busy", BUSY)?;
    let calm = containerd.start_workload("calm", CALM)?;
    for (row, container) in exact(&busy, &calm)?.iter().zip([&busy, &calm]) {
        assert!(
            row.container.name.ends_with(&container.name),
            "{:?}",
            row.container
        );
    }
    Ok(())
}

#[test]
fn cri_containers_are_exact() -> Result<()> {
    let _alone = alone();
    let Some(containerd) = unless_available("containerd", Containerd::start()) else {
        return Ok(());
    };
    let cri = Cri::connect(&containerd)?;
    let uid = |n: u32| format!("0b7f2a04-9a5c-4c9e-8f5e-5d1b6e1f0a0{n}");
    let busy = cri.start_workload("shop", "cart-0", &uid(1), "cart", BUSY)?;
    let calm = cri.start_workload("shop", "cart-1", &uid(2), "cart", CALM)?;
    for (row, container) in exact(&busy, &calm)?.iter().zip([&busy, &calm]) {
        assert_eq!(
            (row.container.runtime.as_str(), &row.container.id),
            ("kubernetes", &container.id)
        );
    }
    Ok(())
}

#[test]
fn podman_containers_are_exact() -> Result<()> {
    let _alone = alone();
    let Some(podman) = unless_available("podman", Podman::start()) else {
        return Ok(());
    };
    let busy = podman.start_workload("busy", BUSY)?;
    let calm = podman.start_workload("calm", CALM)?;
    for (row, container) in exact(&busy, &calm)?.iter().zip([&busy, &calm]) {
        assert_eq!(
            (row.container.runtime.as_str(), &row.container.id),
            ("podman", &container.id)
        );
    }
    Ok(())
}
