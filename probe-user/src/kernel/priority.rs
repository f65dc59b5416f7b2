//! Reading maps without being put off the CPU in the middle.
//!
//! The kernel runs no perf-style program on a CPU whose task is inside a system call on a map (`bpf_disable_instrumentation`
//! of include/linux/bpf.h). Were that task preempted there, the calls of all others on that CPU would be missed until it runs
//! again. A real-time priority for the milliseconds of a reading keeps ordinary tasks from doing that.

use std::marker::PhantomData;

use rustix::process::{Resource, getrlimit, setrlimit};

/// The lowest real-time priority.
const PRIORITY: u8 = 1;

/// Lets this process take a real-time priority later, when it has no privileges left. Where that may not be, readings go on
/// as ordinary tasks.
pub fn allow() {
    let mut limit = getrlimit(Resource::Rtprio);
    let at_least = |value: Option<u64>| value.map(|value| value.max(PRIORITY.into()));
    limit.current = at_least(limit.current);
    limit.maximum = at_least(limit.maximum);
    if let Err(error) = setrlimit(Resource::Rtprio, limit) {
        tracing::debug!(%error, "no real-time priority for readings; a few calls may be missed during each");
    }
}

/// While it lives, no ordinary task takes the CPU from this thread.
#[derive(Debug)]
#[must_use = "the priority ends when this is dropped"]
pub struct Undisturbed {
    /// The priority is that of one thread.
    _not_send: PhantomData<*const ()>,
}

impl Undisturbed {
    /// Takes the priority; `None` where that is not allowed, or the thread has one already.
    pub fn enter() -> Option<Self> {
        // SAFETY: the call has no memory arguments; 0 is this thread.
        let ordinary = unsafe { libc::sched_getscheduler(0) } == libc::SCHED_OTHER;
        (ordinary && set(libc::SCHED_FIFO, PRIORITY)).then_some(Self {
            _not_send: PhantomData,
        })
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        if !set(libc::SCHED_OTHER, 0) {
            tracing::warn!("a thread keeps its real-time priority");
        }
    }
}

fn set(policy: libc::c_int, priority: u8) -> bool {
    let parameter = libc::sched_param {
        sched_priority: priority.into(),
    };
    // SAFETY: the parameter lives during the call; 0 is this thread.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> libc::c_int {
        // SAFETY: as above.
        unsafe { libc::sched_getscheduler(0) }
    }

    #[test]
    fn the_priority_ends_with_its_guard() {
        allow();
        match Undisturbed::enter() {
            Some(guard) => {
                assert_eq!(policy(), libc::SCHED_FIFO);
                assert!(Undisturbed::enter().is_none(), "it is taken once");
                drop(guard);
            }
            None => test_skip::skip("realtime", "no real-time priority for this user"),
        }
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
