//! Which runtimes can be reached, for `nodeprobe doctor`.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Config, containerd::Containerd, cri::Cri, docker, error::SourceError, places::distinct,
    podman::Storage,
};
use crate::model::Runtime;

/// A place where a runtime may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeSocket {
    /// Whose containers are named there; [`Runtime::Kubernetes`] for every CRI runtime.
    pub runtime: Runtime,
    /// The socket, or podman's storage directory.
    pub path: PathBuf,
    /// What was found.
    pub state: SocketState,
}

/// What was found at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketState {
    /// It answers; the text is the version that it states.
    Reachable(String),
    /// Nothing is there: the runtime is not installed or not running.
    Absent,
    /// Something is there and cannot be used, for this reason.
    Unreachable(String),
}

impl fmt::Display for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reachable(version) => write!(f, "reachable, {version}"),
            Self::Absent => f.write_str("not there"),
            Self::Unreachable(why) => f.write_str(why),
        }
    }
}

/// Tries every place of a configuration, each within its time limit. Must run inside a tokio
/// runtime.
pub async fn probe_sockets(config: &Config) -> Vec<RuntimeSocket> {
    let timeout = config.timeout;
    let mut found = Vec::new();
    let mut add = |runtime, path: &Path, state| {
        found.push(RuntimeSocket {
            runtime,
            path: path.to_owned(),
            state,
        });
    };
    for (runtime, paths) in [
        (Runtime::Docker, &config.docker),
        (Runtime::Podman, &config.podman),
    ] {
        for path in distinct(paths) {
            add(
                runtime,
                &path,
                limited(timeout, docker::version(&path)).await,
            );
        }
    }
    for path in distinct(&config.podman_storage) {
        let storage = Storage::new(&path);
        let lists = async {
            let lists = storage.readable_lists().await?;
            Ok(format!("{lists} lists of containers"))
        };
        add(Runtime::Podman, &path, limited(timeout, lists).await);
    }
    for path in distinct(&config.containerd) {
        let containerd = Containerd::new(&path, timeout);
        add(
            Runtime::Containerd,
            &path,
            limited(timeout, containerd.version()).await,
        );
    }
    for path in distinct(&config.cri) {
        let cri = Cri::new(&path, timeout);
        add(
            Runtime::Kubernetes,
            &path,
            limited(timeout, cri.version()).await,
        );
    }
    found
}

async fn limited(
    timeout: Duration,
    version: impl Future<Output = Result<String, SourceError>>,
) -> SocketState {
    match tokio::time::timeout(timeout, version)
        .await
        .unwrap_or(Err(SourceError::Timeout))
    {
        Ok(version) => SocketState::Reachable(version),
        Err(SourceError::Absent) => SocketState::Absent,
        Err(error) => SocketState::Unreachable(error.to_string()),
    }
}
