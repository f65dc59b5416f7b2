//! Letting go of capabilities once the probes are attached.
//!
//! The kernel keeps capabilities per thread and lets nobody change those of another thread. Threads inherit
//! from the one that starts them. So the order is: attach, [`drop_after_attach`] on the only thread, then
//! start readers and the runtime. A thread that had to start earlier calls [`drop_on_this_thread`].

use std::{fs, io};

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, gettid,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use super::sets::names;
use crate::kernel::Roots;

/// Why privileges are still there.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// The kernel refused.
    #[error("cannot {what}")]
    Kernel {
        /// Which step failed.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Other threads hold more than was to be kept.
    #[error("thread {tid} still holds {}", names(*held))]
    OtherThread {
        /// The thread.
        tid: i32,
        /// What it should not have.
        held: CapabilitySet,
    },
}

/// A thread that keeps more than the others, because it does something that needs it all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apart {
    /// The thread.
    pub tid: i32,
    /// What it keeps.
    pub keeps: CapabilitySet,
}

/// Drops all capabilities but `keep`, for good, and checks that no thread of the process has more. Those of `apart` may have what
/// is said of them.
///
/// # Errors
///
/// If the kernel refuses, or if another thread was started before and still holds capabilities. The calling
/// thread has lost them even then.
pub fn drop_after_attach(keep: CapabilitySet, apart: &[Apart]) -> Result<(), DropError> {
    drop_on_this_thread(keep)?;
    for (tid, held) in other_threads(&Roots::default()) {
        let allowed = apart.iter().find(|it| it.tid == tid);
        let held = held.difference(allowed.map_or(keep, |it| it.keeps));
        if !held.is_empty() {
            return Err(DropError::OtherThread { tid, held });
        }
    }
    Ok(())
}

/// Drops all capabilities of the calling thread but `keep`, and the means to get them back by `execve`.
///
/// # Errors
///
/// If the kernel refuses.
pub fn drop_on_this_thread(keep: CapabilitySet) -> Result<(), DropError> {
    let step = |what| {
        move |source: rustix::io::Errno| DropError::Kernel {
            what,
            source: source.into(),
        }
    };
    let held = capabilities(None).map_err(step("read the capabilities"))?;
    set_no_new_privs(true).map_err(step("set no_new_privs"))?;
    clear_ambient_capability_set().map_err(step("clear the ambient set"))?;
    // Only a thread with CAP_SETPCAP can shrink the bounding set. Without, no_new_privs stands in its way.
    if held.effective.contains(CapabilitySet::SETPCAP) {
        let known = CapabilitySet::all().difference(keep);
        for (_, capability) in known.iter_names() {
            match remove_capability_from_bounding_set(capability) {
                // A capability that this kernel does not have.
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(step("shrink the bounding set")(error)),
            }
        }
    }
    let kept = CapabilitySets {
        effective: held.effective & keep,
        permitted: held.permitted & keep,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, kept).map_err(step("set the capabilities"))
}

/// The permitted sets of all threads of this process but the calling one.
fn other_threads(roots: &Roots) -> impl Iterator<Item = (i32, CapabilitySet)> {
    let me = gettid().as_raw_nonzero().get();
    let tasks = fs::read_dir(roots.proc.join("self/task"))
        .into_iter()
        .flatten()
        .flatten();
    tasks.filter_map(move |task| {
        let tid = task
            .file_name()
            .to_str()?
            .parse()
            .ok()
            .filter(|tid| *tid != me)?;
        // A thread that ended meanwhile holds nothing.
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        Some((tid, permitted(&status)?))
    })
}

fn permitted(status: &str) -> Option<CapabilitySet> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("CapPrm:"))?;
    u64::from_str_radix(value.trim(), 16)
        .ok()
        .map(CapabilitySet::from_bits_retain)
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::sync_channel, thread};

    use rustix::thread::{capability_is_in_bounding_set, no_new_privs};

    use super::*;

    #[test]
    fn the_permitted_set_is_read_from_a_status_file() {
        let status = "Name:\tx\nCapInh:\t0\nCapPrm:\t0000008000000000\nCapEff:\t0\n";
        assert_eq!(permitted(status), Some(CapabilitySet::BPF));
        assert_eq!(permitted("CapPrm:\tgarbage"), None);
        assert_eq!(permitted(""), None);
    }

    /// Capabilities belong to a thread, so a thread of its own is as good as a child process.
    #[test]
    fn a_thread_keeps_what_it_asked_for_and_nothing_else() {
        let had = capabilities(None).unwrap().permitted;
        let keep = CapabilitySet::BPF;
        let child = thread::spawn(move || {
            drop_on_this_thread(keep).unwrap();
            let left = capabilities(None).unwrap();
            // Taking back what was dropped must fail.
            let wanted = CapabilitySets {
                effective: had,
                permitted: had,
                inheritable: had,
            };
            let regained = !keep.contains(had) && set_capabilities(None, wanted).is_ok();
            let bounded = capability_is_in_bounding_set(CapabilitySet::SYS_ADMIN).unwrap();
            // A thread started afterwards inherits the loss.
            let heir = thread::spawn(|| capabilities(None).unwrap().permitted)
                .join()
                .unwrap();
            (left, regained, bounded, heir, no_new_privs().unwrap())
        });
        let (left, regained, bounded, heir, no_new) = child.join().unwrap();
        assert_eq!(left.permitted, had & keep);
        assert_eq!(left.effective & !keep, CapabilitySet::empty());
        assert_eq!(left.inheritable, CapabilitySet::empty());
        assert_eq!(heir, had & keep);
        assert!(!regained);
        assert!(no_new);
        if had.contains(CapabilitySet::SETPCAP) {
            assert!(!bounded);
        }
    }

    #[test]
    fn a_thread_that_still_holds_capabilities_is_reported() {
        if capabilities(None).unwrap().permitted.is_empty() {
            test_skip::skip("capabilities", "this process has no capabilities to drop");
            return;
        }
        let (ready, wait) = sync_channel::<()>(0);
        // Waits in the receive until the sender is gone.
        let other = thread::spawn(move || wait.recv().is_err());
        let child = thread::spawn(|| drop_after_attach(CapabilitySet::empty(), &[]));
        let refused = child.join().unwrap();
        drop(ready);
        assert!(other.join().unwrap());
        assert!(
            matches!(refused, Err(DropError::OtherThread { .. })),
            "{refused:?}"
        );
    }
}
