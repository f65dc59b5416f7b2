//! Processes of connections and listening sockets.

use aya::Ebpf;

use crate::{
    loader::{self, Globals, Kernel, LoadError},
    logs::chain,
};

/// Where a process takes a connection.
const ACCEPT: &str = "inet_csk_accept";

/// Sets what the programs need to find a process.
pub(super) fn set(globals: &mut Globals, kernel: &Kernel) -> Result<(), LoadError> {
    for (name, field) in [
        ("TASK_LEADER", "group_leader"),
        ("LEADER_TGID", "tgid"),
        ("LEADER_COMM", "comm"),
    ] {
        globals.set(name, kernel.types.field_offset("task_struct", field)?);
    }
    Ok(())
}

/// Has the process of each accepted connection noted. Where no program can be attached there, a connection has that of its listener.
pub(super) fn follow(ebpf: &mut Ebpf, kernel: &Kernel) {
    if let Err(error) = loader::attach_exit(ebpf, kernel, ACCEPT) {
        tracing::debug!(error = %chain(&error), "accepted connections have the process that listens");
    }
}

/// Looks through the open files of all processes for the sockets that were there before; or says why not.
pub(super) fn take_over(ebpf: &mut Ebpf, kernel: &Kernel) -> Result<(), String> {
    loader::iterate_once(ebpf, kernel, "holders", "task_file").map_err(|error| {
        let reason = chain(&error);
        format!("processes of sockets that were there before are not known: {reason}")
    })
}
