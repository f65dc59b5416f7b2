//! `cargo xtask build`: the release binary, with everything that its build needs.
use anyhow::{Context as _, Result};

use crate::{process::Cmd, toolchain, workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Further arguments for `cargo build`
    #[arg(last = true)]
    cargo: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    nodeprobe(&args.cargo)
}

/// Builds `nodeprobe`.
pub(crate) fn nodeprobe(more: &[String]) -> Result<()> {
    toolchain::ensure()?;
    release("build", &["probe-user"])
        .arg("--bins")
        .args(more)
        .run()
        .context("the build failed")
}

/// Builds `nodeprobe`, the integration tests and what they start.
///
/// In one command, because cargo settles features for all that it builds together: apart, the
/// dependencies would be built twice.
pub(crate) fn with_tests() -> Result<Cmd> {
    toolchain::ensure()?;
    Ok(tested("build").args(["--bins", "--test", "integration"]))
}

/// Runs the integration tests. In release, because what the probes cost is part of what they test.
pub(crate) fn integration_tests() -> Cmd {
    tested("test").args(["--test", "integration"])
}

fn tested(subcommand: &str) -> Cmd {
    release(subcommand, &["probe-user", "tests"])
}

fn release(subcommand: &str, packages: &[&str]) -> Cmd {
    let selection = packages.iter().flat_map(|package| ["--package", package]);
    workspace::cargo(subcommand)
        .args(["--release", "--locked"])
        .args(selection)
}
