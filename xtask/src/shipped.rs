//! What every package of nodeprobe has in common: version, architecture, time, licences.
use std::{
    env,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::{build, process::Cmd, tree::Tree, workspace};

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
pub(crate) const LICENCES: &str = "(MIT OR Apache-2.0) AND GPL-2.0-only";
pub(crate) const SUMMARY: &str =
    "What a host's containers call, wait for and fail at, measured in the kernel by eBPF";
pub(crate) const DOC: &str = "usr/share/doc/nodeprobe";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Take the release binary that is there
    #[arg(long)]
    no_build: bool,
}

/// The release binary, built first unless the arguments say otherwise.
pub(crate) fn binary(args: &Args) -> Result<PathBuf> {
    if !args.no_build {
        build::nodeprobe(&[])?;
    }
    let path = workspace::release("nodeprobe");
    ensure!(
        path.is_file(),
        "there is no {}; run this without --no-build",
        path.display()
    );
    Ok(path)
}

/// As Debian, images and Go call this machine's architecture.
pub(crate) fn architecture() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The time of all files, in seconds from 1970: `SOURCE_DATE_EPOCH`, or else what is given.
pub(crate) fn time(otherwise: u64) -> Result<u64> {
    match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.parse().with_context(|| {
            format!("SOURCE_DATE_EPOCH is {text:?}; give seconds from 1970, as `date +%s` does")
        }),
        Err(_) => Ok(otherwise),
    }
}

/// When the commit was made that is built, in seconds from 1970; 0 if this is no clone.
pub(crate) fn commit_time() -> u64 {
    Cmd::new("git")
        .args(["log", "-1", "--format=%ct"])
        .dir(workspace::root())
        .read()
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// As `2026-01-31T10:00:00Z`.
pub(crate) fn timestamp(seconds: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Adds the licences of the repository to the documentation.
pub(crate) fn add_licences(tree: &mut Tree) -> Result<()> {
    for name in ["LICENSE-APACHE", "LICENSE-GPL-2.0", "LICENSE-MIT"] {
        tree.copy(
            &workspace::root().join(name),
            format!("{DOC}/{name}"),
            0o644,
        )?;
    }
    Ok(())
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_oci_and_cyclonedx_want_them() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(1_767_225_600), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn digests_are_hexadecimal() {
        assert!(sha256(b"").starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    }
}
