//! Containers that live shorter than any interval of collection.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tests::{
    guard::Process,
    lock::alone,
    nodeprobe::{Agent, Tool},
    report::{Report, Row},
    runtime::containerd::Containerd,
    scrape::Scrape,
    skip::unless_available,
    wait::LONG,
};

use crate::measure::BY_CALL;

const CALLS: &str = "nodeprobe_syscalls_total";
const OF_INTEREST: &[(&str, &str)] = &[("syscall", "ioprio_get")];
const CONTAINERS: usize = 200;
/// Far more than two CPUs can run: they queue, each for some seconds.
const AT_ONCE: usize = 32;
const WORK: &str = "syscalls --calls 7 --errors 3 --hold-ms 50";

#[test]
fn two_hundred_containers_of_fifty_milliseconds_are_all_counted() -> Result<()> {
    let _alone = alone();
    let Some(containerd) = unless_available("containerd", Containerd::start()) else {
        return Ok(());
    };
    // Each container has a series for every system call that starting it takes.
    let config = format!(
        "runtimes.containerd = [{:?}]\n[limits]\nseries = 400000\n",
        containerd.socket()
    );
    let agent = Agent::start(&config)?;
    let tool = Tool::attach(BY_CALL)?;
    let begin = Instant::now();
    start_all(&containerd)?;
    eprintln!("{CONTAINERS} containers in {:?}", begin.elapsed());
    check_tool(&tool.finish()?);
    let all = 7.0 * CONTAINERS as f64;
    check_agent(&agent.scrape_until(LONG, |scrape| scrape.sum(CALLS, OF_INTEREST) >= all)?);
    Ok(())
}

/// All are counted, all are named or explicitly not, and nearly all are named.
fn check_tool(report: &Report) {
    let rows: Vec<_> = report
        .rows
        .iter()
        .filter(|row| row.syscall == "ioprio_get")
        .collect();
    let sum = |what: fn(&Row) -> u64| rows.iter().map(|row| what(row)).sum::<u64>();
    assert_eq!(sum(|row| row.calls), 7 * CONTAINERS as u64);
    assert_eq!(sum(|row| row.errors), 3 * CONTAINERS as u64);
    let einval = sum(|row| row.errnos.get("EINVAL").copied().unwrap_or(0));
    assert_eq!(einval, 2 * CONTAINERS as u64);

    let own = |row: &&&Row| row.container.cgroup.starts_with("/default/burst-");
    let named: Vec<_> = rows.iter().filter(own).collect();
    let unattributed = rows
        .iter()
        .filter(|row| row.container.name.starts_with('~'));
    let unattributed: u64 = unattributed.map(|row| row.calls).sum();
    eprintln!("{} named, {unattributed} calls unattributed", named.len());
    let whole = named.iter().all(|row| (row.calls, row.errors) == (7, 3));
    assert!(whole, "each has all of its own: {named:?}");
    let all = 7 * named.len() as u64 + unattributed;
    assert_eq!(
        all,
        7 * CONTAINERS as u64,
        "named or unattributed, nothing else"
    );
    assert!(
        named.len() * 100 >= CONTAINERS * 95,
        "{} of {CONTAINERS} are named",
        named.len()
    );
    assert_eq!(report.lost_total(), 0, "{:?}", report.lost);
}

/// The same sums, and every series has the container's name, its path, or is explicitly nobody's, which few are.
fn check_agent(scrape: &Scrape) {
    assert_eq!(scrape.sum(CALLS, OF_INTEREST), 7.0 * CONTAINERS as f64);
    for sample in scrape.with(CALLS, OF_INTEREST) {
        let name = sample.label("container");
        let named = name.starts_with("burst-") || name.starts_with("/default/burst-");
        assert!(named || name.starts_with('~'), "{sample:?}");
        assert!(!named || sample.value == 7.0, "{sample:?}");
    }
    let unattributed = scrape
        .with(CALLS, OF_INTEREST)
        .filter(|sample| sample.label("container").starts_with('~'))
        .map(|sample| sample.value)
        .fold(0.0, |sum, value| sum + value);
    eprintln!("{unattributed} calls unattributed by the agent");
    assert!(
        unattributed * 20.0 <= 7.0 * CONTAINERS as f64,
        "{unattributed} calls of {CONTAINERS} containers are unattributed"
    );
}

fn start_all(containerd: &Containerd) -> Result<()> {
    let mut running: Vec<Process> = Vec::new();
    for index in 0..CONTAINERS {
        while running.len() >= AT_ONCE {
            running.retain_mut(|process| !process.has_ended());
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut command = containerd.run_command(&format!("burst-{index}"), WORK);
        running.push(Process::spawn(command.stdout(Stdio::null()))?);
    }
    for process in &mut running {
        ensure!(process.wait(LONG)?.success(), "a container failed");
    }
    Ok(())
}
