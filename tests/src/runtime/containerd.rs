//! containerd, started by hand with its own root, state and socket.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::{Container, answers, daemon, end_leftovers, folder, remove_parents};
use crate::{
    guard::{Process, output, run},
    image::{self, Image},
    isolate::Isolate as _,
    skip::{not_in_vm, program},
};

/// A running containerd with the image loaded, for `ctr` and for CRI.
#[derive(Debug)]
pub struct Containerd {
    ctr: PathBuf,
    process: Option<Process>,
    folder: TempDir,
}

impl Containerd {
    /// Starts containerd and loads the image into the namespaces of `ctr` and of CRI.
    ///
    /// # Errors
    ///
    /// [`crate::Unavailable`] if it is not installed or this is a virtual machine; else if it does
    /// not start.
    pub fn start() -> Result<Self> {
        not_in_vm()?;
        let containerd = program("containerd", "containerd")?;
        let ctr = program("ctr", "containerd")?;
        program("runc", "runc")?;
        let image = Image::new()?;
        let folder = folder("npc")?;
        let config = folder.path().join("config.toml");
        fs::write(&config, configuration(folder.path())).context("write the configuration")?;
        let mut command = Command::new(containerd);
        let mut process = daemon(
            command.arg("-c").arg(config).with_own_network(),
            folder.path(),
        )?;
        let ready = answers(&mut process, folder.path(), || {
            output(client(&ctr, folder.path(), "default").arg("version"))
                .is_ok_and(|output| output.status.success())
        });
        let this = Self {
            ctr,
            process: Some(process),
            folder,
        };
        ready?;
        let archive = image.archive()?;
        for namespace in ["default", "k8s.io"] {
            run(this.ctr(namespace).args(["images", "import"]).arg(&archive))?;
        }
        Ok(this)
    }

    /// The API's socket, which CRI shares.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("c.sock")
    }

    /// Starts a container with a workload that holds before and after its work, and waits until it
    /// is ready.
    ///
    /// # Errors
    ///
    /// If it does not get ready.
    pub fn start_workload(&self, name: &str, args: &str) -> Result<Container> {
        self.start_with(name, &[], args)
    }

    /// As [`Self::start_workload`], in this cgroup.
    ///
    /// # Errors
    ///
    /// As [`Self::start_workload`].
    pub fn start_workload_in(&self, name: &str, cgroup: &str, args: &str) -> Result<Container> {
        self.start_with(name, &["--cgroup", cgroup], args)
    }

    fn start_with(&self, name: &str, flags: &[&str], args: &str) -> Result<Container> {
        let mut command = self.ctr("default");
        command.args(["run", "-d", "--null-io"]).args(flags);
        command.args([image::NAME, name, image::WORKLOAD]);
        run(command.args(args.split(' ')).args(["--go", "--hold"]))?;
        let tasks = run(self.ctr("default").args(["task", "ls"]))?;
        let line = tasks
            .lines()
            .find(|line| line.split_whitespace().next() == Some(name));
        let pid = line
            .and_then(|line| line.split_whitespace().nth(1))
            .context("the task is not listed")?;
        Container::ready(name, name, pid)
    }

    /// A command that runs a workload in a container to its end and removes the container.
    pub fn run_command(&self, name: &str, args: &str) -> Command {
        let mut command = self.ctr("default");
        command
            .args([
                "run",
                "--rm",
                "--null-io",
                image::NAME,
                name,
                image::WORKLOAD,
            ])
            .args(args.split(' '));
        command.stdin(Stdio::null());
        command
    }

    fn ctr(&self, namespace: &str) -> Command {
        client(&self.ctr, self.folder.path(), namespace)
    }

    /// Ends and removes all containers of a namespace.
    fn clear(&self, namespace: &str) {
        let Ok(names) = run(self.ctr(namespace).args(["containers", "ls", "-q"])) else {
            return;
        };
        for name in names.lines() {
            // A container may have no task, or be gone with its sandbox: the next step tries
            // anyway.
            run(self.ctr(namespace).args(["task", "rm", "-f", name])).ok();
            run(self.ctr(namespace).args(["containers", "rm", name])).ok();
        }
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        for namespace in ["default", "k8s.io"] {
            self.clear(namespace);
        }
        drop(self.process.take());
        end_leftovers(self.folder.path());
        remove_parents(&["default"]);
    }
}

fn client(ctr: &Path, folder: &Path, namespace: &str) -> Command {
    let mut command = Command::new(ctr);
    command
        .arg("-a")
        .arg(folder.join("c.sock"))
        .args(["-n", namespace]);
    command
}

/// Host networking for pods needs no CNI; no pull can happen, since the sandbox's image is ours.
fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    let image = image::NAME;
    format!(
        r#"version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/c.sock"
[ttrpc]
  address = "{folder}/t.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  restrict_oom_score_adj = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"#
    )
}
