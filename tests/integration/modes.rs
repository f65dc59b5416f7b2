//! What the syscalls probe attaches and times, by its configuration.

use anyhow::Result;
use tests::{
    attached, cgroup::Cgroup, lock::alone, nodeprobe::Agent, scrape::Scrape,
    skip::unless_available, wait::LONG, workload::Workload,
};

const CALLS: &str = "nodeprobe_syscalls_total";
const TIMED: &str = "nodeprobe_syscall_duration_seconds_count";

/// An agent that only watches system calls, in this mode.
fn agent(mode: &str) -> Result<Agent> {
    let mut config = String::new();
    for key in mode.lines() {
        config += &format!("probes.syscalls.{key}\n");
    }
    for probe in ["scheduler", "lifecycle", "flows", "tcp", "drops"] {
        config += &format!("probes.{probe}.enabled = \"never\"\n");
    }
    Agent::start(&config)
}

#[test]
fn without_latency_nothing_is_attached_where_calls_begin() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("off")) else {
        return Ok(());
    };
    let exact = agent("latency = \"exact\"")?;
    let names = attached::names_of(exact.pid())?;
    assert!(names.contains("sys_enter"), "{names:?}");
    drop(exact);

    let agent = agent("latency = \"off\"")?;
    let mut names = attached::names_of(agent.pid())?;
    // Where there is no task storage, the end of a task has to be seen.
    names.remove("sched_process_exit");
    names.remove("sched_process_e");
    assert_eq!(Vec::from_iter(names), ["sys_exit"]);
    Workload::new()?.run(&cgroup, "syscalls --calls 3000 --errors 30")?;
    let path = cgroup.path();
    let calls =
        |scrape: &Scrape| scrape.sum(CALLS, &[("container", &path), ("syscall", "ioprio_get")]);
    let scrape = agent.scrape_until(LONG, |scrape| calls(scrape) >= 3000.0)?;
    assert_eq!(calls(&scrape), 3000.0);
    assert!(!scrape.has(TIMED), "nothing is timed");
    Ok(())
}

#[test]
fn a_sample_of_the_calls_is_as_large_as_it_says() -> Result<()> {
    const SAMPLE: f64 = 64.0;
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("sampled")) else {
        return Ok(());
    };
    let agent = agent("latency = \"sampled\"\nsample = 64")?;
    Workload::new()?.run(&cgroup, "syscalls --calls 64000")?;
    let path = cgroup.path();
    let own = [("container", path.as_str())];
    let calls = |scrape: &Scrape| scrape.sum(CALLS, &own);
    let scrape = agent.scrape_until(LONG, |scrape| calls(scrape) >= 64_000.0)?;
    let (calls, timed) = (calls(&scrape), scrape.sum(TIMED, &own));
    // A thousand draws whose spread is 0.6 of their mean: 0.15 are eight standard deviations.
    let ratio = timed * SAMPLE / calls;
    assert!((0.85..1.15).contains(&ratio), "{timed} of {calls}");
    let stated = scrape.sum(
        "nodeprobe_sampling_ratio",
        &[("family", "nodeprobe_syscall_duration_seconds")],
    );
    assert_eq!(stated, 1.0 / SAMPLE);
    Ok(())
}
