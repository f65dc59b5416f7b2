//! Keys and values of the `scheduler` probe.

use crate::hist::Histogram;

/// Counters of one owner in one bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SchedStats {
    /// Time between becoming runnable (woken, created, preempted) and running.
    pub runqueue: Histogram,
    /// Time off the CPU after a voluntary switch: blocked, and the run-queue wait that followed.
    pub offcpu_voluntary: Histogram,
    /// Time off the CPU after an involuntary switch: waiting while runnable.
    pub offcpu_involuntary: Histogram,
    /// The part of `offcpu_voluntary` that was spent in uninterruptible sleep, in nanoseconds.
    pub uninterruptible_ns: u64,
    /// Completed time on a CPU in nanoseconds; what runs at the moment is in `RUNNING`.
    pub oncpu_ns: u64,
    /// Switches because the task blocked, slept or exited.
    pub voluntary: u64,
    /// Switches while the task could have gone on running.
    pub involuntary: u64,
}
const _: () = assert!(size_of::<SchedStats>() == 752 && align_of::<SchedStats>() == 8);

/// What runs on a CPU at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Running {
    /// Owner of the task, 0 when the CPU is idle.
    pub owner: u64,
    /// Monotonic time of the switch in nanoseconds.
    pub since_ns: u64,
}
const _: () = assert!(size_of::<Running>() == 16 && align_of::<Running>() == 8);

/// A victim and the owner of the task that took its CPU; the value is a `u64` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct PreemptionKey {
    /// Owner of the task that was preempted.
    pub victim: u64,
    /// Owner of the task that ran next; 0 stands for owners that found no room.
    pub by: u64,
}
const _: () = assert!(size_of::<PreemptionKey>() == 16 && align_of::<PreemptionKey>() == 8);

// SAFETY: `repr(C)`, integers only, no implicit padding, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for SchedStats {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Running {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for PreemptionKey {}
