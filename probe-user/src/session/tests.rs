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
    let long_ago = Instant::now()
        .checked_sub(2 * HOLD)
        .expect("an instant may lie before the boot");
    lock(&session.leaving).insert(id, long_ago);
    session.owners = OwnerKind::Process;
    assert_eq!(session.release(), []);
    lock(&session.leaving).insert(id, long_ago);
    session.owners = OwnerKind::Cgroup;
    assert_eq!(session.release(), [OwnerId(id.0)]);
}

/// A reading with system calls of these owners.
fn reading(owners: &[u64]) -> Measurements {
    let row = |owner: &u64| crate::model::SchedRow::empty(OwnerId(*owner));
    Measurements {
        sched: owners.iter().map(row).collect(),
        ..Measurements::default()
    }
}

#[test]
fn entries_of_cgroups_that_nobody_reported_are_freed_when_these_are_gone() {
    let (mount, id) = hierarchy();
    let mut session = Session::idle(mount.path());
    let gone = id.0 + 1_000_000;
    lock(&session.sweep).note(&reading(&[OwnerId::OVERFLOW.0, id.0, gone]));
    session.cgroups.subtree = Some("/a/part".into());
    session.tend();
    assert_eq!(
        leaving(&session),
        [],
        "a part of the hierarchy shows nothing of the rest"
    );
    session.cgroups.subtree = None;
    session.tend();
    assert_eq!(leaving(&session), [CgroupId(gone)]);
    // They are held like those that were reported.
    assert_eq!(session.release(), []);
    let Some(long_ago) = Instant::now().checked_sub(2 * HOLD) else {
        panic!("the machine was booted a moment ago");
    };
    lock(&session.leaving).insert(CgroupId(gone), long_ago);
    assert_eq!(session.release(), [OwnerId(gone)]);
}

#[test]
fn a_hierarchy_that_cannot_be_read_frees_no_entries() {
    let (mount, _) = hierarchy();
    let mut session = Session::idle(mount.path());
    session.cgroups.mount = mount.path().join("not-mounted");
    lock(&session.sweep).note(&reading(&[4711]));
    session.tend();
    assert_eq!(leaving(&session), []);
}

#[test]
fn entries_of_a_cgroup_that_exists_and_is_not_known_are_kept() {
    let (mount, id) = hierarchy();
    let mut session = Session::idle(mount.path());
    session.max_cgroups = 0;
    lock(&session.sweep).note(&reading(&[id.0]));
    session.tend();
    assert!(!session.identities.is_live(id));
    assert_eq!(leaving(&session), []);
}
