//! Scheduling, compared with what the kernel says about the same threads.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::{
    cgroup::Cgroup,
    guard::{run, urgent},
    lock::alone,
    nodeprobe::{Agent, Tool},
    report::Row,
    scrape::Scrape,
    skip::{not_in_vm, unless_available},
    truth::{self, Scheduling},
    wait::LONG,
    workload::Workload,
};

const RUNQLAT: &str = "runqlat --duration 300s --by container";
const OFFCPU: &str = "offcpu --duration 300s --by container";

/// The row of a cgroup, which must be the only one.
fn row(report: &tests::report::Report, cgroup: &Cgroup) -> Row {
    let path = cgroup.path();
    let rows: Vec<_> = report.of(&path).collect();
    assert_eq!(rows.len(), 1, "one row of {path}");
    rows[0].clone()
}

/// Measures one workload in a cgroup of its own, by nodeprobe and by the kernel.
fn both(tool: &str, args: &str) -> Result<Option<(Row, Scheduling)>> {
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("sched")) else {
        return Ok(None);
    };
    let running = Workload::new()?.ready(&cgroup, args)?;
    let before = truth::scheduling(running.task.pid())?;
    let tool = Tool::attach(tool)?;
    running.work()?;
    let truth = truth::scheduling(running.task.pid())? - before;
    let report = tool.finish()?;
    ensure!(report.lost_total() == 0, "{:?}", report.lost);
    Ok(Some((row(&report, &cgroup), truth)))
}

fn within(share: f64, measured: f64, truth: f64, what: &str) -> Result<()> {
    ensure!(
        (measured - truth).abs() <= share * truth,
        "{what}: measured {measured}, truth {truth}"
    );
    Ok(())
}

/// The tolerance for times. Between the reading of the clock for the kernel's own figures and that for ours an emulated
/// CPU takes a hundred microseconds and more at every switch, and longer where its host is busy.
fn of_time(share: f64) -> f64 {
    match not_in_vm() {
        Ok(()) => share,
        Err(_) => share + 0.1,
    }
}

/// The kernel leaves time that a hypervisor or an interrupt takes out of its own figures, and a burst of either moves a
/// comparison by more than the tolerance. It has to hold in one of three tries.
fn in_one_of_three(compare: fn() -> Result<()>) -> Result<()> {
    compare().or_else(|_| compare()).or_else(|_| compare())
}

#[test]
fn context_switches_agree_with_proc_status() -> Result<()> {
    let _alone = alone();
    in_one_of_three(compare_switches)
}

fn compare_switches() -> Result<()> {
    let Some((row, truth)) = both(RUNQLAT, "pingpong --rounds 20000")? else {
        return Ok(());
    };
    assert!(truth.voluntary + truth.involuntary >= 40_000, "{truth:?}");
    within(
        0.01,
        row.voluntary_switches as f64,
        truth.voluntary as f64,
        "voluntary switches",
    )?;
    let all = |voluntary: u64, involuntary: u64| (voluntary + involuntary) as f64;
    let measured = all(row.voluntary_switches, row.involuntary_switches);
    within(
        0.01,
        measured,
        all(truth.voluntary, truth.involuntary),
        "switches",
    )?;
    within(
        0.01,
        row.runqueue.count as f64,
        truth.slices as f64,
        "waits",
    )?;
    Ok(())
}

#[test]
fn time_on_the_cpu_and_in_the_queue_agrees_with_schedstat() -> Result<()> {
    let _alone = alone();
    in_one_of_three(compare_times)
}

fn compare_times() -> Result<()> {
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("contend")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let cpu = last_cpu()?;
    // The hog makes the other one wait for milliseconds at a time.
    let hog = Cgroup::new("hog")?;
    let hog = urgent(hog.command(workload.path()));
    let hog = workload.start_as(hog, &format!("spin --seconds 300 --cpu {cpu}"))?;
    let victim = urgent(cgroup.command(workload.path()));
    let running = workload.ready_as(victim, &format!("victim --seconds 6 --cpu {cpu}"))?;
    let before = truth::scheduling(running.task.pid())?;
    let usage = truth::cgroup_cpu_time(cgroup.folder())?;
    let tool = Tool::attach(RUNQLAT)?;
    running.work()?;
    let truth = truth::scheduling(running.task.pid())? - before;
    let usage = truth::cgroup_cpu_time(cgroup.folder())?.saturating_sub(usage);
    let report = tool.finish()?;
    drop(hog);
    let row = row(&report, &cgroup);
    assert!(
        truth.waiting > Duration::from_secs(1),
        "the hog took its share: {truth:?}"
    );
    within(
        of_time(0.01),
        row.oncpu_seconds,
        truth.oncpu.as_secs_f64(),
        "seconds on the CPU",
    )?;
    within(
        of_time(0.02),
        row.oncpu_seconds,
        usage.as_secs_f64(),
        "seconds on the CPU by cpu.stat",
    )?;
    within(
        of_time(0.01),
        row.runqueue.sum_seconds,
        truth.waiting.as_secs_f64(),
        "seconds in the queue",
    )?;
    Ok(())
}

