//! Which owners an operator asked for.

use crate::{
    model::{Container, Flow, Naming},
    select::{Pattern, Rules},
};

/// Conditions that a row must meet; a kind of condition that names nothing is met by all.
#[derive(Debug, Default)]
pub struct Filter {
    /// The container matches one of these.
    pub containers: Vec<Pattern>,
    /// Its namespace matches one of these.
    pub namespaces: Vec<Pattern>,
    /// The cgroup is one of these or lies below it: paths from the root of the hierarchy.
    pub cgroups: Vec<String>,
    /// The process is one of these.
    pub pids: Vec<u32>,
    /// For rows that are made of flows: what these meet.
    pub flows: Rules,
}

impl Filter {
    /// Whether a row of this owner is wanted.
    pub fn admits(&self, container: Option<&Container>, pid: Option<u32>) -> bool {
        self.admits_owner(container) && self.admits_pid(pid)
    }

    /// As [`admits`](Self::admits), where names that are still to come meet every condition.
    pub fn may_admit(&self, container: Option<&Container>, pid: Option<u32>) -> bool {
        let is_pending = container.is_some_and(|c| c.naming == Naming::Pending);
        (is_pending || self.admits_container(container) && self.admits_namespace(container))
            && self.admits_cgroup(container)
            && self.admits_pid(pid)
    }

    /// Whether a flow between these owners is wanted.
    pub fn admits_flow(
        &self,
        flow: &Flow,
        local: Option<&Container>,
        peer: Option<&Container>,
    ) -> bool {
        let pid = flow.process.as_ref().map(|process| process.pid);
        self.admits(local, pid) && self.flows.admit(flow, [local, peer])
    }

    /// As [`admits`](Self::admits), whatever the process.
    pub(super) fn admits_owner(&self, container: Option<&Container>) -> bool {
        self.admits_container(container)
            && self.admits_namespace(container)
            && self.admits_cgroup(container)
    }

    fn admits_pid(&self, pid: Option<u32>) -> bool {
        self.pids.is_empty() || pid.is_some_and(|pid| self.pids.contains(&pid))
    }

    fn admits_namespace(&self, container: Option<&Container>) -> bool {
        let is_in = |c: &Container| {
            let mut patterns = self.namespaces.iter();
            patterns.any(|pattern| pattern.matches_text(&c.namespace))
        };
        self.namespaces.is_empty() || container.is_some_and(is_in)
    }

    fn admits_container(&self, container: Option<&Container>) -> bool {
        self.containers.is_empty()
            || container.is_some_and(|c| self.containers.iter().any(|pattern| pattern.matches(c)))
    }

    fn admits_cgroup(&self, container: Option<&Container>) -> bool {
        self.cgroups.is_empty()
            || container.is_some_and(|c| {
                self.cgroups
                    .iter()
                    .any(|path| lies_in(&c.cgroup_path, path))
            })
    }
}

/// Whether a cgroup is another one or lies below it.
pub(super) fn lies_in(path: &str, parent: &str) -> bool {
    let parent = parent.trim_end_matches('/');
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_holds_what_lies_below_it_and_no_neighbour() {
        assert!(lies_in("/a/b", "/a"));
        assert!(lies_in("/a", "/a/"));
        assert!(lies_in("/a", "/"));
        assert!(!lies_in("/ab", "/a"));
    }

    #[test]
    fn an_unknown_owner_meets_no_condition_but_none() {
        assert!(Filter::default().admits(None, None));
        let by_pid = Filter {
            pids: vec![7],
            ..Filter::default()
        };
        assert!(!by_pid.admits(None, Some(8)));
        assert!(by_pid.admits(None, Some(7)));
        let by_cgroup = Filter {
            cgroups: vec!["/a".into()],
            ..Filter::default()
        };
        assert!(!by_cgroup.admits(None, None));
        let by_namespace = Filter {
            namespaces: vec![Pattern::new("shop*")],
            ..Filter::default()
        };
        assert!(!by_namespace.admits(None, None));
    }
}
