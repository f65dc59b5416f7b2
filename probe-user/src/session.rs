//! Probes that run and the identities of what they measure: what the agent and the one-shot tools share.
//!
//! Owns the attached probes and the thread that follows cgroups. Dropping a session detaches everything.

mod network;
mod notes;
mod parties;
mod plan;
mod start;
mod sweep;
mod translation;
mod watch;

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use probe_common::id::CgroupId;

pub use network::{FlowEvent, FlowFollower, FlowReport, FlowSettings, FollowerCounts, Units};

pub use crate::flows::Peer;
pub use parties::{Parties, named, peer_of};
pub use start::{Enabled, Plan, StartError, examine};
pub use translation::{TranslationCounts, TranslationScope, Translator, TranslatorError};

use crate::{
    identity::Identities,
    kernel::{
        cgroupfs::{self, Cgroups},
        priority::Undisturbed,
    },
    logs::chain,
    model::{FeatureState, Measurements, OwnerId, OwnerKind, ProbeHealth},
    probes::{Attached, DropsReader, FlowsReader, Readers, TcpReader},
};
use sweep::Sweep;
use watch::Watch;

/// Running probes and what is known of the cgroups that they measure.
pub struct Session {
    cgroups: Cgroups,
    identities: Arc<Identities>,
    attached: Mutex<Vec<Attached>>,
    /// Probes that are not attached, and why.
    absent: Vec<ProbeHealth>,
    /// State of every probe; it does not change after the start.
    states: Vec<(&'static str, FeatureState)>,
    /// What the owners of measurements are.
    owners: OwnerKind,
    /// Readers of records and tables, until somebody follows them.
    readers: Mutex<Readers>,
    watch: Option<Watch>,
    max_cgroups: usize,
    /// Whether a thread that reads maps must not be preempted, see `kernel::priority`.
    undisturbed: bool,
    /// Removed cgroups whose counters are still held, and since when.
    leaving: Mutex<HashMap<CgroupId, Instant>>,
    sweep: Mutex<Sweep>,
    started: Instant,
}

/// How long the counters of a removed cgroup are kept for the last collections. Tasks that are ending may run for a
/// moment after their cgroup is gone.
const HOLD: Duration = Duration::from_secs(30);

impl Session {
    /// What is known of cgroups.
    pub fn identities(&self) -> &Arc<Identities> {
        &self.identities
    }

    /// The hierarchy whose cgroups are told apart.
    pub fn cgroups(&self) -> &Cgroups {
        &self.cgroups
    }

    /// When the session started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Reads all measurements since the start. A probe that cannot be read leaves its part out and says so in its
    /// health.
    pub fn measure(&self) -> Measurements {
        let _undisturbed = self.undisturbed();
        let mut measurements = Measurements::default();
        for probe in self.attached().iter_mut() {
            if let Err(error) = probe.collect(&mut measurements) {
                tracing::error!(probe = probe.name, error = %chain(&error), "measurements cannot be read");
            }
        }
        if let Some(watch) = &self.watch {
            measurements.lost.extend(watch.lost());
        }
        if self.owners == OwnerKind::Cgroup {
            lock(&self.sweep).note(&measurements);
        }
        measurements
    }

    /// State, cost and fill of every probe, attached or not.
    pub fn health(&self) -> Vec<ProbeHealth> {
        self.attached()
            .iter()
            .map(Attached::health)
            .chain(self.absent.iter().cloned())
            .collect()
    }

    /// State of every probe, attached or not; never waits.
    pub fn states(&self) -> &[(&'static str, FeatureState)] {
        &self.states
    }

    /// Starts to follow cgroups. Until then their records wait in the ring.
    ///
    /// Not part of the start, so that the caller can let go of privileges before there are other threads.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn follow(&mut self) -> io::Result<()> {
        let reader = lock(&self.readers).lifecycle.take();
        if let Some(reader) = reader {
            self.watch = Some(Watch::start(reader, self.identities.clone())?);
        }
        Ok(())
    }

    /// The readers of flows and connections, for the one who follows them; `None` where the probe is not attached, or they were
    /// taken before.
    pub fn take_flow_readers(&self) -> (Option<FlowsReader>, Option<TcpReader>) {
        let mut readers = lock(&self.readers);
        (readers.flows.take(), readers.tcp.take())
    }

    /// What shows dropped packets by flow, once.
    pub fn take_drops_reader(&self) -> Option<DropsReader> {
        lock(&self.readers).drops.take()
    }

