//! State kept per task: what a program must remember between two hooks.

use core::ptr;

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE, BPF_NOEXIST, task_struct},
    btf_maps::HashMap,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_task_storage_get},
};
use probe_common::loss::IN_FLIGHT_FULL;

use crate::loss::count_loss;

/// Most tasks that [`TaskHash`] holds. Every task that the programs saw takes one until it exits.
const TASKS: usize = 131_072;

/// Finds the state of a task, made of zeroes when the task is first seen.
pub trait TaskTable<T> {
    /// The state of a task; a refusal is counted as a loss.
    ///
    /// # Safety
    ///
    /// `task` must be a `task_struct` that the verifier trusts, and `tid` its `pid`. A table uses one of them.
    unsafe fn state_of(&self, task: *const u8, tid: u32) -> Option<*mut T>;

    /// The state of the current task, which is `task` where the kernel can tell.
    ///
    /// # Safety
    ///
    /// `task` must come from [`Reader::current`](crate::offsets::Reader::current).
    unsafe fn state_of_current(&self, task: *const u8) -> Option<*mut T>;

    /// Forgets a task that has ended.
    fn forget(&self, tid: u32);
}

/// `BPF_MAP_TYPE_TASK_STORAGE`, Linux 5.11: found without hashing, freed by the kernel with the task.
///
/// In the shape of aya-ebpf's own BTF map definitions, which lack this one.
#[repr(C)]
pub struct TaskStorage<T> {
    r#type: *const [i32; aya_ebpf::bindings::bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the pointers only carry types for the loader; nothing ever reads them.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    /// A definition for the loader to fill in.
    #[expect(
        clippy::new_without_default,
        reason = "only ever used for a static, where `default` cannot be called"
    )]
    pub const fn new() -> Self {
        Self {
            r#type: ptr::null(),
            key: ptr::null(),
            value: ptr::null(),
            max_entries: ptr::null(),
            map_flags: ptr::null(),
        }
    }
}

impl<T> TaskTable<T> for TaskStorage<T> {
    #[inline(always)]
    unsafe fn state_of(&self, task: *const u8, _tid: u32) -> Option<*mut T> {
        let map = ptr::from_ref(self).cast_mut().cast();
        let task = task.cast_mut().cast::<task_struct>();
        // SAFETY: the caller vouches for the task; the map is a static that the loader has replaced.
        let state = unsafe {
            bpf_task_storage_get(
                map,
                task,
                ptr::null_mut(),
                u64::from(BPF_LOCAL_STORAGE_GET_F_CREATE),
            )
        };
        if state.is_null() {
            count_loss(IN_FLIGHT_FULL);
            return None;
        }
        Some(state.cast())
    }

    #[inline(always)]
    unsafe fn state_of_current(&self, task: *const u8) -> Option<*mut T> {
        // SAFETY: passed on to the caller.
        unsafe { self.state_of(task, 0) }
    }

    #[inline(always)]
    fn forget(&self, _tid: u32) {}
}

/// A preallocated hash table by thread id, for kernels without task storage or where that may not be created under
/// a run-queue lock.
pub type TaskHash<T> = HashMap<u32, T, TASKS>;

impl<T: Zeroed> TaskTable<T> for TaskHash<T> {
    #[inline(always)]
    unsafe fn state_of(&self, _task: *const u8, tid: u32) -> Option<*mut T> {
        if let Some(state) = self.get_ptr_mut(tid) {
            return Some(state);
        }
        // A concurrent insert of the same thread would be found by the second look.
        _ = self.insert(tid, T::ZERO, u64::from(BPF_NOEXIST));
        let state = self.get_ptr_mut(tid);
        if state.is_none() {
            count_loss(IN_FLIGHT_FULL);
        }
        state
    }

    #[inline(always)]
    unsafe fn state_of_current(&self, task: *const u8) -> Option<*mut T> {
        // SAFETY: the lower half of the helper's answer is the current task's `pid`.
        unsafe { self.state_of(task, bpf_get_current_pid_tgid() as u32) }
    }

    #[inline(always)]
    fn forget(&self, tid: u32) {
        // Absent when the table was full at the task's first event.
        _ = self.remove(tid);
    }
}

/// State that starts as zeroes, which is how the kernel hands out task storage.
pub trait Zeroed {
    /// All bytes zero.
    const ZERO: Self;
}
