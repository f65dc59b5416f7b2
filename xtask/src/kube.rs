//! `cargo xtask kube`: a real Kubernetes of one node, from Debian's packages, and the tests on it.
//!
//! The node has a network and mounts of its own; the machine is left as it was found. docs/kubernetes-testing.md says more.
use std::{path::PathBuf, process::ExitStatus};

use anyhow::{Context as _, Result, bail};

use crate::{image, process::Cmd, progress::note, requirements, shipped, workspace};

mod binaries;
mod cluster;
mod config;
mod daemons;
mod images;
mod node;
mod pki;
mod records;
mod state;

use binaries::Binaries;
use cluster::Cluster;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Build what a cluster needs, which takes some ten minutes the first time, and start nothing
    Build,
    /// Start a cluster, after building what it needs
    Up,
    /// Stop it and remove all that it made
    Down,
    /// Run a command on the node, with kubectl set up: `cargo xtask kube run -- kubectl get pods -A`
    Run {
        /// The command
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Stop the API server and leave the rest
    StopApi,
    /// Start it again
    StartApi,
    /// Start a cluster, deploy the agent as it is shipped, run the tests on it, and remove all
    Test(TestArgs),
}

#[derive(clap::Args)]
struct TestArgs {
    #[command(flatten)]
    shipped: shipped::Args,
    /// Only tests whose name contains this
    #[arg(long)]
    filter: Option<String>,
    /// Leave the cluster as it is at the end, for a look; `cargo xtask kube down` removes it
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !workspace::is_root() {
        bail!("a cluster needs root, for namespaces and containers; run this with sudo");
    }
    match &args.command {
        Command::Build => ready().map(drop),
        Command::Up => {
            let cluster = up()?;
            note(format!(
                "cargo xtask kube run -- kubectl get pods -A\n  · outside of it: KUBECONFIG={}, in the network namespace {}",
                cluster.kubeconfig().display(),
                node::NETWORK
            ));
            Ok(())
        }
        Command::Down => cluster::down(),
        Command::Run { command } => {
            let status = Cluster::running()?.command(command).into_inner().status()?;
            ended(status)
        }
        Command::StopApi => Cluster::running()?.stop_api(),
        Command::StartApi => Cluster::running()?.start_api(),
        Command::Test(args) => test(args),
    }
}

fn ended(status: ExitStatus) -> Result<()> {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => std::process::exit(code),
        None => bail!("the command ended with {status}"),
    }
}

fn ready() -> Result<(Binaries, Vec<PathBuf>)> {
    requirements::install(&[requirements::CONTAINERS, requirements::KUBERNETES])?;
    let binaries = binaries::ready()?;
    let images = images::ready(&binaries)?;
    Ok((binaries, images))
}

fn up() -> Result<Cluster> {
    let (binaries, images) = ready()?;
    Cluster::up(&binaries, &images)
}

/// Deploys the image by the shipped manifests and runs the tests.
fn test(args: &TestArgs) -> Result<()> {
    image::run(&args.shipped)?;
    let cluster = up()?;
    let tested = deployed(&cluster).and_then(|()| tests(&cluster, args));
    if args.keep {
        note("the cluster is kept; `cargo xtask kube down` removes it");
        return tested;
    }
    let removed = cluster::down();
    tested.and(removed)
}

fn deployed(cluster: &Cluster) -> Result<()> {
    cluster.import(&image::archive())?;
    let overlay = workspace::root().join("tests/kubernetes/manifests/agent");
    cluster
        .kubectl(&["apply", "-k", &overlay.to_string_lossy()])
        .context("deploy the agent")?;
    Ok(())
}

fn tests(cluster: &Cluster, args: &TestArgs) -> Result<()> {
    let control = std::env::current_exe().context("find this program")?;
    let test: Cmd = workspace::cargo("test")
        .args(["--locked", "-p", "kube-tests", "--test", "cluster", "--"])
        .args(["--test-threads=1", "--nocapture"])
        .args(&args.filter)
        .env("NODEPROBE_KUBE_HOLDER", cluster.holder().to_string())
        .env("NODEPROBE_KUBE_CONTROL", control)
        .env("NODEPROBE_KUBE_AUDIT", cluster.audit_log())
        .env("NODEPROBE_BIN", workspace::release("nodeprobe"))
        .env("KUBECONFIG", cluster.kubeconfig());
    test.run()
}
