//! `cargo xtask vm`: the integration tests on Debian's kernels, each in a virtual machine.
//!
//! Needs no root and installs nothing: emulator, kernels and guest tools are Debian packages
//! extracted under `target/vm`.
use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Result, bail, ensure};

use crate::{
    progress::{note, short},
    workspace,
};

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
    /// Guests that run at a time, or else as many as this machine has processors
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
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
        Limits {
            jobs: args.jobs.map_or_else(processors, NonZeroUsize::get),
            time: Duration::from_secs(args.timeout),
        },
    )
}

/// Runs the tests on the named kernels within the usual limits.
pub(crate) fn run_on(kernels: &[String], test: &[String]) -> Result<()> {
    let limits = Limits {
        jobs: processors(),
        time: Duration::from_mins(40),
    };
    boot(&Catalog::load()?, kernels, test, limits)
}

/// A guest's two processors keep less than one of the machine busy: tests wait more than they work.
fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

struct Limits {
    /// Guests at a time.
    jobs: usize,
    /// That a guest may take.
    time: Duration,
}

fn boot(catalog: &Catalog, kernels: &[String], test: &[String], limits: Limits) -> Result<()> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "virtual machines are set up for x86-64 hosts only"
    );
    let cache = workspace::target().join("vm");
    let payload = Payload::build(&catalog.guest.programs)?;
    let tools = Tools::ready(&catalog.tools, &cache)?;
    let mut guests = Vec::new();
    for entry in catalog.select(kernels)? {
        let kernel = Kernel::ready(entry, &cache, &tools)?;
        let to = cache.join(format!("initrd-{}", entry.name));
        initrd::write(&to, &kernel, &tools, &payload, catalog, test)?;
        guests.push(Guest {
            name: &entry.name,
            kernel,
            initrd: to,
            settings: &catalog.guest,
        });
    }
    let reports = several(&guests, limits.jobs, |guest| {
        let report = guest.run(&tools, &cache, limits.time)?;
        std::fs::remove_file(&guest.initrd)?;
        note(format!("{}: {}", guest.name, report.verdict()));
        Ok((guest.name, report))
    });
    summary(&reports.into_iter().collect::<Result<Vec<_>>>()?)
}

/// Does the work for each of the items, on so many threads. The results are in the items' order.
fn several<T: Sync, R: Send>(items: &[T], jobs: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let todo = Mutex::new(items.iter().enumerate());
    let next = || todo.lock().unwrap_or_else(PoisonError::into_inner).next();
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.min(items.len()) {
            scope.spawn(|| {
                while let Some((index, item)) = next() {
                    let result = work(item);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_done_once_and_its_result_keeps_its_place() {
        let items: Vec<u32> = (0..50).collect();
        for jobs in [1, 2, 7, 80] {
            let results = several(&items, jobs, |item| item * 3);
            assert!(
                results
                    .iter()
                    .copied()
                    .eq(items.iter().map(|item| item * 3))
            );
        }
        assert!(several(&[], 2, |(): &()| ()).is_empty());
    }
}
