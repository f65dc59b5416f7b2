//! Threads that stand in line for a lock.

use anyhow::Result;
use tests::cgroup::Cgroup;

use crate::{
    rig,
    scenario::{Finding, Scenario},
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "lock-convoy",
    question: "what do the threads of my service wait in?",
    expected_failure: None,
    run,
};

/// Threads of `sysbench` with one lock for all.
const LOAD: &str =
    "threads --threads=16 --thread-locks=1 --thread-yields=200 --events=3000 --time=0 run";

fn run() -> Result<Finding> {
    let container = Cgroup::new("convoy")?;
    let path = container.path();
    let tool = rig::attach(&format!(
        "syscalls --duration 300s --by container,syscall --cgroup {path}"
    ))?;
    rig::run_any(&mut rig::within(&container, "sysbench", "sysbench", LOAD)?)?;
    let rows = rig::rows(tool)?;
    let seconds = |row: &serde_json::Value| row["latency"]["sum_ns"].as_f64().unwrap_or(0.0) / 1e9;
    let waits = rows
        .iter()
        .max_by(|a, b| seconds(a).total_cmp(&seconds(b)))
        .map_or(("nothing", 0.0), |row| {
            (row["syscall"].as_str().unwrap_or_default(), seconds(row))
        });
    // The same work again, and another tool's account of the time in each call.
    let strace = format!("-f -c -w -U name,time,calls -o /dev/stdout sysbench {LOAD}");
    let (text, _) = rig::run_any(&mut rig::within(&container, "strace", "strace", &strace)?)?;
    let first = text
        .lines()
        .skip_while(|line| !line.starts_with("---"))
        .nth(1)
        .and_then(|line| line.split_whitespace().next())
        .unwrap_or("nothing");
    Ok(Finding {
        nodeprobe: format!("most time in {}: {:.2} s", waits.0, waits.1),
        oracle: format!("strace -c -w of the same work: {first} first"),
        agrees: waits.0 == "futex" && first == "futex",
    })
}
