//! Where things are in this repository.
use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::process::Cmd;

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    xtask.parent().unwrap_or(Path::new(".")).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A release binary, built or not.
pub(crate) fn release(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// The cargo that started us, at the root of the workspace.
///
/// Without what cargo told us of our own package: build scripts that watch such a variable would run again, and half of
/// the dependencies be built again, each time a developer calls cargo between two commands of ours.
pub(crate) fn cargo(subcommand: &str) -> Cmd {
    let cargo = Cmd::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .arg(subcommand)
        .dir(root());
    env::vars_os()
        .map(|(key, _)| key)
        .filter(|key| is_of_own_package(key))
        .fold(cargo, Cmd::env_remove)
}

fn is_of_own_package(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Where cargo installs programs.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
