//! One reading: a subject is attached, a workload runs with it, and it is detached.

use std::sync::mpsc;

use anyhow::{Context as _, Result};
use aya::sys::{Stats, enable_stats};
use probe_user::{loader::Kernel, model::Measurements};

use super::{
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
    /// For our probes: what they counted, as a share of what was done, and how much they say they
    /// lost.
    pub counted: Option<(f64, u64)>,
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
    let plain = workload.run(SLICES, || ())?;
    let statistics = enable_stats(Stats::RunTime).context("enable BPF statistics")?;
    let ids = running.programs()?;
    // Nobody receives before the workload has ended, so there is room for everything.
    let (sender, readings) = mpsc::sync_channel(SLICES_WITH_STATISTICS as usize + 1);
    let counted = workload.run(SLICES_WITH_STATISTICS, move || {
        sender.send(programs::read(&ids)).ok();
    })?;
    drop(statistics);
    let readings: Vec<_> = readings.iter().collect::<Result<_>>()?;
    let mut programs = programs::costs(&readings);
    // Hooks that the workload does not pass say nothing about it.
    programs.retain(|program| program.runs >= counted.operations / 2);
    let done = plain.operations + counted.operations;
    let counted = running
        .measured()?
        .map(|measured| check(&measured, workload, done));
    running.detach()?;
    Ok(Reading {
        wall_ns: plain.fastest_ns,
        programs,
        counted,
    })
}

fn check(measured: &Measurements, workload: Workload, done: u64) -> (f64, u64) {
    let counted: u64 = match workload {
        Workload::Syscall => {
            let calls = measured
                .syscalls
                .iter()
                .filter(|row| row.syscall.name() == "getppid");
            calls.map(|row| row.calls).sum()
        }
        Workload::PingPong | Workload::PingPongAcross => measured
            .sched
            .iter()
            .map(|row| row.voluntary + row.involuntary)
            .sum(),
    };
    let lost = measured.lost.iter().map(|lost| lost.count).sum();
    (counted as f64 / done as f64, lost)
}
