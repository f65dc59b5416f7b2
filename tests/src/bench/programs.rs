//! What the kernel counts of the programs of one process.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result};
use aya::programs::loaded_programs;

use crate::{attached::programs_of, wait::poll};

/// Counters of one program, which move only while the kernel's statistics are on.
#[derive(Clone, Debug)]
pub struct Counters {
    id: u32,
    /// Name, cut at 15 bytes.
    name: String,
    run_time: Duration,
    runs: u64,
}

/// One program over a stretch of time.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Name, cut at 15 bytes.
    pub name: String,
    /// Mean time of a run in the fastest slice, with what the statistics themselves take.
    pub run_ns: f64,
    /// Runs in all slices.
    pub runs: u64,
}

/// Reads the counters of some programs.
///
/// # Errors
///
/// If the kernel does not tell.
pub fn read(ids: &BTreeSet<u32>) -> Result<Vec<Counters>> {
    let mut counters = Vec::new();
    for program in loaded_programs() {
        let program = program.context("list the programs")?;
        if ids.contains(&program.id()) {
            counters.push(Counters {
                id: program.id(),
                name: program.name_as_str().unwrap_or_default().to_owned(),
                run_time: program.run_time(),
                runs: program.run_count(),
            });
        }
    }
    Ok(counters)
}

/// What each program took, by readings of the same programs between slices. One that did not run is
/// left out.
pub fn costs(readings: &[Vec<Counters>]) -> Vec<Cost> {
    let (Some(first), Some(last)) = (readings.first(), readings.last()) else {
        return Vec::new();
    };
    let of = |counters: &[Counters], id| counters.iter().find(|it| it.id == id).cloned();
    let cost = |last: &Counters| {
        let slices = readings.windows(2).filter_map(|pair| {
            let [before, after] = pair else { return None };
            let (before, after) = (of(before, last.id)?, of(after, last.id)?);
            let runs = after
                .runs
                .checked_sub(before.runs)
                .filter(|runs| *runs > 0)?;
            let time = after.run_time.saturating_sub(before.run_time);
            Some(time.as_nanos() as f64 / runs as f64)
        });
        let run_ns = slices.reduce(f64::min)?;
        let runs = last.runs.saturating_sub(of(first, last.id)?.runs);
        Some(Cost {
            name: last.name.clone(),
            run_ns,
            runs,
        })
    };
    last.iter().filter_map(cost).collect()
}

/// Whether that many programs of a process have run. It may hold others that it does not attach.
///
/// # Errors
///
/// If the process is gone or the kernel does not tell.
pub fn have_run(pid: i32, programs: usize) -> Result<bool> {
    let counters = read(&programs_of(pid)?)?;
    Ok(counters.iter().filter(|program| program.runs > 0).count() >= programs)
}

/// Waits until the kernel has let go of programs: it does so some time after their last user.
///
/// # Errors
///
/// If it does not within ten seconds.
pub fn wait_gone(programs: &BTreeSet<u32>) -> Result<()> {
    poll(
        Duration::from_secs(10),
        "detached programs to vanish",
        || {
            let loaded = crate::attached::programs().ok()?;
            programs.is_disjoint(&loaded).then_some(())
        },
    )
}

/// Ids of the tracing programs in the kernel.
///
/// # Errors
///
/// If the kernel does not tell.
pub fn tracing() -> Result<BTreeSet<u32>> {
    /// Of `enum bpf_prog_type`: kprobe, tracepoint, perf event, raw tracepoint, its writable form,
    /// tracing.
    const TYPES: [u32; 6] = [2, 5, 7, 17, 24, 26];
    let mut ids = BTreeSet::new();
    for program in loaded_programs() {
        let program = program.context("list the programs")?;
        if TYPES.contains(&(program.program_type() as u32)) {
            ids.insert(program.id());
        }
    }
    Ok(ids)
}
