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
/// The oldest Rust that the workspace takes, as `1.95`.
const MINIMUM: &str = env!("CARGO_PKG_RUST_VERSION");

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
    /// There is a nightly that will do.
    nightly: bool,
    /// Debian's compiler is linked, and will do.
    linked: bool,
    /// Debian's compiler, cargo and library source are installed, and will do.
    debian: bool,
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
        Facts { nightly: true, .. } => Choice::Use("nightly".into()),
        Facts { linked: true, .. } => Choice::Use(LINKED.into()),
        Facts { debian: true, .. } => Choice::Link,
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
            debian::install_newest(&PACKAGES).with_context(|| {
                format!(
                    "the kernel side needs a compiler of Rust {MINIMUM} or later with library \
                     source: a nightly (`rustup toolchain install nightly --component rust-src`) \
                     or Debian's packages"
                )
            })?;
            if !debian_will_do() {
                bail!(
                    "Debian's {} are older than Rust {MINIMUM}; `apt-cache policy {}` shows what \
                     the sources in /etc/apt offer (the security archive has the newest)",
                    PACKAGES.join(", "),
                    PACKAGES[0]
                );
            }
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
        nightly: rustup && will_do("nightly"),
        linked: rustup && will_do(LINKED),
        debian: debian_will_do(),
    }
}

fn debian_will_do() -> bool {
    let version = Cmd::new("/usr/bin/rustc").arg("-vV").read();
    Path::new("/usr/bin/cargo").exists()
        && has_source(Path::new("/usr"))
        && version.is_ok_and(|version| is_recent(&version))
}

fn will_do(toolchain: &str) -> bool {
    let rustc = |args: &[&str]| of_toolchain(toolchain, "rustc").args(args).read();
    rustc(&["--print", "sysroot"]).is_ok_and(|sysroot| has_source(Path::new(&sysroot)))
        && rustc(&["-vV"]).is_ok_and(|version| is_recent(&version))
}

fn has_source(sysroot: &Path) -> bool {
    sysroot.join(SOURCE).is_dir()
}

/// Whether a compiler that says this of its version is new enough. Without a version it is not.
fn is_recent(version: &str) -> bool {
    let release = version
        .lines()
        .find_map(|line| line.strip_prefix("release: "));
    release.and_then(minor) >= minor(MINIMUM)
}

/// The second number of a version of Rust, whose first is always 1.
fn minor(release: &str) -> Option<u32> {
    release.strip_prefix("1.")?.split('.').next()?.parse().ok()
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
            nightly: true,
            ..Facts::default()
        };
        assert_eq!(choose(&facts), Choice::Use("mine".into()));
    }

    #[test]
    fn a_nightly_with_source_wins_over_debian() {
        let facts = Facts {
            rustup: true,
            nightly: true,
            linked: true,
            ..Facts::default()
        };
        assert_eq!(choose(&facts), Choice::Use("nightly".into()));
    }

    #[test]
    fn a_linked_toolchain_is_used_without_another_step() {
        let facts = Facts {
            rustup: true,
            linked: true,
            debian: true,
            ..Facts::default()
        };
        assert_eq!(choose(&facts), Choice::Use(LINKED.into()));
    }

    #[test]
    fn installed_packages_are_linked_only() {
        let facts = Facts {
            rustup: true,
            debian: true,
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
    fn a_compiler_is_recent_from_the_minimum_on() {
        assert!(is_recent(&format!("rustc x\nrelease: {MINIMUM}.0\n")));
        assert!(is_recent("release: 1.1000.0-nightly\n"));
        assert!(!is_recent("rustc 1.85.0\nrelease: 1.85.0\n"));
        assert!(!is_recent("rustc\n"));
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
