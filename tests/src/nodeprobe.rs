//! The program under test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, Result, bail, ensure};

mod agent;
mod tool;

pub use agent::{Agent, free_port};
pub use tool::{Tool, run};

/// The binary: `NODEPROBE_BIN` where that is set, else what cargo builds.
///
/// # Panics
///
/// If there is none: no test means anything without it.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| find().expect("nodeprobe is there or can be built"))
}

/// A command that runs nodeprobe without anything that the environment says.
pub fn command() -> Command {
    without_settings(Command::new(binary()))
}

/// A command whose nodeprobe does not hear what the environment says.
pub fn without_settings(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        let is_socket = [
            "DOCKER_HOST",
            "CONTAINER_HOST",
            "CONTAINERD_ADDRESS",
            "CONTAINER_RUNTIME_ENDPOINT",
        ]
        .iter()
        .any(|socket| name == *socket);
        if is_socket || name.to_string_lossy().starts_with("NODEPROBE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Builds with the profile that `NODEPROBE_PROFILE` names, by default `release`, which is what
/// users run.
fn find() -> Result<PathBuf> {
    if let Some(path) = env::var_os("NODEPROBE_BIN") {
        let path = fs::canonicalize(&path)
            .with_context(|| format!("NODEPROBE_BIN is {}", path.display()))?;
        return Ok(path);
    }
    let profile = env::var("NODEPROBE_PROFILE").unwrap_or_else(|_| "release".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the workspace has a folder")?;
    let mut cargo = Command::new("cargo");
    cargo.args([
        "build",
        "--quiet",
        "--package",
        "probe-user",
        "--bin",
        "nodeprobe",
        "--profile",
        &profile,
    ]);
    // With empty kernel programs nothing could be tested.
    cargo.env_remove("AYA_BUILD_SKIP").current_dir(root);
    let status = cargo
        .status()
        .context("run cargo; set NODEPROBE_BIN where there is none")?;
    ensure!(status.success(), "nodeprobe does not build: {status}");
    let folder = if profile == "dev" { "debug" } else { &profile };
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let binary = target.join(folder).join("nodeprobe");
    if !binary.is_file() {
        bail!("cargo built no {}; set NODEPROBE_BIN", binary.display());
    }
    Ok(binary)
}
