//! Scheduling, compared with what the kernel says about the same threads.

use std::{os::unix::process::CommandExt as _, process::Command, time::Duration};

use anyhow::{Result, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
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
    workload::{Running, Workload},
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

/// What a comparison of times may differ by: a share of the truth, and what interrupts and the hypervisor took from
/// the CPU meanwhile, which the kernel leaves out of its own figures and a clock does not.
struct Tolerance {
    cpu: usize,
    taken: Duration,
}

impl Tolerance {
    fn begin(cpu: usize) -> Result<Self> {
        let taken = truth::taken_from(cpu)?;
        Ok(Self { cpu, taken })
    }

    fn check(&self, share: f64, measured: f64, truth: f64, what: &str) -> Result<()> {
        let taken = truth::taken_from(self.cpu)?.saturating_sub(self.taken);
        // Each of the two readings is late by up to a tick.
        let allowed = of_time(share) * truth + taken.as_secs_f64() + 0.02;
        ensure!(
            (measured - truth).abs() <= allowed,
            "{what}: measured {measured}, truth {truth}, allowed difference {allowed}"
        );
        Ok(())
    }
}

/// The tolerance for times. Between the reading of the clock for the kernel's own figures and that for ours an emulated
/// CPU takes a hundred microseconds and more at every switch, and longer where its host is busy.
fn of_time(share: f64) -> f64 {
    match not_in_vm() {
        Ok(()) => share,
        Err(_) => share + 0.1,
    }
}

#[test]
fn context_switches_agree_with_proc_status() -> Result<()> {
    let _alone = alone();
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
    let tolerance = Tolerance::begin(cpu)?;
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
    tolerance.check(
        0.01,
        row.oncpu_seconds,
        truth.oncpu.as_secs_f64(),
        "seconds on the CPU",
    )?;
    tolerance.check(
        0.02,
        row.oncpu_seconds,
        usage.as_secs_f64(),
        "seconds on the CPU by cpu.stat",
    )?;
    tolerance.check(
        0.01,
        row.runqueue.sum_seconds,
        truth.waiting.as_secs_f64(),
        "seconds in the queue",
    )?;
    Ok(())
}

#[test]
fn times_off_the_cpu_after_involuntary_switches_agree_with_schedstat() -> Result<()> {
    let _alone = alone();
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
    let tolerance = Tolerance::begin(cpu)?;
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
    tolerance.check(
        0.02,
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
    const THREADS: u64 = 600;
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("threads")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let cpu = last_cpu()?;
    let mut command = urgent(cgroup.command(workload.path()));
    stay_on(&mut command, cpu);
    let running = workload.ready_as(command, &format!("threads --count {THREADS} --ms 5"))?;
    let tolerance = Tolerance::begin(cpu)?;
    let usage = truth::cgroup_cpu_time(cgroup.folder())?;
    let tool = Tool::attach(RUNQLAT)?;
    running.work()?;
    let usage = truth::cgroup_cpu_time(cgroup.folder())?.saturating_sub(usage);
    let report = tool.finish()?;
    drop(running);
    ensure!(report.lost_total() == 0, "{:?}", report.lost);
    let row = row(&report, &cgroup);
    tolerance.check(
        0.02,
        row.oncpu_seconds,
        usage.as_secs_f64(),
        "seconds on the CPU",
    )?;
    // Each waits for its first turn, and goes for good.
    assert!(row.runqueue.count >= THREADS, "{row:?}");
    assert!(row.voluntary_switches >= THREADS, "{row:?}");
    Ok(())
}

/// A victim, a hog that takes its CPU, and a sleeper that seldom does, all on one CPU and in a container each. What else the
/// host does may take that CPU as well, and as often as it likes.
struct Contention {
    victims: Cgroup,
    hogs: Cgroup,
    sleepers: Cgroup,
    victim: Running,
    _load: [Running; 2],
}

impl Contention {
    fn start() -> Result<Self> {
        let [victims, hogs, sleepers] = [
            Cgroup::new("victim")?,
            Cgroup::new("hog")?,
            Cgroup::new("sleeper")?,
        ];
        let workload = Workload::new()?;
        let cpu = last_cpu()?;
        let hog = urgent(hogs.command(workload.path()));
        let hog = workload.start_as(hog, &format!("spin --seconds 300 --cpu {cpu}"))?;
        let mut sleeper = sleepers.command(workload.path());
        stay_on(&mut sleeper, cpu);
        let sleeper = workload.start_as(sleeper, "sleep --calls 100000 --ms 100")?;
        let victim = urgent(victims.command(workload.path()));
        let victim = workload.ready_as(victim, &format!("victim --seconds 5 --cpu {cpu}"))?;
        Ok(Self {
            victims,
            hogs,
            sleepers,
            victim,
            _load: [hog, sleeper],
        })
    }
}

#[test]
fn an_agent_names_the_hog_as_preemptor_of_its_victim() -> Result<()> {
    const PREEMPTIONS: &str = "nodeprobe_sched_preemptions_total";
    let _alone = alone();
    // It has the hog in its first collection, before other preemptors can take all series of the victim.
    let agent = Agent::start("")?;
    let Some(contention) = unless_available("cgroup", Contention::start()) else {
        return Ok(());
    };
    contention.victim.work()?;
    let truth = truth::scheduling(contention.victim.task.pid())?;
    let path = contention.victims.path();
    let own = [("container", path.as_str())];
    let by = |scrape: &Scrape, cgroup: &Cgroup| {
        let path = cgroup.path();
        scrape.sum(PREEMPTIONS, &[own[0], ("by_workload", &path)])
    };
    let scrape = agent.scrape_until(LONG, |scrape| by(scrape, &contention.hogs) > 2.0)?;
    let seen: Vec<_> = scrape.with(PREEMPTIONS, &own).collect();
    // How often depends on how often the host's own threads end the turn of the victim first.
    let hog = by(&scrape, &contention.hogs);
    assert!(hog > 2.0, "{seen:?}");
    assert!(hog > by(&scrape, &contention.sleepers), "{seen:?}");
    let all = scrape.sum(PREEMPTIONS, &own);
    assert!(all <= truth.involuntary as f64, "{truth:?}: {seen:?}");
    Ok(())
}

#[test]
fn a_hog_is_named_as_preemptor_of_its_victim() -> Result<()> {
    let _alone = alone();
    let Some(contention) = unless_available("cgroup", Contention::start()) else {
        return Ok(());
    };
    let before = truth::scheduling(contention.victim.task.pid())?;
    let tool = Tool::attach(OFFCPU)?;
    contention.victim.work()?;
    let truth = truth::scheduling(contention.victim.task.pid())? - before;
    let report = tool.finish()?;
    let row = row(&report, &contention.victims);
    let by = |cgroup: &Cgroup| {
        let path = cgroup.path();
        let found = row.preempted_by.iter().find(|by| by.container.is_at(&path));
        found.map_or(0, |by| by.count)
    };
    // How often depends on how often the host's own threads end the turn of the victim first.
    let hog = by(&contention.hogs);
    assert!(hog > 2, "{:?}", row.preempted_by);
    assert!(hog > by(&contention.sleepers), "{:?}", row.preempted_by);
    let sum: u64 = row.preempted_by.iter().map(|by| by.count).sum();
    assert!(sum <= row.involuntary_switches, "{row:?}");
    assert_eq!(row.involuntary_switches, truth.involuntary, "{row:?}");
    Ok(())
}

/// Threads of the kernel that wait for work sleep in `TASK_IDLE`, which has the bit of uninterruptible sleep.
#[test]
fn threads_of_the_kernel_that_are_idle_are_not_in_uninterruptible_sleep() -> Result<()> {
    let _alone = alone();
    let tool = Tool::attach("offcpu --duration 300s --by process")?;
    let begin = std::time::Instant::now();
    // Time off the CPU is counted when a thread is back: some have to come and go.
    std::iter::repeat_n((), 20).try_for_each(|()| {
        std::thread::sleep(Duration::from_millis(100));
        run(&mut std::process::Command::new("sync")).map(drop)
    })?;
    let idle = idle_threads()?;
    let report = tool.finish()?;
    let lasted = begin.elapsed().as_secs_f64();
    let rows: Vec<_> = report
        .rows
        .iter()
        .filter(|row| {
            row.process
                .as_ref()
                .is_some_and(|it| idle.contains(&it.pid))
        })
        .collect();
    let slept: f64 = rows
        .iter()
        .map(|row| row.offcpu_voluntary.sum_seconds)
        .sum();
    let blocked: f64 = rows.iter().map(|row| row.uninterruptible_seconds).sum();
    assert!(
        rows.len() > 1 && slept > lasted / 2.0,
        "{} threads slept {slept} s in {lasted} s",
        rows.len()
    );
    // They may wait for a disk or a lock now and then.
    assert!(blocked < slept / 4.0, "{blocked} of {slept} s: {rows:?}");
    Ok(())
}

/// Threads of the kernel whose state is `I`, by what the kernel says itself.
fn idle_threads() -> Result<std::collections::HashSet<i32>> {
    let mut idle = std::collections::HashSet::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Gone by now, where there is none.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('I'))
        {
            idle.insert(pid);
        }
    }
    ensure!(!idle.is_empty(), "no thread of the kernel is idle");
    Ok(idle)
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

/// Has a command and all its threads run on one CPU.
fn stay_on(command: &mut Command, cpu: usize) {
    // SAFETY: sched_setaffinity is async-signal-safe, and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            let mut only = CpuSet::new();
            only.set(cpu);
            Ok(sched_setaffinity(None, &only)?)
        });
    }
}

/// The last CPU, which has less to do than the first one.
fn last_cpu() -> Result<usize> {
    Ok(run(&mut Command::new("nproc"))?.parse::<usize>()? - 1)
}
