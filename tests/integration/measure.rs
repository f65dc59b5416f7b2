//! A measurement around the work of workloads that are ready.

use anyhow::Result;
use tests::{nodeprobe::Tool, report::Report, workload::Running};

/// Far longer than any test: tools are ended when the work is done.
pub(crate) const BY_CALL: &str = "syscalls --duration 300s --by container,syscall";

/// Attaches a tool, lets the workloads work one after the other, and ends the tool while they hold.
pub(crate) fn measure(tool: &str, workloads: &[&Running]) -> Result<Report> {
    let tool = Tool::attach(tool)?;
    workloads.iter().try_for_each(|workload| workload.work())?;
    tool.finish()
}
