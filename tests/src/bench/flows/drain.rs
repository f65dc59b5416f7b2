//! How long it takes to read a table and to follow its flows.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use probe_user::{
    kernel::clock::monotonic,
    loader::Kernel,
    session::{FlowFollower, FlowSettings},
};

use super::crowd::Crowd;
use crate::bench::{spread::Spread, subject::ours};

/// Times.
pub(super) struct Drain {
    pub(super) read_ms: Option<Spread>,
    pub(super) first_sweep_ms: Option<Spread>,
    pub(super) sweep_ms: Option<Spread>,
}

/// Entries of a table for that many flows, so that none is put out.
pub(super) fn capacity(flows: u32) -> u32 {
    flows + flows / 5
}

/// Reads the table `rounds` times, then follows its flows for as many sweeps and one.
pub(super) fn measure(kernel: &Kernel, flows: u32, rounds: usize) -> Result<Drain> {
    let mut options = ours::defaults(kernel);
    options.sizes.flows = capacity(flows);
    let mut probe = ours::attach("flows", kernel, &options)?;
    let _crowd = Crowd::make(flows)?;
    let reader = probe
        .readers
        .flows
        .take()
        .context("the probe has a reader")?;
    let mut read = Vec::new();
    for _ in 0..rounds {
        let begin = Instant::now();
        let mut found = 0;
        reader
            .each_flow(|_, _| found += 1)
            .context("read the table")?;
        read.push(milliseconds(begin));
        ensure!(found >= flows, "{found} flows of {flows}");
    }
    let settings = FlowSettings {
        sweep: Duration::ZERO,
        period: Duration::from_secs(3600),
        idle: Duration::from_secs(3600),
        lookup_timeout: probe_user::flows::TIMEOUT,
    };
    let mut follower = FlowFollower::new((Some(reader), None), settings, monotonic());
    let begin = Instant::now();
    let mut told = 0;
    // New flows are told some at a time.
    while told < flows as usize {
        let events = follower.poll(monotonic());
        ensure!(!events.is_empty(), "{told} of {flows} are told");
        told += events.len();
    }
    let first = milliseconds(begin);
    let mut sweeps = Vec::new();
    for _ in 0..rounds {
        let begin = Instant::now();
        follower.poll(monotonic());
        sweeps.push(milliseconds(begin));
    }
    Ok(Drain {
        read_ms: Spread::of(read),
        first_sweep_ms: Spread::of([first]),
        sweep_ms: Spread::of(sweeps),
    })
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
