//! Paths of cgroups as people write them.

use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use rustix::fs::{StatFs, statfs};

/// Whether this is `CGROUP2_SUPER_MAGIC` or `CGROUP_SUPER_MAGIC` of include/uapi/linux/magic.h.
fn is_of_cgroups(file_system: &StatFs) -> bool {
    matches!(file_system.f_type, 0x6367_7270 | 0x0027_e0eb)
}

/// The path of a cgroup from the root of its hierarchy, starting with `/`: of one that is given like that, without the leading `/`, below
/// the hierarchy's mount, below any other mount of cgroups, or below the current directory. Whether it exists is not checked.
pub fn from_root(mount: &Path, given: &str) -> String {
    let path = Path::new(given);
    let here = env::current_dir().unwrap_or_default().join(path);
    let below = path.strip_prefix(mount).map(Path::to_path_buf).ok();
    let below = below.or_else(|| below_any_mount(&here));
    normal(below.as_deref().unwrap_or(path))
}

/// The part of a path below the mount of cgroups that it is in.
fn below_any_mount(path: &Path) -> Option<PathBuf> {
    let path = fs::canonicalize(path).ok()?;
    if !is_of_cgroups(&statfs(&path).ok()?) {
        return None;
    }
    let device = fs::metadata(&path).ok()?.dev();
    let is_inside = |folder: &&Path| fs::metadata(folder).is_ok_and(|it| it.dev() == device);
    let mount = path.ancestors().take_while(is_inside).last()?;
    path.strip_prefix(mount).ok().map(Path::to_path_buf)
}

/// Without `.`, `..` and repeated slashes, and with a slash in front.
fn normal(path: &Path) -> String {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cgroup_may_be_written_in_several_ways() {
        let mount = Path::new("/sys/fs/cgroup/nodeprobe-test");
        for given in [
            "/system.slice/web.service",
            "system.slice/web.service",
            "./system.slice/web.service",
            "/system.slice/web.service/",
            "//system.slice//web.service",
            "/system.slice/other/../web.service",
            "/sys/fs/cgroup/nodeprobe-test/system.slice/web.service",
            "/sys/fs/cgroup/nodeprobe-test/system.slice/web.service/",
        ] {
            assert_eq!(
                from_root(mount, given),
                "/system.slice/web.service",
                "{given}"
            );
        }
        assert_eq!(from_root(mount, "/"), "/");
        assert_eq!(from_root(mount, "/sys/fs/cgroup/nodeprobe-test"), "/");
        assert_eq!(from_root(mount, "../.."), "/");
    }
}
