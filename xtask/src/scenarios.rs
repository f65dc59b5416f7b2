//! `cargo xtask scenarios`: real problems made by real programs, and what nodeprobe says of them.
use anyhow::Result;

use crate::{build, process::Cmd, requirements, workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only scenarios whose names contain one of these
    names: Vec<String>,
    /// Print names and questions, and run nothing
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.list {
        requirements::install(&[
            requirements::CONTAINERS,
            requirements::TESTS,
            requirements::SCENARIOS,
        ])?;
    }
    build::with_tests()?.run()?;
    Cmd::new(workspace::release("nodeprobe-scenarios"))
        .args(args.list.then_some("--list"))
        .args(&args.names)
        .env("NODEPROBE_BIN", workspace::release("nodeprobe"))
        .run()
}
