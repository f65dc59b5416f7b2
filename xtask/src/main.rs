//! The commands of this repository: `cargo xtask run`, `test`, `build`, `lint`, `check`, `vm`,
//! `scenarios`, `bench`, `image`, `package` and `manifests`.
//!
//! Depends on none of our crates, so that it runs when they do not compile. A file per command; the
//! others hold what the commands share.
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod archive;
mod bench;
mod build;
mod cache;
mod check;
mod debian;
mod image;
mod kube;
mod libraries;
mod lint;
mod manifests;
mod package;
mod process;
mod progress;
mod requirements;
mod run;
mod sbom;
mod scenarios;
mod shipped;
mod tally;
mod test;
mod toolchain;
mod tree;
mod vm;
mod workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Builds, runs and tests nodeprobe",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build, then start the agent with its live table; with ARGS, run `nodeprobe ARGS`
    Run(run::Args),
    /// Install what the tests lack and run all of them
    Test(test::Args),
    /// Install what the build lacks and build the release binary
    Build(build::Args),
    /// Formatting, clippy on both sides, layers, licences and spelling
    Lint(lint::Args),
    /// The rules that no compiler checks: who may import whom, file sizes, SAFETY lines (part of
    /// lint)
    Check,
    /// Run the integration tests on Debian's kernels in virtual machines
    Vm(vm::Args),
    /// Make a container image of the release binary, for `ctr images import` and `docker load`
    Image(shipped::Args),
    /// Make a Debian package of the release binary and its service
    Package(shipped::Args),
    /// Render the Kubernetes overlays, and check them where a checker is installed
    Manifests,
    /// A real Kubernetes of one node, and the tests on it
    Kube(kube::Args),
    /// Make real problems and check what nodeprobe says of them
    Scenarios(scenarios::Args),
    /// Measure what the probes cost, beside other tools
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Check => check::run(),
        Command::Vm(args) => vm::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Package(args) => package::run(&args),
        Command::Manifests => manifests::run(),
        Command::Kube(args) => kube::run(&args),
        Command::Scenarios(args) => scenarios::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
