//! The agent: what it exports, how it reloads, how it ends, and that it leaves nothing behind.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::Result;
use rustix::process::Signal;
use tests::{
    attached,
    cgroup::Cgroup,
    http,
    lock::alone,
    nodeprobe::{Agent, Tool, command},
    scrape::{Sample, Scrape},
    skip::unless_available,
    wait::{LONG, poll},
    workload::Workload,
};

const CALLS: &str = "nodeprobe_syscalls_total";
const ERRORS: &str = "nodeprobe_syscall_errors_total";

fn calls_of(scrape: &Scrape, cgroup: &Cgroup) -> f64 {
    scrape.sum(
        CALLS,
        &[("container", &cgroup.path()), ("syscall", "ioprio_get")],
    )
}

#[test]
fn metrics_are_exact_by_container_call_and_errno() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("agent")) else {
        return Ok(());
    };
    let agent = Agent::start("")?;
    let running = Workload::new()?.ready(&cgroup, "syscalls --calls 4000 --errors 301")?;
    running.work()?;
    let scrape = agent.scrape_until(LONG, |scrape| calls_of(scrape, &cgroup) >= 4000.0)?;
    assert_eq!(calls_of(&scrape, &cgroup), 4000.0);
    assert_eq!(
        scrape.sum(CALLS, &[("syscall", "ioprio_get")]),
        4000.0,
        "nobody else is charged"
    );
    let path = cgroup.path();
    for (errno, count) in [("EINVAL", 151.0), ("ESRCH", 150.0)] {
        let labels = [
            ("container", path.as_str()),
            ("syscall", "ioprio_get"),
            ("errno", errno),
        ];
        assert_eq!(scrape.sum(ERRORS, &labels), count, "{errno}");
    }
    let sample = scrape
        .with(CALLS, &[("container", &path)])
        .next()
        .expect("the cgroup has series");
    assert_eq!(sample.label("namespace"), "~host");
    assert!(!sample.label("node").is_empty());
    Ok(())
}

#[test]
fn nothing_is_lost_under_an_ordinary_load_and_the_loss_counters_say_so() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("load")) else {
        return Ok(());
    };
    let agent = Agent::start("")?;
    Workload::new()?.run(&cgroup, "syscalls --calls 300000 --errors 1000 --threads 4")?;
    let scrape = agent.scrape_until(LONG, |scrape| calls_of(scrape, &cgroup) >= 300_000.0)?;
    let lost: Vec<_> = scrape.with("nodeprobe_records_lost_total", &[]).collect();
    assert!(
        !lost.is_empty(),
        "the counters are there before anything is lost"
    );
    // The calls are exact. The others may have a few: looking at the metrics is traffic as well, and what an interrupt meets
    // at work is skipped by the kernel, which is no rare thing on a busy machine or an emulated processor.
    const OF_OTHERS: f64 = 20.0;
    let most = |sample: &Sample| match sample.label("stream") {
        "syscalls" => 0.0,
        _ => OF_OTHERS,
    };
    let unexpected: Vec<_> = lost.iter().filter(|it| it.value > most(it)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    Ok(())
}

#[test]
fn counters_never_go_back() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("steady")) else {
        return Ok(());
    };
    let agent = Agent::start("")?;
    let steady = Workload::new()?.start(&cgroup, "steady --per-second 1000 --seconds 4")?;
    let mut last: BTreeMap<String, f64> = BTreeMap::new();
    for _ in 0..5 {
        let scrape = agent.scrape()?;
        for sample in scrape
            .samples
            .iter()
            .filter(|sample| sample.name.ends_with("_total"))
        {
            let series = format!("{}{:?}", sample.name, sample.labels);
            let before = last.insert(series.clone(), sample.value).unwrap_or(0.0);
            assert!(
                sample.value >= before,
                "{series} went from {before} to {}",
                sample.value
            );
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    steady.result()?;
    let scrape = agent.scrape_until(LONG, |scrape| calls_of(scrape, &cgroup) >= 4000.0)?;
    assert_eq!(calls_of(&scrape, &cgroup), 4000.0);
    Ok(())
}

#[test]
fn series_of_a_removed_container_go_away_after_their_last_value_was_shown() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("gone")) else {
        return Ok(());
    };
    let agent = Agent::start("")?;
    Workload::new()?.run(&cgroup, "syscalls --calls 60")?;
    let path = cgroup.path();
    cgroup.remove()?;
    let labels = [("container", path.as_str()), ("syscall", "ioprio_get")];
    let shown = agent.scrape_until(LONG, |scrape| scrape.sum(CALLS, &labels) > 0.0)?;
    assert_eq!(shown.sum(CALLS, &labels), 60.0);
    let gone = |scrape: &Scrape| scrape.with(CALLS, &[("container", &path)]).next().is_none();
    let later = agent.scrape_until(2 * LONG, gone)?;
    assert!(gone(&later), "the series of {path} stay");
    Ok(())
}

