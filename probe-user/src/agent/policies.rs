//! The desk at which connections are judged: policies that are followed, the auditor and its log.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use probe_policy::engine::Options;
use tracing::warn;

use super::{RunError, flows::open};
use crate::{
    config::{Config, PolicyHostNetwork},
    flows::{FlowCounts, FlowLog, Observed},
    kernel::clock::monotonic,
    policy::{Audit, AuditSettings, Auditor, Follower, Owners, Sources},
    session::{FlowReport, Session},
};

/// Judges connections, writes audit events, and answers what was counted.
pub(super) struct Desk {
    auditor: Mutex<Auditor>,
    follower: Follower,
    log: Option<FlowLog>,
}

impl Desk {
    /// Reads the policies and opens the log; `None` where there are none to judge by.
    pub(super) fn open(config: &Config, session: &Session) -> Result<Option<Self>, RunError> {
        let policy = &config.policy;
        let Some(manifests) = &policy.manifests else {
            return Ok(None);
        };
        let sources = Sources {
            manifests: manifests.clone(),
            pending: policy.pending.clone(),
            default_namespace: policy.namespace.clone(),
            options: Options {
                blocks_match_pods: policy.ipblock_pods,
                distinguish_host_network: policy.hostnetwork == PolicyHostNetwork::Distinguish,
            },
            node: config.node.clone(),
        };
        let (follower, first) = Follower::start(sources)?;
        let settings = AuditSettings {
            grace: policy.grace,
        };
        Ok(Some(Self {
            auditor: Mutex::new(Auditor::new(first, settings, monotonic())),
            follower,
            log: open("event log", &policy.log, config, session)?,
        }))
    }

    /// Judges by other policies, if they have changed.
    pub(super) fn follow(&self, now: Duration) {
        if let Some(change) = self.follower.take() {
            self.auditor().replace(change, now);
        }
    }

    pub(super) fn follow_clock(&self, monotonic: Duration, wall: SystemTime) {
        if let Some(log) = &self.log {
            log.follow_clock(monotonic, wall);
        }
    }

    /// Takes what is said of a flow.
    pub(super) fn take(&self, report: &FlowReport, observed: &Observed<'_>) {
        let owners = Owners {
            local: observed.local,
            remote: observed.remote.map(|owner| owner.container),
        };
        let tell = |audit: &Audit<'_>| {
            if let Some(log) = &self.log {
                log.audit(observed, &audit.event());
            }
        };
        self.auditor().take(report, owners, monotonic(), tell);
    }

    /// The auditor. A panic of another thread leaves single counts behind at worst, which is no reason to stop.
    pub(super) fn auditor(&self) -> MutexGuard<'_, Auditor> {
        self.auditor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the policies may be out of date.
    pub(super) fn is_stale(&self) -> bool {
        self.follower.is_stale()
    }

    /// Counts of the log, where there is one.
    pub(super) fn log(&self) -> Option<FlowCounts> {
        self.log.as_ref().map(FlowLog::counts)
    }

    pub(super) fn reopen(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    pub(super) fn flush(&self, now: Duration, within: Duration) {
        if let Some(log) = &self.log
            && let Err(error) = log.flush(now, within)
        {
            warn!(%error, "the end of the event log is missing");
        }
    }
}

/// Where the desk is found, once there is one.
#[derive(Default)]
pub(super) struct Policies(OnceLock<Arc<Desk>>);

impl Policies {
    /// Opens the desk. There is one in a run.
    pub(super) fn open(&self, desk: Arc<Desk>) {
        _ = self.0.set(desk);
    }

    pub(super) fn desk(&self) -> Option<&Desk> {
        self.0.get().map(|desk| &**desk)
    }
}
