//! A database that waits for its disk.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::cgroup::Cgroup;

use crate::{
    rig::{self, rows},
    scenario::{Finding, Scenario},
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "slow-disk",
    question: "which call does my database wait in, and for how long?",
    expected_failure: None,
    run,
};

/// `fio` writes blocks and has each brought to the disk, as a database does with its journal.
fn run() -> Result<Finding> {
    let container = Cgroup::new("database")?;
    // Not a file system in memory.
    let folder = tempfile::Builder::new()
        .prefix("nodeprobe-fio")
        .tempdir_in("/var/tmp")?;
    let file = folder.path().join("journal");
    let path = container.path();
    let tool = rig::attach(&format!(
        "syscalls --duration 300s --by container,syscall --cgroup {path}"
    ))?;
    let args = format!(
        "--name=journal --filename={} --rw=write --bs=4k --size=8m --ioengine=psync --fdatasync=1 --thread \
         --output-format=json",
        file.display()
    );
    let (text, complaint) = rig::run_any(&mut rig::within(&container, "fio", "fio", &args)?)?;
    let report: Value = text
        .find('{')
        .and_then(|at| serde_json::from_str(&text[at..]).ok())
        .with_context(|| format!("fio said `{text}{complaint}`"))?;
    let sync = &report["jobs"][0]["sync"]["lat_ns"];
    let (truth, count) = (
        sync["mean"].as_f64().context("a mean")? / 1e6,
        sync["N"].as_u64().context("a number")?,
    );
    let rows = rows(tool)?;
    let seconds = |row: &Value| row["latency"]["sum_ns"].as_f64().unwrap_or(0.0) / 1e9;
    let row = rows
        .iter()
        .find(|row| row["syscall"] == "fdatasync")
        .context("fdatasync has a row")?;
    let calls = row["calls"].as_u64().unwrap_or_default();
    let mean = seconds(row) / calls.max(1) as f64 * 1000.0;
    let share = seconds(row)
        / rows
            .iter()
            .filter(|row| works(row))
            .map(seconds)
            .sum::<f64>();
    Ok(Finding {
        nodeprobe: format!(
            "fdatasync: {calls} calls, mean {mean:.3} ms, {:.0} % of the time in calls that are no sleep",
            share * 100.0
        ),
        oracle: format!("fio: {count} syncs, mean {truth:.3} ms"),
        // fio does not count the last one, which closes the file.
        agrees: (count..=count + 2).contains(&calls)
            && rig::within_share(0.15, mean, truth)
            && share > 0.5,
    })
}

/// Calls in which threads of fio do not just wait for others.
fn works(row: &Value) -> bool {
    let waits = [
        "futex",
        "clock_nanosleep",
        "nanosleep",
        "select",
        "pselect6",
        "poll",
        "ppoll",
        "wait4",
        "restart_syscall",
    ];
    row["syscall"]
        .as_str()
        .is_some_and(|name| !waits.contains(&name))
}