#[test]
fn times_off_the_cpu_after_involuntary_switches_agree_with_schedstat() -> Result<()> {
    let _alone = alone();
    in_one_of_three(compare_involuntary)
}

fn compare_involuntary() -> Result<()> {
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("pushed")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let cpu = last_cpu()?;
    let hog = Cgroup::new("hog")?;
    let hog = urgent(hog.command(workload.path()));
    let hog = workload.start_as(hog, &format!("spin --seconds 300 --cpu {cpu}"))?;
    // It never sleeps, so whenever it waits it was pushed away.
    let victim = urgent(cgroup.command(workload.path()));
    let running = workload.ready_as(victim, &format!("spin --seconds 5 --cpu {cpu}"))?;
    let before = truth::scheduling(running.task.pid())?;
    let tool = Tool::attach(OFFCPU)?;
    running.work()?;
    let truth = truth::scheduling(running.task.pid())? - before;
    let report = tool.finish()?;
    drop(hog);
    let row = row(&report, &cgroup);
    assert!(
        truth.waiting > Duration::from_secs(1),
        "the hog took its share: {truth:?}"
    );
    // It waits once after it is woken up, too.
    within(
        of_time(0.02),
        row.offcpu_involuntary.sum_seconds,
        truth.waiting.as_secs_f64(),
        "seconds off the CPU",
    )?;
    within(
        0.01,
        row.offcpu_involuntary.count as f64,
        truth.involuntary as f64,
        "times off the CPU",
    )?;
    Ok(())
}

#[test]
fn the_time_of_threads_that_come_and_go_agrees_with_cpu_stat() -> Result<()> {
    let _alone = alone();
    in_one_of_three(compare_short_threads)
}

fn compare_short_threads() -> Result<()> {
    const THREADS: u64 = 600;
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("threads")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let command = urgent(cgroup.command(workload.path()));
    let running = workload.ready_as(command, &format!("threads --count {THREADS} --ms 5"))?;
    let usage = truth::cgroup_cpu_time(cgroup.folder())?;
    let tool = Tool::attach(RUNQLAT)?;
    running.work()?;
    let usage = truth::cgroup_cpu_time(cgroup.folder())?.saturating_sub(usage);
    let report = tool.finish()?;
    drop(running);
    ensure!(report.lost_total() == 0, "{:?}", report.lost);
    let row = row(&report, &cgroup);
    within(
        of_time(0.02),
        row.oncpu_seconds,
        usage.as_secs_f64(),
        "seconds on the CPU",
    )?;
    // Each waits for its first turn, and goes for good.
    assert!(row.runqueue.count >= THREADS, "{row:?}");
    assert!(row.voluntary_switches >= THREADS, "{row:?}");
    Ok(())
}

#[test]
fn an_agent_shows_the_hog_as_the_top_preemptor_too() -> Result<()> {
    const PREEMPTIONS: &str = "nodeprobe_sched_preemptions_total";
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("victim")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let cpu = last_cpu()?;
    let hogs = Cgroup::new("hog")?;
    let agent = Agent::start("")?;
    let hog = urgent(hogs.command(workload.path()));
    let hog = workload.start_as(hog, &format!("spin --seconds 300 --cpu {cpu}"))?;
    let victim = urgent(cgroup.command(workload.path()));
    workload
        .ready_as(victim, &format!("victim --seconds 5 --cpu {cpu}"))?
        .work()?;
    drop(hog);
    let (path, by) = (cgroup.path(), hogs.path());
    let own = [("container", path.as_str())];
    let by_hog = [own[0], ("by_namespace", "~host"), ("by_workload", &by)];
    let by_hog = |scrape: &Scrape| scrape.sum(PREEMPTIONS, &by_hog);
    let scrape = agent.scrape_until(LONG, |scrape| by_hog(scrape) > 10.0)?;
    let seen: Vec<_> = scrape.with(PREEMPTIONS, &own).collect();
    assert!(by_hog(&scrape) > 10.0, "{seen:?}");
    // The host's own tasks may do so as well, but no other container does so more often.
    let rivals = seen.iter().filter(|sample| {
        let by_whom = sample.label("by_workload");
        by_whom != by && by_whom != "/"
    });
    let rival = rivals.map(|sample| sample.value).fold(0.0, f64::max);
    assert!(rival < by_hog(&scrape), "{seen:?}");
    Ok(())
}

