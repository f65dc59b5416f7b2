//! The workload: a program that does a known amount of known things, see `src/bin/workload`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::JoinHandle,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cgroup::Cgroup,
    guard::{self, Process},
    task::Task,
    wait::LONG,
};

/// The program, linked statically.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/workload"));

/// The workload as an executable file.
#[derive(Debug)]
pub struct Workload {
    path: PathBuf,
    _folder: TempDir,
}

impl Workload {
    /// Writes the executable to a folder of its own.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("nodeprobe-workload")
            .tempdir()
            .context("make a folder")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))
            .context("open the folder")?;
        let path = folder.path().join("workload");
        install(&path)?;
        Ok(Self {
            path,
            _folder: folder,
        })
    }

    /// Where the executable is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a command in a cgroup with `--go` and `--hold`, and returns when it is ready for its
    /// work.
    ///
    /// # Errors
    ///
    /// If it does not get ready.
    pub fn ready(&self, cgroup: &Cgroup, args: &str) -> Result<Running> {
        self.ready_as(cgroup.command(&self.path), args)
    }

    /// As [`Self::ready`], by a command for [`Self::path`] that was prepared otherwise.
    ///
    /// # Errors
    ///
    /// As [`Self::ready`].
    pub fn ready_as(&self, mut command: Command, args: &str) -> Result<Running> {
        command
            .args(args.split_whitespace())
            .args(["--go", "--hold"]);
        let running = Running::spawn(&mut command)?;
        running.task.wait_ready()?;
        Ok(running)
    }

    /// Runs a command in a cgroup to its end and returns what it says that it did.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn run(&self, cgroup: &Cgroup, args: &str) -> Result<Value> {
        self.start(cgroup, args)?.result()
    }

    /// Starts a command in a cgroup that waits for nothing.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(&self, cgroup: &Cgroup, args: &str) -> Result<Running> {
        self.start_as(cgroup.command(&self.path), args)
    }

    /// As [`Self::start`], by a command for [`Self::path`] that was prepared otherwise.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_as(&self, mut command: Command, args: &str) -> Result<Running> {
        Running::spawn(command.args(args.split_whitespace()))
    }
}

/// Writes the executable.
///
/// # Errors
///
/// If that fails.
pub fn install(path: &Path) -> Result<()> {
    fs::write(path, PROGRAM).with_context(|| format!("write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).context("make it executable")
}

/// A workload that runs as a child of the test.
#[derive(Debug)]
pub struct Running {
    /// The process seen from outside.
    pub task: Task,
    process: Process,
    stdout: Option<JoinHandle<String>>,
}

impl Running {
    fn spawn(command: &mut Command) -> Result<Self> {
        let mut process = Process::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let stdout = process.take_stdout().map(guard::collect);
        Ok(Self {
            task: Task::new(process.pid())?,
            process,
            stdout,
        })
    }

    /// Lets it work and returns when it is done; it goes on holding.
    ///
    /// # Errors
    ///
    /// If it does not get done.
    pub fn work(&self) -> Result<()> {
        self.task.go()?;
        self.task.wait_done()
    }

    /// Lets it end after its work and returns what it says that it did.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn finish(self) -> Result<Value> {
        self.task.go()?;
        self.result()
    }

    /// Has a server that works until it is told otherwise end, and returns what it says that it did.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn close(self) -> Result<Value> {
        self.work()?;
        self.finish()
    }

    /// Waits for its end and returns what it says that it did.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn result(mut self) -> Result<Value> {
        let status = self.process.wait(2 * LONG)?;
        let text = self
            .stdout
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        if !status.success() {
            bail!("the workload ended with {status} after printing `{text}`");
        }
        serde_json::from_str(&text).with_context(|| format!("read `{text}`"))
    }
}
