//! What processes are called, for tools that measure by process.

use aya::Ebpf;
use probe_common::owner::Process;

use super::table::Table;
use crate::{
    loader::Sizes,
    maps::MapError,
    model::{Measurements, OwnerKind, ProcessInfo},
};

/// The hook at which threads get a name, by `exec` or by themselves; and the program there, which keeps the names of processes
/// up to date.
pub(super) const RENAME_HOOK: &str = "task_rename";

/// Opens the table of processes, where owners are processes.
pub(super) fn open(
    ebpf: &mut Ebpf,
    owners: OwnerKind,
    sizes: &Sizes,
) -> Result<Option<Table<u64, Process>>, MapError> {
    match owners {
        OwnerKind::Cgroup => Ok(None),
        OwnerKind::Process => Table::open(ebpf, "PROCESSES", sizes.processes).map(Some),
    }
}

/// Adds the processes that were seen.
pub(super) fn read(
    table: Option<&mut Table<u64, Process>>,
    into: &mut Measurements,
) -> Result<(), MapError> {
    let Some(table) = table else { return Ok(()) };
    for (tgid, process) in table.read()? {
        let comm = process
            .comm
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        let comm = String::from_utf8_lossy(comm).into_owned();
        into.processes.insert(
            tgid,
            ProcessInfo {
                cgroup: process.cgroup,
                comm,
            },
        );
    }
    Ok(())
}
