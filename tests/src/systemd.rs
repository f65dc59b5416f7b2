//! A real systemd that runs the shipped unit, in namespaces of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    cgroup::Cgroup,
    guard::Process,
    nodeprobe::binary,
    skip::{Unavailable, not_in_vm, program},
};

const SCRIPT: &str = include_str!("systemd.sh");

/// The unit as it is shipped.
pub fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/nodeprobe.service")
}

/// A systemd whose only unit is that of the agent. It ends with this value.
#[derive(Debug)]
pub struct Systemd {
    process: Process,
    folder: TempDir,
    /// Dropped last: it kills whatever is left.
    _cgroup: Cgroup,
}

impl Systemd {
    /// Starts it with this configuration of the agent, and these lines of a drop-in for the unit.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] where there is no systemd, or no cgroup v2.
    pub fn start(configuration: &str, dropin: &str) -> Result<Self> {
        not_in_vm()?;
        if !Path::new("/lib/systemd/systemd").exists() {
            return Err(Unavailable("no systemd; Debian package systemd".into()).into());
        }
        let cgroup = Cgroup::new("systemd")?;
        let folder = tempfile::tempdir().context("make a folder")?;
        let file = |name: &str, text: &str| -> Result<PathBuf> {
            let path = folder.path().join(name);
            fs::write(&path, text).with_context(|| format!("write {name}"))?;
            Ok(path)
        };
        let work = folder.path().join("work");
        fs::create_dir(&work)?;
        // The targets that units depend on by default are those of a whole host.
        let dropin = format!("[Unit]\nDefaultDependencies=no\n{dropin}");
        let log = File::create(folder.path().join("log"))?;
        let mut command = cgroup.command(program("unshare", "util-linux")?);
        command
            .args([
                "--kill-child",
                "--mount",
                "--uts",
                "--ipc",
                "--pid",
                "--fork",
                "--cgroup",
            ])
            .args(["sh", "-c", SCRIPT, "systemd.sh"])
            .arg(&work)
            .arg(unit())
            .arg(file("dropin", &dropin)?)
            .arg(binary())
            .arg(file("configuration", configuration)?)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Self {
            process: Process::spawn(&mut command)?,
            folder,
            _cgroup: cgroup,
        })
    }

    /// A property of the unit, such as `ActiveState`.
    ///
    /// # Errors
    ///
    /// If systemd does not answer, as when it has just been started.
    pub fn property(&self, name: &str) -> Result<String> {
        let init = self.init()?.as_raw_pid().to_string();
        let output = Command::new(program("nsenter", "util-linux")?)
            .args(["--target", &init, "--mount", "--pid"])
            .args([
                "systemctl",
                "show",
                "nodeprobe.service",
                "--value",
                "-p",
                name,
            ])
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The process that is systemd.
    fn init(&self) -> Result<Pid> {
        let pid = self.process.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let init = children.split(' ').next().and_then(|pid| pid.parse().ok());
        init.and_then(Pid::from_raw)
            .context("systemd has not been started yet")
    }

    /// What systemd and the agent have said.
    pub fn said(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // First of all, or it would start the agent again; it takes all processes of its namespace along.
        if let Ok(init) = self.init() {
            kill_process(init, Signal::KILL).ok();
        }
    }
}