    /// Keeps the set of cgroups true: walks the hierarchy where records were lost or none are written, and gives up on
    /// names that do not come. Call it before each collection.
    pub fn tend(&self) {
        let now = Instant::now();
        let rescan = match &self.watch {
            Some(watch) => {
                let _undisturbed = self.undisturbed();
                watch.lost_records(&self.attached())
            }
            None => true,
        };
        let mut leaving = lock(&self.leaving);
        if rescan {
            leaving.extend(self.rescan().into_iter().map(|cgroup| (cgroup, now)));
        }
        self.identities.expire(now);
        if let Some(watch) = &self.watch {
            leaving.extend(watch.removed().into_iter().map(|cgroup| (cgroup, now)));
        }
        let is_known = |cgroup| leaving.contains_key(&cgroup) || self.identities.is_live(cgroup);
        let gone = lock(&self.sweep).gone(&self.cgroups, is_known, now);
        leaving.extend(gone.into_iter().map(|cgroup| (cgroup, now)));
        // A walk can miss what is there; that it was seen again is worth more.
        leaving.retain(|cgroup, _| !self.identities.is_live(*cgroup));
    }

    /// Frees the counters of cgroups that have been gone for a while, and answers which. Call it right after a
    /// collection: what those counters held is then accounted for.
    pub fn release(&self) -> Vec<OwnerId> {
        let now = Instant::now();
        let mut leaving = lock(&self.leaving);
        let due: Vec<OwnerId> = leaving
            .iter()
            .filter(|(_, since)| now.duration_since(**since) >= HOLD)
            .map(|(cgroup, _)| OwnerId(cgroup.0))
            .collect();
        if due.is_empty() {
            return due;
        }
        leaving.retain(|_, since| now.duration_since(*since) < HOLD);
        if self.owners == OwnerKind::Process {
            // A process may have the number of a cgroup that is gone.
            return Vec::new();
        }
        let _undisturbed = self.undisturbed();
        for probe in self.attached().iter_mut() {
            if let Err(error) = probe.release(&due) {
                tracing::warn!(probe = probe.name, error = %chain(&error), "counters of removed cgroups stay taken");
            }
        }
        due
    }

    /// Stops the programs that see packets and the ends of connections for good, so that the last numbers of flows belong
    /// together.
    pub fn stop_flows(&self) {
        self.attached().iter_mut().for_each(Attached::stop_flows);
    }

    /// What a thread holds while it reads maps.
    pub fn undisturbed(&self) -> Option<Undisturbed> {
        self.undisturbed.then(Undisturbed::enter).flatten()
    }

    /// The probes, for readers of their messages.
    pub fn attached(&self) -> MutexGuard<'_, Vec<Attached>> {
        lock(&self.attached)
    }

    /// Walks the hierarchy; answers which cgroups are gone.
    fn rescan(&self) -> Vec<CgroupId> {
        let started = Instant::now();
        let scan = cgroupfs::scan(&self.cgroups, self.max_cgroups);
        if scan.truncated || scan.unreadable > 0 {
            // What was not reached is not gone.
            tracing::warn!(
                limit = self.max_cgroups,
                unreadable = scan.unreadable,
                mount = %self.cgroups.mount.display(),
                "not all cgroups were found: there are more than can be told apart, or directories cannot be read"
            );
            for (id, path) in &scan.found {
                self.identities.appeared(*id, path, Instant::now());
            }
            return Vec::new();
        }
        self.identities
            .rescanned(&scan.found, started, Instant::now())
    }
}

/// A panic of another thread leaves single values behind at worst, which is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl Session {
    /// A session without probes, over a directory that stands for the hierarchy of cgroups.
    pub(crate) fn idle(mount: &std::path::Path) -> Self {
        Self {
            cgroups: Cgroups {
                mode: cgroupfs::Mode::V2,
                mount: mount.into(),
                subtree: None,
            },
            identities: Arc::new(Identities::new(crate::identity::Limits::default())),
            attached: Mutex::default(),
            absent: Vec::new(),
            states: Vec::new(),
            owners: OwnerKind::Cgroup,
            readers: Mutex::default(),
            watch: None,
            max_cgroups: 100,
            undisturbed: false,
            leaving: Mutex::default(),
            sweep: Mutex::default(),
            started: Instant::now(),
        }
    }
}

#[cfg(test)]
mod tests;
