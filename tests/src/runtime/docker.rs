//! dockerd, started by hand: its own data, its own socket, its own network namespace.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::{Container, answers, daemon, end_leftovers, folder, remove_parents};
use crate::{
    guard::{Process, output, run},
    image::{self, Image},
    isolate::Isolate as _,
    skip::{not_in_vm, program},
};

/// A running dockerd with the image loaded.
#[derive(Debug)]
pub struct Docker {
    client: PathBuf,
    process: Option<Process>,
    folder: TempDir,
    network: &'static str,
}

/// A bridge with IPv4 and IPv6 in the network of the daemon.
const BRIDGE: &[&str] = &[
    "--bip",
    "172.31.0.1/24",
    "--ipv6",
    "--fixed-cidr-v6",
    "fd00:6e70::/64",
    "--ip6tables=false",
];

impl Docker {
    /// Starts dockerd and loads the image.
    ///
    /// # Errors
    ///
    /// [`crate::Unavailable`] if it is not installed or this is a virtual machine; else if it does
    /// not start.
    pub fn start() -> Result<Self> {
        Self::start_as("none", &["--bridge", "none"], |_| {})
    }

    /// As [`Self::start`], with containers on a bridge, which is in the network of the daemon and not in that of the host.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with_bridge() -> Result<Self> {
        Self::start_as("bridge", BRIDGE, |_| {})
    }

    /// As [`Self::start`], with containers that have the network of the host, which for them is the daemon's.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_on_host_network() -> Result<Self> {
        Self::start_as("host", &["--bridge", "none"], |_| {})
    }

    /// As [`Self::start`], on a host with cgroup v2 only.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_on_v2() -> Result<Self> {
        Self::start_as("none", &["--bridge", "none"], |command| {
            command.with_v2_only();
        })
    }

    fn start_as(
        network: &'static str,
        args: &[&str],
        isolate: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        not_in_vm()?;
        let dockerd = program("dockerd", "docker.io")?;
        let client = program("docker", "docker.io")?;
        let image = Image::new()?;
        let folder = folder("npd")?;
        let at = |name: &str| folder.path().join(name);
        let mut command = Command::new(dockerd);
        command
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("-p")
            .arg(at("pid"));
        command
            .arg("-H")
            .arg(format!("unix://{}", at("d.sock").display()));
        command.args(["--storage-driver", "vfs", "--iptables=false"]);
        command.args(args);
        command.with_own_network();
        isolate(&mut command);
        let mut process = daemon(&mut command, folder.path())?;
        let ready = answers(&mut process, folder.path(), || {
            output(docker(&client, folder.path()).arg("info"))
                .is_ok_and(|output| output.status.success())
        });
        let this = Self {
            client,
            process: Some(process),
            folder,
            network,
        };
        ready?;
        run(this
            .docker()
            .arg("import")
            .arg(image.layer())
            .arg(image::NAME))?;
        Ok(this)
    }

    /// The API's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("d.sock")
    }

    /// Starts a container with a workload that holds before and after its work, and waits until it
    /// is ready.
    ///
    /// # Errors
    ///
    /// If it does not get ready.
    pub fn start_workload(&self, name: &str, args: &str) -> Result<Container> {
        let mut command = self.docker();
        command.args([
            "run",
            "-d",
            "--network",
            self.network,
            "--name",
            name,
            image::NAME,
            image::WORKLOAD,
        ]);
        let id = run(command.args(args.split(' ')).args(["--go", "--hold"]))?;
        let pid = run(self
            .docker()
            .args(["inspect", "-f", "{{.State.Pid}}", name]))?;
        Container::ready(&id, name, &pid)
    }

    /// The addresses of a container on the bridge: IPv4 and IPv6.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub fn addresses(&self, name: &str) -> Result<[IpAddr; 2]> {
        const FORMAT: &str =
            "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.GlobalIPv6Address}}";
        let text = run(self.docker().args(["inspect", "-f", FORMAT, name]))?;
        let (v4, v6) = text.split_once(' ').context("two addresses")?;
        let parse = |text: &str| text.parse().with_context(|| format!("`{text}` of {name}"));
        Ok([parse(v4)?, parse(v6)?])
    }

    /// What the workload of a container printed.
    ///
    /// # Errors
    ///
    /// If that is no JSON.
    pub fn result(&self, name: &str) -> Result<Value> {
        let text = run(self.docker().args(["logs", name]))?;
        serde_json::from_str(&text).with_context(|| format!("{name} said `{text}`"))
    }

    /// Gives a container another name.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub fn rename(&self, name: &str, to: &str) -> Result<()> {
        run(self.docker().args(["rename", name, to])).map(drop)
    }

    /// Removes a container, whatever it does.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub fn remove(&self, name: &str) -> Result<()> {
        run(self.docker().args(["rm", "-f", name])).map(drop)
    }

    fn docker(&self) -> Command {
        docker(&self.client, self.folder.path())
    }
}

fn docker(client: &Path, folder: &Path) -> Command {
    let mut command = Command::new(client);
    command
        .arg("-H")
        .arg(format!("unix://{}", folder.join("d.sock").display()))
        .env_remove("DOCKER_CONTEXT");
    command.env("DOCKER_CONFIG", folder);
    command
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Ok(ids) = run(self.docker().args(["ps", "-aq"])) {
            let ids: Vec<_> = ids.lines().collect();
            if !ids.is_empty() {
                run(self.docker().args(["rm", "-f"]).args(ids)).ok();
            }
        }
        drop(self.process.take());
        end_leftovers(self.folder.path());
        remove_parents(&["docker"]);
    }
}
