//! Cgroups with tasks in them, without any runtime.

use std::{
    ffi::{CString, NulError},
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
};

use crate::{skip::Unavailable, wait::poll};

mod everywhere;

pub use everywhere::Everywhere;

/// A cgroup v2 of this test. Dropping it kills what is left in it and removes it with everything
/// below.
#[derive(Debug)]
pub struct Cgroup {
    mount: PathBuf,
    path: PathBuf,
}

/// Where cgroup v2 is mounted: `/sys/fs/cgroup`, or below it on a hybrid host.
///
/// # Errors
///
/// [`Unavailable`] if it is not mounted.
pub fn unified_mount() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("read the mounts")?;
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"cgroup2"))
        .and_then(|fields| fields.get(1).map(PathBuf::from))
        .ok_or_else(|| Unavailable("no cgroup v2 is mounted".into()).into())
}

impl Cgroup {
    /// Makes a cgroup at the top of the hierarchy with a unique name that begins with `label`.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] without cgroup v2; else if it cannot be made.
    pub fn new(label: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("np-{label}-{}-{number}", std::process::id());
        let mount = unified_mount()?;
        Self::make(mount.clone(), mount.join(name))
    }

    /// Makes a cgroup below this one, which removes it if the child is not dropped before.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn child(&self, name: &str) -> Result<Self> {
        Self::make(self.mount.clone(), self.path.join(name))
    }

    fn make(mount: PathBuf, path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self { mount, path })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// Its path in the hierarchy, starting with `/`, as nodeprobe reports it.
    pub fn path(&self) -> String {
        let below = self.path.strip_prefix(&self.mount).unwrap_or(&self.path);
        format!("/{}", below.display())
    }

    /// Its last path component.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// Its id: the inode number of its folder.
    ///
    /// # Errors
    ///
    /// If it has been removed.
    pub fn id(&self) -> Result<u64> {
        Ok(fs::metadata(&self.path)
            .with_context(|| format!("look at {}", self.path.display()))?
            .ino())
    }

    /// A command that runs in this cgroup from its first instruction.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let procs = CString::new(self.path.join("cgroup.procs").as_os_str().as_bytes());
        // SAFETY: between fork and exec only two system calls are made, and nothing is allocated.
        unsafe { command.pre_exec(move || join(&procs)) };
        command
    }

    /// Removes the cgroup and everything below, as a runtime does when a container ends.
    ///
    /// # Errors
    ///
    /// If a process in it does not end.
    pub fn remove(self) -> Result<()> {
        let result = remove_tree(&self.path);
        std::mem::forget(self);
        result
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Not a panic: it would hide why the test failed. The name says whose it is.
        if let Err(error) = remove_tree(&self.path) {
            eprintln!("cgroup {} is left behind: {error:#}", self.path.display());
        }
    }
}

/// Kills what is in a cgroup and removes it, children first.
///
/// # Errors
///
/// If it cannot be removed within ten seconds.
pub fn remove_tree(path: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(path) else {
        return Ok(());
    };
    for entry in entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
    {
        remove_tree(&entry.path())?;
    }
    let what = format!("the removal of {}", path.display());
    poll(Duration::from_secs(10), &what, || {
        for pid in fs::read_to_string(path.join("cgroup.procs"))
            .unwrap_or_default()
            .lines()
        {
            if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
                // It may have ended in between.
                kill_process(pid, Signal::KILL).ok();
            }
        }
        match fs::remove_dir(path) {
            Ok(()) => Some(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(()),
            Err(_) => None,
        }
    })
}

/// Moves the calling process into the cgroup of this `cgroup.procs`. Async-signal-safe: two system
/// calls.
fn join(procs: &Result<CString, NulError>) -> io::Result<()> {
    let path = procs.as_deref().map_err(|_| io::ErrorKind::InvalidInput)?;
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, b"0")?;
    Ok(())
}
