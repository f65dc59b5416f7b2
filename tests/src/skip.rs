//! Skipping what this machine cannot do, visibly.

use std::env;

pub use test_skip::skip;

/// A rig that cannot exist here, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// The rig, or `None` after saying why the test is skipped.
///
/// # Panics
///
/// If the rig failed instead of being unavailable, or if `NODEPROBE_REQUIRE` names it.
#[must_use]
pub fn unless_available<T>(name: &str, rig: anyhow::Result<T>) -> Option<T> {
    match rig {
        Ok(rig) => Some(rig),
        Err(error) => match error.downcast::<Unavailable>() {
            Ok(reason) => {
                skip(name, &reason.0);
                None
            }
            Err(error) => panic!("rig {name}: {error:?}"),
        },
    }
}

/// Finds a program in `PATH` and where Debian keeps those of the administrator.
///
/// # Errors
///
/// [`Unavailable`] if there is none.
pub fn program(name: &str, package: &str) -> anyhow::Result<std::path::PathBuf> {
    let path = env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/bin"])
        .map(|folder| std::path::Path::new(folder).join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Unavailable(format!("no {name}; Debian package {package}")).into())
}

/// Runtimes are not installed in virtual machines, and starting them there under emulation would
/// take minutes.
///
/// # Errors
///
/// [`Unavailable`] if `NODEPROBE_VM` is set.
pub fn not_in_vm() -> anyhow::Result<()> {
    match env::var_os("NODEPROBE_VM") {
        Some(_) => Err(Unavailable("not in a virtual machine".into()).into()),
        None => Ok(()),
    }
}
