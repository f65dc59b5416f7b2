//! One cgroup in every hierarchy of a hybrid host, as container runtimes make them there.

use std::{
    ffi::CString,
    fs,
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::{Cgroup, join, remove_tree};
use crate::skip::Unavailable;

/// A cgroup of the same path in all v1 hierarchies and in v2. Dropping it kills what is left in it
/// and removes it.
#[derive(Debug)]
pub struct Everywhere {
    unified: Cgroup,
    v1: Vec<PathBuf>,
}

impl Everywhere {
    /// Makes the cgroup.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] where no v1 hierarchy or no v2 hierarchy is mounted.
    pub fn new(label: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("read the mounts")?;
        let hierarchies: Vec<_> = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .filter(|fields| fields.get(2) == Some(&"cgroup"))
            .filter_map(|fields| fields.get(1).map(PathBuf::from))
            .collect();
        if hierarchies.is_empty() {
            return Err(Unavailable("no cgroup v1 is mounted".into()).into());
        }
        let unified = Cgroup::new(label)?;
        let mut this = Self {
            v1: Vec::new(),
            unified,
        };
        for hierarchy in hierarchies {
            let path = hierarchy.join(this.unified.name());
            fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
            this.v1.push(path.clone());
            inherit_cpuset(&hierarchy, &path)?;
        }
        ensure!(!this.v1.is_empty(), "the cgroup is in no v1 hierarchy");
        Ok(this)
    }

    /// The part in the v2 hierarchy, whose path is that of all the others.
    pub fn unified(&self) -> &Cgroup {
        &self.unified
    }

    /// A command that runs in this cgroup, in every hierarchy, from its first instruction.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.unified.command(program);
        let procs: Vec<_> = self
            .v1
            .iter()
            .map(|path| CString::new(path.join("cgroup.procs").as_os_str().as_bytes()))
            .collect();
        // SAFETY: between fork and exec only system calls are made, and nothing is allocated.
        unsafe { command.pre_exec(move || procs.iter().try_for_each(join)) };
        command
    }
}

impl Drop for Everywhere {
    fn drop(&mut self) {
        for path in &self.v1 {
            if let Err(error) = remove_tree(path) {
                eprintln!("cgroup {} is left behind: {error:#}", path.display());
            }
        }
    }
}

/// A cpuset takes no task before it has CPUs and memory nodes.
fn inherit_cpuset(parent: &Path, child: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(value) = fs::read_to_string(parent.join(file)) {
            fs::write(child.join(file), value.trim()).with_context(|| format!("set {file}"))?;
        }
    }
    Ok(())
}
