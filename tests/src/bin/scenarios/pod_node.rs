//! A full node of Kubernetes: 110 pods of three containers.

use anyhow::{Context as _, Result};
use tests::{cgroup::Cgroup, nodeprobe::Agent, scrape::Scrape, wait::LONG};

use crate::{
    rig,
    scenario::{Finding, Scenario},
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "110-pod-node",
    question: "what share of the calls of each of my 330 containers fails?",
    expected_failure: None,
    run,
};

const CONTAINERS: usize = 330;
const CALLS: &str = "nodeprobe_syscalls_total";
const ERRORS: &str = "nodeprobe_syscall_errors_total";

/// A shell that looks for a file that is not there, so many times.
fn script(rounds: usize) -> String {
    format!("i=0; while [ $i -lt {rounds} ]; do [ -e /nowhere ]; i=$((i+1)); done")
}

/// The cgroup of a container, and so its name.
fn name(container: usize) -> String {
    format!("pod-{container:03}.service")
}

/// How often each one looks.
fn rounds(container: usize) -> usize {
    200 + container
}

fn run() -> Result<Finding> {
    let top = Cgroup::new("node")?;
    let agent = Agent::start("")?;
    let mut containers = Vec::new();
    for number in 0..CONTAINERS {
        let container = top.child(&name(number))?;
        // Something beside, as every container does.
        tests::guard::run(container.command("/bin/ls").arg("/usr/bin"))?;
        tests::guard::run(
            container
                .command("/bin/sh")
                .args(["-c", &script(rounds(number))]),
        )?;
        containers.push(container);
    }
    // The same script, call by call.
    let elsewhere = Cgroup::new("traced")?;
    let mut strace = elsewhere.command(tests::skip::program("strace", "strace")?);
    strace.args([
        "-f",
        "-o",
        "/dev/stdout",
        "/bin/sh",
        "-c",
        &script(rounds(0)),
    ]);
    let (traced, _) = rig::run_any(&mut strace)?;
    let failing = traced
        .lines()
        .filter(|line| line.contains("= -1 ENOENT") && line.contains("nowhere"));
    let failing = failing.count();

    let failed = |scrape: &Scrape, number: usize| {
        let path = name(number);
        scrape.sum(ERRORS, &[("container", &path)]) as usize
    };
    // What the other programs do not find is the same everywhere.
    let wrong = |scrape: &Scrape| -> Vec<usize> {
        let base = failed(scrape, 0).saturating_sub(rounds(0));
        (0..CONTAINERS)
            .filter(|number| {
                let path = name(*number);
                let failed = failed(scrape, *number);
                let calls = scrape.sum(CALLS, &[("container", &path)]) as usize;
                failed != rounds(*number) + base || failed > calls || base > 100
            })
            .collect()
    };
    let scrape = agent.scrape_until(LONG, |scrape| wrong(scrape).is_empty())?;
    let wrong = wrong(&scrape);
    let shown = |family: &str| {
        let has = |number: &usize| {
            let path = name(*number);
            scrape
                .with(family, &[("container", &path)])
                .next()
                .is_some()
        };
        (0..CONTAINERS).filter(has).count()
    };
    let families = [
        shown(CALLS),
        shown(ERRORS),
        shown("nodeprobe_sched_oncpu_seconds_total"),
        shown("nodeprobe_syscall_duration_seconds_count"),
        shown("nodeprobe_sched_runqueue_latency_seconds_count"),
    ];
    let memory = scrape.with("process_resident_memory_bytes", &[]).next();
    let memory = memory.context("its memory")?.value / f64::from(1 << 20);
    Ok(Finding {
        nodeprobe: format!(
            "{} of {CONTAINERS} containers have the right number of failed calls; with series in five families: \
             {families:?}; {} series in all, {memory:.0} MiB",
            CONTAINERS - wrong.len(),
            scrape.samples.len()
        ),
        oracle: format!("the script and strace: {failing} failed look-ups of the first container"),
        agrees: wrong.is_empty() && failing == rounds(0) && families == [CONTAINERS; 5],
    })
}
