//! `nodeprobe syscalls`: what is called, what fails, and how long it takes.

use super::{
    CliError, Kind,
    args::{self, SyscallsArgs},
    tool::{Processes, Tool, print},
};
use crate::{
    model::OwnerKind,
    probes::Latency,
    render::{Selection, table, view::By},
    report::syscall_rows,
};

/// Runs the command.
///
/// # Errors
///
/// If the probes cannot be attached or nothing can be written.
pub(super) fn run(args: &SyscallsArgs) -> Result<Kind, CliError> {
    let by = rows_by(args)?;
    let processes = Processes::find(&args.process.pid)?;
    let owners = if by.has_process() {
        OwnerKind::Process
    } else {
        OwnerKind::Cgroup
    };
    let selection = Selection {
        order: args.sort,
        top: args.common.limit(),
    };
    let mut tool = Tool::start("syscalls", "syscalls", owners, Latency::Exact)?;
    let filter = tool.filter(&args.common, processes);
    let tool = tool.strict(args.strict.strict);
    tool.run(&args.common, by, &filter, |period| {
        let mut rows = syscall_rows(period.measurements, period.identities, by, &filter, true);
        rows.retain(|row| row.errors > 0 || !args.errors);
        rows.sort_by(|a, b| selection.order.compare(a, b));
        let report = period.report(rows);
        print(&args.common, &report, |out, look| {
            table::write_syscalls(out, &report, &selection, look)
        })
    })
}

/// What rows stand for. A process id asks for processes.
fn rows_by(args: &SyscallsArgs) -> Result<By, CliError> {
    let owner = args.owner().map_err(CliError::usage)?;
    let process = owner == Some(args::By::Process) || !args.process.pid.is_empty();
    Ok(match (process, args.by_syscall()) {
        (false, false) => By::Container,
        (false, true) => By::ContainerSyscall,
        (true, false) => By::Process,
        (true, true) => By::ProcessSyscall,
    })
}
