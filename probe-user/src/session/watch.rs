//! The thread that follows cgroups as they appear and vanish.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use probe_common::id::CgroupId;

use super::lock;
use crate::{
    identity::Identities,
    model::LostCount,
    probes::{Attached, CgroupChange, LifecycleReader},
};

/// How long the thread waits for records before it looks whether it should end.
const PATIENCE: Duration = Duration::from_millis(100);

/// Removals that wait for the next collection. The counters of what is over it stay taken; it is counted.
const MAX_REMOVED: usize = 65_536;

/// Follows cgroups until it is dropped.
pub(super) struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Losses of the ring that have been answered with a walk of the hierarchy.
    healed: AtomicU64,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    undecoded: AtomicU64,
    overflowed: AtomicU64,
    removed: Mutex<VecDeque<CgroupId>>,
}

impl Watch {
    /// Starts the thread.
    pub(super) fn start(
        mut reader: LifecycleReader,
        identities: Arc<Identities>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let state = shared.clone();
        let thread = std::thread::Builder::new()
            .name("lifecycle".into())
            .spawn(move || {
                while !state.stop.load(Ordering::Relaxed) {
                    if reader.wait(PATIENCE) {
                        drain(&mut reader, &identities, &state);
                    }
                }
                drain(&mut reader, &identities, &state);
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
            healed: AtomicU64::new(0),
        })
    }

    /// Cgroups that were removed since the last call.
    pub(super) fn removed(&self) -> Vec<CgroupId> {
        lock(&self.shared.removed).drain(..).collect()
    }

    /// Whether records were lost since the last call.
    pub(super) fn lost_records(&self, attached: &[Attached]) -> bool {
        let in_kernel: u64 = attached
            .iter()
            .filter(|probe| probe.name == "lifecycle")
            .flat_map(Attached::lost)
            .map(|lost| lost.count)
            .sum();
        let here: u64 = self.lost().iter().map(|lost| lost.count).sum();
        let lost = in_kernel + here;
        self.healed.swap(lost, Ordering::Relaxed) != lost
    }

    /// Records that were lost on this side of the ring.
    pub(super) fn lost(&self) -> [LostCount; 2] {
        let count = |stage, reason, counter: &AtomicU64| LostCount {
            stream: "lifecycle",
            stage,
            reason,
            count: counter.load(Ordering::Relaxed),
        };
        [
            count("decode", "decode_error", &self.shared.undecoded),
            count("queue", "queue_full", &self.shared.overflowed),
        ]
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that follows cgroups has panicked");
        }
    }
}

fn drain(reader: &mut LifecycleReader, identities: &Identities, shared: &Shared) {
    while let Some(record) = reader.take() {
        tracing::trace!(
            cgroup = record.cgroup.0,
            change = record.change.name(),
            path = record.path,
            "cgroup"
        );
        let now = Instant::now();
        match record.change {
            // A task that is moved in heals a lost record of the cgroup's creation.
            // A path that was cut may be that of another owner; the loss that it counts as leads to a walk.
            CgroupChange::Made | CgroupChange::Attached if record.is_cut => {}
            CgroupChange::Made | CgroupChange::Attached => {
                identities.appeared(record.cgroup, &record.path, now);
            }
            CgroupChange::Removed => {
                identities.removed(record.cgroup, now);
                let mut removed = lock(&shared.removed);
                if removed.len() < MAX_REMOVED {
                    removed.push_back(record.cgroup);
                } else {
                    shared.overflowed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
    shared
        .undecoded
        .store(reader.undecoded(), Ordering::Relaxed);
}
