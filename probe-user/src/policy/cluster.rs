//! Policies of a cluster, as its API server tells of them.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use probe_policy::{
    audit,
    engine::{Engine, Options},
    model::Cluster,
};
use tracing::{info, warn};

use super::{
    follow::{Change, FollowError, own_addresses},
    manifests,
};
use crate::kubernetes::Catalog;

/// A change of policies waits this long for others that belong to it.
const GATHER: Duration = Duration::from_millis(250);
/// Changes of pods alone come in no closer order than this: each is a state that is compiled and remembered.
const PODS_EVERY: Duration = Duration::from_secs(2);
/// How long a wait for changes may last; also how soon the end is noticed.
const WAIT: Duration = Duration::from_secs(1);

/// How policies of a cluster are judged by.
#[derive(Clone, Debug)]
pub struct ClusterSources {
    /// What the API server tells.
    pub catalog: Arc<Catalog>,
    /// Policies that are to be in force instead, in manifests, read once.
    pub pending: Option<std::path::PathBuf>,
    /// What the API leaves to choice.
    pub options: Options,
    /// Name of this host.
    pub node: String,
}

/// Follows the cluster on a thread of its own, which ends when this is dropped.
pub struct ClusterFollower {
    shared: Arc<Shared>,
    catalog: Arc<Catalog>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    next: Mutex<Option<Change>>,
}

impl ClusterFollower {
    /// Starts to follow. The first change comes when all that is judged by has been read.
    ///
    /// # Errors
    ///
    /// If the manifests of pending policies cannot be read, or the system refuses a thread.
    pub fn start(sources: ClusterSources) -> Result<Self, FollowError> {
        let pending = match &sources.pending {
            None => None,
            Some(path) => Some(manifests::read(path, "default")?.cluster),
        };
        let shared = Arc::new(Shared::default());
        let (of_thread, catalog) = (shared.clone(), sources.catalog.clone());
        thread::Builder::new()
            .name("policies".into())
            .spawn(move || follow(&sources, pending.as_ref(), &of_thread))
            .map_err(FollowError::Thread)?;
        Ok(Self { shared, catalog })
    }

    /// What has changed since the last call.
    pub fn take(&self) -> Option<Change> {
        let next = &self.shared.next;
        next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the API server cannot be read, so that what was read last may be out of date.
    pub fn is_stale(&self) -> bool {
        self.catalog.is_stale()
    }
}

impl Drop for ClusterFollower {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn follow(sources: &ClusterSources, proposal: Option<&Cluster>, shared: &Shared) {
    let catalog = &sources.catalog;
    // The generation that was read last, that of its policies, and when.
    let mut read: Option<(u64, u64, Instant)> = None;
    while !shared.stop.load(Ordering::Relaxed) {
        let generation = catalog.generation();
        if read.is_some_and(|(known, ..)| known == generation) {
            catalog.wait(generation, WAIT);
            continue;
        }
        if !catalog.has_policies() {
            catalog.wait(generation, WAIT);
            continue;
        }
        thread::sleep(GATHER);
        let policies = catalog.policy_generation();
        let pause = read
            .filter(|(_, known, _)| *known == policies)
            .and_then(|(.., at)| PODS_EVERY.checked_sub(at.elapsed()));
        if let Some(pause) = pause {
            // A policy that comes meanwhile is not kept waiting.
            catalog.wait(catalog.generation(), pause.min(GATHER));
            continue;
        }
        let generation = catalog.generation();
        let change = change(sources, proposal);
        let is_first = read.is_none();
        tell(&change, is_first);
        read = Some((generation, policies, Instant::now()));
        *shared.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
    }
}

fn change(sources: &ClusterSources, proposal: Option<&Cluster>) -> Change {
    let mut cluster = sources.catalog.cluster();
    know_own_addresses(&mut cluster, &sources.node, own_addresses());
    let marked = audit::pending(&mut cluster);
    let pending = proposal.map_or(marked, |proposal| {
        Some(audit::with_proposed(&cluster, proposal.clone()))
    });
    let engine = |cluster: Cluster| Engine::new(cluster, sources.options);
    Change {
        pending: pending.map(engine),
        engine: engine(cluster),
        findings: Vec::new(),
    }
}

/// The API server knows one address of a node. What comes from it may come from any of its bridges, as the kubelet's probes do.
fn know_own_addresses(cluster: &mut Cluster, node: &str, own: Vec<IpAddr>) {
    let known = cluster.nodes.entry(node.to_owned()).or_default();
    for address in own {
        if !known.addresses.contains(&address) {
            known.addresses.push(address);
        }
    }
}

fn tell(change: &Change, is_first: bool) {
    let cluster = change.engine.cluster();
    let (policies, pods) = (cluster.policies.len(), cluster.pods.len());
    if is_first {
        info!(policies, pods, "policies of the cluster are read");
        if cluster.namespaces.is_empty() {
            warn!("the cluster has no namespaces; selectors of namespaces will match nothing");
        }
    } else {
        tracing::debug!(policies, pods, "the cluster has changed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_node_has_all_its_addresses() {
        let mut cluster = Cluster::default();
        let own: Vec<IpAddr> = vec![[10, 0, 0, 1].into(), [172, 17, 0, 1].into()];
        know_own_addresses(&mut cluster, "n1", own.clone());
        know_own_addresses(&mut cluster, "n1", own.clone());
        assert_eq!(cluster.nodes["n1"].addresses, own);
    }
}
