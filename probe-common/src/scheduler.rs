//! Keys and values of the `scheduler` probe.

use crate::hist::Histogram;

/// Task states of include/linux/sched.h.
mod task_state {
    pub(super) const UNINTERRUPTIBLE: u64 = 0x0002;
    pub(super) const NOLOAD: u64 = 0x0400;
    pub(super) const IDLE: u64 = UNINTERRUPTIBLE | NOLOAD;
    /// Waits for a spin lock that sleeps, on PREEMPT_RT (Linux 5.15).
    pub(super) const RTLOCK_WAIT: u64 = 0x1000;
    /// Is frozen (Linux 6.1).
    pub(super) const FROZEN: u64 = 0x8000;
}

/// Whether a task that sleeps in this state is in uninterruptible sleep, as the state `D` of `/proc/PID/stat` says it: not if
/// it is idle (`I`), which is how threads of the kernel wait for work.
#[inline(always)]
pub const fn is_uninterruptible(state: u64) -> bool {
    if state & (task_state::RTLOCK_WAIT | task_state::FROZEN) != 0 {
        return true;
    }
    state & task_state::IDLE == task_state::UNINTERRUPTIBLE
}

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
    /// The part of `offcpu_voluntary` that was spent in uninterruptible sleep, see [`is_uninterruptible`], in nanoseconds.
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

#[cfg(test)]
mod tests {
    use super::is_uninterruptible;

    #[test]
    fn an_idle_thread_of_the_kernel_is_not_in_uninterruptible_sleep() {
        // TASK_IDLE, and the same of a thread that can be frozen.
        assert!(!is_uninterruptible(0x402));
        assert!(!is_uninterruptible(0x2402));
    }

    #[test]
    fn states_are_those_that_proc_shows_as_d() {
        // TASK_UNINTERRUPTIBLE, TASK_KILLABLE, one that can be frozen, TASK_RTLOCK_WAIT, TASK_FROZEN.
        for state in [0x2, 0x102, 0x2002, 0x1000, 0x8000] {
            assert!(is_uninterruptible(state), "{state:#x}");
        }
        // TASK_INTERRUPTIBLE, one that can be frozen, __TASK_STOPPED, TASK_PARKED.
        for state in [0x1, 0x2001, 0x4, 0x40] {
            assert!(!is_uninterruptible(state), "{state:#x}");
        }
    }
}
