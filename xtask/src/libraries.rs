//! The shared libraries that a program asks for, as its loader finds them on this machine.
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process::Cmd;

/// Paths as the program's loader opens them, the loader itself among them.
pub(crate) fn of(program: &Path) -> Result<Vec<PathBuf>> {
    let list = Cmd::new("ldd")
        .arg(program)
        .read()
        .with_context(|| format!("libraries of {}", program.display()))?;
    Ok(paths(&list))
}

/// From lines `NAME => PATH (ADDRESS)` and, for the loader, `PATH (ADDRESS)`.
fn paths(list: &str) -> Vec<PathBuf> {
    list.lines()
        .filter_map(|line| line.rsplit_once(" (").map(|(library, _)| library))
        .filter_map(|library| library.split(" => ").last())
        .map(str::trim)
        .filter(|path| path.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_read_from_ldd() {
        let list = "\tlinux-vdso.so.1 (0x7f)\n\tlibc.so.6 => /lib/libc.so.6 \
                    (0x7f)\n\t/lib64/ld-linux.so.2 (0x7f)\n";
        assert_eq!(
            paths(list),
            [
                Path::new("/lib/libc.so.6"),
                Path::new("/lib64/ld-linux.so.2")
            ]
        );
        assert!(paths("\tstatically linked\n").is_empty());
    }
}
