//! What the container runtimes have in common.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::{cgroup, guard::Process, task::Task, wait::poll};

pub mod containerd;
pub mod cri;
pub mod docker;
pub mod podman;

/// A container with a workload in it.
#[derive(Clone, Debug)]
pub struct Container {
    /// The runtime's full id.
    pub id: String,
    /// The name that it was given.
    pub name: String,
    /// The workload as the host sees it.
    pub task: Task,
}

impl Container {
    /// A container whose workload has this pid, once that is ready.
    fn ready(id: &str, name: &str, pid: &str) -> Result<Self> {
        let pid = pid
            .trim()
            .parse()
            .with_context(|| format!("`{pid}` is the pid of {name}"))?;
        let task = Task::new(pid)?;
        task.wait_ready()?;
        Ok(Self {
            id: id.trim().to_owned(),
            name: name.to_owned(),
            task,
        })
    }
}

/// A short folder name: paths of Unix sockets are limited to 107 bytes.
fn folder(prefix: &str) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in("/tmp")
        .context("make a folder")
}

/// Starts a daemon that writes its log to a file in its folder.
fn daemon(command: &mut Command, folder: &Path) -> Result<Process> {
    let log = File::create(folder.join("log")).context("make the log")?;
    Process::daemon(
        command
            .stdout(log.try_clone().context("share the log")?)
            .stderr(log),
    )
}

/// Waits until a daemon answers; an error shows the end of its log.
fn answers(process: &mut Process, folder: &Path, mut ask: impl FnMut() -> bool) -> Result<()> {
    let mut ended = false;
    let answer = poll(Duration::from_secs(60), "the daemon to answer", || {
        ended = process.has_ended();
        (ended || ask()).then_some(())
    });
    let log = || {
        let text = fs::read_to_string(folder.join("log")).unwrap_or_default();
        text.lines().rev().take(8).collect::<Vec<_>>().join("\n")
    };
    answer.with_context(log)?;
    anyhow::ensure!(!ended, "the daemon ended; its log backwards:\n{}", log());
    Ok(())
}

/// Ends the processes that a runtime left behind: those whose command line names its folder, which
/// is ours alone.
fn end_leftovers(folder: &Path) {
    let needle = folder.to_string_lossy().into_owned();
    let own = std::process::id().to_string();
    let gone = poll(
        Duration::from_secs(10),
        "left-over processes to end",
        || {
            let Ok(entries) = fs::read_dir("/proc") else {
                return Some(());
            };
            let mut found = false;
            for entry in entries.filter_map(Result::ok) {
                let name = entry.file_name().to_string_lossy().into_owned();
                let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
                if name == own || !line.contains(&needle) {
                    continue;
                }
                if let Some(pid) = name.parse().ok().and_then(Pid::from_raw) {
                    found = true;
                    // It may have ended in between.
                    kill_process(pid, Signal::KILL).ok();
                }
            }
            (!found).then_some(())
        },
    );
    if let Err(error) = gone {
        eprintln!("{error:#}: {needle}");
    }
}

/// Removes a runtime's parent cgroup from every hierarchy, unless something else still uses it.
fn remove_parents(names: &[&str]) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let hierarchies = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields.get(2).is_some_and(|kind| kind.starts_with("cgroup")))
        .filter_map(|fields| fields.get(1).map(PathBuf::from));
    for hierarchy in hierarchies {
        for name in names {
            // Not empty, or never made: both are fine.
            fs::remove_dir(hierarchy.join(name)).ok();
        }
    }
}

/// Removes the cgroup tree of one pod or container from every hierarchy.
fn remove_everywhere(path: &str) {
    let Ok(unified) = cgroup::unified_mount() else {
        return;
    };
    let mut hierarchies = vec![unified.clone()];
    if let Some(parent) = unified.parent()
        && unified.ends_with("unified")
    {
        hierarchies.extend(
            fs::read_dir(parent)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path())),
        );
    }
    for hierarchy in hierarchies {
        if let Err(error) = cgroup::remove_tree(&hierarchy.join(path.trim_start_matches('/'))) {
            eprintln!("{error:#}");
        }
    }
}
