//! Cgroups that a runtime reported as those of its containers, whatever their paths look like.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use probe_common::id::CgroupId;

use super::Cache;
use crate::{
    identity::paths::{Parsed, parse_with, readable_id},
    model::Runtime,
    select::CgroupPattern,
};

/// How long a claim is kept whose cgroup was not reported.
const UNSEEN_FOR: Duration = Duration::from_secs(60);

/// The cgroups of containers by path.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<String, Claim>);

#[derive(Debug)]
struct Claim {
    id: String,
    runtime: Runtime,
    since: Instant,
}

impl Claims {
    /// The innermost claimed cgroup that this path is in.
    fn above(&self, path: &str) -> Option<(&str, &Claim)> {
        if self.0.is_empty() {
            return None;
        }
        let mut own = path;
        loop {
            if let Some((path, claim)) = self.0.get_key_value(own) {
                return Some((path, claim));
            }
            own = &own[..own.rfind('/').filter(|at| *at > 0)?];
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Ends a claim: the cgroup of this path is gone.
    pub(super) fn remove(&mut self, path: &str) {
        self.0.remove(path);
    }
}

impl Cache {
    /// What a path is: by the claims of runtimes, or by its shape. The innermost container wins.
    pub(super) fn classify(&self, path: &str) -> Parsed {
        let parsed = parse_with(path, &self.split);
        let Some((own, claim)) = self.claims.above(path) else {
            return parsed;
        };
        if parsed.id.is_some() && parsed.path.len() >= own.len() {
            return parsed;
        }
        Parsed {
            runtime: claim.runtime,
            id: Some(claim.id.clone()),
            path: own.to_owned(),
            pod_uid: parsed.pod_uid,
            name: readable_id(&claim.id).to_owned(),
            question: None,
        }
    }

    /// Notes that a cgroup is a container's own, and enters what was known below it anew.
    pub(super) fn claim(&mut self, path: &str, id: &str, runtime: Runtime, now: Instant) {
        let by_shape = parse_with(path, &self.split);
        // The root, and what is a container by its shape, need no claim.
        if path == "/" || by_shape.id.is_some() && by_shape.path == path {
            return;
        }
        if let Some(known) = self.claims.0.get_mut(path).filter(|claim| claim.id == id) {
            known.since = now;
            return;
        }
        self.drop_unseen_claims(now);
        if self.claims.0.len() >= self.limits.live {
            return;
        }
        let claim = Claim {
            id: id.to_owned(),
            runtime,
            since: now,
        };
        self.claims.0.insert(path.to_owned(), claim);
        self.classify_again(path, now);
    }

    /// Sets which cgroups of the host are told apart, also of those that are known.
    pub(in crate::identity) fn set_split(&mut self, split: Vec<CgroupPattern>, now: Instant) {
        if self.split != split {
            self.split = split;
            self.classify_again("", now);
        }
    }

    /// Enters anew what is in the wrong place, at or below this path.
    fn classify_again(&mut self, path: &str, now: Instant) {
        let below = |member: &str| {
            let rest = member.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut moved: Vec<(String, CgroupId)> = self
            .members
            .iter()
            .filter(|(_, member)| member.removed.is_none() && below(&member.path))
            .map(|(id, member)| (member.path.clone(), *id))
            .collect();
        // A container's own cgroup comes before those in it.
        moved.sort();
        for (path, id) in moved {
            let right = self.classify(&path);
            let Some(member) = self.members.get(&id) else {
                continue;
            };
            let appeared = member.appeared;
            let is_right = self.entries.get(&member.entry);
            if is_right.is_some_and(|entry| entry.holds(&right)) {
                continue;
            }
            self.forget(id);
            self.appeared(id, &path, now);
            if let Some(member) = self.members.get_mut(&id) {
                member.appeared = appeared;
            }
        }
    }

    fn drop_unseen_claims(&mut self, now: Instant) {
        let live = &self.live_paths;
        self.claims.0.retain(|path, claim| {
            live.contains_key(path) || now.saturating_duration_since(claim.since) < UNSEEN_FOR
        });
    }
}
