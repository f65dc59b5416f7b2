//! How far each watch has come.

use std::time::Instant;

/// Where a watch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was read yet, and nothing went wrong yet.
    Waiting,
    /// All there is was read, and changes are followed.
    Synced,
    /// Nothing can be read, for this reason. What was read before stays.
    Failed(String),
    /// The server does not have it.
    Absent,
}

impl Phase {
    /// A word for metrics and tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Synced => "synced",
            Self::Failed(_) => "failed",
            Self::Absent => "absent",
        }
    }

    /// All words.
    pub const WORDS: [&str; 4] = ["waiting", "synced", "failed", "absent"];
}

/// A watch.
#[derive(Clone, Debug)]
pub struct ResourceState {
    /// As it stands in paths: `pods`.
    pub resource: &'static str,
    /// The kind of its objects, where that was read: an old server has another one for the same.
    pub(super) kind: &'static str,
    /// Where it is.
    pub phase: Phase,
    /// Whether all there is was read once.
    pub has_synced: bool,
    /// When it was last known to be up to date.
    pub fresh_at: Option<Instant>,
    /// Objects that are known.
    pub objects: usize,
    /// How often all was read anew.
    pub lists: u64,
    pub(super) is_essential: bool,
}

impl ResourceState {
    pub(super) fn new(resource: &'static str, kind: &'static str, is_essential: bool) -> Self {
        Self {
            resource,
            kind,
            phase: Phase::Waiting,
            has_synced: false,
            fresh_at: None,
            objects: 0,
            lists: 0,
            is_essential,
        }
    }

    /// Whether it is up to date, or there is nothing to be up to date with.
    pub fn is_fresh(&self) -> bool {
        matches!(self.phase, Phase::Synced | Phase::Absent)
    }
}
