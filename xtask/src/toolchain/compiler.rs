//! The compiler for the BPF target: it builds `core` from source, so it needs the library's source.
use std::{env, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{
    debian,
    process::{Cmd, find},
    progress::Step,
};

/// Names a toolchain that the user prefers.
const REQUEST: &str = "NODEPROBE_EBPF_TOOLCHAIN";
/// The name under which rustup knows Debian's compiler.
const LINKED: &str = "nodeprobe-ebpf";
/// A compiler and library source of one version, from Debian's security archive.
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const SOURCE: &str = "lib/rustlib/src/rust/library/core";

/// A toolchain that can build the kernel side.
pub(crate) struct Compiler {
    toolchain: String,
    /// Major version of its LLVM.
    pub(crate) llvm: u32,
}

impl Compiler {
    /// A program of the toolchain.
    pub(crate) fn command(&self, program: &str) -> Cmd {
        // Debian's compiler is a stable one that needs this to build `core`; a nightly does not
        // care.
        of_toolchain(&self.toolchain, program).env("RUSTC_BOOTSTRAP", "1")
    }

    pub(crate) fn name(&self) -> &str {
        &self.toolchain
    }

    /// Whether its parts are Debian packages.
    pub(crate) fn is_debians(&self) -> bool {
        self.toolchain == LINKED
    }
}

/// What decides which compiler it is.
#[derive(Default)]
struct Facts {
    requested: Option<String>,
    rustup: bool,
    nightly_has_source: bool,
    linked_has_source: bool,
    /// Debian's compiler, cargo and library source are installed.
    debian_compiler: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Use(String),
    /// `rustup toolchain link`
    Link,
    InstallThenLink,
    NoRustup,
}

fn choose(facts: &Facts) -> Choice {
    match facts {
        Facts {
            requested: Some(name),
            ..
        } => Choice::Use(name.clone()),
        Facts { rustup: false, .. } => Choice::NoRustup,
        Facts {
            nightly_has_source: true,
            ..
        } => Choice::Use("nightly".into()),
        Facts {
            linked_has_source: true,
            ..
        } => Choice::Use(LINKED.into()),
        Facts {
            debian_compiler: true,
            ..
        } => Choice::Link,
        _ => Choice::InstallThenLink,
    }
}

pub(super) fn ensure() -> Result<Compiler> {
    let toolchain = match choose(&look()) {
        Choice::Use(name) => name,
        Choice::NoRustup => bail!(
            "rustup is missing; install it with your package manager or from rustup's home page"
        ),
        Choice::Link => link()?,
        Choice::InstallThenLink => {
            debian::install(&PACKAGES).context(
                "the kernel side needs a compiler with library source: a nightly (`rustup \
                 toolchain install nightly --component rust-src`) or Debian's packages",
            )?;
            link()?
        }
    };
    let version = of_toolchain(&toolchain, "rustc").arg("-vV").read()?;
    let llvm = llvm_major(&version)
        .with_context(|| format!("`{toolchain}` does not tell its LLVM:\n{version}"))?;
    Ok(Compiler { toolchain, llvm })
}

fn look() -> Facts {
    let rustup = find("rustup").is_some();
    Facts {
        requested: env::var(REQUEST).ok(),
        rustup,
        nightly_has_source: rustup && has_source("nightly"),
        linked_has_source: rustup && has_source(LINKED),
        debian_compiler: ["bin/rustc", "bin/cargo", SOURCE]
            .iter()
            .all(|path| Path::new("/usr").join(path).exists()),
    }
}

fn has_source(toolchain: &str) -> bool {
    of_toolchain(toolchain, "rustc")
        .args(["--print", "sysroot"])
        .read()
        .is_ok_and(|sysroot| Path::new(&sysroot).join(SOURCE).is_dir())
}

fn link() -> Result<String> {
    let step = Step::start(format!("rustup toolchain link {LINKED} /usr"));
    Cmd::new("rustup")
        .args(["toolchain", "link", LINKED, "/usr"])
        .under(&step)?;
    step.done();
    Ok(LINKED.into())
}

fn of_toolchain(toolchain: &str, program: &str) -> Cmd {
    // `rustup run`, because the packages put a cargo and a rustc into /usr/bin as well.
    Cmd::new("rustup").args(["run", toolchain, program])
}

fn llvm_major(version: &str) -> Option<u32> {
    version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_wins_over_everything() {
        let facts = Facts {
            requested: Some("mine".into()),
            nightly_has_source: true,
            ..Facts::default()
        };
        assert_eq!(choose(&facts), Choice::Use("mine".into()));
    }

    #[test]
    fn a_nightly_with_source_wins_over_debian() {
        let facts = Facts {
            rustup: true,
            nightly_has_source: true,
            linked_has_source: true,
            ..Facts::default()
        };
        assert_eq!(choose(&facts), Choice::Use("nightly".into()));
    }

    #[test]
    fn a_linked_toolchain_is_used_without_another_step() {
        let facts = Facts {
            rustup: true,
            linked_has_source: true,
            debian_compiler: true,
            ..Facts::default()
        };
        assert_eq!(choose(&facts), Choice::Use(LINKED.into()));
    }

    #[test]
    fn installed_packages_are_linked_only() {
        let facts = Facts {
            rustup: true,
            debian_compiler: true,
            ..Facts::default()
        };
        assert_eq!(choose(&facts), Choice::Link);
    }

    #[test]
    fn a_bare_machine_gets_the_packages_first() {
        assert_eq!(
            choose(&Facts {
                rustup: true,
                ..Facts::default()
            }),
            Choice::InstallThenLink
        );
        assert_eq!(choose(&Facts::default()), Choice::NoRustup);
    }

    #[test]
    fn the_llvm_version_is_read_from_the_compiler() {
        assert_eq!(
            llvm_major("rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n"),
            Some(22)
        );
        assert_eq!(llvm_major("rustc 1.96.0\n"), None);
    }
}
