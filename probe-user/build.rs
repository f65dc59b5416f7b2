//! Builds the kernel side, one object per probe, into `OUT_DIR`.
//!
//! With `AYA_BUILD_SKIP=1` it writes empty objects instead, so that `cargo check` and `clippy` need no BPF tools.
use std::{env, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, anyhow};
use aya_build::{Package, Toolchain};

/// Where `cargo xtask` puts Debian's compiler and library source when there is no nightly with `rust-src`.
const LINKED_TOOLCHAIN: &str = "nodeprobe-ebpf";

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed=NODEPROBE_EBPF_TOOLCHAIN");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../probe-common/src");
    let out = env::var_os("OUT_DIR").ok_or_else(|| anyhow!("OUT_DIR is not set"))?;
    revision();
    if skipped() {
        for entry in fs::read_dir("../probe-ebpf/src/bin").context("list the kernel programs")? {
            let path = entry?.path();
            let name = path
                .file_stem()
                .ok_or_else(|| anyhow!("{} has no name", path.display()))?;
            fs::write(Path::new(&out).join(name), [])?;
        }
        println!("cargo:rerun-if-env-changed=AYA_BUILD_SKIP");
        return Ok(());
    }
    prepare_environment();
    let toolchain = toolchain();
    let package = Package {
        name: "probe-ebpf",
        root_dir: "../probe-ebpf",
        ..Package::default()
    };
    aya_build::build_ebpf([package], Toolchain::Custom(&toolchain)).with_context(|| {
        format!(
            "the kernel side did not build with toolchain `{toolchain}`; `cargo xtask build` installs what it needs \
             (a nightly with rust-src, or Debian's rustc-web, cargo-web and rust-web-src; and bpf-linker)"
        )
    })
}

fn skipped() -> bool {
    env::var("AYA_BUILD_SKIP").is_ok_and(|v| v == "1" || v.eq_ignore_ascii_case("true"))
}

/// Sets what aya-build's cargo inherits. The environment of the whole build is not the place for it: there, other crates
/// would take the compiler for a nightly.
#[expect(
    clippy::disallowed_methods,
    reason = "aya-build reads and hands on the environment of this process"
)]
fn prepare_environment() {
    let variables = [
        // `core` is built from source, which a stable compiler, such as Debian's, must be allowed to do.
        ("RUSTC_BOOTSTRAP", "1"),
        // aya-build turns each line into a warning, which cargo repeats in every later build.
        ("CARGO_TERM_QUIET", "true"),
    ];
    for (name, value) in variables {
        // SAFETY: a build script has one thread until it starts others, and this one has not.
        unsafe { env::set_var(name, value) };
    }
}

/// The toolchain for the BPF target: asked for, or a nightly that has the library's source, or the linked one.
fn toolchain() -> String {
    if let Ok(name) = env::var("NODEPROBE_EBPF_TOOLCHAIN") {
        return name;
    }
    if has_library_source("nightly") {
        "nightly".into()
    } else {
        LINKED_TOOLCHAIN.into()
    }
}

fn has_library_source(toolchain: &str) -> bool {
    Command::new("rustup")
        .args(["run", toolchain, "rustc", "--print", "sysroot"])
        .output()
        .is_ok_and(|output| {
            let sysroot = String::from_utf8_lossy(&output.stdout);
            output.status.success()
                && Path::new(sysroot.trim())
                    .join("lib/rustlib/src/rust/library/core")
                    .is_dir()
        })
}

/// Hands the git revision to the program, for `nodeprobe --version` and `nodeprobe_build_info`.
fn revision() {
    // Asked for, because a worktree keeps them elsewhere: a path that is not there would start this script every time.
    for path in ["HEAD", "refs/heads"]
        .iter()
        .filter_map(|path| git(&["rev-parse", "--git-path", path]))
    {
        println!("cargo:rerun-if-changed={path}");
    }
    let revision = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    println!("cargo:rustc-env=NODEPROBE_REVISION={revision}");
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
