//! Which process a connection or a listening socket belongs to: the one that called `connect`, `listen` or `accept`, or else the first that
//! was found to hold a descriptor of it.

use core::ptr;

use aya_ebpf::{
    EbpfContext as _, Global,
    helpers::{bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, generated::bpf_get_func_ret},
    programs::FExitContext,
};
use probe_common::tcp::{COMM_LEN, Connection};
use probe_ebpf::offsets::{ABSENT, Copied, Reader as _, Tried};

use super::{
    listeners::LISTENERS,
    refused::{FILE_PRIVATE_DATA, SOCKET_FILE, SOCKET_SK},
    table::CONNECTIONS,
};

/// Offset of `task_struct.group_leader`.
#[unsafe(no_mangle)]
static TASK_LEADER: Global<u32> = Global::new(ABSENT);
/// Offset of `task_struct.tgid`.
#[unsafe(no_mangle)]
static LEADER_TGID: Global<u32> = Global::new(ABSENT);
/// Offset of `task_struct.comm`.
#[unsafe(no_mangle)]
static LEADER_COMM: Global<u32> = Global::new(ABSENT);

/// A process: its id and the name of its first thread.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    pub(crate) tgid: u32,
    pub(crate) comm: [u8; COMM_LEN],
}

/// The process of the current task.
#[inline(always)]
pub(crate) fn current() -> Process {
    // SAFETY: the current task is there, and so is the first thread of its process.
    let comm = unsafe {
        let leader: u64 = Copied::field(Copied::current(), &TASK_LEADER);
        Copied::field(leader as *const u8, &LEADER_COMM)
    };
    Process {
        tgid: (bpf_get_current_pid_tgid() >> 32) as u32,
        comm,
    }
}

/// Notes the current process as that of a connection.
#[inline(always)]
pub(crate) fn note(connection: &mut Connection) {
    let process = current();
    connection.comm = process.comm;
    connection.tgid = process.tgid;
    // SAFETY: the helper has no requirement.
    let here = unsafe { bpf_get_current_cgroup_id() };
    connection.handed_over = u8::from(connection.cgroup != 0 && here != connection.cgroup);
}

/// `struct sock *inet_csk_accept(struct sock *sk, …)`: the current process takes a connection.
#[inline(always)]
pub(crate) fn on_accept(ctx: &FExitContext) {
    let mut child = 0_u64;
    // SAFETY: the context is that of the program, and the result has room for the function's.
    let failed = unsafe { bpf_get_func_ret(ctx.as_ptr(), &raw mut child) };
    if failed != 0 {
        return;
    }
    let Some(connection) = CONNECTIONS.get_ptr_mut(child) else {
        return;
    };
    // SAFETY: the pointer is that of a map value, of which nobody else writes these fields now.
    unsafe { note(&mut *connection) };
}

/// A task and an open file of it, where the file is a socket that is known and whose process is not.
///
/// # Safety
///
/// `task` must be a `struct task_struct` and `file` a `struct file`.
#[inline(always)]
pub(crate) unsafe fn on_file(task: *const u8, file: *const u8) {
    // SAFETY: reads through pointers that lead nowhere answer zero; the others are those of map values.
    unsafe {
        let socket: u64 = Tried::field(file, &FILE_PRIVATE_DATA);
        // Only a socket points back to its file.
        let back: u64 = Tried::field(socket as *const u8, &SOCKET_FILE);
        if back != file as u64 {
            return;
        }
        let sk: u64 = Tried::field(socket as *const u8, &SOCKET_SK);
        if let Some(listener) = LISTENERS.get_ptr_mut(sk) {
            if (*listener).tgid == 0 {
                let process = of(task);
                ptr::write(&raw mut (*listener).comm, process.comm);
                ptr::write(&raw mut (*listener).tgid, process.tgid);
            }
        } else if let Some(connection) = CONNECTIONS.get_ptr_mut(sk)
            && (*connection).tgid == 0
        {
            let process = of(task);
            ptr::write(&raw mut (*connection).comm, process.comm);
            ptr::write(&raw mut (*connection).tgid, process.tgid);
        }
    }
}

/// The process of a task.
///
/// # Safety
///
/// `task` must be a `struct task_struct`.
#[inline(always)]
unsafe fn of(task: *const u8) -> Process {
    // SAFETY: passed on to the caller.
    unsafe {
        let leader: u64 = Tried::field(task, &TASK_LEADER);
        Process {
            tgid: Tried::field(leader as *const u8, &LEADER_TGID),
            comm: Tried::field(leader as *const u8, &LEADER_COMM),
        }
    }
}
