//! `cargo xtask bench`: what the probes cost, beside the empty programs and other tools.
use anyhow::Result;

use crate::{build, process::Cmd, requirements, workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments for `nodeprobe-bench`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    bench: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    requirements::install(&[requirements::BENCH])?;
    build::with_tests()?
        .args(["--features", "tests/bench"])
        .run()?;
    Cmd::new(workspace::release("nodeprobe-bench"))
        .args(&args.bench)
        .env("NODEPROBE_BIN", workspace::release("nodeprobe"))
        .run()
}
