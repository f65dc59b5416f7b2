//! What the HTTP server did, counted where it never waits for a collection or a rendering.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, PoisonError},
};

use crate::{
    http::Dropped,
    metrics::{Registry, families},
};

/// Answers and dropped connections since they were last passed on. The lock is held for one addition at a time.
#[derive(Default)]
pub(super) struct Served(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    answered: BTreeMap<u16, u64>,
    dropped: BTreeMap<&'static str, u64>,
}

impl Served {
    pub(super) fn answered(&self, status: u16) {
        self.with(|counts| *counts.answered.entry(status).or_default() += 1);
    }

    pub(super) fn dropped(&self, reason: Dropped) {
        self.with(|counts| *counts.dropped.entry(reason.name()).or_default() += 1);
    }

    /// Passes on what has come together.
    pub(super) fn export(&self, registry: &mut Registry) {
        let counts = self.with(mem::take);
        for (status, count) in counts.answered {
            registry.add(&families::HTTP_REQUESTS, &[&status.to_string()], count);
        }
        for (reason, count) in counts.dropped {
            registry.add(&families::HTTP_CONNECTIONS_DROPPED, &[reason], count);
        }
    }

    fn with<T>(&self, what: impl FnOnce(&mut Counts) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
