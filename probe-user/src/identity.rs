//! From a cgroup's id to a named container.
//!
//! Owns what is known of each cgroup, alive or removed not long ago. Cgroups are reported by
//! whoever sees them appear and vanish; names come from [`resolver`]. Does no metrics.

mod bounded;
mod cache;
pub mod paths;
pub mod resolver;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use probe_common::id::CgroupId;
use tokio::sync::{Notify, futures::Notified};

use crate::{
    model::{Container, NoName, Runtime},
    select::CgroupPattern,
};
use cache::Cache;
pub use cache::Ticket;
use paths::Question;

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Cgroups that exist; those over it stay unknown and are counted.
    pub live: usize,
    /// Removed cgroups; the oldest one makes room and is counted.
    pub retained: usize,
    /// How long a removed cgroup keeps its identity, for records that are read late.
    pub retention: Duration,
    /// How long a container waits for its name before it goes on without.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            live: 16_384,
            retained: 16_384,
            retention: Duration::from_secs(600),
            deadline: Duration::from_secs(3),
        }
    }
}

/// What a runtime said of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its names.
    Names(Names),
    /// No names.
    No {
        /// Why, for the operator.
        reason: NoName,
        /// Whether and when asking again may help.
        retry: Retry,
        /// The pod that it is in, where no more than that is known.
        pod: Option<Pod>,
    },
}

/// Whether and when a question is asked again that got no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retry {
    /// Not at all.
    Never,
    /// With long pauses, while the container goes on without a name.
    Later,
    /// Quickly, and the container waits for it until its deadline.
    Soon,
}

/// What a runtime reports of a container of its own accord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The runtime's full id of the container.
    pub id: String,
    /// Its names.
    pub names: Names,
    /// Path of the container's own cgroup below the root of its hierarchy, where the runtime says it.
    pub path: Option<String>,
}

/// A runtime at one place, and whether it responds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeState {
    /// Whose containers are named there; [`Runtime::Kubernetes`] for every CRI runtime.
    pub runtime: Runtime,
    /// The socket or directory.
    pub path: PathBuf,
    /// What happened when it was queried last.
    pub reach: Reach,
}

/// Whether a runtime responds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It responded.
    Responds,
    /// Nothing is there.
    Absent,
    /// It is there and does not respond as it should, for this reason.
    Fails(String),
}

/// A pod of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The names of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Whose container it is.
    pub runtime: Runtime,
    /// Kubernetes namespace; empty outside Kubernetes.
    pub namespace: String,
    /// Kubernetes pod; empty outside Kubernetes.
    pub pod: String,
    /// UID of the pod; empty where it is not known.
    pub pod_uid: String,
    /// Name of the container.
    pub name: String,
}

impl Names {
    /// Name of the container that holds a pod's namespaces. The `~` keeps it apart from every real
    /// name.
    pub const PAUSE: &'static str = "~pause";

    /// Names of a container outside Kubernetes.
    pub fn plain(runtime: Runtime, name: impl Into<String>) -> Self {
        let (namespace, pod, pod_uid) = Default::default();
        Self {
            runtime,
            namespace,
            pod,
            pod_uid,
            name: name.into(),
        }
    }
}

/// How full the cache is, and what it refused since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Cgroups that exist and are known.
    pub live: usize,
    /// Removed cgroups that are still known.
    pub retained: usize,
    /// Containers and units, of both kinds.
    pub containers: usize,
    /// Those that wait for their runtime.
    pub pending: usize,
    /// Containers that a runtime named.
    pub named: u64,
    /// Containers that exist and have no name.
    pub unnamed: usize,
    /// Cgroups that found no room and are unknown.
    pub refused: u64,
    /// Removed cgroups that were forgotten before their time.
    pub evicted: u64,
}

/// All identities. Can be called from any thread; nothing blocks for longer than a look into a
/// table.
#[derive(Debug)]
pub struct Identities {
    cache: Mutex<Cache>,
    asked: Notify,
    settled: Notify,
    runtimes: Mutex<Vec<RuntimeState>>,
}

