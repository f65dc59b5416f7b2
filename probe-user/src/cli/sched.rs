//! `nodeprobe runqlat` and `nodeprobe offcpu`: how long tasks wait for a CPU, and how long they are off it.

use std::io;

use super::{
    CliError, Kind,
    args::{CommonArgs, OffcpuArgs, ProcessArgs, RunqlatArgs, SchedBy, StrictArgs},
    tool::{Processes, Tool, print},
};
use crate::{
    model::OwnerKind,
    probes::Latency,
    render::{
        Look, Selection,
        histogram::{self, Histograms},
        view::{By, Report, SchedOrder, SchedView},
    },
    report::sched_rows,
};

/// Writes a report for people.
type Write = fn(
    &mut Vec<u8>,
    &Report<SchedView>,
    &Selection<SchedOrder>,
    Histograms,
    &Look,
) -> io::Result<()>;

/// Runs `nodeprobe runqlat`.
///
/// # Errors
///
/// If the probes cannot be attached or nothing can be written.
pub(super) fn runqlat(args: &RunqlatArgs) -> Result<Kind, CliError> {
    let write: Write = |out, report, selection, histograms, look| {
        histogram::write_runqlat(out, report, selection, histograms, look)
    };
    let request = Request {
        name: "runqlat",
        common: &args.common,
        process: &args.process,
        strict: args.strict,
        by: args.by,
        order: args.sort,
        histograms: histograms(args.histogram),
    };
    run(&request, write)
}

/// Runs `nodeprobe offcpu`.
///
/// # Errors
///
/// As for [`runqlat`].
pub(super) fn offcpu(args: &OffcpuArgs) -> Result<Kind, CliError> {
    let write: Write = |out, report, selection, histograms, look| {
        histogram::write_offcpu(out, report, selection, histograms, look)
    };
    let request = Request {
        name: "offcpu",
        common: &args.common,
        process: &args.process,
        strict: args.strict,
        by: args.by,
        order: args.sort,
        histograms: histograms(args.histogram),
    };
    run(&request, write)
}

fn histograms(all: bool) -> Histograms {
    if all {
        Histograms::All
    } else {
        Histograms::OfOne
    }
}

/// The arguments that both tools have.
struct Request<'a> {
    name: &'static str,
    common: &'a CommonArgs,
    process: &'a ProcessArgs,
    strict: StrictArgs,
    by: SchedBy,
    order: SchedOrder,
    histograms: Histograms,
}

fn run(request: &Request<'_>, write: Write) -> Result<Kind, CliError> {
    let common = request.common;
    let processes = Processes::find(&request.process.pid)?;
    // A process id asks for processes.
    let (by, owners) = if request.by == SchedBy::Process || processes.are_named() {
        (By::Process, OwnerKind::Process)
    } else {
        (By::Container, OwnerKind::Cgroup)
    };
    let selection = Selection {
        order: request.order,
        top: common.limit(),
    };
    let mut tool = Tool::start(request.name, "scheduler", owners, Latency::Off)?;
    let filter = tool.filter(common, processes);
    let tool = tool.strict(request.strict.strict);
    tool.run(common, by, &filter, |period| {
        let mut rows = sched_rows(period.measurements, period.identities, by, &filter);
        rows.sort_by(|a, b| selection.order.compare(a, b));
        let report = period.report(rows);
        print(common, &report, |out, look| {
            write(out, &report, &selection, request.histograms, look)
        })
    })
}
