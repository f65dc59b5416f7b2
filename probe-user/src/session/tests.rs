//! What a session makes of cgroups that come and go.

use std::{fs, os::unix::fs::MetadataExt as _};

use super::*;

/// A hierarchy with one cgroup, and its id.
fn hierarchy() -> (tempfile::TempDir, CgroupId) {
    let mount = tempfile::tempdir().unwrap();
    let cgroup = mount.path().join("web");
    fs::create_dir(&cgroup).unwrap();
    let id = CgroupId(fs::metadata(&cgroup).unwrap().ino());
    (mount, id)
}

fn leaving(session: &Session) -> Vec<CgroupId> {
    lock(&session.leaving).keys().copied().collect()
}

#[test]
fn a_hierarchy_that_cannot_be_read_has_lost_no_cgroup() {
    let (mount, id) = hierarchy();
    let mut session = Session::idle(mount.path());
    session.tend();
    assert!(session.identities.is_live(id));
    session.cgroups.mount = mount.path().join("not-mounted");
    session.tend();
    assert!(session.identities.is_live(id));
    assert_eq!(leaving(&session), []);
}

#[test]
fn a_cgroup_that_is_seen_again_keeps_its_counters() {
    let (mount, id) = hierarchy();
    let session = Session::idle(mount.path());
    session.tend();
    let (here, away) = (mount.path().join("web"), mount.path().join(".."));
    let away = away.join(format!("nodeprobe-test-{}", id.0));
    fs::rename(&here, &away).unwrap();
    session.tend();
    assert_eq!(leaving(&session), [id]);
    fs::rename(&away, &here).unwrap();
    session.tend();
    assert_eq!(leaving(&session), []);
}

#[test]
fn a_process_with_the_number_of_a_removed_cgroup_keeps_its_counters() {
    let (mount, id) = hierarchy();
    let mut session = Session::idle(mount.path());
    let Some(long_ago) = Instant::now().checked_sub(2 * HOLD) else {
        return;
    };
    lock(&session.leaving).insert(id, long_ago);
    session.owners = OwnerKind::Process;
    assert_eq!(session.release(), []);
    lock(&session.leaving).insert(id, long_ago);
    session.owners = OwnerKind::Cgroup;
    assert_eq!(session.release(), [OwnerId(id.0)]);
}
