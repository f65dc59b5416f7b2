//! Whom a task's measurements belong to.

use aya_ebpf::{Global, btf_maps::HashMap};
use probe_common::{
    loss::NAMES_FULL,
    owner::{BY_CGROUP, BY_PROCESS, Process},
};

use crate::{
    loss::count_loss,
    offsets::{ABSENT, Reader},
};

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
/// Offset of `task_struct.comm`.
#[unsafe(no_mangle)]
static TASK_COMM: Global<u32> = Global::new(ABSENT);

/// Processes by thread group id, written when one is first seen. Used only with `BY_PROCESS`.
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
        let tgid: u32 = unsafe { R::field(task, &TASK_TGID) };
        u64::from(tgid)
    } else {
        // SAFETY: the caller vouches for the task.
        unsafe { cgroup_of::<R>(task) }
    }
}

/// Remembers what a process is, when owners are processes and this one has just been given an entry.
///
/// # Safety
///
/// As for [`of`].
#[inline(always)]
pub unsafe fn remember<R: Reader>(processes: &Processes, owner: u64, task: *const u8) {
    if OWNER_KIND.load() != BY_PROCESS {
        return;
    }
    // SAFETY: the caller vouches for the task; `comm` is 16 bytes inside it.
    let process = unsafe {
        let first: u64 = R::field(task, &TASK_COMM);
        let second: u64 = R::field(task.wrapping_add(8), &TASK_COMM);
        let mut comm = [0; 16];
        comm[..8].copy_from_slice(&first.to_ne_bytes());
        comm[8..].copy_from_slice(&second.to_ne_bytes());
        Process {
            cgroup: cgroup_of::<R>(task),
            comm,
        }
    };
    // A process that finds no room stays without a name, which user space shows as such.
    if processes.insert(owner, process, 0).is_err() {
        count_loss(NAMES_FULL);
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
        let set: *const u8 = pointer::<R>(task, &TASK_CGROUPS);
        if CSS_SET_SUBSYS.load() == ABSENT {
            cgroup_id::<R>(pointer::<R>(set, &CSS_SET_DFL_CGRP))
        } else {
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
