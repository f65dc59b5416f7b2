//! Hosts whose cgroups are mounted otherwise: v2 only, and v1 only.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};
use tests::{
    Unavailable,
    cgroup::Everywhere,
    isolate::Isolate as _,
    lock::alone,
    nodeprobe::{Tool, command},
    report::Calls,
    skip::unless_available,
    workload::Workload,
};

use crate::measure::BY_CALL;

/// Both views can be made from a hybrid host only.
fn hybrid() -> Result<Everywhere> {
    if !Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists() {
        bail!(Unavailable("not a hybrid host".into()));
    }
    Everywhere::new("view")
}

/// Counts exactly under the cgroup's path, which is the same in all hierarchies.
fn exact_when(isolate: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("hybrid cgroups", hybrid()) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let running = workload.ready_as(
        cgroup.command(workload.path()),
        "syscalls --calls 333 --errors 20",
    )?;
    let mut command = command();
    isolate(&mut command);
    let tool = Tool::attach_with(BY_CALL, command)?;
    running.work()?;
    let report = tool.finish()?;
    let path = cgroup.unified().path();
    assert_eq!(
        report.calls(&path, "ioprio_get"),
        Calls::expected(333, &[("EINVAL", 10), ("ESRCH", 10)])
    );
    assert_eq!(
        report.calls_elsewhere(&[&path], "ioprio_get"),
        Calls::default()
    );
    Ok(())
}

#[test]
fn counts_are_exact_on_a_hybrid_host() -> Result<()> {
    exact_when(|command| command)
}

#[test]
fn counts_are_exact_where_only_v2_is_mounted() -> Result<()> {
    exact_when(|command| command.with_v2_only())
}

#[test]
fn counts_are_exact_where_only_v1_is_mounted() -> Result<()> {
    exact_when(|command| command.with_v1_only())
}
