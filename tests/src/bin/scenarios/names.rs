//! Containers whose runtime comes late, and containers that change their names.

use std::os::unix::fs::symlink;

use anyhow::Result;
use tests::{nodeprobe::Agent, runtime::docker::Docker, scrape::Scrape, wait::LONG};

use crate::{
    rig,
    scenario::{Finding, Scenario},
};

pub(crate) const RUNTIME_RESTART: Scenario = Scenario {
    name: "runtime-restart",
    question: "what are my containers called, if their runtime answers late?",
    expected_failure: None,
    run: runtime_restart,
};

pub(crate) const RENAME: Scenario = Scenario {
    name: "rename",
    question: "whose calls are these, after `docker rename web blue` and a new `web`?",
    expected_failure: None,
    run: rename,
};

const CALLS: &str = "nodeprobe_syscalls_total";
/// A call that only the workload makes.
const CALL: (&str, &str) = ("syscall", "ioprio_get");

/// Values of the call by the name of the container.
fn counted(scrape: &Scrape) -> Vec<(String, u64)> {
    let samples = scrape.with(CALLS, &[CALL]);
    samples
        .map(|sample| (sample.label("container").to_owned(), sample.value as u64))
        .collect()
}

/// The socket of the runtime appears seconds after the agent has given up waiting.
fn runtime_restart() -> Result<Finding> {
    let docker = Docker::start()?;
    let container = docker.start_workload("late-web", "syscalls --calls 4321")?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("docker.sock");
    let agent = Agent::start(&format!("runtimes.docker = [{socket:?}]\n"))?;
    container.task.go()?;
    container.task.wait_done()?;
    let has = |scrape: &Scrape| counted(scrape).iter().any(|(_, calls)| *calls == 4321);
    let before = counted(&agent.scrape_until(LONG, has)?);
    rig::for_a_while(6);
    symlink(docker.socket(), &socket)?;
    let named = |scrape: &Scrape| {
        scrape
            .with(
                "nodeprobe_sched_oncpu_seconds_total",
                &[("container", "late-web")],
            )
            .next()
            .is_some()
    };
    let other = docker.start_workload("late-db", "syscalls --calls 55")?;
    other.task.go()?;
    other.task.wait_done()?;
    // The first one does something more, so that there is something to count under its name.
    let scrape = agent.scrape_until(LONG, |scrape| {
        named(scrape) && counted(scrape).contains(&("late-db".to_owned(), 55))
    })?;
    let after = counted(&scrape);
    let total: u64 = after.iter().map(|(_, calls)| calls).sum();
    Ok(Finding {
        nodeprobe: format!(
            "without the runtime {before:?}, with it {after:?}; late-web has a series: {}",
            named(&scrape)
        ),
        oracle: "docker ps: late-web, late-db; the workload: 4321 and 55 calls".to_owned(),
        agrees: named(&scrape) && total == 4321 + 55 && after.contains(&("late-db".to_owned(), 55)),
    })
}

/// Two containers that had or have the name `web`.
fn rename() -> Result<Finding> {
    let docker = Docker::start()?;
    let agent = Agent::start(&format!("runtimes.docker = [{:?}]\n", docker.socket()))?;
    let first = docker.start_workload("web", "syscalls --calls 1000")?;
    first.task.go()?;
    first.task.wait_done()?;
    agent.scrape_until(LONG, |scrape| {
        counted(scrape).contains(&("web".to_owned(), 1000))
    })?;
    docker.rename("web", "blue")?;
    let second = docker.start_workload("web", "syscalls --calls 300")?;
    second.task.go()?;
    second.task.wait_done()?;
    let total = |scrape: &Scrape| counted(scrape).iter().map(|(_, calls)| calls).sum::<u64>();
    let names = |scrape: &Scrape| -> Vec<String> {
        let series = scrape.with("nodeprobe_sched_oncpu_seconds_total", &[]);
        let names = series.map(|sample| sample.label("container").to_owned());
        names
            .filter(|name| name.contains("web") || name.contains("blue"))
            .collect()
    };
    let scrape = agent.scrape_until(LONG, |scrape| {
        total(scrape) >= 1300 && names(scrape).iter().any(|name| name == "blue")
    })?;
    let after = counted(&scrape);
    let alone = after.iter().all(|(_, calls)| [1000, 300].contains(calls));
    Ok(Finding {
        nodeprobe: format!("{after:?}, series of {:?}", names(&scrape)),
        oracle: "docker ps: blue (1000 calls, once web), web (300 calls)".to_owned(),
        agrees: alone && total(&scrape) == 1300 && names(&scrape).iter().any(|name| name == "blue"),
    })
}
