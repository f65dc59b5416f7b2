//! Whom a task's measurements belong to.

use aya_ebpf::{Global, btf_maps::HashMap, helpers::bpf_probe_read_kernel_str_bytes};
use probe_common::{
    loss::{NAMES_FULL, READ_FAILED},
    owner::{BY_CGROUP, BY_PROCESS, OTHER_PROCESSES, Process},
};

use crate::{
    loss::count_loss,
    offsets::{ABSENT, Reader, Trusted},
};

/// `TASK_COMM_LEN` of include/linux/sched.h.
const COMM_LEN: usize = 16;

/// `BY_CGROUP` or `BY_PROCESS` of `probe_common::owner`.
#[unsafe(no_mangle)]
static OWNER_KIND: Global<u32> = Global::new(BY_CGROUP);
/// Offset of `task_struct.cgroups`.
#[unsafe(no_mangle)]
static TASK_CGROUPS: Global<u32> = Global::new(ABSENT);
/// Offset of `css_set.dfl_cgrp`.
#[unsafe(no_mangle)]
static CSS_SET_DFL_CGRP: Global<u32> = Global::new(ABSENT);
/// Offset of the element of `css_set.subsys` that belongs to the chosen v1 controller; absent on cgroup v2.
#[unsafe(no_mangle)]
static CSS_SET_SUBSYS: Global<u32> = Global::new(ABSENT);
/// Offset of `cgroup_subsys_state.cgroup`.
#[unsafe(no_mangle)]
static CSS_CGROUP: Global<u32> = Global::new(ABSENT);
/// Offset of `cgroup.kn`.
#[unsafe(no_mangle)]
static CGROUP_KN: Global<u32> = Global::new(ABSENT);
/// Offset of `kernfs_node.id`.
#[unsafe(no_mangle)]
static KERNFS_NODE_ID: Global<u32> = Global::new(ABSENT);
/// Offset of `task_struct.tgid`.
#[unsafe(no_mangle)]
static TASK_TGID: Global<u32> = Global::new(ABSENT);
/// Offset of `task_struct.pid`.
#[unsafe(no_mangle)]
pub static TASK_PID: Global<u32> = Global::new(ABSENT);
/// Offset of `task_struct.comm`.
#[unsafe(no_mangle)]
static TASK_COMM: Global<u32> = Global::new(ABSENT);
/// Offset of `task_struct.group_leader`.
#[unsafe(no_mangle)]
static TASK_GROUP_LEADER: Global<u32> = Global::new(ABSENT);

/// Processes by thread group id, written when one is first seen and renamed by [`rename`]. Used only with `BY_PROCESS`.
pub type Processes = HashMap<u64, Process, 1>;

/// A pointer as a register holds it: `Default`, which pointers are not.
type Address = usize;

/// The id of a cgroup.
///
/// # Safety
///
/// `cgroup` must be a `struct cgroup` that `R` can read through.
#[inline(always)]
pub unsafe fn cgroup_id<R: Reader>(cgroup: *const u8) -> u64 {
    // SAFETY: the caller vouches for the cgroup, and its `kn` is valid as long as it is.
    unsafe {
        let node: *const u8 = pointer::<R>(cgroup, &CGROUP_KN);
        R::field(node, &KERNFS_NODE_ID)
    }
}

/// The owner of any task.
///
/// # Safety
///
/// `task` must be a `task_struct` that `R` can read through.
#[inline(always)]
pub unsafe fn of<R: Reader>(task: *const u8) -> u64 {
    if OWNER_KIND.load() == BY_PROCESS {
        // SAFETY: the caller vouches for the task.
        u64::from(unsafe { process_id::<R>(task) })
    } else {
        // SAFETY: the caller vouches for the task.
        unsafe { cgroup_of::<R>(task) }
    }
}

/// Whose share of the tables an owner's entries are taken from: its cgroup.
///
/// # Safety
///
/// As for [`of`]; `task` must be a task of `owner`.
#[inline(always)]
pub unsafe fn account<R: Reader>(owner: u64, task: *const u8) -> u64 {
    if OWNER_KIND.load() == BY_PROCESS {
        // SAFETY: passed on to the caller.
        unsafe { cgroup_of::<R>(task) }
    } else {
        owner
    }
}

/// The owner of what finds no entry of its own: the cgroup's other processes, or the cgroup itself.
#[inline(always)]
pub fn overflow(owner: u64, account: u64) -> u64 {
    if OWNER_KIND.load() == BY_PROCESS {
        account | OTHER_PROCESSES
    } else {
        owner
    }
}

