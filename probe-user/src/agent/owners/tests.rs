//! Labels of owners: told apart, renamed, let go of.

use super::*;
use crate::{
    identity::{Answer, Limits, Names as Told},
    model::Runtime,
};

struct Host {
    identities: Identities,
    owners: Owners,
    now: Instant,
}

impl Host {
    fn new() -> Self {
        Self {
            identities: Identities::new(Limits::default()),
            owners: Owners::new(Duration::from_secs(3), None),
            now: Instant::now(),
        }
    }

    fn appears(&self, owner: u64, path: &str) {
        self.identities.appeared(CgroupId(owner), path, self.now);
    }

    /// A container of which its runtime says this name.
    fn container(&self, owner: u64, path: &str, runtime: Runtime, name: &str) {
        self.appears(owner, path);
        for (ticket, _) in self.identities.pending(self.now, 10) {
            let names = Answer::Names(Told::plain(runtime, name));
            self.identities.resolved(ticket, names, self.now);
        }
    }

    /// The label `container` of an owner.
    fn label(&mut self, owner: u64) -> String {
        let found = self
            .owners
            .find(OwnerId(owner), &self.identities, self.now, false);
        match found {
            Owner::Known(labels) => labels.container.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn begin(&mut self) -> Vec<(u64, String)> {
        self.owners.begin(&self.identities, self.now);
        self.changes()
    }

    /// Owners that lost labels, and which.
    fn changes(&mut self) -> Vec<(u64, String)> {
        let changes = self.owners.take_changes();
        let mut changes: Vec<_> = changes
            .into_iter()
            .map(|change| (change.owner.0, change.labels.container.clone()))
            .collect();
        changes.sort();
        changes
    }
}

fn docker(digit: char) -> String {
    format!("/docker/{}", String::from(digit).repeat(64))
}

fn libpod(digit: char) -> String {
    format!("/libpod_parent/libpod-{}", String::from(digit).repeat(64))
}

#[test]
fn two_live_containers_of_one_name_have_labels_with_their_ids_whichever_comes_first() {
    for swap in [false, true] {
        let mut host = Host::new();
        host.container(7, &docker('a'), Runtime::Docker, "web");
        host.container(8, &libpod('b'), Runtime::Podman, "web");
        let order = if swap { [8, 7] } else { [7, 8] };
        for owner in order {
            host.label(owner);
        }
        assert_eq!(host.label(7), "web~aaaaaaaaaaaa");
        assert_eq!(host.label(8), "web~bbbbbbbbbbbb");
        assert_eq!(
            host.changes().len(),
            2,
            "both had the plain name for a moment"
        );
        // A cgroup inside belongs to its container.
        host.appears(9, &format!("{}/inner", docker('a')));
        assert_eq!(host.label(9), "web~aaaaaaaaaaaa");
    }
}

#[test]
fn a_container_that_is_the_last_of_its_name_has_it_again() {
    let mut host = Host::new();
    host.container(7, &docker('a'), Runtime::Docker, "web");
    host.container(8, &docker('b'), Runtime::Docker, "web");
    host.label(7);
    host.label(8);
    host.changes();
    host.identities.removed(CgroupId(7), host.now);
    assert_eq!(host.begin(), []);
    host.owners.forget(&[OwnerId(7)]);
    assert_eq!(host.changes(), [(7, "web~aaaaaaaaaaaa".to_owned())]);
    assert_eq!(host.begin(), [(8, "web~bbbbbbbbbbbb".to_owned())]);
    assert_eq!(host.label(8), "web");
}

#[test]
fn a_container_that_was_made_again_has_the_name_of_the_one_before() {
    let mut host = Host::new();
    host.container(7, &docker('a'), Runtime::Docker, "web");
    assert_eq!(host.label(7), "web");
    host.identities.removed(CgroupId(7), host.now);
    host.container(8, &docker('b'), Runtime::Docker, "web");
    assert_eq!(host.label(8), "web");
    assert_eq!(host.changes(), []);
    host.owners.forget(&[OwnerId(7)]);
    host.changes();
    assert!(
        host.owners.in_use().contains(&["", "", "web"]),
        "its series stay"
    );
}

#[test]
fn a_unit_of_the_host_keeps_its_name_and_those_of_unknown_containers_have_their_paths() {
    let mut host = Host::new();
    for (owner, path) in [
        (7, "/box-1/system.slice/cron.service"),
        (8, "/system.slice/cron.service"),
        (9, "/box-2/system.slice/cron.service"),
    ] {
        host.appears(owner, path);
        host.label(owner);
    }
    assert_eq!(host.label(7), "/box-1/system.slice/cron.service");
    assert_eq!(host.label(8), "cron.service");
    assert_eq!(host.label(9), "/box-2/system.slice/cron.service");
}

#[test]
fn a_container_that_no_runtime_named_takes_up_the_name_that_comes_late() {
    let mut host = Host::new();
    host.appears(7, &docker('a'));
    host.now += Duration::from_secs(4);
    let asked = host.identities.pending(host.now, 10);
    host.identities.expire(host.now);
    assert_eq!(host.label(7), "aaaaaaaaaaaa");
    // The identity of a cgroup changes: here it is another one at the same id.
    host.identities.removed(CgroupId(7), host.now);
    host.container(7, &docker('c'), Runtime::Docker, "web");
    assert_eq!(asked.len(), 1);
    assert_eq!(host.begin(), [(7, "aaaaaaaaaaaa".to_owned())]);
    assert_eq!(host.label(7), "web");
    assert!(!host.owners.in_use().contains(&["", "", "aaaaaaaaaaaa"]));
    assert_eq!(host.begin(), [], "once");
}

#[test]
fn an_owner_whose_counts_come_after_its_end_is_let_go_of_again() {
    let mut host = Host::new();
    host.appears(7, "/system.slice/web.service");
    host.identities.removed(CgroupId(7), host.now);
    assert_eq!(host.label(7), "web.service");
    assert_eq!(host.begin(), []);
    host.now += LATE_COUNTS;
    assert_eq!(host.begin(), [(7, "web.service".to_owned())]);
    assert!(host.owners.in_use().is_empty());
}
