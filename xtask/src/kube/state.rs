//! Where a running cluster keeps its files, all of them below `target/kube`.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::workspace;

/// The folder of a cluster.
#[derive(Clone, Debug)]
pub(super) struct State(PathBuf);

impl State {
    /// The one that there can be.
    pub(super) fn place() -> Self {
        Self(workspace::target().join("kube"))
    }

    pub(super) fn exists(&self) -> bool {
        self.0.exists()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// Makes the folder with those of all parts.
    pub(super) fn make(&self) -> Result<()> {
        for name in ["pids", "logs", "pki", "cni", "containerd-state"] {
            let path = self.path(name);
            fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        }
        Ok(())
    }

    /// Writes a file; answers its path.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path("logs").join(format!("{name}.log"))
    }
}