/// Remembers what a process is, when owners are processes and this one has just been given an entry. Its name is that of its
/// first thread: other threads have names of their own.
///
/// # Safety
///
/// As for [`of`].
#[inline(always)]
pub unsafe fn remember<R: Reader>(processes: &Processes, owner: u64, task: *const u8) {
    if OWNER_KIND.load() != BY_PROCESS {
        return;
    }
    // SAFETY: passed on to the caller.
    let process = unsafe {
        Process {
            cgroup: cgroup_of::<R>(task),
            comm: process_name::<R>(task),
        }
    };
    // A process that finds no room stays without a name, which user space shows as such.
    if processes.insert(owner, process, 0).is_err() {
        count_loss(NAMES_FULL);
    }
}

/// Gives a process that is known its new name: the first thread of a process is about to be called `name`, by `exec` or by
/// itself.
///
/// # Safety
///
/// As for [`of`]; `name` is where the kernel has the name, at most 16 bytes with a terminating zero.
#[inline(always)]
pub unsafe fn rename(processes: &Processes, task: *const u8, name: *const u8) {
    // SAFETY: the caller vouches for the task and the name; the pointer is that of a map value.
    unsafe {
        let tgid = process_id::<Trusted>(task);
        let pid: u32 = Trusted::field(task, &TASK_PID);
        if pid != tgid {
            return;
        }
        if let Some(process) = processes.get_ptr_mut(u64::from(tgid)) {
            let mut comm = [0; COMM_LEN];
            if bpf_probe_read_kernel_str_bytes(name, &mut comm).is_err() {
                count_loss(READ_FAILED);
                return;
            }
            (*process).comm = comm;
        }
    }
}

/// The name of a task's process: that of its first thread.
///
/// # Safety
///
/// As for [`of`].
#[inline(always)]
pub unsafe fn process_name<R: Reader>(task: *const u8) -> [u8; COMM_LEN] {
    // SAFETY: the caller vouches for the task, which holds its group leader; `comm` is 16 bytes inside that.
    let (first, second): (u64, u64) = unsafe {
        let leader: *const u8 = pointer::<R>(task, &TASK_GROUP_LEADER);
        (
            R::field(leader, &TASK_COMM),
            R::field(leader.wrapping_add(8), &TASK_COMM),
        )
    };
    let mut comm = [0; COMM_LEN];
    comm[..8].copy_from_slice(&first.to_ne_bytes());
    comm[8..].copy_from_slice(&second.to_ne_bytes());
    comm
}

/// The id of a task's process: its thread group id.
///
/// # Safety
///
/// As for [`of`].
#[inline(always)]
pub unsafe fn process_id<R: Reader>(task: *const u8) -> u32 {
    // SAFETY: passed on to the caller.
    unsafe { R::field(task, &TASK_TGID) }
}

/// The cgroup v2 of any task, whatever containers are told apart by.
///
/// # Safety
///
/// As for [`of`].
#[inline(always)]
pub unsafe fn cgroup_v2_of<R: Reader>(task: *const u8) -> u64 {
    // SAFETY: as in `cgroup_of`.
    unsafe {
        let set: *const u8 = pointer::<R>(task, &TASK_CGROUPS);
        cgroup_id::<R>(pointer::<R>(set, &CSS_SET_DFL_CGRP))
    }
}

/// The cgroup of any task, in the hierarchy by which containers are told apart.
///
/// # Safety
///
/// As for [`of`].
#[inline(always)]
unsafe fn cgroup_of<R: Reader>(task: *const u8) -> u64 {
    // SAFETY: the caller vouches for the task; its `css_set` and the cgroups of that live under RCU, which the
    // program runs under.
    unsafe {
        if CSS_SET_SUBSYS.load() == ABSENT {
            cgroup_v2_of::<R>(task)
        } else {
            let set: *const u8 = pointer::<R>(task, &TASK_CGROUPS);
            let state: *const u8 = pointer::<R>(set, &CSS_SET_SUBSYS);
            cgroup_id::<R>(pointer::<R>(state, &CSS_CGROUP))
        }
    }
}

/// Loads a field that is a pointer.
///
/// # Safety
///
/// As for [`Reader::field`].
#[inline(always)]
unsafe fn pointer<R: Reader>(object: *const u8, offset: &Global<u32>) -> *const u8 {
    // SAFETY: passed on to the caller. The verifier follows the type through the integer.
    unsafe { R::field::<Address>(object, offset) as *const u8 }
}
