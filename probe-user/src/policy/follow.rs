//! Reads policies, and reads them again when their files change.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use probe_policy::{
    audit,
    engine::{Engine, Options},
    load::{Finding, Loaded, Severity},
    model::Cluster,
};
use tracing::{info, warn};

use super::{
    manifests::{self, Fingerprint, ManifestError},
    places,
};
use crate::{
    kernel::{Roots, addresses},
    logs::chain,
};

/// How often files are looked at. What has changed is read when it has not changed once more.
const EVERY: Duration = Duration::from_secs(1);

/// Findings that are logged one by one.
const TOLD: usize = 20;

/// Where policies come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The manifests in force: policies, and the pods, namespaces, services and nodes that they are about.
    pub manifests: PathBuf,
    /// Policies that are to be in force instead.
    pub pending: Option<PathBuf>,
    /// Namespace of objects that name none.
    pub default_namespace: String,
    /// What the API leaves to choice.
    pub options: Options,
    /// Name of this host.
    pub node: String,
}

/// What the files say from now on.
#[derive(Debug)]
pub struct Change {
    /// The policies in force.
    pub engine: Engine,
    /// The same with those that are pending.
    pub pending: Option<Engine>,
    /// What is wrong with the files.
    pub findings: Vec<Finding>,
}

/// Follows the files on a thread of its own, which ends when this is dropped.
pub struct Follower {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    is_stale: AtomicBool,
    next: Mutex<Option<Change>>,
}

impl Sources {
    /// Reads all files.
    ///
    /// # Errors
    ///
    /// If they cannot be read. What is wrong in a manifest is among the findings.
    pub fn read(&self) -> Result<Change, ManifestError> {
        let Loaded {
            mut cluster,
            mut findings,
            ..
        } = self.read_from(&self.manifests)?;
        places::settle(&mut cluster, &self.node, &own_addresses());
        let marked = audit::pending(&mut cluster);
        let pending = match &self.pending {
            None => marked,
            Some(path) => {
                let proposal = self.read_from(path)?;
                findings.extend(proposal.findings);
                Some(audit::with_proposed(&cluster, proposal.cluster))
            }
        };
        let engine = |cluster: Cluster| Engine::new(cluster, self.options);
        Ok(Change {
            pending: pending.map(engine),
            engine: engine(cluster),
            findings,
        })
    }

    fn read_from(&self, path: &Path) -> Result<Loaded, ManifestError> {
        manifests::read(path, &self.default_namespace)
    }

    fn fingerprints(&self) -> Result<Vec<Fingerprint>, ManifestError> {
        let paths = std::iter::once(&self.manifests).chain(&self.pending);
        paths.map(|path| manifests::fingerprint(path)).collect()
    }
}

/// All addresses of this host but loopback.
pub(super) fn own_addresses() -> Vec<IpAddr> {
    addresses::of_host(&Roots::default().proc).unwrap_or_else(|error| {
        warn!(%error, "the addresses of this host are not known; what comes from it is taken for something outside");
        Vec::new()
    })
}

impl Follower {
    /// Reads the files and goes on to follow them.
    ///
    /// # Errors
    ///
    /// If they cannot be read now. Later on, what was read last stays in force.
    pub fn start(sources: Sources) -> Result<(Self, Change), FollowError> {
        let known = sources.fingerprints().ok();
        let first = sources.read()?;
        tell(&first);
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread = thread::Builder::new()
            .name("policies".into())
            .spawn(move || follow(&sources, known, &of_thread))
            .map_err(FollowError::Thread)?;
        Ok((Self { shared, thread }, first))
    }

    /// What has changed since the last call.
    pub fn take(&self) -> Option<Change> {
        let next = &self.shared.next;
        next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the files cannot be read, so that what was read last may be out of date.
    pub fn is_stale(&self) -> bool {
        self.shared.is_stale.load(Ordering::Relaxed)
    }
}

impl Drop for Follower {
    /// Has the thread end, and does not wait for what it reads.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
    }
}

/// Policies cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The files cannot be read.
    #[error("cannot read policies")]
    Manifests(#[from] ManifestError),
    /// The system refused a thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

fn follow(sources: &Sources, mut known: Option<Vec<Fingerprint>>, shared: &Shared) {
    let mut seen = known.clone();
    while !shared.stop.load(Ordering::Relaxed) {
        thread::park_timeout(EVERY);
        let now = match sources.fingerprints() {
            Ok(now) => Some(now),
            Err(error) => {
                stale(shared, &error);
                continue;
            }
        };
        let is_still = now == seen;
        seen.clone_from(&now);
        if !is_still || now == known {
            if now == known {
                shared.is_stale.store(false, Ordering::Relaxed);
            }
            continue;
        }
        match sources.read() {
            Ok(change) => {
                tell(&change);
                known = now;
                shared.is_stale.store(false, Ordering::Relaxed);
                *shared.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
            }
            Err(error) => stale(shared, &error),
        }
    }
}

/// Says so once; what was read last stays.
fn stale(shared: &Shared, error: &ManifestError) {
    if !shared.is_stale.swap(true, Ordering::Relaxed) {
        warn!(
            error = chain(error),
            "policies cannot be read; those that were read last stay in force"
        );
    }
}

fn tell(change: &Change) {
    for finding in change.findings.iter().take(TOLD) {
        warn!("{finding}");
    }
    if let Some(more @ 1..) = change.findings.len().checked_sub(TOLD) {
        warn!(
            more,
            "more is wrong with the manifests; `nodeprobe policy check` shows all"
        );
    }
    let cluster = change.engine.cluster();
    let errors = change.findings.iter();
    info!(
        policies = cluster.policies.len(),
        pods = cluster.pods.len(),
        errors = errors.filter(|it| it.severity == Severity::Error).count(),
        pending = change.pending.is_some(),
        "policies are read"
    );
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Instant};

    use super::*;

    const POLICY: &str = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {}, policyTypes: [Ingress]}}";

    fn sources(folder: &Path) -> Sources {
        Sources {
            manifests: folder.to_owned(),
            pending: None,
            default_namespace: "default".to_owned(),
            options: Options::default(),
            node: "here".to_owned(),
        }
    }

    fn wait<T>(mut until: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(found) = until() {
                return found;
            }
            assert!(Instant::now() < deadline, "it does not happen");
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn files_are_read_again_when_they_have_changed_and_stay_in_force_when_they_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, POLICY).unwrap();
        let (follower, first) = Follower::start(sources(folder.path())).unwrap();
        assert_eq!(first.engine.cluster().policies.len(), 1);
        assert!(follower.take().is_none());
        let more = format!("{POLICY}\n---\n{}", POLICY.replace("name: a", "name: b"));
        fs::write(&file, more).unwrap();
        let change = wait(|| follower.take());
        assert_eq!(change.engine.cluster().policies.len(), 2);
        fs::remove_file(&file).unwrap();
        wait(|| follower.is_stale().then_some(()));
        assert!(follower.take().is_none());
        fs::write(&file, POLICY).unwrap();
        let change = wait(|| follower.take());
        assert_eq!(change.engine.cluster().policies.len(), 1);
        assert!(!follower.is_stale());
    }

    #[test]
    fn there_must_be_manifests_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            Follower::start(sources(folder.path())),
            Err(FollowError::Manifests(ManifestError::Empty(_)))
        ));
    }
}
