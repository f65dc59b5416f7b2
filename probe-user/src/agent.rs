//! The agent: owns all that runs, collects, and answers scrapes and the live table.

mod cluster;
mod delta;
mod export;
mod flows;
mod live;
mod overflow;
mod own;
mod owners;
mod policies;
mod preemptors;
mod run;
mod served;
mod traffic;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;

pub use own::LogLosses;
pub use run::{Finish, Hooks, RunError, run};

use crate::{
    config::{Config, Latency},
    http::{Backend, Dropped, ProbeStatus},
    kernel::memory::Trimmer,
    kubernetes::{Catalog, Kubernetes},
    metrics::{Budgets, Format, SharedRegistry, families},
    model::Measurements,
    session::Session,
};
use export::{Choice, Exporter};
use overflow::OverflowLog;
use own::OwnMetrics;
use policies::Policies;
use served::Served;
use traffic::Traffic;

/// Readers that come within this time share one collection.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// A running agent. Every method may be called from several threads.
pub struct Agent {
    session: Session,
    registry: SharedRegistry,
    collector: Mutex<Collector>,
    live: Mutex<live::Live>,
    served: Served,
    traffic: Traffic,
    policies: Policies,
    kubernetes: Option<Arc<Kubernetes>>,
}

/// What is remembered between collections.
struct Collector {
    exporter: Exporter,
    overflow: OverflowLog,
    own: OwnMetrics,
    latest: Option<(Instant, Arc<Measurements>)>,
    trimmer: Trimmer,
}

impl Agent {
    /// An agent over running probes, with names from an API server where one is asked. `log_losses` counts the log lines that nobody
    /// saw.
    pub fn new(
        session: Session,
        kubernetes: Option<Kubernetes>,
        config: &Config,
        log_losses: LogLosses,
    ) -> Self {
        let syscalls = &config.probes.syscalls;
        let choice = Choice {
            latency: syscalls.latency != Latency::Off,
            per_syscall_latency: syscalls.per_syscall_latency,
        };
        let registry = SharedRegistry::new(&config.node, budgets(config));
        let mut reserved = registry.lock();
        reserved.set_retention(config.limits.retain);
        if choice.latency && choice.per_syscall_latency {
            reserved.expect(&families::SYSCALL_EXACT_DURATION);
        }
        drop(reserved);
        Self {
            registry,
            collector: Mutex::new(Collector {
                exporter: Exporter::new(
                    choice,
                    config.limits.naming_deadline,
                    kubernetes.as_ref().map(|it| it.catalog().clone()),
                ),
                overflow: OverflowLog::default(),
                own: OwnMetrics::new(config, log_losses),
                latest: None,
                trimmer: Trimmer::new(Instant::now()),
            }),
            live: Mutex::new(live::Live::new(config)),
            served: Served::default(),
            traffic: Traffic::default(),
            policies: Policies::default(),
            kubernetes: kubernetes.map(Arc::new),
            session,
        }
    }

    /// The probes and what is known of cgroups.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What is watched of Kubernetes.
    fn kubernetes(&self) -> Option<&Arc<Kubernetes>> {
        self.kubernetes.as_ref()
    }

    /// What an API server tells.
    fn catalog(&self) -> Option<&Catalog> {
        self.kubernetes.as_ref().map(|it| &**it.catalog())
    }

    /// Takes over what can change while the agent runs. Waits for a collection that is under way.
    pub fn reconfigure(&self, config: &Config) {
        let mut registry = self.registry.lock();
        registry.set_budgets(budgets(config));
        registry.set_retention(config.limits.retain);
        drop(registry);
        let patience = config.limits.naming_deadline;
        lock(&self.collector).exporter.set_patience(patience);
        let identities = self.session.identities();
        identities.set_deadline(config.limits.naming_deadline);
        identities.set_split(config.cgroups_split.clone());
        // Who asks for a reload may have repaired what kept a runtime from responding.
        identities.hurry(Instant::now());
    }

    /// Reads all probes and brings the metrics up to date, unless that was done less than `max_age` ago.
    pub fn collect(&self, max_age: Duration) -> Arc<Measurements> {
        self.collect_with(max_age, false)
    }

    /// What the last collection read, and when.
    fn latest(&self) -> Option<(Instant, Arc<Measurements>)> {
        lock(&self.collector).latest.clone()
    }

    /// The last collection: what waits for a name is shown without one.
    pub fn collect_last(&self) {
        self.collect_with(Duration::ZERO, true);
    }

    fn collect_with(&self, max_age: Duration, last: bool) -> Arc<Measurements> {
        let mut collector = lock(&self.collector);
        let now = Instant::now();
        if let Some((at, measurements)) = &collector.latest
            && now.duration_since(*at) < max_age
        {
            return measurements.clone();
        }
        self.session.tend();
        let measurements = Arc::new(self.session.measure());
        let identities = self.session.identities();
        let traffic = self.traffic.take();
        let mut registry = self.registry.lock();
        own::show_flows(&mut registry, &traffic, &measurements);
        collector.exporter.export(
            &mut registry,
            &measurements,
            (traffic, self.policies.desk()),
            identities,
            now,
            last,
        );
        let released = self.session.release();
        collector.exporter.forget(&mut registry, &released, now);
        collector.overflow.report(&registry, now);
        collector.own.update(&mut registry, &self.session);
        if let Some(catalog) = self.catalog() {
            cluster::show(&mut registry, catalog);
        }
        drop(registry);
        collector.latest = Some((now, measurements.clone()));
        collector.trimmer.tick(now);
        measurements
    }
}

impl Backend for Agent {
    fn render(&self, format: Format) -> Result<Bytes, String> {
        self.collect(SHARED_FOR);
        self.served.export(&mut self.registry.lock());
        let rendered = self.registry.render(format, Instant::now());
        rendered.map(Bytes::from).map_err(|error| error.to_string())
    }

    fn probes(&self) -> Vec<ProbeStatus> {
        let states = self.session.states().iter().cloned();
        states
            .map(|(probe, state)| ProbeStatus { probe, state })
            .collect()
    }

    fn notes(&self) -> Vec<String> {
        self.session.notes()
    }

    fn answered(&self, status: u16) {
        self.served.answered(status);
    }

    fn dropped(&self, reason: Dropped) {
        self.served.dropped(reason);
    }
}

fn budgets(config: &Config) -> Budgets {
    let families = config.limits.series_per_family.iter();
    Budgets {
        total: config.limits.series as usize,
        families: families
            .map(|(name, cap)| (name.clone(), *cap as usize))
            .collect(),
    }
}

/// A panic of another thread leaves single values behind at worst, which is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
