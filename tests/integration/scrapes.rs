//! Scrapes of a real agent: by Prometheus, by promtool, and of a thousand containers.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::{
    cgroup::Cgroup,
    http,
    lock::alone,
    nodeprobe::Agent,
    prometheus::{Prometheus, Scrape, promtool_check},
    skip::{not_in_vm, unless_available},
    thousand::Thousand,
    wait::LONG,
    workload::Workload,
};

const TEXT: &str = "application/openmetrics-text;version=1.0.0";
const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

/// Asks until the answer is this number, and returns the last answer.
fn value_of(prometheus: &Prometheus, promql: &str, expected: f64) -> Result<f64> {
    let begin = Instant::now();
    loop {
        // Until it has been scraped there is no answer at all.
        let value = prometheus.value(promql);
        if matches!(value, Ok(value) if value == expected) || begin.elapsed() > LONG {
            return value;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Prometheus scrapes an agent and knows what a workload did.
fn reach_prometheus(form: Scrape) -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("scraped")) else {
        return Ok(());
    };
    let agent = Agent::start("")?;
    let rig = Prometheus::start(agent.address(), form);
    let Some(mut prometheus) = unless_available("prometheus", rig) else {
        return Ok(());
    };
    Workload::new()?.run(&cgroup, "syscalls --calls 6400 --errors 321")?;
    prometheus.wait_for_scrape()?;
    let own = format!("container='{}'", cgroup.path());
    for (promql, expected) in [
        (
            format!("nodeprobe_syscalls_total{{{own},syscall='ioprio_get'}}"),
            6400.0,
        ),
        (
            "sum(nodeprobe_syscalls_total{syscall='ioprio_get'})".to_owned(),
            6400.0,
        ),
        (
            format!("sum(nodeprobe_syscall_errors_total{{{own},syscall='ioprio_get'}})"),
            321.0,
        ),
    ] {
        assert_eq!(
            value_of(&prometheus, &promql, expected)?,
            expected,
            "{promql}"
        );
    }
    let waits = "nodeprobe_sched_runqueue_latency_seconds";
    let count = match form {
        Scrape::Text => format!("{waits}_count{{{own}}}"),
        Scrape::Protobuf => format!("histogram_count({waits}{{{own}}})"),
    };
    let counted = prometheus.value(&count)?;
    assert!(counted >= 1.0, "{count} is {counted}");
    Ok(())
}

#[test]
fn prometheus_knows_the_calls_of_a_cgroup_by_the_text_form() -> Result<()> {
    reach_prometheus(Scrape::Text)
}

#[test]
fn prometheus_knows_the_calls_of_a_cgroup_by_the_protobuf_form() -> Result<()> {
    reach_prometheus(Scrape::Protobuf)
}

#[test]
fn promtool_finds_no_fault_with_an_agent_that_has_seen_all_kinds_of_events() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("judged")) else {
        return Ok(());
    };
    let agent = Agent::start("program_stats = true\nprobes.syscalls.per_syscall_latency = true\n")?;
    let workload = Workload::new()?;
    workload.run(&cgroup, "syscalls --calls 1000 --errors 100")?;
    workload.run(&cgroup, "exit-in-call --rounds 2")?;
    let path = cgroup.path();
    let seen = |scrape: &tests::scrape::Scrape| {
        scrape.sum("nodeprobe_syscalls_total", &[("container", &path)]) >= 1000.0
    };
    assert!(seen(&agent.scrape_until(LONG, seen)?));
    let body = agent.get("/metrics")?.body;
    _ = unless_available("promtool", promtool_check(&body));
    Ok(())
}

#[test]
fn a_scrape_of_a_thousand_containers_shows_them_all_in_reasonable_time() -> Result<()> {
    // The goal is a tenth of it, which `cargo xtask bench` checks: here other work may have the machine.
    const LIMIT: Duration = Duration::from_secs(1);
    let _alone = alone();
    // An emulated processor says nothing about a real one.
    if unless_available("thousand", not_in_vm()).is_none() {
        return Ok(());
    }
    let agent = Agent::start(Thousand::CONFIG)?;
    let Some(_containers) = unless_available("cgroup", Thousand::make()) else {
        return Ok(());
    };
    Thousand::wait_until_shown(&agent)?;
    for (form, accept) in [("text", TEXT), ("protobuf", PROTOBUF)] {
        let (took, bytes) = fastest(&agent, accept)?;
        eprintln!("1,000 containers, {form}: {bytes} bytes in {took:?}");
        assert!(took <= LIMIT, "{form}: {took:?}");
    }
    Ok(())
}

/// The time of the fastest of some scrapes that each have to collect, and the size of the last.
fn fastest(agent: &Agent, accept: &str) -> Result<(Duration, usize)> {
    let (mut took, mut bytes) = (Duration::MAX, 0);
    for _ in 0..8 {
        // Scrapes within a second share a collection.
        std::thread::sleep(Duration::from_millis(1100));
        let begin = Instant::now();
        let answer = http::get(agent.address(), "/metrics", accept)?;
        took = took.min(begin.elapsed());
        ensure!(answer.status == 200, "a scrape answered {}", answer.status);
        bytes = answer.body.len();
    }
    Ok((took, bytes))
}
