//! Clippy for the BPF target, with the compiler that builds the kernel side.
use anyhow::Result;

use crate::{debian, progress::note, toolchain, workspace};

/// Clippy of Debian's compiler.
const PACKAGE: &str = "rust-web-clippy";

pub(super) fn run() -> Result<()> {
    let compiler = toolchain::ensure()?;
    let mut has_clippy = compiler
        .command("cargo")
        .args(["clippy", "--version"])
        .succeeds();
    if !has_clippy && compiler.is_debians() {
        has_clippy = debian::install(&[PACKAGE]).is_ok();
    }
    let subcommand = if has_clippy {
        "clippy"
    } else {
        note(format!(
            "toolchain `{}` has no clippy; the kernel side is only checked for warnings",
            compiler.name()
        ));
        "check"
    };
    compiler
        .command("cargo")
        .args([
            subcommand,
            "--locked",
            "--package",
            "probe-ebpf",
            "--lib",
            "--bins",
        ])
        .args(["--target", "bpfel-unknown-none", "-Z", "build-std=core"])
        .arg("--target-dir")
        .arg(workspace::target().join("lint-ebpf"))
        // The flags of aya-build. `-D warnings` reaches our crates only: cargo caps the lints of
        // others.
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            format!(
                "--cfg=bpf_target_arch=\"{}\"\x1f-Dwarnings",
                std::env::consts::ARCH
            ),
        )
        .dir(workspace::root())
        .run()
}
