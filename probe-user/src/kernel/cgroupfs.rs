//! Where the host's cgroups are mounted, and which cgroups there are.
//!
//! Owns the choice of the one hierarchy whose directory inodes are the cgroup ids of everything
//! else. Decides nothing about what a cgroup is.

mod mountinfo;
mod scan;
mod text;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use mountinfo::{Mount, mounts};
pub use scan::{Scan, scan};
pub use text::path_text;

/// Controllers of a v1 host in the order in which their hierarchy is preferred: those that every
/// runtime joins.
const V1_CONTROLLERS: [&str; 8] = [
    "memory", "cpu", "pids", "devices", "freezer", "cpuacct", "blkio", "cpuset",
];

/// Inode of the root directory of every cgroup hierarchy.
const ROOT_INODE: u64 = 1;

/// Why the cgroups were not found.
#[derive(Debug, thiserror::Error)]
pub enum CgroupfsError {
    /// The list of mounts could not be read.
    #[error("cannot read {path}; is the proc file system mounted there?")]
    Mountinfo {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Neither version is mounted.
    #[error(
        "no cgroup hierarchy is mounted; mount one with `mount -t cgroup2 none /sys/fs/cgroup`"
    )]
    NotMounted,
}

/// How the host uses the two versions of control groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Version 2 only.
    V2,
    /// Version 1 controllers, and a version 2 hierarchy beside them; ids are those of version 2.
    Hybrid,
    /// Version 1 only; ids are those of one hierarchy.
    V1 {
        /// The controller whose hierarchy was chosen.
        controller: String,
        /// The hierarchy's number in `/proc/cgroups`, where it could be read.
        hierarchy_id: Option<u32>,
    },
}

/// The hierarchy whose cgroup ids are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups {
    /// Versions in use.
    pub mode: Mode,
    /// Where the hierarchy is mounted.
    pub mount: PathBuf,
    /// The part of the hierarchy that the mount shows, where it is known not to be all of it.
    pub subtree: Option<String>,
}

impl Cgroups {
    /// Finds the hierarchy by the mounts of this process, read below `proc` (normally `/proc`).
    ///
    /// # Errors
    ///
    /// If the mounts cannot be read or none of them is a cgroup hierarchy.
    pub fn find(proc: &Path) -> Result<Self, CgroupfsError> {
        let path = proc.join("self/mountinfo");
        let text = fs::read_to_string(&path)
            .map_err(|source| CgroupfsError::Mountinfo { path, source })?;
        let mounts = mounts(&text);
        let v1 = V1_CONTROLLERS
            .iter()
            .find_map(|name| Some((*name, mounts.iter().find(|mount| mount.has_v1(name))?)));
        let v2 = v2_mount(&mounts);
        let (mode, mount) = match (v2, v1) {
            (Some(v2), None) => (Mode::V2, v2),
            (Some(v2), Some(_)) => (Mode::Hybrid, v2),
            (None, Some((name, v1))) => {
                let hierarchy_id = hierarchy_id(proc, name);
                (
                    Mode::V1 {
                        controller: name.to_owned(),
                        hierarchy_id,
                    },
                    v1,
                )
            }
            (None, None) => return Err(CgroupfsError::NotMounted),
        };
        Ok(Self {
            mode,
            mount: mount.point.clone(),
            subtree: subtree(mount),
        })
    }
}

impl Cgroups {
    /// One sentence for `nodeprobe doctor`.
    pub fn describe(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Cgroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mount = self.mount.display();
        match &self.mode {
            Mode::V2 => write!(f, "cgroup v2 at {mount}")?,
            Mode::Hybrid => write!(f, "hybrid: cgroup v2 at {mount} beside v1 controllers")?,
            Mode::V1 {
                controller,
                hierarchy_id,
            } => {
                write!(f, "cgroup v1: the `{controller}` hierarchy at {mount}")?;
                if let Some(id) = hierarchy_id {
                    write!(f, ", number {id}")?;
                }
            }
        }
        if let Some(subtree) = &self.subtree {
            write!(
                f,
                "; the mount shows only the part below {subtree}: run with the host's cgroup \
                 namespace to see all containers"
            )?;
        }
        Ok(())
    }
}

/// The version 2 mount to use. Runtimes make bind mounts of parts of it, so one that shows
/// everything is preferred.
fn v2_mount(mounts: &[Mount]) -> Option<&Mount> {
    let v2 = || mounts.iter().filter(|mount| mount.fs_type == "cgroup2");
    v2().find(|mount| mount.shows_all()).or_else(|| v2().next())
}

/// What the mount is a part of.
///
/// In a private cgroup namespace the kernel writes `/` for the namespace's own root. The inode
/// tells: only the root of a whole hierarchy has number 1.
fn subtree(mount: &Mount) -> Option<String> {
    if !mount.shows_all() {
        return Some(mount.root.clone());
    }
    let inode = scan::cgroup_inode(&mount.point)?;
    (inode != ROOT_INODE).then(|| "the cgroup namespace's root".to_owned())
}

/// The cgroup of a process by what `/proc/PID/cgroup` says: that of version 2, or where the process is not in one, that of the
/// first controller that is preferred.
pub fn path_of_process(text: &[u8]) -> Option<String> {
    let lines = || {
        text.split(|byte| *byte == b'\n').filter_map(|line| {
            let mut fields = line.splitn(3, |byte| *byte == b':');
            let _hierarchy = fields.next()?;
            Some((fields.next()?, fields.next()?))
        })
    };
    let v2 = lines().find(|(controllers, path)| controllers.is_empty() && *path != b"/");
    let v1 = || {
        V1_CONTROLLERS.iter().find_map(|name| {
            lines().find(|(controllers, _)| {
                let mut controllers = controllers.split(|byte| *byte == b',');
                controllers.any(|controller| controller == name.as_bytes())
            })
        })
    };
    let (_, path) = v2.or_else(v1).or_else(|| lines().next())?;
    Some(path_text(path))
}

/// The number of a v1 hierarchy, from the table of controllers or, where that is hidden, from this
/// process's cgroups.
fn hierarchy_id(proc: &Path, controller: &str) -> Option<u32> {
    let table = fs::read_to_string(proc.join("cgroups")).unwrap_or_default();
    let from_table = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.next()? == controller).then(|| fields.next()?.parse().ok())?
    });
    from_table.or_else(|| {
        let own = fs::read_to_string(proc.join("self/cgroup")).ok()?;
        own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let id = fields.next()?.parse().ok()?;
            fields
                .next()?
                .split(',')
                .any(|name| name == controller)
                .then_some(id)
        })
    })
}

#[cfg(test)]
mod tests;
