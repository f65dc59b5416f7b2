//! Builds the workload as a static program and leaves it in `OUT_DIR`, from where the library
//! embeds it.
//!
//! Static, because it runs in containers that hold nothing else. Embedded, because the tests also
//! run in virtual machines that have neither this folder nor a compiler. It depends on `std` only,
//! so one compiler call does it.

use std::{env, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

const SOURCE: &str = "src/bin/workload";

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={SOURCE}");
    let out = env::var("OUT_DIR").context("read OUT_DIR")?;
    let compiler = env::var("RUSTC").context("read RUSTC")?;
    let target = env::var("TARGET").context("read TARGET")?;
    let status = Command::new(&compiler)
        .args([
            "--edition",
            "2024",
            "--target",
            &target,
            "--crate-name",
            "workload",
        ])
        .args([
            "-C",
            "target-feature=+crt-static",
            "-C",
            "opt-level=2",
            "-C",
            "strip=symbols",
        ])
        .arg(format!("{SOURCE}/main.rs"))
        .arg("-o")
        .arg(Path::new(&out).join("workload"))
        .status()
        .with_context(|| format!("run {compiler}"))?;
    ensure!(
        status.success(),
        "the workload did not build for {target}; a static libc is part of Debian's libc6-dev"
    );
    Ok(())
}
