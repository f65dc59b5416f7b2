//! Network namespaces of the host's processes.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// One open handle for each network namespace that a process is in, below `proc` (normally `/proc`). Namespaces without a
/// process, and those of processes that end meanwhile, are not among them.
///
/// # Errors
///
/// If `proc` cannot be read.
pub fn namespaces(proc: &Path) -> io::Result<Vec<File>> {
    let members = members(proc)?.into_iter();
    Ok(members
        .filter_map(|(inode, process)| open(proc, process, inode))
        .collect())
}

/// The network namespaces of the processes below `proc`, by inode number, each with the id of a process that is in it.
///
/// # Errors
///
/// If `proc` cannot be read.
pub fn members(proc: &Path) -> io::Result<HashMap<u64, u32>> {
    let mut members = HashMap::new();
    for entry in fs::read_dir(proc)?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        // A process of another user or one that has just ended shows nothing.
        if let Ok(facts) = fs::metadata(path(proc, process)) {
            members.entry(facts.ino()).or_insert(process);
        }
    }
    Ok(members)
}

/// A handle of the namespace with this inode number, if the process still is in it. Keeps the namespace alive as long as it
/// lives.
pub fn open(proc: &Path, process: u32, inode: u64) -> Option<File> {
    let file = File::open(path(proc, process)).ok()?;
    let facts = file.metadata().ok()?;
    (facts.ino() == inode).then_some(file)
}

fn path(proc: &Path, process: u32) -> PathBuf {
    proc.join(process.to_string()).join("ns/net")
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
    use std::collections::HashSet;

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
