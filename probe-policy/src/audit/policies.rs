//! What is in force, and what was before.

use std::{sync::Arc, time::Duration};

use crate::engine::Engine;

/// How long what was in force before is remembered: longer than the kernel tries to make a connection.
const KEPT: Duration = Duration::from_secs(150);

/// Policies that are in force from a moment on.
#[derive(Debug)]
pub struct Snapshot {
    /// By which connections are judged.
    pub engine: Engine,
    /// With policies that are not in force yet.
    pub pending: Option<Engine>,
    /// Counts the changes, from 1.
    pub generation: u64,
    /// Monotonic time at which it was read.
    pub since: Duration,
    pub(super) previous: Option<Arc<Snapshot>>,
}

/// The policies of a running host. Times are those of one monotonic clock.
#[derive(Debug)]
pub struct Policies {
    current: Arc<Snapshot>,
}

impl Policies {
    /// The first ones.
    pub fn new(engine: Engine, pending: Option<Engine>, now: Duration) -> Self {
        Self {
            current: Arc::new(Snapshot {
                engine,
                pending,
                generation: 1,
                since: now,
                previous: None,
            }),
        }
    }

    /// Others are in force from now on.
    pub fn replace(&mut self, engine: Engine, pending: Option<Engine>, now: Duration) {
        let generation = self.current.generation + 1;
        self.settle(now);
        // One state back is enough: who changes policies every minute learns that little is certain.
        let previous = self.without_previous();
        self.current = Arc::new(Snapshot {
            engine,
            pending,
            generation,
            since: now,
            previous: Some(previous),
        });
    }

    /// Forgets what was in force too long ago for a connection to come to its outcome only now.
    pub fn settle(&mut self, now: Duration) {
        if self.current.previous.is_some() && now.saturating_sub(self.current.since) >= KEPT {
            self.current = self.without_previous();
        }
    }

    /// What is in force.
    pub fn current(&self) -> &Arc<Snapshot> {
        &self.current
    }

    fn without_previous(&mut self) -> Arc<Snapshot> {
        if let Some(current) = Arc::get_mut(&mut self.current) {
            current.previous = None;
        }
        self.current.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Options, model::Cluster};

    fn engine() -> Engine {
        Engine::new(Cluster::default(), Options::default())
    }

    #[test]
    fn one_state_is_remembered_and_not_for_ever() {
        let at = Duration::from_secs;
        let mut policies = Policies::new(engine(), None, at(10));
        assert!(policies.current().previous.is_none());
        for (generation, seconds) in [(2, 20), (3, 30)] {
            policies.replace(engine(), None, at(seconds));
            let current = policies.current();
            assert_eq!(current.generation, generation);
            let previous = current.previous.as_ref().unwrap();
            assert_eq!(previous.generation, generation - 1);
            assert!(previous.previous.is_none());
        }
        policies.settle(at(179));
        assert!(policies.current().previous.is_some());
        policies.settle(at(180));
        assert!(policies.current().previous.is_none());
        assert_eq!(policies.current().generation, 3);
    }
}
