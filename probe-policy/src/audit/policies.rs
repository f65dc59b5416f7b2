//! What is in force, and what was before.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

use crate::engine::Engine;

/// How long what was in force before is remembered: longer than the kernel tries to make a connection.
const KEPT: Duration = Duration::from_secs(150);

/// How many states are remembered at the most, and at the least. Who has pods come and go every second has a shorter memory.
const STATES: std::ops::RangeInclusive<usize> = 2..=8;

/// Pods that all of them may have together: some 2 kB each.
const PODS: usize = 16_384;

/// How many states of so many pods are remembered. While policies stay the same, older ones are hardly missed.
fn states_of(pods: usize) -> usize {
    (PODS / pods.max(1)).clamp(*STATES.start(), *STATES.end())
}

/// Policies, and pods that they are about, from a moment on.
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
    /// Monotonic time since which policies and namespaces are the same, while pods may have come and gone.
    pub same_policies_since: Duration,
}

/// The policies of a running host. Times are those of one monotonic clock.
#[derive(Clone, Debug)]
pub struct Policies {
    current: Arc<Snapshot>,
    /// Those before it, the oldest first.
    before: VecDeque<Arc<Snapshot>>,
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
                same_policies_since: now,
            }),
            before: VecDeque::new(),
        }
    }

    /// Others are in force from now on.
    pub fn replace(&mut self, engine: Engine, pending: Option<Engine>, now: Duration) {
        self.settle(now);
        let last = &self.current;
        let (was, is) = (last.engine.cluster(), engine.cluster());
        let is_same = was.policies == is.policies && was.namespaces == is.namespaces;
        let next = Snapshot {
            engine,
            pending,
            generation: last.generation + 1,
            since: now,
            same_policies_since: if is_same {
                last.same_policies_since
            } else {
                now
            },
        };
        self.before
            .push_back(mem::replace(&mut self.current, Arc::new(next)));
        let most = states_of(self.current.engine.cluster().pods.len());
        while self.before.len() >= most {
            self.before.pop_front();
        }
    }

    /// Forgets what was in force too long ago for a connection to come to its outcome only now.
    pub fn settle(&mut self, now: Duration) {
        while !self.before.is_empty() {
            let next = self.before.get(1).unwrap_or(&self.current);
            if now.saturating_sub(next.since) < KEPT {
                break;
            }
            self.before.pop_front();
        }
    }

    /// What is in force.
    pub fn current(&self) -> &Arc<Snapshot> {
        &self.current
    }

    /// All that is remembered, the newest first.
    pub fn states(&self) -> impl DoubleEndedIterator<Item = &Snapshot> + Clone {
        let before = self.before.iter().rev();
        std::iter::once(&self.current)
            .chain(before)
            .map(|state| &**state)
    }

    /// The state of that generation, if it is remembered.
    pub fn of(&self, generation: u64) -> Option<&Snapshot> {
        self.states().find(|state| state.generation == generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Options, model::Cluster};

    fn engine() -> Engine {
        Engine::new(Cluster::default(), Options::default())
    }

    fn generations(policies: &Policies) -> Vec<u64> {
        policies.states().map(|state| state.generation).collect()
    }

    #[test]
    fn some_states_are_remembered_and_not_for_ever() {
        let at = Duration::from_secs;
        let mut policies = Policies::new(engine(), None, at(10));
        for seconds in [20, 30] {
            policies.replace(engine(), None, at(seconds));
        }
        assert_eq!(generations(&policies), [3, 2, 1]);
        policies.settle(at(169));
        assert_eq!(generations(&policies), [3, 2, 1]);
        policies.settle(at(170));
        assert_eq!(generations(&policies), [3, 2]);
        policies.settle(at(1000));
        assert_eq!(generations(&policies), [3]);
        for seconds in 1001..1021 {
            policies.replace(engine(), None, at(seconds));
        }
        assert_eq!(generations(&policies), (16..=23).rev().collect::<Vec<_>>());
    }

    #[test]
    fn fewer_states_of_large_clusters_are_remembered() {
        assert_eq!(
            [0, 110, 2048, 4096, 100_000].map(states_of),
            [8, 8, 8, 4, 2]
        );
    }

    #[test]
    fn pods_that_come_and_go_leave_the_policies_the_same() {
        let at = Duration::from_secs;
        let of = |cluster: Cluster| Engine::new(cluster, Options::default());
        let mut policies = Policies::new(engine(), None, at(10));
        let mut cluster = Cluster::default();
        cluster.pods.push(crate::model::Pod::default());
        policies.replace(of(cluster.clone()), None, at(20));
        assert_eq!(policies.current().same_policies_since, at(10));
        cluster.namespaces.insert("shop".into(), Default::default());
        policies.replace(of(cluster), None, at(30));
        assert_eq!(policies.current().same_policies_since, at(30));
    }
}
