//! `cargo xtask test`: installs what the tests lack, runs all of them, and says what was skipped.
use std::{collections::BTreeSet, io::IsTerminal as _};

use anyhow::{Context as _, Result, bail};

use crate::{
    build,
    process::{Cmd, find},
    progress::note,
    requirements,
    tally::Tally,
    vm, workspace,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name contains this
    #[arg(long)]
    filter: Option<String>,
    /// Only unit and documentation tests: no root, no BPF tools
    #[arg(long, conflicts_with = "integration")]
    unit: bool,
    /// Only the integration tests
    #[arg(long)]
    integration: bool,
    /// Install nothing; tests whose tools are missing are skipped
    #[arg(long)]
    no_install: bool,
    /// Then run the integration tests on these kernels in virtual machines
    #[arg(long, num_args = 1.., value_name = "KERNEL")]
    vm: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut tally = Tally::default();
    if !args.integration {
        tally.add(unit(args)?);
    }
    if !args.unit {
        tally.add(integration(args)?);
    }
    // Several tests may lack the same thing.
    for skip in &BTreeSet::from_iter(&tally.skips) {
        note(format!("skipped {skip}"));
    }
    println!("\n{tally}");
    if let Some(fault) = tally.fault() {
        bail!(
            "{fault}{}",
            args.filter
                .as_ref()
                .map_or(String::new(), |name| format!(" of `{name}`"))
        );
    }
    if args.vm.is_empty() {
        Ok(())
    } else {
        vm::run_on(&args.vm, args.filter.as_slice())
    }
}

/// Tests from outside of a crate that need neither root nor the kernel side.
const TESTS: &[&str] = &[
    "check",
    "command_line",
    "corpora",
    "loader",
    "policy",
    "properties",
    "semantics",
    "suggestions",
];

/// Unit and documentation tests, in debug for the overflow checks, with empty objects for the
/// kernel side. Those of the benchmark too.
fn unit(args: &Args) -> Result<Tally> {
    let test = || {
        workspace::cargo("test")
            .args(["--locked", "--all-features"])
            .env("AYA_BUILD_SKIP", "1")
    };
    let plain = test()
        .args(["--lib", "--bins"])
        .args(TESTS.iter().flat_map(|name| ["--test", name]));
    let mut tally = counted(plain.args(&args.filter))?;
    tally.add(counted(test().arg("--doc").args(&args.filter))?);
    Ok(tally)
}

fn integration(args: &Args) -> Result<Tally> {
    if !args.no_install {
        requirements::install(&[requirements::CONTAINERS, requirements::TESTS]).context(
            "the integration tests lack something; with `--no-install` they run without it and \
             skip what needs it",
        )?;
    }
    build::with_tests()?.run()?;
    let mut test = build::integration_tests().env("NODEPROBE_BIN", workspace::release("nodeprobe"));
    if !workspace::is_root() {
        let sudo = find("sudo")
            .context("the integration tests need root, and there is no sudo; become root")?;
        test = test.env(
            runner_variable(std::env::consts::ARCH),
            format!("{} --preserve-env", sudo.display()),
        );
    }
    let tally = counted(test.arg("--").args(&args.filter))?;
    // Unit tests that passed must not hide that nothing was tried on the kernel.
    if let (Some(fault), None) = (tally.fault(), &args.filter) {
        bail!("integration tests: {fault}");
    }
    Ok(tally)
}

/// Names the program that cargo starts its tests with: cargo itself stays an ordinary user's.
fn runner_variable(arch: &str) -> String {
    format!(
        "CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER",
        arch.to_uppercase()
    )
}

/// Runs tests with their output shown and counted.
fn counted(command: Cmd) -> Result<Tally> {
    let colour = if std::io::stdout().is_terminal() {
        "always"
    } else {
        "never"
    };
    let command = command.env("CARGO_TERM_COLOR", colour);
    let name = command.to_string();
    let mut tally = Tally::default();
    let status = command.lines(|line| {
        println!("{line}");
        tally.line(line);
    })?;
    if !status.success() {
        bail!("`{name}` ended with {status}: {tally}");
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_is_named_as_cargo_expects_it() {
        assert_eq!(
            runner_variable("x86_64"),
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER"
        );
    }
}