#[test]
fn a_hog_is_the_top_preemptor_of_its_victim() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("victim")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let cpu = last_cpu()?;
    let hogs = Cgroup::new("hog")?;
    let hog = urgent(hogs.command(workload.path()));
    let hog = workload.start_as(hog, &format!("spin --seconds 300 --cpu {cpu}"))?;
    let victim = urgent(cgroup.command(workload.path()));
    let running = workload.ready_as(victim, &format!("victim --seconds 5 --cpu {cpu}"))?;
    let report = crate::measure::measure(OFFCPU, &[&running])?;
    drop(hog);
    let row = row(&report, &cgroup);
    // Whatever else the host does may take the CPU as well, but no other container does so more often.
    let by = |path: &str| {
        let found = row.preempted_by.iter().find(|by| by.container.is_at(path));
        found.map_or(0, |by| by.count)
    };
    let (hog, host) = (by(&hogs.path()), by("/"));
    assert!(hog > 10, "{:?}", row.preempted_by);
    let others = row
        .preempted_by
        .iter()
        .filter(|by| !by.container.is_at(&hogs.path()));
    let rival = others
        .filter(|by| !by.container.is_at("/"))
        .map(|by| by.count)
        .max();
    assert!(
        rival.is_none_or(|rival| rival < hog),
        "{:?}",
        row.preempted_by
    );
    assert!(
        (hog + host) * 2 > row.involuntary_switches,
        "these are most of it: {row:?}"
    );
    let sum: u64 = row.preempted_by.iter().map(|by| by.count).sum();
    assert!(sum <= row.involuntary_switches, "{row:?}");
    Ok(())
}

#[test]
fn a_sleeper_is_off_the_cpu_for_as_long_as_it_sleeps() -> Result<()> {
    let _alone = alone();
    let Some((row, truth)) = both(OFFCPU, "sleep --calls 50 --ms 20")? else {
        return Ok(());
    };
    assert!(truth.voluntary >= 50);
    let sleeps = &row.offcpu_voluntary;
    // Those of the hand-shake before and after the work are open at one end.
    assert!((50..=55).contains(&sleeps.count), "{sleeps:?}");
    // A thread that is late to go to sleep, as on an emulated processor, is off the CPU for less.
    assert!(
        sleeps.between(2f64.powi(-7), 2f64.powi(-2)) >= 50,
        "{sleeps:?}"
    );
    assert!((0.9..3.0).contains(&sleeps.sum_seconds), "{sleeps:?}");
    Ok(())
}

#[test]
fn a_task_that_runs_all_the_time_has_its_time_counted_before_it_switches() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("spin")) else {
        return Ok(());
    };
    let running = Workload::new()?.ready(
        &cgroup,
        &format!("spin --seconds 300 --cpu {}", last_cpu()?),
    )?;
    let tool = Tool::attach(RUNQLAT)?;
    let usage = truth::cgroup_cpu_time(cgroup.folder())?;
    running.task.go()?;
    let spun = tests::wait::poll(tests::wait::LONG, "two seconds of CPU time", || {
        let spun = truth::cgroup_cpu_time(cgroup.folder())
            .ok()?
            .saturating_sub(usage);
        (spun > Duration::from_secs(2)).then_some(spun)
    })?;
    let report = tool.finish()?;
    drop(running);
    assert!(row(&report, &cgroup).oncpu_seconds > 0.95 * spun.as_secs_f64());
    Ok(())
}

/// The last CPU, which has less to do than the first one.
fn last_cpu() -> Result<usize> {
    Ok(run(&mut std::process::Command::new("nproc"))?.parse::<usize>()? - 1)
}
