//! `nodeprobe runqlat` and `nodeprobe offcpu`: how long tasks wait for a CPU, and how long they are off it.

use std::io;

use super::{
    CliError, Kind,
    args::{self, CommonArgs, OffcpuArgs, RunqlatArgs},
    tool::{Tool, filter, print},
};
use crate::{
    model::OwnerKind,
    probes::Latency,
    render::{
        Look, Selection, histogram,
        view::{By, Report, SchedOrder, SchedView},
    },
    report::sched_rows,
};

/// Writes a report for people.
type Write = fn(&mut Vec<u8>, &Report<SchedView>, &Selection<SchedOrder>, &Look) -> io::Result<()>;

/// Runs `nodeprobe runqlat`.
///
/// # Errors
///
/// If the probes cannot be attached or nothing can be written.
pub fn runqlat(args: &RunqlatArgs) -> Result<Kind, CliError> {
    let write: Write = |out, report, selection, look| histogram::write_runqlat(out, report, selection, look);
    run("runqlat", &args.common, args.by, SchedOrder::Wait, write)
}

/// Runs `nodeprobe offcpu`.
///
/// # Errors
///
/// As for [`runqlat`].
pub fn offcpu(args: &OffcpuArgs) -> Result<Kind, CliError> {
    let write: Write = |out, report, selection, look| histogram::write_offcpu(out, report, selection, look);
    run("offcpu", &args.common, args.by, SchedOrder::Offcpu, write)
}

fn run(
    name: &'static str,
    args: &CommonArgs,
    by: args::By,
    order: SchedOrder,
    write: Write,
) -> Result<Kind, CliError> {
    // A process id asks for processes.
    let process = by == args::By::Process || args.pid.is_some();
    let (by, owners) =
        if process { (By::Process, OwnerKind::Process) } else { (By::Container, OwnerKind::Cgroup) };
    let filter = filter(args);
    let selection = Selection { order, top: args.top.map(|top| top as usize) };
    Tool::start(name, "scheduler", owners, Latency::Off)?.run(args, by, |period| {
        let mut rows = sched_rows(period.measurements, period.identities, by, &filter);
        rows.sort_by(|a, b| selection.order.compare(a, b));
        let report = period.report(rows);
        print(args, &report, |out, look| write(out, &report, &selection, look))
    })?;
    Ok(Kind::Fine)
}
