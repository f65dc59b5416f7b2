//! Hosts of each kind as directories, and a walk of the real hierarchy.

use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name)
        .join("proc")
}

#[test]
fn a_v2_host_uses_its_one_hierarchy() {
    let found = Cgroups::find(&fixture("cgroup-v2")).unwrap();
    assert_eq!(found.mode, Mode::V2);
    assert_eq!(found.mount, Path::new("/nonexistent/cgroup"));
    assert_eq!(found.describe(), "cgroup v2 at /nonexistent/cgroup");
}

#[test]
fn a_hybrid_host_uses_v2_beside_the_controllers() {
    let found = Cgroups::find(&fixture("cgroup-hybrid")).unwrap();
    assert_eq!(found.mode, Mode::Hybrid);
    assert_eq!(found.mount, Path::new("/nonexistent/cgroup/unified"));
}

#[test]
fn a_v1_host_uses_the_memory_hierarchy_and_says_so() {
    let found = Cgroups::find(&fixture("cgroup-v1")).unwrap();
    assert_eq!(
        found.describe(),
        "cgroup v1: the `memory` hierarchy at /nonexistent/cgroup/memory, number 4"
    );
}

#[test]
fn the_hierarchy_number_comes_from_the_process_where_the_table_is_missing() {
    let found = Cgroups::find(&fixture("cgroup-v1-no-table")).unwrap();
    assert_eq!(
        found.mode,
        Mode::V1 {
            controller: "cpu".to_owned(),
            hierarchy_id: Some(3)
        },
        "no memory hierarchy is mounted there"
    );
}

#[test]
fn a_mount_of_a_part_is_reported() {
    let found = Cgroups::find(&fixture("cgroup-subtree")).unwrap();
    assert_eq!(found.subtree.as_deref(), Some("/kubepods/besteffort"));
    assert!(
        found
            .describe()
            .contains("only the part below /kubepods/besteffort")
    );
}

#[test]
fn a_host_without_cgroups_is_told_what_to_mount() {
    let proc = tempfile::tempdir().unwrap();
    fs::create_dir(proc.path().join("self")).unwrap();
    assert!(matches!(
        Cgroups::find(proc.path()),
        Err(CgroupfsError::Mountinfo { .. })
    ));
    fs::write(
        proc.path().join("self/mountinfo"),
        "1 1 0:1 / / rw - ext4 /dev/vda rw\n",
    )
    .unwrap();
    let error = Cgroups::find(proc.path()).unwrap_err();
    assert!(error.to_string().contains("mount -t cgroup2"));
}

fn tree() -> (tempfile::TempDir, Cgroups) {
    let top = tempfile::tempdir().unwrap();
    for path in ["docker/abc", "docker/def", "system.slice/ssh.service"] {
        fs::create_dir_all(top.path().join(path)).unwrap();
    }
    fs::write(top.path().join("cgroup.procs"), "1\n").unwrap();
    symlink(top.path(), top.path().join("docker/loop")).unwrap();
    let cgroups = Cgroups {
        mode: Mode::V2,
        mount: top.path().to_owned(),
        subtree: None,
    };
    (top, cgroups)
}

#[test]
fn a_walk_finds_directories_only_and_parents_first() {
    let (top, cgroups) = tree();
    let scan = scan(&cgroups, 100);
    let paths: Vec<&str> = scan.found.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(paths[0], "/");
    assert_eq!(paths.len(), 6);
    let at = |path| paths.iter().position(|p| *p == path).unwrap();
    assert!(at("/docker") < at("/docker/abc"));
    for (id, path) in &scan.found {
        let inode = fs::metadata(top.path().join(path.trim_start_matches('/')))
            .unwrap()
            .ino();
        assert_eq!(id.0, inode, "{path}");
    }
    assert!(!scan.truncated);
    assert_eq!(scan.unreadable, 0);
}

#[test]
fn a_walk_stops_at_its_bound_and_says_so() {
    let (_top, cgroups) = tree();
    let bounded = scan(&cgroups, 3);
    assert_eq!(bounded.found.len(), 3);
    assert!(bounded.truncated);
    assert!(!scan(&cgroups, 6).truncated, "exactly as many as there are");
    assert!(scan(&cgroups, 0).truncated);
}

#[test]
fn a_mount_that_is_not_there_is_unreadable() {
    let cgroups = Cgroups {
        mode: Mode::V2,
        mount: "/nonexistent".into(),
        subtree: None,
    };
    assert_eq!(scan(&cgroups, 10).unreadable, 1);
}

#[test]
fn the_running_kernel_numbers_directories_as_the_walk_does() {
    let Ok(cgroups) = Cgroups::find(Path::new("/proc")) else {
        test_skip::skip("cgroup", "no cgroup hierarchy is mounted");
        return;
    };
    let scan = scan(&cgroups, 10_000);
    let inode = fs::metadata(&cgroups.mount).unwrap().ino();
    assert_eq!(
        scan.found[0],
        (probe_common::id::CgroupId(inode), "/".to_owned())
    );
    for (id, path) in &scan.found {
        // A cgroup may be gone again by the time it is looked at.
        if let Ok(now) = fs::metadata(cgroups.mount.join(path.trim_start_matches('/'))) {
            assert_eq!(id.0, now.ino(), "{path}");
        }
    }
}
