//! One runtime at one place, and what can go wrong with it.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Answer, Config, containerd::Containerd, cri::Cri, docker::Docker, kubernetes::Kubernetes,
    podman::Storage,
};
use crate::{
    identity::{Names, Pod, paths::Question},
    kubernetes::Catalog,
    model::Runtime,
};

/// Why a runtime gave no names.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    /// Nothing is there: the runtime is not installed or not running.
    #[error("not there; is the runtime running?")]
    Absent,
    /// It cannot be reached.
    #[error("cannot be reached: {0}; check that it runs and that the socket may be opened")]
    Unreachable(String),
    /// It was not asked, since it could not be reached a moment ago.
    #[error("could not be reached a moment ago")]
    BackingOff,
    /// It took too long.
    #[error("did not answer in time")]
    Timeout,
    /// It answered something else.
    #[error("answered what was not understood: {0}")]
    Protocol(String),
    /// It does not have what was called: an older version, or a part that is switched off.
    #[error("does not offer this interface; is it switched off in its configuration?")]
    Unimplemented,
    /// It answered that there is no such container.
    #[error("does not know the container")]
    NotFound,
    /// The container's pod is known, and nothing was said of the container itself yet.
    #[error("knows the pod and not yet the container")]
    OnlyPod(Pod),
}

impl SourceError {
    /// Whether the next call is likely to fail in the same way, and to take its time for it.
    pub(super) fn is_broken(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Timeout | Self::Protocol(_)
        )
    }

    /// The answer when these are all the failures: the one that says most about the container is
    /// kept.
    pub(super) fn refusal(failures: &[Self], question: &Question) -> Answer {
        let (_, reason, again) = failures
            .iter()
            .map(|failure| failure.weight(question))
            .max()
            .unwrap_or((0, "no runtime to ask is configured", false));
        let pod = failures.iter().find_map(|failure| match failure {
            Self::OnlyPod(pod) => Some(pod.clone()),
            _ => None,
        });
        Answer::No { reason, again, pod }
    }

    /// How much this says about the container, the reason for the operator, and whether to ask
    /// again.
    fn weight(&self, question: &Question) -> (u8, &'static str, bool) {
        match self {
            Self::Absent | Self::Unimplemented => {
                (0, "no runtime that could know it is running", false)
            }
            // The path was no more than a guess; an id may not have been registered yet.
            Self::NotFound => (1, "no runtime that was asked knows it", !question.guess),
            Self::OnlyPod(_) => (
                1,
                "the API server knows its pod, and no runtime that was asked knows the container",
                true,
            ),
            Self::BackingOff => (2, "the runtime cannot be reached", true),
            Self::Unreachable(_) => (3, "the runtime cannot be reached", true),
            Self::Timeout => (4, "the runtime did not answer in time", true),
            Self::Protocol(_) => (5, "the answer of the runtime was not understood", true),
        }
    }
}

impl From<io::Error> for SourceError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

/// A place to ask.
#[derive(Debug)]
pub(super) enum Source {
    /// dockerd, or podman's service.
    Docker(Docker),
    /// podman's files.
    Storage(Storage),
    /// A Kubernetes runtime.
    Cri(Cri),
    /// containerd's own interface.
    Containerd(Containerd),
    /// What an API server told of its own accord.
    Kubernetes(Kubernetes),
}

impl Source {
    /// The runtime whose containers it knows.
    pub(super) fn serves(&self) -> Runtime {
        match self {
            Self::Docker(docker) => docker.serves(),
            Self::Storage(_) => Runtime::Podman,
            Self::Cri(_) | Self::Kubernetes(_) => Runtime::Kubernetes,
            Self::Containerd(_) => Runtime::Containerd,
        }
    }

    /// Asks for the names of a container.
    pub(super) async fn ask(&self, question: &Question) -> Result<Names, SourceError> {
        match self {
            Self::Docker(docker) => docker.names(&question.id).await,
            Self::Storage(storage) => storage.names(&question.id).await,
            Self::Cri(cri) => cri.names(&question.id).await,
            Self::Kubernetes(kubernetes) => kubernetes.names(question),
            Self::Containerd(containerd) => {
                let namespace = question.namespace.as_deref().ok_or(SourceError::NotFound)?;
                containerd.names(namespace, &question.id).await
            }
        }
    }

    /// Follows what the runtime tells on its own account, for as long as it is polled.
    pub(super) async fn watch(&self) {
        if let Self::Docker(docker) = self {
            docker.watch().await;
        }
    }
}

/// All places of a configuration. Must be called inside a tokio runtime.
pub(super) fn all(config: &Config, catalog: Option<Arc<Catalog>>) -> Vec<Arc<Source>> {
    let docker = |runtime| move |path| Source::Docker(Docker::new(runtime, path, config.timeout));
    let mut sources = Vec::new();
    sources.extend(distinct(&config.docker).map(docker(Runtime::Docker)));
    sources.extend(distinct(&config.podman).map(docker(Runtime::Podman)));
    sources
        .extend(distinct(&config.podman_storage).map(|path| Source::Storage(Storage::new(path))));
    sources.extend(catalog.map(|catalog| Source::Kubernetes(Kubernetes::new(catalog))));
    sources.extend(distinct(&config.cri).map(|path| Source::Cri(Cri::new(path, config.timeout))));
    let containerd = distinct(&config.containerd);
    sources
        .extend(containerd.map(|path| Source::Containerd(Containerd::new(path, config.timeout))));
    sources.into_iter().map(Arc::new).collect()
}

/// Paths without those that name the same place: `/var/run` is a link to `/run` nearly everywhere.
pub(super) fn distinct(paths: &[PathBuf]) -> impl Iterator<Item = &Path> {
    let mut seen = HashSet::new();
    paths.iter().map(PathBuf::as_path).filter(move |path| {
        let directory = path.parent().and_then(|parent| parent.canonicalize().ok());
        let place = directory
            .zip(path.file_name())
            .map(|(directory, name)| directory.join(name));
        seen.insert(place.unwrap_or_else(|| path.to_path_buf()))
    })
}
