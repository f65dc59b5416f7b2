//! The cluster: its API by kubectl, its node by that node's namespaces.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// Process id of whoever holds the node's namespaces.
const HOLDER: &str = "NODEPROBE_KUBE_HOLDER";
/// The program that stops and starts the API server: `cargo xtask` itself.
const CONTROL: &str = "NODEPROBE_KUBE_CONTROL";

/// The network namespace of somebody who is not of the cluster.
const OUTSIDE: &str = "np-kube-ext";

/// A running cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    holder: String,
    control: PathBuf,
}

impl Cluster {
    /// The one that the environment names; `None` where there is none.
    pub fn of_environment() -> Option<Self> {
        Some(Self {
            holder: env::var(HOLDER).ok()?,
            control: env::var_os(CONTROL)?.into(),
        })
    }

    /// What a program prints that runs on the node.
    ///
    /// # Errors
    ///
    /// If it fails, with what it said.
    pub fn on_node(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder, "-m", "-n", "--"]);
        output(command.args(arguments))
    }

    /// What a program prints that runs on another host of the node's network.
    ///
    /// # Errors
    ///
    /// If it fails, with what it said.
    pub fn outside(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", OUTSIDE]);
        output(command.args(arguments))
    }

    /// Whether an address is one of the cluster: of its pods, services or node.
    pub fn is_inside(&self, address: &str) -> bool {
        ["10.78.0.", "10.96.", "172.30.0.1"]
            .iter()
            .any(|prefix| address.starts_with(prefix))
    }

    /// What kubectl prints.
    ///
    /// # Errors
    ///
    /// If it fails, with what it said.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        // The API server is in the node's network; files are ours.
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder, "-n", "--", "kubectl"]);
        output(command.args(arguments))
    }

    /// The same, read as JSON.
    ///
    /// # Errors
    ///
    /// If it fails or is no JSON.
    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let arguments: Vec<_> = ["get", "-o", "json"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        serde_json::from_str(&self.kubectl(&arguments)?).context("read what kubectl printed")
    }

    /// Applies a manifest of these tests, or a text.
    ///
    /// # Errors
    ///
    /// If the API server refuses it.
    pub fn apply(&self, name: &str) -> Result<()> {
        let path = manifests().join(name);
        self.kubectl(&["apply", "-f", &path.to_string_lossy()])?;
        Ok(())
    }

    /// A folder or file of the node, seen from here.
    pub fn path(&self, on_node: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{on_node}", self.holder))
    }

    /// Stops or starts the API server: `stop-api` or `start-api`.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub fn control(&self, what: &str) -> Result<()> {
        // By it the program finds the repository, and cargo has set it to this crate for us.
        let mut control = Command::new(&self.control);
        control
            .args(["kube", what])
            .env_remove("CARGO_MANIFEST_DIR");
        output(&mut control)?;
        Ok(())
    }
}

/// Where the manifests of these tests are.
pub fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
