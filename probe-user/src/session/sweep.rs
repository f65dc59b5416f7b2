//! Owners in the kernel's tables whose cgroups are gone without a word.
//!
//! A cgroup that lives between two walks of the hierarchy, or whose records were lost, is never known, and nobody reports its removal.
//! Its entries would stay taken for good.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use probe_common::id::CgroupId;

use crate::{
    kernel::cgroupfs::{Cgroups, scan},
    model::{Measurements, OwnerId},
};

/// The least time between two walks for this.
const WALK_EVERY: Duration = Duration::from_secs(10);

/// Cgroups that a walk takes in. On a host with more, nothing is known to be gone.
const MAX_CGROUPS: usize = 1 << 20;

/// The owners of the last reading, and when to look for those that are gone.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    owners: HashSet<OwnerId>,
    due: Option<Instant>,
}

impl Sweep {
    /// Notes whose entries a reading found.
    pub(super) fn note(&mut self, measurements: &Measurements) {
        self.owners = measurements.owners();
    }

    /// The owners of the last reading that `is_known` does not know and whose cgroups do not exist. Such a cgroup was there before
    /// this walk begins, so one that the walk does not find is gone.
    pub(super) fn gone(
        &mut self,
        cgroups: &Cgroups,
        is_known: impl Fn(CgroupId) -> bool,
        now: Instant,
    ) -> Vec<CgroupId> {
        // A mount that shows a part hides what exists.
        if cgroups.subtree.is_some() || self.due.is_some_and(|due| now < due) {
            return Vec::new();
        }
        let owners = self
            .owners
            .iter()
            .filter(|owner| **owner != OwnerId::OVERFLOW);
        let mut strangers: Vec<CgroupId> = owners
            .map(|owner| CgroupId(owner.0))
            .filter(|cgroup| !is_known(*cgroup))
            .collect();
        if strangers.is_empty() {
            return strangers;
        }
        self.due = Some(now + WALK_EVERY);
        let walk = scan(cgroups, MAX_CGROUPS);
        if walk.truncated || walk.unreadable > 0 {
            return Vec::new();
        }
        let there: HashSet<CgroupId> = walk.found.into_iter().map(|(id, _)| id).collect();
        strangers.retain(|cgroup| !there.contains(cgroup));
        strangers
    }
}
