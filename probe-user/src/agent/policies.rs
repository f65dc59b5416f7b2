//! The desk at which connections are judged: policies that are followed, the auditor and its log.

mod happenings;

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use probe_policy::engine::Options;
use tracing::{info, warn};

use super::{RunError, flows::open};
use crate::{
    config::{Config, PolicyHostNetwork},
    flows::{FlowCounts, FlowLog, Observed},
    kernel::clock::monotonic,
    kubernetes::Kubernetes,
    model::{Container, Runtime},
    policy::{
        Audit, AuditSettings, Auditor, Change, ClusterFollower, ClusterSources, Follower, Owners,
        Sources,
    },
    session::{FlowReport, Session},
};

/// Judges connections, writes audit events, and answers what was counted.
pub(super) struct Desk {
    /// Nobody judges before the policies are known.
    auditor: Mutex<Option<Auditor>>,
    feed: Feed,
    settings: AuditSettings,
    log: Option<FlowLog>,
    kubernetes: Option<Arc<Kubernetes>>,
}

/// Where policies come from.
enum Feed {
    Files(Follower),
    Cluster(ClusterFollower),
}

impl Feed {
    fn take(&self) -> Option<Change> {
        match self {
            Self::Files(files) => files.take(),
            Self::Cluster(cluster) => cluster.take(),
        }
    }

    fn is_stale(&self) -> bool {
        match self {
            Self::Files(files) => files.is_stale(),
            Self::Cluster(cluster) => cluster.is_stale(),
        }
    }
}

impl Desk {
    /// Reads the policies, or begins to, and opens the log; `None` where there are none to judge by.
    pub(super) fn open(
        config: &Config,
        session: &Session,
        kubernetes: Option<&Arc<Kubernetes>>,
    ) -> Result<Option<Self>, RunError> {
        let policy = &config.policy;
        let options = Options {
            blocks_match_pods: policy.ipblock_pods,
            distinguish_host_network: policy.hostnetwork == PolicyHostNetwork::Distinguish,
        };
        let settings = AuditSettings {
            grace: policy.grace,
        };
        let (feed, first) = if let Some(manifests) = &policy.manifests {
            let sources = Sources {
                manifests: manifests.clone(),
                pending: policy.pending.clone(),
                default_namespace: policy.namespace.clone(),
                options,
                node: config.node.clone(),
            };
            let (follower, first) = Follower::start(sources)?;
            (Feed::Files(follower), Some(first))
        } else if let (Some(kubernetes), true) = (kubernetes, config.kubernetes.policies) {
            let follower = ClusterFollower::start(ClusterSources {
                catalog: kubernetes.catalog().clone(),
                pending: policy.pending.clone(),
                options,
                node: config.node.clone(),
            })?;
            (Feed::Cluster(follower), None)
        } else {
            return Ok(None);
        };
        let auditor = first.map(|first| Auditor::new(first, settings, monotonic()));
        Ok(Some(Self {
            auditor: Mutex::new(auditor),
            feed,
            settings,
            log: open("event log", &policy.log, config, session)?,
            kubernetes: kubernetes.cloned(),
        }))
    }

    /// Judges by other policies, if they have changed.
    pub(super) fn follow(&self, now: Duration) {
        let Some(change) = self.feed.take() else {
            return;
        };
        let mut auditor = self.auditor();
        match &mut *auditor {
            Some(auditor) => auditor.replace(change, now),
            None => {
                info!("connections are judged from now on");
                *auditor = Some(Auditor::new(change, self.settings, now));
            }
        }
    }

    pub(super) fn follow_clock(&self, monotonic: Duration, wall: SystemTime) {
        if let Some(log) = &self.log {
            log.follow_clock(monotonic, wall);
        }
    }

    /// Whether a container is no pod of the cluster that is still to be learnt: one that has just started is among the policies' pods a
    /// moment later.
    pub(super) fn is_ready_for(&self, container: &Container) -> bool {
        let may_come =
            matches!(self.feed, Feed::Cluster(_)) && container.runtime == Runtime::Kubernetes;
        let is_known = |auditor: &Auditor| auditor.knows(container);
        !may_come || self.auditor().as_ref().is_none_or(is_known)
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
            if let Some(kubernetes) = &self.kubernetes {
                happenings::tell(kubernetes, audit, owners);
            }
        };
        if let Some(auditor) = &mut *self.auditor() {
            auditor.take(report, owners, monotonic(), tell);
        }
    }

    /// The auditor, once there are policies. A panic of another thread leaves single counts behind at worst, which is no reason to
    /// stop.
    pub(super) fn auditor(&self) -> MutexGuard<'_, Option<Auditor>> {
        self.auditor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the policies may be out of date.
    pub(super) fn is_stale(&self) -> bool {
        self.feed.is_stale()
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
