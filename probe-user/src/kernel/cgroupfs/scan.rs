//! Walks a cgroup hierarchy.

use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::Path,
};

use probe_common::id::CgroupId;

use super::{Cgroups, path_text};

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Ids and paths below the mount (`/` for the top), parents before their children.
    pub found: Vec<(CgroupId, String)>,
    /// Whether the bound ended the walk: there are more cgroups than these.
    pub truncated: bool,
    /// Directories that were there and could not be read; their cgroups are missing.
    pub unreadable: usize,
}

/// Lists all cgroups, at most `max` of them.
///
/// Directories that vanish meanwhile are left out, symbolic links are not followed.
pub fn scan(cgroups: &Cgroups, max: usize) -> Scan {
    let mut scan = Scan::default();
    let Ok(root) = fs::metadata(&cgroups.mount) else {
        scan.unreadable = 1;
        return scan;
    };
    if max == 0 {
        scan.truncated = true;
        return scan;
    }
    scan.found.push((CgroupId(root.ino()), "/".to_owned()));
    let mut queue = VecDeque::from([(cgroups.mount.clone(), String::new())]);
    while let Some((directory, parent)) = queue.pop_front() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(gone) if is_gone(&gone) => continue,
            Err(_) => {
                scan.unreadable += 1;
                continue;
            }
        };
        // A cgroup that is removed while it is listed ends the listing with an error.
        for entry in entries.map_while(Result::ok) {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if scan.found.len() >= max {
                scan.truncated = true;
                return scan;
            }
            let name = path_text(entry.file_name().as_encoded_bytes());
            let path = format!("{parent}/{name}");
            scan.found.push((CgroupId(entry.ino()), path.clone()));
            queue.push_back((entry.path(), path));
        }
    }
    scan
}

fn is_gone(error: &io::Error) -> bool {
    // ENODEV is what the cgroup file system says of a directory that is being removed.
    let dying = rustix::io::Errno::NODEV.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(dying)
}

/// The inode of a directory, if it is in a real cgroup file system.
pub(super) fn cgroup_inode(directory: &Path) -> Option<u64> {
    const CGROUP_MAGIC: i128 = 0x27_e0eb;
    const CGROUP2_MAGIC: i128 = 0x6367_7270;
    let magic = i128::from(rustix::fs::statfs(directory).ok()?.f_type);
    if magic != CGROUP_MAGIC && magic != CGROUP2_MAGIC {
        return None;
    }
    Some(fs::metadata(directory).ok()?.ino())
}
