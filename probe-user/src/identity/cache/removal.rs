//! How a cgroup ends: removed, kept for late records, forgotten.

use std::{collections::HashSet, time::Instant};

use probe_common::id::CgroupId;

use super::{Cache, Ticket};
use crate::model::IdleCapacity as _;

impl Cache {
    /// Marks a cgroup as removed and keeps it, unless there are too many of them.
    pub(in crate::identity) fn removed(&mut self, id: CgroupId, now: Instant) {
        let Some(member) = self
            .members
            .get_mut(&id)
            .filter(|member| member.removed.is_none())
        else {
            return;
        };
        member.removed = Some(now);
        let ticket = member.entry;
        self.stats.live -= 1;
        self.stats.retained += 1;
        self.removals.push_back((now, id));
        self.lost_a_member(ticket);
        if let Some(entry) = self.entries.get(&ticket).filter(|it| it.live == 0) {
            self.claims.remove(&entry.container.cgroup_path);
            // A runtime forgets a container before its cgroup is removed.
            self.asking.stop_late(ticket);
        }
        while self.stats.retained > self.limits.retained {
            let Some(oldest) = self.removals.pop_front() else {
                break;
            };
            if self.forget_removed(oldest) {
                self.stats.evicted += 1;
            }
        }
    }

    pub(in crate::identity) fn is_live(&self, id: CgroupId) -> bool {
        self.members
            .get(&id)
            .is_some_and(|member| member.removed.is_none())
    }

    pub(in crate::identity) fn was_removed_since(&self, id: CgroupId, started: Instant) -> bool {
        let removed = self.members.get(&id).and_then(|member| member.removed);
        removed.is_some_and(|at| at >= started)
    }

    /// Marks as removed what a walk that began at `started` did not find, and answers what that was.
    pub(in crate::identity) fn remove_unseen(
        &mut self,
        found: &[(CgroupId, String)],
        started: Instant,
        now: Instant,
    ) -> Vec<CgroupId> {
        let seen: HashSet<CgroupId> = found.iter().map(|(id, _)| *id).collect();
        let gone: Vec<CgroupId> = self
            .members
            .iter()
            .filter(|(id, member)| {
                member.removed.is_none() && member.appeared < started && !seen.contains(id)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in &gone {
            self.removed(*id, now);
        }
        gone
    }

    /// Forgets removed cgroups whose time is over.
    pub(super) fn expire_retained(&mut self, now: Instant) {
        while let Some(oldest) = self.removals.front().copied() {
            if now.saturating_duration_since(oldest.0) < self.limits.retention {
                break;
            }
            self.removals.pop_front();
            self.forget_removed(oldest);
        }
        self.removals.give_back();
    }

    /// Forgets a cgroup if it is still the one that was removed then.
    fn forget_removed(&mut self, (at, id): (Instant, CgroupId)) -> bool {
        let current = self
            .members
            .get(&id)
            .is_some_and(|member| member.removed == Some(at));
        if current {
            self.forget(id);
        }
        current
    }

    pub(super) fn forget(&mut self, id: CgroupId) {
        let Some(member) = self.members.remove(&id) else {
            return;
        };
        let ticket = member.entry;
        if let Some(entry) = self.entries.get_mut(&ticket) {
            entry.members.remove(&id);
        }
        if member.removed.is_some() {
            self.stats.retained -= 1;
        } else {
            self.stats.live -= 1;
            self.lost_a_member(ticket);
        }
        if self
            .entries
            .get(&ticket)
            .is_some_and(|entry| entry.members.is_empty())
        {
            self.entries.remove(&ticket);
            self.asking.stop(ticket);
        }
        self.members.give_back();
        self.entries.give_back();
    }

    /// One living member less; without any, the path is free for another cgroup.
    fn lost_a_member(&mut self, ticket: Ticket) {
        let Some(entry) = self.entries.get_mut(&ticket) else {
            return;
        };
        entry.live -= 1;
        let path = &entry.container.cgroup_path;
        if entry.live == 0 && self.live_paths.get(path) == Some(&ticket) {
            self.live_paths.remove(path);
        }
    }
}
