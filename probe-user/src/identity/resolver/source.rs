//! One runtime at one place.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc::Sender, task::JoinSet};

use super::{
    Config, containerd::Containerd, cri::Cri, docker::Docker, error::SourceError, gate,
    kubernetes::Kubernetes, places::distinct, podman::Storage,
};
use crate::{
    identity::{Names, Reach, RuntimeState, Told, paths::Question},
    kubernetes::Catalog,
    model::Runtime,
};

/// Where runtimes report containers of their own accord.
pub(super) type Reports = Sender<Vec<Told>>;

/// A place to query.
#[derive(Debug)]
pub(super) struct Source {
    kind: Kind,
    /// The socket or directory; empty for an API server.
    path: PathBuf,
    /// What happened when it was queried last.
    reach: Mutex<Option<Reach>>,
    /// Set when `reach` of any source changes.
    changed: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Kind {
    /// dockerd, or podman's service.
    Docker(Docker),
    /// podman's files.
    Storage(Storage),
    /// A Kubernetes runtime.
    Cri(Cri),
    /// containerd's own interface.
    Containerd(Containerd),
    /// What an API server reported of its own accord.
    Kubernetes(Kubernetes),
}

impl Source {
    /// The runtime whose containers it knows.
    pub(super) fn serves(&self) -> Runtime {
        match &self.kind {
            Kind::Docker(docker) => docker.serves(),
            Kind::Storage(_) => Runtime::Podman,
            Kind::Cri(_) | Kind::Kubernetes(_) => Runtime::Kubernetes,
            Kind::Containerd(_) => Runtime::Containerd,
        }
    }

    /// Queries the names of a container.
    pub(super) async fn ask(&self, question: &Question) -> Result<Names, SourceError> {
        let names = match &self.kind {
            Kind::Docker(docker) => docker.names(&question.id).await,
            Kind::Storage(storage) => storage.names(&question.id).await,
            Kind::Cri(cri) => cri.names(&question.id).await,
            Kind::Kubernetes(kubernetes) => return kubernetes.names(question),
            Kind::Containerd(containerd) => {
                let namespace = question.namespace.as_deref().ok_or(SourceError::NotFound)?;
                containerd.names(namespace, &question.id).await
            }
        };
        self.note(&names);
        names
    }

    /// Follows what the runtime reports of its own accord for ever, and connects again after a pause when that ends.
    pub(super) async fn watch(&self, reports: &Reports) {
        let mut failures = 0;
        loop {
            let responds = || self.set_reach(Reach::Responds);
            let followed = match &self.kind {
                Kind::Docker(docker) => docker.follow(reports, responds).await,
                Kind::Containerd(containerd) => containerd.follow(reports, responds).await,
                Kind::Storage(storage) => storage.follow(reports, responds).await,
                Kind::Cri(_) | Kind::Kubernetes(_) => return,
            };
            self.note(&followed);
            match followed {
                Ok(()) => failures = 0,
                Err(error) => {
                    tracing::debug!(path = %self.path.display(), %error, "no events");
                    failures += 1;
                }
            }
            tokio::time::sleep(gate::pause(failures)).await;
        }
    }

    fn note<T>(&self, result: &Result<T, SourceError>) {
        let reach = match result {
            Ok(_) => Some(Reach::Responds),
            Err(error) => error.reach(),
        };
        if let Some(reach) = reach {
            self.set_reach(reach);
        }
    }

    fn set_reach(&self, reach: Reach) {
        let mut known = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        let reach = Some(reach);
        if *known == reach {
            return;
        }
        let (runtime, path) = (self.serves(), self.path.display());
        match (&*known, &reach) {
            (_, Some(Reach::Fails(error))) => {
                tracing::warn!(%runtime, %path, error, "the container runtime does not respond; its containers have no names");
            }
            (Some(Reach::Responds), Some(Reach::Absent)) => {
                tracing::warn!(%runtime, %path, "the container runtime is gone; new containers have no names");
            }
            (Some(Reach::Absent | Reach::Fails(_)), Some(Reach::Responds)) => {
                tracing::info!(%runtime, %path, "the container runtime responds");
            }
            _ => {}
        }
        *known = reach;
        self.changed.store(true, Ordering::Release);
    }

    fn state(&self) -> Option<RuntimeState> {
        let reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        Some(RuntimeState {
            runtime: self.serves(),
            path: self.path.clone(),
            reach: reach.clone()?,
        })
    }
}

/// All sources of a configuration, those included whose places appear later.
#[derive(Debug)]
pub(super) struct Sources {
    config: Config,
    known: HashSet<(Runtime, PathBuf)>,
    all: Arc<[Arc<Source>]>,
    changed: Arc<AtomicBool>,
}

impl Sources {
    pub(super) fn new(config: Config, catalog: Option<Arc<Catalog>>) -> Self {
        let changed = Arc::<AtomicBool>::default();
        let kubernetes = catalog.map(|catalog| {
            Arc::new(Source {
                kind: Kind::Kubernetes(Kubernetes::new(catalog)),
                path: PathBuf::new(),
                reach: Mutex::default(),
                changed: changed.clone(),
            })
        });
        Self {
            config,
            known: HashSet::new(),
            all: kubernetes.into_iter().collect(),
            changed,
        }
    }

    /// All sources.
    pub(super) fn all(&self) -> Arc<[Arc<Source>]> {
        Arc::clone(&self.all)
    }

    /// Looks for places that were not there before, and has what is found watched. Answers whether there are new ones. Must be
    /// called inside a tokio runtime.
    pub(super) fn look(&mut self, watchers: &mut JoinSet<()>, reports: &Reports) -> bool {
        let Config {
            docker,
            podman,
            podman_storage,
            containerd,
            cri,
            timeout,
        } = &self.config;
        type Open = fn(&Path, Duration) -> Kind;
        let kinds: [(Runtime, &Vec<PathBuf>, Open); 5] = [
            (Runtime::Docker, docker, |path, timeout| {
                Kind::Docker(Docker::new(Runtime::Docker, path, timeout))
            }),
            (Runtime::Podman, podman, |path, timeout| {
                Kind::Docker(Docker::new(Runtime::Podman, path, timeout))
            }),
            (Runtime::Podman, podman_storage, |path, _| {
                Kind::Storage(Storage::new(path))
            }),
            (Runtime::Kubernetes, cri, |path, timeout| {
                Kind::Cri(Cri::new(path, timeout))
            }),
            (Runtime::Containerd, containerd, |path, timeout| {
                Kind::Containerd(Containerd::new(path, timeout))
            }),
        ];
        let mut new = Vec::new();
        for (runtime, paths, open) in kinds {
            for path in distinct(paths) {
                if self.known.insert((runtime, path.clone())) {
                    new.push(Arc::new(Source {
                        kind: open(&path, *timeout),
                        path,
                        reach: Mutex::default(),
                        changed: self.changed.clone(),
                    }));
                }
            }
        }
        if new.is_empty() {
            return false;
        }
        for source in new.iter().map(Arc::clone) {
            let reports = reports.clone();
            watchers.spawn(async move { source.watch(&reports).await });
        }
        self.all = self.all.iter().cloned().chain(new).collect();
        true
    }

    /// Which runtimes respond, if that changed since the last call.
    pub(super) fn states(&self) -> Option<Vec<RuntimeState>> {
        let changed = self.changed.swap(false, Ordering::AcqRel);
        changed.then(|| {
            self.all
                .iter()
                .filter_map(|source| source.state())
                .collect()
        })
    }
}
