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

/// The socket of the runtime appears seconds after the agent has given up waiting. One container works before that, one after.
fn runtime_restart() -> Result<Finding> {
    let docker = Docker::start()?;
    let early = docker.start_workload("early", "syscalls --calls 4321")?;
    let late = docker.start_workload("late", "syscalls --calls 777")?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("docker.sock");
    let agent = Agent::start(&format!("runtimes.docker = [{socket:?}]\n"))?;
    early.task.go()?;
    early.task.wait_done()?;
    let short = [(early.id[..12].to_owned(), 4321)];
    let before = counted(&agent.scrape_until(LONG, |scrape| counted(scrape) == short)?);
    rig::for_a_while(6);
    symlink(docker.socket(), &socket)?;
    let unnamed = |scrape: &Scrape| {
        let gauge = scrape.with("nodeprobe_unnamed_containers", &[]);
        gauge.map(|sample| sample.value as u64).sum::<u64>()
    };
    agent.scrape_until(2 * LONG, |scrape| unnamed(scrape) == 0)?;
    late.task.go()?;
    late.task.wait_done()?;
    let named = ("late".to_owned(), 777);
    let scrape = agent.scrape_until(LONG, |scrape| counted(scrape).contains(&named))?;
    let after = counted(&scrape);
    let twice = after.iter().any(|(_, calls)| ![4321, 777].contains(calls));
    Ok(Finding {
        nodeprobe: format!(
            "without the runtime {before:?}, with it {after:?}, {} without a name",
            unnamed(&scrape)
        ),
        oracle: "docker ps: early and late; the workloads: 4321 calls before, 777 after".to_owned(),
        agrees: before == short && after.contains(&named) && !twice && unnamed(&scrape) == 0,
    })
}

/// Two live containers of which each had or has the name `web`.
fn rename() -> Result<Finding> {
    let docker = Docker::start()?;
    let agent = Agent::start(&format!("runtimes.docker = [{:?}]\n", docker.socket()))?;
    let known = |scrape: &Scrape, name: &str| {
        let labels = [("container", name)];
        let mut series = scrape.with("nodeprobe_sched_oncpu_seconds_total", &labels);
        series.next().is_some()
    };
    let first = docker.start_workload("web", "syscalls --calls 1000")?;
    agent.scrape_until(LONG, |scrape| known(scrape, "web"))?;
    docker.rename("web", "blue")?;
    let second = docker.start_workload("web", "syscalls --calls 300")?;
    for container in [&first, &second] {
        container.task.go()?;
        container.task.wait_done()?;
    }
    let expected = [("blue".to_owned(), 1000), ("web".to_owned(), 300)];
    let sorted = |scrape: &Scrape| {
        let mut counted = counted(scrape);
        counted.sort();
        counted
    };
    let scrape = agent.scrape_until(LONG, |scrape| sorted(scrape) == expected)?;
    let after = sorted(&scrape);
    Ok(Finding {
        nodeprobe: format!("{after:?}"),
        oracle: "docker ps: blue, once web, which made 1000 calls since, and web, which made 300"
            .to_owned(),
        agrees: after == expected,
    })
}