impl Identities {
    /// An empty set with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self {
            cache: Mutex::new(Cache::new(limits)),
            asked: Notify::new(),
            settled: Notify::new(),
            runtimes: Mutex::default(),
        }
    }

    /// Sets which cgroups of the host are told apart from the unit or directory that they are in.
    pub fn set_split(&self, split: Vec<CgroupPattern>) {
        self.cache().set_split(split, Instant::now());
        self.asked.notify_one();
    }

    /// Changes how long a runtime may take, for containers that appear from then on.
    pub fn set_deadline(&self, deadline: Duration) {
        self.cache().set_deadline(deadline);
    }

    /// A cgroup exists; `path` is its path below the root of its hierarchy. Reporting it again is
    /// harmless.
    pub fn appeared(&self, id: CgroupId, path: &str, now: Instant) {
        if self.cache().appeared(id, path, now) {
            self.asked.notify_one();
        }
    }

    /// A cgroup was removed. Its identity is kept for a while.
    pub fn removed(&self, id: CgroupId, now: Instant) {
        self.cache().removed(id, now);
    }

    /// Brings the set in line with a complete walk of the hierarchy that began at `started`.
    /// Cgroups that appeared since then are left alone: the walk may have passed their place
    /// before.
    ///
    /// Answers which cgroups are gone.
    pub fn rescanned(
        &self,
        found: &[(CgroupId, String)],
        started: Instant,
        now: Instant,
    ) -> Vec<CgroupId> {
        let mut cache = self.cache();
        let mut ask = false;
        let gone = cache.remove_unseen(found, started, now);
        for (id, path) in found {
            // Its removal was reported after the walk had passed.
            if !cache.was_removed_since(*id, started) {
                ask |= cache.appeared(*id, path, now);
            }
        }
        drop(cache);
        if ask {
            self.asked.notify_one();
        }
        gone
    }

    /// Whether a cgroup is known and was not removed.
    pub fn is_live(&self, id: CgroupId) -> bool {
        self.cache().is_live(id)
    }

    /// The container or unit that a cgroup belongs to; `None` stands for [`Container::UNKNOWN`].
    pub fn lookup(&self, id: CgroupId) -> Option<Arc<Container>> {
        self.cache().lookup(id)
    }

    /// The path of a cgroup below the root of its hierarchy. That of its container is a part of it.
    pub fn path(&self, id: CgroupId) -> Option<String> {
        self.cache().path(id).map(str::to_owned)
    }

    /// Questions that are to be asked at this time, at most `max`. Each is handed out once until it
    /// is answered.
    pub fn pending(&self, now: Instant, max: usize) -> Vec<(Ticket, Question)> {
        self.cache().pending(now, max)
    }

    /// When there is something to ask or to expire next.
    pub fn next_due(&self) -> Option<Instant> {
        self.cache().next_due()
    }

    /// A question was answered. Names that come after the deadline rename the container.
    pub fn resolved(&self, ticket: Ticket, answer: Answer, now: Instant) {
        self.cache().resolved(ticket, answer, now);
        self.settled.notify_waiters();
    }

    /// Nobody can be asked before `begin`: the time of all open questions, and of those that are raised until then, begins there.
    pub fn postpone(&self, begin: Instant) {
        self.cache().postpone(begin);
    }

    /// A runtime reported containers of its own accord.
    pub fn told(&self, reports: &[Told], now: Instant) {
        self.cache().told(reports, now);
        self.settled.notify_waiters();
    }

    /// Has the names of all containers without one asked for at once, such as after a reload.
    pub fn hurry(&self, now: Instant) {
        self.cache().hurry(now);
        self.asked.notify_one();
    }

    /// Whether a container waits for its runtime.
    pub fn is_pending(&self) -> bool {
        self.cache().is_pending()
    }

    /// The runtimes that are queried, and whether they respond; empty before the first query.
    pub fn runtimes(&self) -> Vec<RuntimeState> {
        let runtimes = self.runtimes.lock();
        runtimes.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes which runtimes respond.
    pub(crate) fn set_runtimes(&self, runtimes: Vec<RuntimeState>) {
        *self.runtimes.lock().unwrap_or_else(PoisonError::into_inner) = runtimes;
    }

    /// Has containers go on without a name whose question is past its deadline, and forgets what was removed long ago.
    pub fn expire(&self, now: Instant) {
        self.cache().expire(now);
        self.settled.notify_waiters();
    }

    /// Containers and units that exist, in no order.
    pub fn containers(&self) -> Vec<Arc<Container>> {
        self.cache().containers()
    }

    /// As [`containers`](Self::containers), with those that were removed and are still known.
    pub fn known(&self) -> Vec<Arc<Container>> {
        self.cache().known()
    }

    /// Fill and losses.
    pub fn stats(&self) -> Stats {
        self.cache().stats()
    }

    /// Completes when a cgroup with a question has appeared since the last call.
    pub(crate) fn asked(&self) -> Notified<'_> {
        self.asked.notified()
    }

    /// Completes at the next answer or expiry.
    pub(crate) fn settled(&self) -> Notified<'_> {
        self.settled.notified()
    }

    /// A panic of another thread leaves at worst one cgroup half entered, which is no reason to
    /// stop naming.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
