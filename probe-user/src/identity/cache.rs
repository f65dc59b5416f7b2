//! The tables behind [`super::Identities`]: cgroups, the containers they belong to, and what is
//! still to be asked.

mod asking;
mod claims;
mod naming;
mod removal;

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use probe_common::id::CgroupId;
use rustc_hash::FxHashMap;

use super::{
    Limits, Stats,
    paths::{Parsed, Question},
};
use crate::{
    model::{Container, Naming},
    select::CgroupPattern,
};
use asking::Asking;
pub use asking::Ticket;
use claims::Claims;

/// Everything that is known. Not shared: the owner locks.
#[derive(Debug)]
pub(super) struct Cache {
    limits: Limits,
    members: FxHashMap<CgroupId, Member>,
    entries: FxHashMap<Ticket, Entry>,
    /// Entries with living members by the path of their own cgroup: two living cgroups never share
    /// a path.
    live_paths: BTreeMap<String, Ticket>,
    /// Removed members in the order of their removal. A member that came back leaves a stale
    /// element.
    removals: VecDeque<(Instant, CgroupId)>,
    asking: Asking,
    claims: Claims,
    /// Cgroups of the host that are told apart from what they are in.
    split: Vec<CgroupPattern>,
    next_ticket: u64,
    /// From when on somebody can be asked.
    begin: Option<Instant>,
    stats: Stats,
}

/// A cgroup.
#[derive(Debug)]
struct Member {
    entry: Ticket,
    path: String,
    appeared: Instant,
    removed: Option<Instant>,
}

/// A container or unit with all cgroups that belong to it.
#[derive(Debug)]
struct Entry {
    container: Arc<Container>,
    question: Option<Question>,
    /// Whether `container.cgroup` is its own cgroup, and not the first one that was seen below it.
    has_own: bool,
    members: HashSet<CgroupId>,
    live: usize,
}

impl Cache {
    pub(super) fn set_deadline(&mut self, deadline: std::time::Duration) {
        self.limits.deadline = deadline;
    }

    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            members: FxHashMap::default(),
            entries: FxHashMap::default(),
            live_paths: BTreeMap::new(),
            removals: VecDeque::new(),
            asking: Asking::default(),
            claims: Claims::default(),
            split: Vec::new(),
            next_ticket: 0,
            begin: None,
            stats: Stats::default(),
        }
    }

    /// Enters a cgroup. Says whether that raised a question.
    pub(super) fn appeared(&mut self, id: CgroupId, path: &str, now: Instant) -> bool {
        let parsed = self.classify(path);
        if let Some(member) = self.members.get(&id) {
            let removed = member.removed.is_some();
            let same = self
                .entries
                .get(&member.entry)
                .is_some_and(|entry| entry.holds(&parsed));
            if same && !removed {
                return false;
            }
            // Moved, or reported as removed by mistake: what was known of it is worth less than the
            // path.
            self.forget(id);
        }
        if self.stats.live >= self.limits.live {
            self.stats.refused += 1;
            return false;
        }
        let is_own = parsed.path == path;
        let (ticket, asks) = match self.find_entry(&parsed, is_own, now) {
            Some(ticket) => (ticket, false),
            None => self.enter(id, parsed, is_own, now),
        };
        self.members.insert(
            id,
            Member {
                entry: ticket,
                path: path.to_owned(),
                appeared: now,
                removed: None,
            },
        );
        self.stats.live += 1;
        if let Some(entry) = self.entries.get_mut(&ticket) {
            if is_own && !entry.has_own {
                entry.has_own = true;
                Arc::make_mut(&mut entry.container).cgroup = id;
            }
            entry.members.insert(id);
            entry.live += 1;
        }
        asks
    }

    /// The living entry that a path belongs to.
    fn find_entry(&mut self, parsed: &Parsed, is_own: bool, now: Instant) -> Option<Ticket> {
        let ticket = *self.live_paths.get(&parsed.path)?;
        let entry = self.entries.get(&ticket)?;
        if is_own && entry.has_own {
            // Another cgroup had this path, so it must be gone, and its removal was not reported.
            let gone: Vec<CgroupId> = entry.members.iter().copied().collect();
            for member in gone {
                self.removed(member, now);
            }
            return None;
        }
        Some(ticket)
    }

    fn enter(
        &mut self,
        id: CgroupId,
        parsed: Parsed,
        is_own: bool,
        now: Instant,
    ) -> (Ticket, bool) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let asks = parsed.question.is_some();
        let naming = if asks { Naming::Pending } else { Naming::Named };
        let container = Arc::new(parsed.container(id, naming));
        if asks {
            let begin = self.begin.map_or(now, |begin| begin.max(now));
            self.asking.start(ticket, now, begin + self.limits.deadline);
        }
        self.live_paths.insert(parsed.path, ticket);
        let question = parsed.question;
        let members = HashSet::new();
        self.entries.insert(
            ticket,
            Entry {
                container,
                question,
                has_own: is_own,
                members,
                live: 0,
            },
        );
        (ticket, asks)
    }

    pub(super) fn lookup(&self, id: CgroupId) -> Option<Arc<Container>> {
        let member = self.members.get(&id)?;
        Some(Arc::clone(&self.entries.get(&member.entry)?.container))
    }

    pub(super) fn containers(&self) -> Vec<Arc<Container>> {
        let live = self.entries.values().filter(|entry| entry.live > 0);
        live.map(|entry| Arc::clone(&entry.container)).collect()
    }

    pub(super) fn known(&self) -> Vec<Arc<Container>> {
        let all = self.entries.values();
        all.map(|entry| Arc::clone(&entry.container)).collect()
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            containers: self.entries.len(),
            pending: self.asking.fresh(),
            unnamed: self.unnamed(),
            ..self.stats
        }
    }

    /// Whether a container waits for its runtime.
    pub(super) fn is_pending(&self) -> bool {
        self.asking.fresh() > 0
    }

    /// The path of a cgroup.
    pub(super) fn path(&self, id: CgroupId) -> Option<&str> {
        self.members.get(&id).map(|member| member.path.as_str())
    }

    fn unnamed(&self) -> usize {
        let unnamed =
            |entry: &&Entry| entry.live > 0 && matches!(entry.container.naming, Naming::Unnamed(_));
        self.entries.values().filter(unnamed).count()
    }
}

impl Entry {
    /// Whether a cgroup of which this was found out belongs here.
    fn holds(&self, parsed: &Parsed) -> bool {
        self.container.cgroup_path == parsed.path && self.container.id == parsed.id
    }
}

#[cfg(test)]
mod tests;
