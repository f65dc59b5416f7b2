//! The emulator and other programs of the host's side, run from the folder that their packages were
//! extracted to.
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::catalog::ToolPackages;
use crate::{archive::Archive, cache::filled, process::Cmd};

/// A folder with programs, their libraries and the loader that joins them.
pub(crate) struct Tools {
    root: PathBuf,
}

impl Tools {
    /// Extracts the packages, unless they were.
    pub(crate) fn ready(wanted: &ToolPackages, cache: &Path) -> Result<Self> {
        let root = cache.join("tools");
        filled(&root, |dir| {
            Archive::open(&cache.join("apt/tools"), &wanted.suites)?
                .extract_closure(&wanted.packages, dir)
        })?;
        Ok(Self { root })
    }

    /// A program by its path below the root, with the loader and libraries of its own suite.
    pub(crate) fn command(&self, program: &str) -> Result<Cmd> {
        Ok(Cmd::new(self.path("usr/lib64/ld-linux-x86-64.so.2"))
            .arg("--library-path")
            .arg(self.libraries()?)
            .arg(self.path(program)))
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    fn libraries(&self) -> Result<OsString> {
        let dirs = [self.path("usr/lib/x86_64-linux-gnu"), self.path("usr/lib")];
        std::env::join_paths(dirs).context("the workspace's path has a colon in it")
    }
}
