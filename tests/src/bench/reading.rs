//! One reading: a subject is attached, a workload runs with it, and it is detached.

use std::{collections::BTreeSet, sync::mpsc, time::Instant};

use anyhow::{Context as _, Result};
use aya::sys::{Stats, enable_stats};
use probe_user::loader::Kernel;

use super::{
    counted::counted,
    programs::{self, Cost},
    subject::Subject,
    workload::Workload,
};

/// Slices without statistics, for the wall time.
const SLICES: u32 = 60;
/// Slices with statistics, for the run time of the programs.
const SLICES_WITH_STATISTICS: u32 = 30;

/// What was read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Wall time of one operation.
    pub wall_ns: f64,
    /// Programs that run with most operations.
    pub programs: Vec<Cost>,
    /// Runs of all other programs of the subject at one operation.
    pub other_runs: f64,
    /// For our probes and observers of packets: what they counted, as a share of what was done.
    pub seen: Option<f64>,
    /// For our probes: how much they say they lost.
    pub lost: Option<u64>,
    /// For observers of packets: their processor time by the time of the workload.
    pub cpu: Option<f64>,
}

/// Takes one reading.
///
/// # Errors
///
/// [`Unavailable`](crate::Unavailable) for a tool that is not installed; else if something is
/// refused.
pub fn take(subject: Subject, workload: Workload, kernel: &Kernel) -> Result<Reading> {
    let mut running = subject
        .attach(kernel)
        .with_context(|| format!("attach {subject}"))?;
    let (begin, used) = (Instant::now(), running.cpu_time()?);
    let plain = workload.run(SLICES, || ())?;
    let took = begin.elapsed();
    let used = running.cpu_time()?.zip(used);
    let cpu = used.map(|(now, before)| now.saturating_sub(before).div_duration_f64(took));
    let mut done = plain.operations;
    let (mut costs, mut other_runs) = (Vec::new(), 0.0);
    let ids = running.programs()?;
    if !ids.is_empty() {
        let operations;
        (costs, operations) = with_statistics(workload, ids)?;
        done += operations;
        // Hooks that the workload does not pass say nothing about it.
        let often = |program: &Cost| program.runs >= operations / 2;
        let others = costs.iter().filter(|program| !often(program));
        other_runs = others.map(|program| program.runs).sum::<u64>() as f64 / operations as f64;
        costs.retain(often);
    }
    let ours = running
        .probes()
        .map(|probes| counted(probes, workload))
        .transpose()?;
    // Acknowledgements are packets too, and nobody says how many there were.
    let observed = running.detach()?.filter(|_| workload == Workload::Datagram);
    let seen = ours.map(|(count, _)| count).or(observed);
    Ok(Reading {
        wall_ns: workload.wall_ns(&plain),
        programs: costs,
        other_runs,
        seen: seen.map(|count| count as f64 / done as f64),
        lost: ours.map(|(_, lost)| lost),
        cpu,
    })
}

/// Run times of all programs that ran, and the operations that were done.
fn with_statistics(workload: Workload, ids: BTreeSet<u32>) -> Result<(Vec<Cost>, u64)> {
    let statistics = enable_stats(Stats::RunTime).context("enable BPF statistics")?;
    // Nobody receives before the workload has ended, so there is room for everything.
    let (sender, readings) = mpsc::sync_channel(SLICES_WITH_STATISTICS as usize + 1);
    let done = workload.run(SLICES_WITH_STATISTICS, move || {
        sender.send(programs::read(&ids)).ok();
    })?;
    drop(statistics);
    let readings: Vec<_> = readings.iter().collect::<Result<_>>()?;
    Ok((programs::costs(&readings), done.operations))
}
