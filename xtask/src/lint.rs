//! `cargo xtask lint`: everything that can be said of the code without running it.
use anyhow::{Result, bail};

use crate::{check, process::Cmd, progress::Step, workspace};

mod kernel_side;
mod tools;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Format the code in place of complaining
    #[arg(long)]
    fix: bool,
}

/// A name, and what to run under its step.
type Part = (&'static str, fn() -> Result<()>);

const PARTS: &[Part] = &[
    ("layers, sizes and SAFETY lines", check::run),
    ("spelling", || quietly("spelling", tools::typos()?)),
    ("licences, sources and bans", || {
        quietly("licences, sources and bans", tools::deny()?)
    }),
    ("clippy, user side", user_side),
    ("clippy, kernel side", kernel_side::run),
];

/// Runs all parts even if one complains, so that one run shows everything.
pub(crate) fn run(args: &Args) -> Result<()> {
    let format = workspace::cargo("fmt").arg("--all");
    let formatted = if args.fix {
        format.run()
    } else {
        format.arg("--check").run()
    };
    let mut complaints = Vec::from_iter(
        formatted
            .err()
            .map(|_| "formatting (`cargo xtask lint --fix`)"),
    );
    for (name, part) in PARTS {
        if let Err(error) = part() {
            eprintln!("{name}: {error:#}");
            complaints.push(name);
        }
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        bail!("complaints about {}", complaints.join("; "))
    }
}

/// Clippy for what runs on the host, the benchmark too, with empty objects for the kernel side.
fn user_side() -> Result<()> {
    workspace::cargo("clippy")
        .args(["--locked", "--all-targets", "--all-features"])
        .args(["--", "-D", "warnings"])
        .env("AYA_BUILD_SKIP", "1")
        .run()
}

fn quietly(what: &str, command: Cmd) -> Result<()> {
    let step = Step::start(what);
    command.under(&step)?;
    step.done();
    Ok(())
}
