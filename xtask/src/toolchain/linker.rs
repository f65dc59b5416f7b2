//! `bpf-linker`, whose LLVM must be at least the compiler's.
use std::{fs, ops::RangeInclusive, path::Path};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::Compiler;
use crate::{
    debian::{self, Package},
    process::find,
    progress::{Step, note},
    workspace,
};

const VERSION: &str = "0.13.0";
/// The LLVM versions that it can be built with.
const LLVM: RangeInclusive<u32> = 21..=23;

/// A linker that is there.
#[derive(Debug, PartialEq, Eq)]
enum Installed {
    No,
    /// Built by cargo against this LLVM.
    With(u32),
    /// From elsewhere; it has to be trusted.
    Unknown,
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Ready,
    /// Build it against Debian's LLVM of this version.
    Build(u32),
    Impossible,
}

fn choose(compiler_llvm: u32, installed: &Installed, package: impl Fn(u32) -> Package) -> Choice {
    match installed {
        Installed::Unknown => return Choice::Ready,
        Installed::With(llvm) if *llvm >= compiler_llvm => return Choice::Ready,
        Installed::With(_) | Installed::No => {}
    }
    let candidates = LLVM.filter(|llvm| *llvm >= compiler_llvm);
    let known: Vec<_> = candidates
        .map(|llvm| (llvm, package(llvm)))
        .filter(|(_, p)| *p != Package::Unknown)
        .collect();
    known
        .iter()
        .find(|(_, package)| *package == Package::Installed)
        .or_else(|| known.first())
        .map_or(Choice::Impossible, |(llvm, _)| Choice::Build(*llvm))
}

pub(super) fn ensure(compiler: &Compiler) -> Result<()> {
    let installed = installed();
    let choice = choose(compiler.llvm, &installed, |llvm| {
        debian::look_up(&format!("llvm-{llvm}-dev"))
    });
    match choice {
        Choice::Ready => Ok(()),
        Choice::Build(llvm) => build(llvm),
        Choice::Impossible => bail!(
            "bpf-linker with LLVM {llvm} or later is missing (toolchain `{name}` has LLVM {llvm}) \
             and there is no package `llvm-{llvm}-dev`; install a ready-made one:\n  cargo \
             install cargo-binstall && cargo binstall bpf-linker",
            llvm = compiler.llvm,
            name = compiler.name(),
        ),
    }
}

fn installed() -> Installed {
    if find("bpf-linker").is_none() {
        return Installed::No;
    }
    let record = workspace::cargo_home()
        .and_then(|home| fs::read_to_string(home.join(".crates2.json")).ok());
    record
        .and_then(|record| recorded_llvm(&record))
        .map_or(Installed::Unknown, Installed::With)
}

/// The LLVM that cargo's record of its installations names as a feature of bpf-linker.
fn recorded_llvm(record: &str) -> Option<u32> {
    #[derive(Deserialize)]
    struct Record {
        installs: std::collections::BTreeMap<String, Install>,
    }
    #[derive(Deserialize)]
    struct Install {
        features: Vec<String>,
    }
    let record: Record = serde_json::from_str(record).ok()?;
    let (_, install) = record
        .installs
        .into_iter()
        .find(|(name, _)| name.starts_with("bpf-linker "))?;
    install
        .features
        .iter()
        .find_map(|feature| feature.strip_prefix("llvm-")?.parse().ok())
}

fn build(llvm: u32) -> Result<()> {
    let dev = format!("llvm-{llvm}-dev");
    // It links with the C++ library as well; a machine for Rust may have a C compiler only.
    debian::install(&[&dev, "libzstd-dev", "zlib1g-dev", "g++"])?;
    let step = Step::start(format!(
        "cargo install bpf-linker {VERSION} with LLVM {llvm} (1-2 minutes)"
    ));
    workspace::cargo("install")
        .args([
            "bpf-linker",
            "--version",
            VERSION,
            "--locked",
            "--force",
            "--no-default-features",
        ])
        .args(["--features", &format!("llvm-{llvm}")])
        .env(
            "LLVM_PREFIX",
            Path::new("/usr/lib").join(format!("llvm-{llvm}")),
        )
        .under(&step)
        .context("bpf-linker did not build")?;
    step.done();
    if find("bpf-linker").is_none() {
        note("bpf-linker was installed to a folder that is not in PATH");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: fn(u32) -> Package = |_| Package::Unknown;

    #[test]
    fn a_linker_of_the_same_or_a_later_llvm_is_ready() {
        assert_eq!(choose(22, &Installed::With(22), NONE), Choice::Ready);
        assert_eq!(choose(22, &Installed::With(23), NONE), Choice::Ready);
        assert_eq!(choose(22, &Installed::Unknown, NONE), Choice::Ready);
    }

    #[test]
    fn a_linker_of_an_earlier_llvm_is_built_again() {
        assert_eq!(
            choose(22, &Installed::With(21), |_| Package::Available),
            Choice::Build(22)
        );
    }

    #[test]
    fn an_installed_llvm_is_preferred_to_one_that_is_to_be_fetched() {
        let package = |llvm| {
            if llvm == 23 {
                Package::Installed
            } else {
                Package::Available
            }
        };
        assert_eq!(choose(22, &Installed::No, package), Choice::Build(23));
    }

    #[test]
    fn an_llvm_older_than_the_compiler_is_no_choice() {
        let package = |llvm| {
            if llvm == 21 {
                Package::Installed
            } else {
                Package::Unknown
            }
        };
        assert_eq!(choose(22, &Installed::No, package), Choice::Impossible);
    }

    #[test]
    fn the_record_of_cargo_tells_the_llvm() {
        let record = r#"{"installs":{"bpf-linker 0.13.0 (registry)":{"features":["llvm-22"],"bins":["bpf-linker"]}}}"#;
        assert_eq!(recorded_llvm(record), Some(22));
        assert_eq!(recorded_llvm(r#"{"installs":{}}"#), None);
        assert_eq!(recorded_llvm("{"), None);
    }
}
