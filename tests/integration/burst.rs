//! Containers that live shorter than any interval of collection.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tests::{
    guard::Process, lock::alone, nodeprobe::Tool, runtime::containerd::Containerd,
    skip::unless_available, wait::LONG,
};

use crate::measure::BY_CALL;

const CONTAINERS: usize = 200;
/// As many as two CPUs can start without queueing so long that it would be no burst.
const AT_ONCE: usize = 8;
const WORK: &str = "syscalls --calls 7 --errors 3 --hold-ms 50";

#[test]
fn two_hundred_containers_of_fifty_milliseconds_are_all_counted() -> Result<()> {
    let _alone = alone();
    let Some(containerd) = unless_available("containerd", Containerd::start()) else {
        return Ok(());
    };
    let tool = Tool::attach(BY_CALL)?;
    let begin = Instant::now();
    start_all(&containerd)?;
    let took = begin.elapsed();
    let report = tool.finish()?;
    eprintln!("{CONTAINERS} containers in {took:?}");

    let rows: Vec<_> = report
        .rows
        .iter()
        .filter(|row| row.syscall == "getpriority")
        .collect();
    let sum = |what: fn(&tests::report::Row) -> u64| rows.iter().map(|row| what(row)).sum::<u64>();
    assert_eq!(sum(|row| row.calls), 7 * CONTAINERS as u64);
    assert_eq!(sum(|row| row.errors), 3 * CONTAINERS as u64);
    assert_eq!(
        sum(|row| row.errnos.get("EINVAL").copied().unwrap_or(0)),
        2 * CONTAINERS as u64
    );

    let named: Vec<_> = rows
        .iter()
        .filter(|row| row.container.cgroup.starts_with("/default/burst-"))
        .collect();
    let unattributed: u64 = rows
        .iter()
        .filter(|row| row.container.name.starts_with('~'))
        .map(|row| row.calls)
        .sum();
    eprintln!("{} named, {unattributed} calls unattributed", named.len());
    assert!(
        named.iter().all(|row| (row.calls, row.errors) == (7, 3)),
        "each has all of its own: {named:?}"
    );
    assert_eq!(
        7 * named.len() as u64 + unattributed,
        7 * CONTAINERS as u64,
        "named or unattributed, nothing else"
    );
    assert!(
        named.len() >= CONTAINERS * 95 / 100,
        "{} of {CONTAINERS} are named",
        named.len()
    );
    assert_eq!(report.lost_total(), 0, "{:?}", report.lost);
    Ok(())
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
