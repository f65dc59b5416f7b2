//! Exact counts of system calls in cgroups that no runtime made.

use anyhow::Result;
use tests::{
    cgroup::Cgroup,
    lock::alone,
    nodeprobe::Tool,
    report::Calls,
    skip::unless_available,
    workload::{Running, Workload},
};

use crate::measure::{BY_CALL, measure};

#[test]
fn calls_and_errors_are_exact_and_nobody_else_is_charged() -> Result<()> {
    let _alone = alone();
    let Some(busy) = unless_available("cgroup", Cgroup::new("busy")) else {
        return Ok(());
    };
    let calm = Cgroup::new("calm")?;
    let workload = Workload::new()?;
    let first = workload.ready(&busy, "syscalls --calls 100000 --errors 701 --other 40")?;
    let second = workload.ready(&calm, "syscalls --calls 123")?;
    let report = measure(BY_CALL, &[&first, &second])?;
    let errnos = [("EINVAL", 351), ("ESRCH", 350)];
    assert_eq!(
        report.calls(&busy.path(), "ioprio_get"),
        Calls::expected(100_000, &errnos)
    );
    assert_eq!(
        report.calls(&busy.path(), "sched_get_priority_max"),
        Calls::expected(40, &[])
    );
    assert_eq!(
        report.calls(&calm.path(), "ioprio_get"),
        Calls::expected(123, &[])
    );
    assert_eq!(
        report.calls(&calm.path(), "sched_get_priority_max"),
        Calls::default()
    );
    let own = [busy.path(), calm.path()];
    let own: Vec<_> = own.iter().map(String::as_str).collect();
    assert_eq!(report.calls_elsewhere(&own, "ioprio_get"), Calls::default());
    assert_eq!(report.lost_total(), 0, "{:?}", report.lost);
    Ok(())
}

#[test]
fn threads_on_several_cpus_add_up() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("threads")) else {
        return Ok(());
    };
    let running = Workload::new()?.ready(
        &cgroup,
        "syscalls --calls 200000 --errors 100000 --threads 8",
    )?;
    let report = measure(BY_CALL, &[&running])?;
    let expected = Calls::expected(200_000, &[("EINVAL", 50_000), ("ESRCH", 50_000)]);
    assert_eq!(report.calls(&cgroup.path(), "ioprio_get"), expected);
    Ok(())
}

#[test]
fn a_cgroup_is_told_apart_from_the_one_below_it() -> Result<()> {
    let _alone = alone();
    let Some(outer) = unless_available("cgroup", Cgroup::new("outer")) else {
        return Ok(());
    };
    let inner = outer.child("inner")?;
    let workload = Workload::new()?;
    let first = workload.ready(&outer, "syscalls --calls 11")?;
    let second = workload.ready(&inner, "syscalls --calls 5")?;
    let report = measure(BY_CALL, &[&first, &second])?;
    assert_eq!(report.calls(&inner.path(), "ioprio_get").calls, 5);
    assert_eq!(
        report.calls(&outer.path(), "ioprio_get").calls,
        16,
        "both are below the outer one"
    );
    Ok(())
}

/// Two workloads in a cgroup each, measured with one more option.
fn filtered(option: impl Fn(&Cgroup, &Running) -> String) -> Result<Option<(Calls, Calls)>> {
    let Some(chosen) = unless_available("cgroup", Cgroup::new("chosen")) else {
        return Ok(None);
    };
    let ignored = Cgroup::new("ignored")?;
    let workload = Workload::new()?;
    let first = workload.ready(&chosen, "syscalls --calls 70 --errors 2")?;
    let second = workload.ready(&ignored, "syscalls --calls 30")?;
    let report = measure(
        &format!("{BY_CALL} {}", option(&chosen, &first)),
        &[&first, &second],
    )?;
    let path = chosen.path();
    Ok(Some((
        report.calls(&path, "ioprio_get"),
        report.calls_elsewhere(&[&path], "ioprio_get"),
    )))
}

fn only_the_chosen(option: impl Fn(&Cgroup, &Running) -> String) -> Result<()> {
    let _alone = alone();
    if let Some((inside, outside)) = filtered(option)? {
        assert_eq!(inside, Calls::expected(70, &[("EINVAL", 1), ("ESRCH", 1)]));
        assert_eq!(outside, Calls::default());
    }
    Ok(())
}

#[test]
fn a_filter_by_cgroup_shows_nothing_else() -> Result<()> {
    only_the_chosen(|cgroup, _| format!("--cgroup {}", cgroup.path()))
}

#[test]
fn a_filter_by_container_name_shows_nothing_else() -> Result<()> {
    only_the_chosen(|cgroup, _| format!("--container {}", cgroup.path()))
}

#[test]
fn a_filter_by_process_shows_nothing_else() -> Result<()> {
    only_the_chosen(|_, running| format!("--pid {}", running.task.pid()))
}

#[test]
fn processes_of_one_cgroup_are_told_apart() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("shared")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let first = workload.ready(&cgroup, "syscalls --calls 41 --errors 1")?;
    let second = workload.ready(&cgroup, "syscalls --calls 7")?;
    let report = measure(
        "syscalls --duration 300s --by process,syscall",
        &[&first, &second],
    )?;
    let path = cgroup.path();
    let of = |running: &Running| {
        let pid = running.task.pid();
        let rows = report.of(&path).filter(|row| row.syscall == "ioprio_get");
        let own = rows.filter(|row| {
            row.process
                .as_ref()
                .is_some_and(|process| process.pid == pid)
        });
        own.map(|row| (row.calls, row.errors)).collect::<Vec<_>>()
    };
    assert_eq!((of(&first), of(&second)), (vec![(41, 1)], vec![(7, 0)]));
    Ok(())
}

#[test]
fn a_thousand_cgroups_with_a_short_process_each_are_counted_exactly() -> Result<()> {
    const CGROUPS: u64 = 1000;
    let _alone = alone();
    let Some(top) = unless_available("cgroup", Cgroup::new("thousand")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let tool = Tool::attach(BY_CALL)?;
    for index in 0..CGROUPS {
        // Removed as soon as its process has ended, before anything was read.
        let cgroup = top.child(&format!("c{index}"))?;
        workload.run(
            &cgroup,
            &format!("syscalls --calls {} --errors {}", index % 7 + 1, index % 2),
        )?;
    }
    let report = tool.finish()?;
    let wrong: Vec<_> = (0..CGROUPS)
        .filter_map(|index| {
            let counted = report.calls(&format!("{}/c{index}", top.path()), "ioprio_get");
            let right = (counted.calls, counted.errors) == (index % 7 + 1, index % 2);
            (!right).then_some((index, counted))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {CGROUPS} are wrong: {:?}",
        wrong.len(),
        wrong.iter().take(5).collect::<Vec<_>>()
    );
    Ok(())
}

#[test]
fn two_tools_beside_each_other_count_the_same() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("twice")) else {
        return Ok(());
    };
    let running = Workload::new()?.ready(&cgroup, "syscalls --calls 500 --errors 20")?;
    let other = Tool::attach(BY_CALL)?;
    let report = measure(BY_CALL, &[&running])?;
    let path = cgroup.path();
    assert_eq!(
        report.calls(&path, "ioprio_get"),
        other.finish()?.calls(&path, "ioprio_get")
    );
    assert_eq!(report.calls(&path, "ioprio_get").calls, 500);
    Ok(())
}
