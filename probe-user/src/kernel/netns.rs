//! Network namespaces of the host's processes.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::Path,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// One open handle for each network namespace that a process is in, below `proc` (normally `/proc`). Namespaces without a
/// process, and those of processes that end meanwhile, are not among them.
///
/// # Errors
///
/// If `proc` cannot be read.
pub fn namespaces(proc: &Path) -> io::Result<Vec<File>> {
    let mut seen = HashSet::new();
    let mut open = Vec::new();
    for entry in fs::read_dir(proc)?.flatten() {
        let is_process = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_process {
            continue;
        }
        let path = entry.path().join("ns/net");
        // A process of another user or one that has just ended shows nothing.
        let Ok(inode) = fs::metadata(&path).map(|facts| facts.ino()) else {
            continue;
        };
        if seen.insert(inode)
            && let Ok(file) = File::open(path)
        {
            open.push(file);
        }
    }
    Ok(open)
}

/// Moves this thread, and no other, into a network namespace.
///
/// # Errors
///
/// If `CAP_SYS_ADMIN` is missing.
pub fn enter(namespace: &File) -> io::Result<()> {
    Ok(move_into_link_name_space(
        namespace.as_fd(),
        Some(LinkNameSpaceType::Network),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_of_this_process_is_among_them() {
        let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
        let found = namespaces(Path::new("/proc")).unwrap();
        let inodes: Vec<u64> = found
            .iter()
            .map(|file| file.metadata().unwrap().ino())
            .collect();
        assert!(inodes.contains(&own), "{inodes:?}");
        assert_eq!(
            inodes.len(),
            inodes.iter().collect::<HashSet<_>>().len(),
            "each once"
        );
    }
}
