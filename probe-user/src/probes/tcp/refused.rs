//! Attempts that this host refuses: where they are seen.

use aya::Ebpf;

use crate::{
    loader::{self, Globals, Kernel, LoadError},
    logs::chain,
};

/// Where the kernel's own `connect` of TCP returns, by version of the internet protocol. A kernel may lack the second.
const CONNECTS: [&str; 2] = ["tcp_v4_connect", "tcp_v6_connect"];
/// Where system calls return, and the program there.
const RETURNS: &str = "sys_exit";
const AT_RETURNS: &str = "refused_connect";

#[cfg(target_arch = "x86_64")]
mod arch {
    /// Number of `connect`.
    pub(super) const CONNECT: u32 = 42;
    /// Members of `pt_regs` with the number of the call and its first three arguments, and how many words after their beginning.
    pub(super) const REGISTERS: [(&str, &str, u32); 4] = [
        ("REGS_NR", "orig_ax", 0),
        ("REGS_FIRST", "di", 0),
        ("REGS_SECOND", "si", 0),
        ("REGS_THIRD", "dx", 0),
    ];
}

#[cfg(target_arch = "aarch64")]
mod arch {
    /// Number of `connect`.
    pub(super) const CONNECT: u32 = 203;
    /// Members of `pt_regs` with the number of the call and its first three arguments, and how many words after their beginning.
    /// The first argument's register has the result by then.
    pub(super) const REGISTERS: [(&str, &str, u32); 4] = [
        ("REGS_NR", "syscallno", 0),
        ("REGS_FIRST", "orig_x0", 0),
        ("REGS_SECOND", "regs", 1),
        ("REGS_THIRD", "regs", 2),
    ];
}

/// Sets what the programs need to find the socket of a call that returns.
pub(super) fn set(globals: &mut Globals, kernel: &Kernel) -> Result<(), LoadError> {
    let types = &kernel.types;
    globals.set("NR_CONNECT", arch::CONNECT);
    for (name, member, words) in arch::REGISTERS {
        let word = size_of::<u64>() as u32;
        globals.set(name, types.field_offset("pt_regs", member)? + words * word);
    }
    for (name, record, field) in [
        ("TASK_FILES", "task_struct", "files"),
        ("FILES_FDT", "files_struct", "fdt"),
        ("FDT_MAX_FDS", "fdtable", "max_fds"),
        ("FDT_FD", "fdtable", "fd"),
        ("FILE_PRIVATE_DATA", "file", "private_data"),
        ("SOCKET_FILE", "socket", "file"),
        ("SOCKET_SK", "socket", "sk"),
    ] {
        globals.set(name, types.field_offset(record, field)?);
    }
    Ok(())
}

/// Has attempts counted that this host refuses; or says why not.
///
/// A program at the function runs for attempts alone; one at the returns of system calls runs for all of them.
pub(super) fn attach(ebpf: &mut Ebpf, kernel: &Kernel) -> Result<(), String> {
    let connects = CONNECTS
        .into_iter()
        .filter(|function| kernel.types.has_function(function))
        .try_for_each(|function| loader::attach_exit(ebpf, kernel, function));
    let Err(error) = connects else {
        return Ok(());
    };
    tracing::debug!(error = %chain(&error), "connects that this host refuses are looked for where system calls return");
    loader::attach_as(ebpf, kernel, AT_RETURNS, RETURNS).map_err(|error| {
        let reason = chain(&error);
        format!("attempts to connect that this host refuses are not counted: {reason}")
    })
}