#[test]
fn health_and_readiness_answer_and_other_paths_do_not() -> Result<()> {
    let _alone = alone();
    let agent = Agent::start("")?;
    assert_eq!(agent.get("/healthz")?.status, 200);
    assert_eq!(agent.get("/readyz")?.status, 200);
    assert_eq!(agent.get("/nonsense")?.status, 404);
    let answer = http::send(agent.address(), b"DELETE /metrics HTTP/1.0\r\n\r\n")?;
    assert!(
        String::from_utf8_lossy(&answer).starts_with("HTTP/1.0 405"),
        "{answer:?}"
    );
    Ok(())
}

#[test]
fn the_form_of_the_metrics_follows_the_accept_header() -> Result<()> {
    let _alone = alone();
    let agent = Agent::start("")?;
    let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    for (accept, expected) in [
        (
            "application/openmetrics-text;version=1.0.0",
            "application/openmetrics-text",
        ),
        (protobuf, "application/vnd.google.protobuf"),
    ] {
        let answer = http::get(agent.address(), "/metrics", accept)?;
        assert_eq!(answer.status, 200);
        assert!(
            answer.head.to_lowercase().contains(expected),
            "{accept}: {}",
            answer.head
        );
        assert!(!answer.body.is_empty());
    }
    Ok(())
}

#[test]
fn a_reload_keeps_the_counters_and_a_broken_file_keeps_the_settings() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("reload")) else {
        return Ok(());
    };
    let mut agent = Agent::start("")?;
    let workload = Workload::new()?;
    for (content, calls) in [
        ("# nothing else\n", 50.0),
        ("this is = = no configuration", 100.0),
        ("", 150.0),
    ] {
        fs::write(agent.config(), content)?;
        agent.signal(Signal::HUP)?;
        workload.run(&cgroup, "syscalls --calls 50")?;
        let scrape = agent.scrape_until(LONG, |scrape| calls_of(scrape, &cgroup) >= calls)?;
        assert_eq!(calls_of(&scrape, &cgroup), calls, "after `{content}`");
        assert!(!agent.has_ended());
    }
    let (status, _, log) = agent.terminate()?;
    assert!(status.success(), "{status}: {log}");
    assert!(!log.contains("panicked"), "{log}");
    Ok(())
}

#[test]
fn an_agent_ends_within_five_seconds_of_sigterm_and_nothing_stays_attached() -> Result<()> {
    let _alone = alone();
    let agent = Agent::start("")?;
    let held = attached::programs_of(agent.pid())?;
    assert!(
        held.len() >= 4,
        "enter, exit, switch and wake-up at least: {held:?}"
    );
    let (status, took, log) = agent.terminate()?;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    assert!(!log.contains("panicked"), "{log}");
    gone(&held)
}

#[test]
fn nothing_stays_attached_when_an_agent_or_a_tool_is_killed() -> Result<()> {
    let _alone = alone();
    let agent = Agent::start("")?;
    let tool = Tool::attach("syscalls --duration 300s")?;
    let mut held = attached::programs_of(agent.pid())?;
    held.extend(attached::programs_of(tool.pid())?);
    assert!(held.len() >= 5, "{held:?}");
    drop((agent, tool));
    gone(&held)
}

/// Waits until the kernel has freed these programs, which it does a grace period after their last
/// user ended.
fn gone(programs: &std::collections::BTreeSet<u32>) -> Result<()> {
    poll(LONG, &format!("the end of programs {programs:?}"), || {
        attached::programs()
            .ok()
            .filter(|loaded| loaded.is_disjoint(programs))
            .map(drop)
    })
}

#[test]
fn an_agent_with_a_duration_ends_by_itself() -> Result<()> {
    let _alone = alone();
    let mut command = command();
    command.env("NO_COLOR", "1");
    let agent = Agent::spawn_with_args("", command, &["--duration", "3s"])?;
    let (status, log) = agent.wait()?;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    Ok(())
}
