//! The agent as a whole: how fast it starts, how long a scrape takes, what it needs when nothing
//! happens.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::spread::Spread;
use crate::{
    http,
    nodeprobe::{self, Agent as Process},
    thousand::Thousand,
    wait::{LONG, poll},
};

pub(super) const TEXT: &str = "application/openmetrics-text;version=1.0.0";
const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

/// A series of the syscalls probe.
const SERIES: &str = "nodeprobe_syscalls_total{";

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// From start to the first scrape with a series of the syscalls probe.
    pub start_s: Option<Spread>,
    /// Memory before the cgroups are made.
    pub idle_rss_mib: Option<Spread>,
    /// Share of one CPU while the cgroups are there and nothing runs in them, in per cent.
    pub idle_cpu: Option<Spread>,
    /// Time of a scrape as text.
    pub text_ms: Option<Spread>,
    /// Its size in bytes.
    pub text_bytes: usize,
    /// Time of a scrape as protobuf.
    pub protobuf_ms: Option<Spread>,
    /// Its size in bytes.
    pub protobuf_bytes: usize,
    /// Largest memory after the scrapes by memory before them.
    pub peak_rss_ratio: Option<Spread>,
}

/// Measures `starts` starts, then `scrapes` scrapes of each form, then `idle` of nothing.
///
/// # Errors
///
/// If the agent does not start or answer, or the cgroups cannot be made.
pub fn measure(starts: usize, scrapes: usize, idle: Duration) -> Result<Agent> {
    let mut times = Vec::new();
    for _ in 1..starts {
        times.push(start()?.1);
    }
    let (agent, last) = start()?;
    times.push(last);
    let mut measured = Agent {
        start_s: Spread::of(times),
        ..Agent::default()
    };
    measured.idle_rss_mib = Spread::of([memory(&agent, "VmRSS")? / 1024.0]);

    let _cgroups = Thousand::make()?;
    Thousand::wait_until_shown(&agent)?;
    let before = memory(&agent, "VmRSS")?;
    let (text_ms, text_bytes) = scrape(&agent, TEXT, scrapes)?;
    let (protobuf_ms, protobuf_bytes) = scrape(&agent, PROTOBUF, scrapes)?;
    measured.peak_rss_ratio = Spread::of([memory(&agent, "VmHWM")? / before]);
    let used = cpu_time(&agent)?;
    thread::sleep(idle);
    let used = cpu_time(&agent)?.saturating_sub(used);
    measured.idle_cpu = Spread::of([100.0 * used.as_secs_f64() / idle.as_secs_f64()]);
    Ok(Agent {
        text_ms,
        text_bytes,
        protobuf_ms,
        protobuf_bytes,
        ..measured
    })
}

/// Starts an agent; answers how many seconds it took until it had something to show.
fn start() -> Result<(Process, f64)> {
    let begin = Instant::now();
    let mut agent = Process::spawn(Thousand::CONFIG, nodeprobe::command())?;
    let alive = poll(LONG, "the first metrics", || {
        let shown = http::get(agent.address(), "/metrics", TEXT)
            .is_ok_and(|answer| answer.text().contains(SERIES));
        (shown || agent.has_ended()).then_some(shown)
    })?;
    let took = begin.elapsed().as_secs_f64();
    if !alive {
        let (status, log) = agent.wait()?;
        bail!("the agent ended, {status}: {}", log.trim());
    }
    Ok((agent, took))
}

/// Times of scrapes in milliseconds, and the size of the last one.
pub(super) fn scrape(
    agent: &Process,
    accept: &str,
    times: usize,
) -> Result<(Option<Spread>, usize)> {
    let (mut took, mut bytes) = (Vec::new(), 0);
    for _ in 0..times {
        // Scrapes within a second share a collection.
        thread::sleep(Duration::from_millis(1100));
        let begin = Instant::now();
        let answer = http::get(agent.address(), "/metrics", accept)?;
        took.push(begin.elapsed().as_secs_f64() * 1e3);
        ensure!(answer.status == 200, "a scrape answered {}", answer.status);
        bytes = answer.body.len();
    }
    Ok((Spread::of(took), bytes))
}

/// A line of the agent's `/proc/PID/status` in KiB.
pub(super) fn memory(agent: &Process, line: &str) -> Result<f64> {
    let path = format!("/proc/{}/status", agent.pid());
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    text.lines()
        .find_map(|text| {
            text.strip_prefix(line)?
                .strip_prefix(':')?
                .split_whitespace()
                .next()
        })
        .and_then(|kib| kib.parse().ok())
        .with_context(|| format!("{path} has no {line}"))
}

/// Processor time of all threads of the agent, those that ended included.
pub(super) fn cpu_time(agent: &Process) -> Result<Duration> {
    let path = format!("/proc/{}/stat", agent.pid());
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // After the name, which may hold anything: user and system time are the 12th and 13th.
    let (_, fields) = text
        .rsplit_once(") ")
        .with_context(|| format!("{path} is cut"))?;
    let fields = fields.split(' ').skip(11).take(2);
    let ticks: u64 = fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}
