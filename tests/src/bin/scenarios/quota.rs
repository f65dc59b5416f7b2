//! A container that its own CPU quota stops.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use tests::{Unavailable, cgroup::Everywhere};

use crate::{
    rig::{self, Running},
    scenario::{Finding, Scenario},
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "quota",
    question: "is my service slow because of its CPU limit?",
    expected_failure: Some("the cause of a wait for a CPU is not measured"),
    run,
};

/// `stress-ng` wants two CPUs and may have a fifth of one.
fn run() -> Result<Finding> {
    let container = Everywhere::new("quota")?;
    let folder = controller("cpu")?.join(container.unified().name());
    let set = |file: &str, value: &str| {
        fs::write(folder.join(file), value).with_context(|| format!("set {file}"))
    };
    set("cpu.cfs_period_us", "100000")?;
    set("cpu.cfs_quota_us", "20000")?;
    let mut command = container.command(tests::skip::program("stress-ng", "stress-ng")?);
    command.args(["--cpu", "2", "--timeout", "60", "--quiet"]);
    let _load = Running::start(&mut command)?;
    let path = container.unified().path();
    let throttled = || -> Result<f64> {
        let stat = fs::read_to_string(folder.join("cpu.stat"))?;
        Ok(rig::number_after(&stat, "throttled_time ")? / 1e9)
    };
    let tool = rig::attach(&format!("runqlat --duration 300s --cgroup {path}"))?;
    let before = throttled()?;
    rig::for_a_while(5);
    let truth = throttled()? - before;
    let rows = rig::rows(tool)?;
    let throttled = rows
        .iter()
        .filter_map(|row| row["causes"]["throttled"]["sum_ns"].as_u64());
    let said = throttled.sum::<u64>() as f64 / 1e9;
    Ok(Finding {
        nodeprobe: format!("{said:.2} s of the waits are throttled"),
        oracle: format!("cpu.stat: {truth:.2} s throttled"),
        agrees: truth > 1.0 && rig::within_share(0.2, said, truth),
    })
}

/// Where a v1 controller is mounted.
fn controller(name: &str) -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("read the mounts")?;
    let found = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| {
            fields.get(2) == Some(&"cgroup")
                && fields
                    .get(3)
                    .is_some_and(|options| options.split(',').any(|it| it == name))
        });
    found
        .and_then(|fields| fields.get(1).map(PathBuf::from))
        .ok_or_else(|| Unavailable(format!("no cgroup v1 hierarchy of {name}")).into())
}
