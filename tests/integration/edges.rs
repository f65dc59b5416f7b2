//! Calls that do not simply begin and return: 32-bit, restarted, in flight, never returning, moved.

use anyhow::Result;
use tests::{
    cgroup::Cgroup,
    lock::alone,
    nodeprobe::Tool,
    report::{Calls, Report},
    skip::{skip, unless_available},
    workload::Workload,
};

use crate::measure::{BY_CALL, measure};

/// Measures one workload in a cgroup of its own.
fn one(args: &str) -> Result<Option<(Report, Cgroup)>> {
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("edge")) else {
        return Ok(None);
    };
    let running = Workload::new()?.ready(&cgroup, args)?;
    let report = measure(BY_CALL, &[&running])?;
    assert_eq!(report.lost_total(), 0, "{:?}", report.lost);
    drop(running);
    Ok(Some((report, cgroup)))
}

#[test]
fn compat_calls_are_counted_by_their_own_table() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("compat")) else {
        return Ok(());
    };
    if let Err(reason) = Workload::new()?.run(&cgroup, "compat --calls 1") {
        skip("compat", &format!("no 32-bit calls here: {reason}"));
        return Ok(());
    }
    let Some((report, cgroup)) = one("compat --calls 321")? else {
        return Ok(());
    };
    assert_eq!(
        report.calls(&cgroup.path(), "compat:getpid"),
        Calls::expected(321, &[])
    );
    // The same number in the 64-bit table.
    assert_eq!(report.calls(&cgroup.path(), "writev"), Calls::default());
    Ok(())
}

#[test]
fn a_call_that_was_in_flight_at_attach_counts_once_and_has_no_duration() -> Result<()> {
    let _alone = alone();
    let Some((report, cgroup)) = one("blocked")? else {
        return Ok(());
    };
    assert_eq!(
        report.calls(&cgroup.path(), "readv"),
        Calls::expected(1, &[])
    );
    let path = cgroup.path();
    let timed: u64 = report
        .of(&path)
        .filter(|row| row.syscall == "readv")
        .map(|row| row.latency.count)
        .sum();
    assert_eq!(timed, 0);
    Ok(())
}

#[test]
fn a_call_that_does_not_return_is_neither_counted_nor_lost() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("blocked")) else {
        return Ok(());
    };
    // The call begins and does not end while it is being measured.
    let tool = Tool::attach(BY_CALL)?;
    let running = Workload::new()?.ready(&cgroup, "blocked")?;
    let report = tool.finish()?;
    drop(running);
    let path = cgroup.path();
    assert_eq!(report.calls(&path, "readv"), Calls::default());
    assert!(report.of(&path).count() > 0, "calls before it are counted");
    assert_eq!(report.lost_total(), 0, "{:?}", report.lost);
    Ok(())
}

#[test]
fn a_restarted_call_shows_its_interruption_and_its_continuation() -> Result<()> {
    let _alone = alone();
    let Some((report, cgroup)) = one("restart --rounds 3")? else {
        return Ok(());
    };
    let path = cgroup.path();
    let calls = |name| report.calls(&path, name);
    assert_eq!(
        calls("nanosleep"),
        Calls::expected(3, &[("ERESTART_RESTARTBLOCK", 3)])
    );
    assert_eq!(calls("restart_syscall"), Calls::expected(3, &[]));
    assert_eq!(calls("readv"), Calls::expected(6, &[("ERESTARTSYS", 3)]));
    assert_eq!(calls("rt_sigreturn").calls, 3);
    Ok(())
}

#[test]
fn threads_that_end_inside_a_call_leave_nothing_behind() -> Result<()> {
    let _alone = alone();
    let Some((report, cgroup)) = one("exit-in-call --rounds 4 --threads 5")? else {
        return Ok(());
    };
    let path = cgroup.path();
    // A killed call returns to the kernel's border and shows there; `exit` itself does not.
    assert_eq!(
        report.calls(&path, "readv"),
        Calls::expected(20, &[("ERESTARTSYS", 20)])
    );
    assert_eq!(report.calls(&path, "exit"), Calls::default());
    assert_eq!(report.calls(&path, "exit_group"), Calls::default());
    Ok(())
}

#[test]
fn what_a_fork_returns_in_the_child_is_no_call() -> Result<()> {
    let _alone = alone();
    // One child process a round, and no threads in the parent.
    let Some((report, cgroup)) = one("exit-in-call --rounds 6 --threads 0")? else {
        return Ok(());
    };
    let path = cgroup.path();
    let forks = ["clone", "clone3", "fork", "vfork"].map(|name| report.calls(&path, name).calls);
    // One process and one thread a round.
    assert_eq!(forks.iter().sum::<u64>(), 12, "{forks:?}");
    Ok(())
}

#[test]
fn a_call_belongs_to_the_cgroup_in_which_it_returns() -> Result<()> {
    let _alone = alone();
    let Some(here) = unless_available("cgroup", Cgroup::new("here")) else {
        return Ok(());
    };
    let there = Cgroup::new("there")?;
    let procs = there.folder().join("cgroup.procs");
    let running = Workload::new()?.ready(
        &here,
        &format!("move-cgroup --calls 50 --procs {}", procs.display()),
    )?;
    let report = measure(BY_CALL, &[&running])?;
    let counts = |name| [&here, &there].map(|cgroup| report.calls(&cgroup.path(), name).calls);
    assert_eq!(counts("ioprio_get"), [50, 50]);
    assert_eq!(counts("readv"), [0, 1]);
    // The write that moves the process returns in the other cgroup.
    assert_eq!(report.lost_total(), 0, "{:?}", report.lost);
    Ok(())
}
