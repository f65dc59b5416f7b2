//! `cargo xtask vm`: the integration tests on Debian's kernels, each in a virtual machine.
//!
//! Needs no root and installs nothing: emulator, kernels and guest tools are Debian packages
//! extracted under `target/vm`.
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::{
    progress::{note, short},
    workspace,
};

mod archive;
mod cache;
mod catalog;
mod console;
mod cpio;
mod guest;
mod initrd;
mod kernel;
mod modules;
mod payload;
mod tools;

use catalog::Catalog;
use guest::{Guest, Report};
use kernel::Kernel;
use payload::Payload;
use tools::Tools;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kernels by name or suite; all without any
    kernels: Vec<String>,
    /// Show the kernels and end
    #[arg(long)]
    list: bool,
    /// Seconds that one kernel may take
    #[arg(long, default_value_t = 2400)]
    timeout: u64,
    /// Arguments for the tests, such as a part of a test's name
    #[arg(last = true)]
    test: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let catalog = Catalog::load()?;
    if args.list {
        for entry in &catalog.kernels {
            println!(
                "{:6} {} ({})",
                entry.name,
                entry.package,
                entry.suites.join(", ")
            );
        }
        return Ok(());
    }
    boot(
        &catalog,
        &args.kernels,
        &args.test,
        Duration::from_secs(args.timeout),
    )
}

/// Runs the tests on the named kernels with the usual time limit.
pub(crate) fn run_on(kernels: &[String], test: &[String]) -> Result<()> {
    boot(&Catalog::load()?, kernels, test, Duration::from_mins(20))
}

fn boot(catalog: &Catalog, kernels: &[String], test: &[String], timeout: Duration) -> Result<()> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "virtual machines are set up for x86-64 hosts only"
    );
    let entries = catalog.select(kernels)?;
    let cache = workspace::target().join("vm");
    let payload = Payload::build(&catalog.guest.programs)?;
    let tools = Tools::ready(&catalog.tools, &cache)?;
    let mut reports = Vec::new();
    for entry in entries {
        let kernel = Kernel::ready(entry, &cache, &tools)?;
        let initrd = initrd::write(&kernel, &tools, &payload, catalog, test, &cache)?;
        let guest = Guest {
            name: &entry.name,
            kernel: &kernel,
            initrd: &initrd,
            settings: &catalog.guest,
        };
        let report = guest.run(&tools, &cache, timeout)?;
        std::fs::remove_file(initrd)?;
        note(format!("{}: {}", entry.name, report.verdict()));
        reports.push((entry.name.as_str(), report));
    }
    summary(&reports)
}

fn summary(reports: &[(&str, Report)]) -> Result<()> {
    println!(
        "\n{:6} {:28} {:>8} {:>8} {:>6} {:>6} {:>7}  result",
        "kernel", "version", "boot", "all", "passed", "failed", "skipped"
    );
    for (name, report) in reports {
        let Report {
            console,
            took,
            booted_after,
        } = report;
        println!(
            "{name:6} {:28} {:>8} {:>8} {:>6} {:>6} {:>7}  {}",
            console.release.as_deref().unwrap_or("-"),
            booted_after.map_or_else(|| "-".into(), short),
            short(*took),
            console.tally.passed_for_real(),
            console.tally.failed,
            console.tally.skips.len(),
            report.verdict(),
        );
    }
    let failed: Vec<_> = reports
        .iter()
        .filter(|(_, report)| !report.verdict().good())
        .map(|(name, _)| *name)
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        bail!(
            "failed on {}; the consoles are in target/vm/logs",
            failed.join(", ")
        )
    }
}
