//! The life of cgroups as it is reported, complete or not.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    identity::{Answer, Names, Retry, Told},
    model::{NoName, Runtime},
};

const ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
const UNKNOWN: Answer = Answer::No {
    reason: NoName::NotFound,
    retry: Retry::Soon,
    pod: None,
};
const GONE: Answer = Answer::No {
    reason: NoName::NotFound,
    retry: Retry::Never,
    pod: None,
};
const ABSENT: Answer = Answer::No {
    reason: NoName::NotRunning,
    retry: Retry::Later,
    pod: None,
};

fn docker() -> String {
    format!("/docker/{ID}")
}

fn small() -> Cache {
    Cache::new(Limits {
        live: 4,
        retained: 2,
        ..Limits::default()
    })
}

fn web() -> Answer {
    Answer::Names(Names::plain(Runtime::Docker, "web"))
}

/// The only question that is due.
fn question(cache: &mut Cache, now: Instant) -> Ticket {
    let pending = cache.pending(now, 10);
    assert_eq!(pending.len(), 1);
    pending[0].0
}

#[test]
fn all_cgroups_of_a_container_share_one_identity_that_gets_its_name() {
    let (mut cache, now) = (small(), Instant::now());
    assert!(cache.appeared(CgroupId(1), &docker(), now));
    assert!(!cache.appeared(CgroupId(2), &format!("{}/init.scope", docker()), now));
    let before = cache.lookup(CgroupId(2)).unwrap();
    assert_eq!(
        (before.name.as_str(), &before.naming),
        ("0a1b2c3d4e5f", &Naming::Pending)
    );
    let ticket = question(&mut cache, now);
    assert!(
        cache.pending(now, 10).is_empty(),
        "a question is handed out once"
    );
    cache.resolved(ticket, web(), now);
    let (own, below) = (
        cache.lookup(CgroupId(1)).unwrap(),
        cache.lookup(CgroupId(2)).unwrap(),
    );
    assert!(Arc::ptr_eq(&own, &below));
    assert_eq!(
        (own.name.as_str(), &own.naming, own.cgroup),
        ("web", &Naming::Named, CgroupId(1))
    );
    assert_eq!(cache.containers().len(), 1);
    assert_eq!(cache.stats().named, 1);
    assert_eq!(cache.stats().pending, 0);
}

#[test]
fn a_child_that_is_reported_first_yields_to_the_containers_own_cgroup() {
    let (mut cache, now) = (small(), Instant::now());
    cache.appeared(CgroupId(2), &format!("{}/sub", docker()), now);
    assert_eq!(cache.lookup(CgroupId(2)).unwrap().cgroup_path, docker());
    cache.appeared(CgroupId(1), &docker(), now);
    assert_eq!(cache.lookup(CgroupId(2)).unwrap().cgroup, CgroupId(1));
    assert_eq!(cache.stats().containers, 1);
}

#[test]
fn an_unanswered_question_is_asked_again_until_the_deadline_and_ends_with_the_reason() {
    let (mut cache, start) = (small(), Instant::now());
    cache.appeared(CgroupId(1), &docker(), start);
    let (mut now, mut asked) = (start, 0);
    while cache.stats().pending > 0 {
        for (ticket, _) in cache.pending(now, 10) {
            asked += 1;
            cache.resolved(ticket, UNKNOWN, now);
        }
        cache.expire(now);
        now = cache.next_due().unwrap_or(now);
    }
    assert!((5..20).contains(&asked), "asked {asked} times");
    assert_eq!(
        now.max(start + Limits::default().deadline),
        now.min(start + Duration::from_secs(4))
    );
    let container = cache.lookup(CgroupId(1)).unwrap();
    assert_eq!(container.naming, Naming::Unnamed(NoName::NotFound));
    assert_eq!(container.name, "0a1b2c3d4e5f");
    assert_eq!(cache.stats().unnamed, 1);
}

#[test]
fn a_name_that_comes_late_renames_the_container_with_all_its_cgroups() {
    let (mut cache, now) = (small(), Instant::now());
    cache.appeared(CgroupId(1), &docker(), now);
    cache.appeared(CgroupId(2), &format!("{}/sub", docker()), now);
    let ticket = question(&mut cache, now);
    cache.resolved(ticket, UNKNOWN, now);
    cache.expire(now + Duration::from_secs(3));
    let naming = |cache: &Cache| cache.lookup(CgroupId(2)).unwrap().naming.clone();
    assert_eq!(naming(&cache), Naming::Unnamed(NoName::NotFound));
    assert_eq!((cache.stats().pending, cache.stats().unnamed), (0, 1));
    let late = now + Duration::from_secs(60);
    let ticket = question(&mut cache, late);
    cache.resolved(ticket, web(), late);
    let container = cache.lookup(CgroupId(2)).unwrap();
    assert_eq!(
        (container.name.as_str(), &container.naming),
        ("web", &Naming::Named)
    );
    assert_eq!((cache.stats().named, cache.stats().unnamed), (1, 0));
    assert_eq!(cache.asking.len(), 0);
}

#[test]
fn a_runtime_that_is_away_keeps_nobody_waiting_and_is_queried_until_the_container_ends() {
    let (mut cache, start) = (small(), Instant::now());
    cache.appeared(CgroupId(1), &docker(), start);
    let (mut now, mut asked) = (start, 0);
    while now < start + Duration::from_secs(6) {
        for (ticket, _) in cache.pending(now, 10) {
            asked += 1;
            cache.resolved(ticket, ABSENT, now);
            assert_eq!(cache.stats().pending, 0);
        }
        cache.expire(now);
        now = cache.next_due().unwrap();
    }
    assert!((3..6).contains(&asked), "asked {asked} times in 6 s");
    // The runtime is back and names another container: the first one is asked for at once.
    let other = "2".repeat(64);
    cache.appeared(CgroupId(2), &format!("/docker/{other}"), now);
    let mut of_other = None;
    for (ticket, question) in cache.pending(now, 10) {
        if question.id == other {
            of_other = Some(ticket);
        } else {
            cache.resolved(ticket, ABSENT, now);
        }
    }
    let other = of_other.unwrap();
    cache.expire(now + Duration::from_secs(3));
    assert!(cache.pending(now, 10).is_empty());
    cache.resolved(other, web(), now);
    question(&mut cache, now);
    cache.removed(CgroupId(1), now);
    assert_eq!(
        cache.asking.len(),
        0,
        "a removed container is asked for no more"
    );
}

#[test]
fn a_reported_name_renames_a_container_and_ends_the_search() {
    let (mut cache, now) = (small(), Instant::now());
    cache.appeared(CgroupId(1), &docker(), now);
    let told = |name: &str| Told {
        id: ID.to_owned(),
        names: Names::plain(Runtime::Docker, name),
        path: None,
    };
    cache.told(&[told("web")], now);
    assert_eq!(cache.lookup(CgroupId(1)).unwrap().name, "web");
    assert_eq!((cache.stats().pending, cache.stats().named), (0, 1));
    cache.told(&[told("blue")], now);
    assert_eq!(cache.lookup(CgroupId(1)).unwrap().name, "blue");
    assert_eq!(cache.stats().named, 1, "a rename is not another container");
}

#[test]
fn a_reported_cgroup_is_a_container_with_all_that_is_below_it() {
    let (mut cache, now) = (
        Cache::new(Limits {
            live: 10,
            retained: 10,
            ..Limits::default()
        }),
        Instant::now(),
    );
    let paths = [
        "/batch.service",
        "/batch.service/c1",
        "/batch.service/c1/init.scope",
        "/batch.service/c10",
    ];
    for (id, path) in (1..).zip(paths) {
        cache.appeared(CgroupId(id), path, now);
    }
    let told = Told {
        id: "worker".to_owned(),
        names: Names::plain(Runtime::Containerd, "worker"),
        path: Some("/batch.service/c1".to_owned()),
    };
    cache.told(std::slice::from_ref(&told), now);
    let of = |cache: &Cache, id| cache.lookup(CgroupId(id)).unwrap();
    for id in [2, 3] {
        assert_eq!(
            (of(&cache, id).name.as_str(), of(&cache, id).id.as_deref()),
            ("worker", Some("worker"))
        );
        assert_eq!(
            (of(&cache, id).cgroup, of(&cache, id).namespace.as_str()),
            (CgroupId(2), "")
        );
    }
    for id in [1, 4] {
        assert_eq!(of(&cache, id).name, "batch.service", "{id}");
    }
    cache.appeared(CgroupId(5), "/batch.service/c1/late", now);
    assert!(Arc::ptr_eq(&of(&cache, 5), &of(&cache, 2)));
    // Another container gets the same cgroup path later.
    for id in [2, 3, 5] {
        cache.removed(CgroupId(id), now);
    }
    cache.appeared(CgroupId(6), "/batch.service/c1", now);
    assert_eq!(of(&cache, 6).name, "batch.service");
    let next = Told {
        id: "next".to_owned(),
        names: Names::plain(Runtime::Containerd, "next"),
        ..told
    };
    cache.told(&[next], now);
    assert_eq!(of(&cache, 6).name, "next");
    assert_eq!(
        of(&cache, 2).name,
        "worker",
        "the removed one keeps its name"
    );
    assert_eq!(cache.stats().live, 3);
}

#[test]
fn a_claim_that_comes_before_its_cgroup_is_kept_for_a_while() {
    let (mut cache, now) = (small(), Instant::now());
    let told = Told {
        id: "worker".to_owned(),
        names: Names::plain(Runtime::Containerd, "Worker"),
        path: Some("/own/c1".to_owned()),
    };
    cache.told(std::slice::from_ref(&told), now);
    cache.appeared(CgroupId(1), "/own/c1/sub", now);
    assert_eq!(
        cache.lookup(CgroupId(1)).unwrap().id.as_deref(),
        Some("worker")
    );
    cache.removed(CgroupId(1), now);
    let told = |n: u32| Told {
        path: Some(format!("/own/x{n}")),
        ..told.clone()
    };
    for n in 0..100 {
        cache.told(&[told(n)], now + Duration::from_secs(u64::from(n)));
    }
    assert!(cache.claims.len() <= 4, "claims are bounded");
}

#[test]
fn a_removed_container_is_kept_gets_its_name_late_and_is_forgotten_after_its_time() {
    let (mut cache, now) = (small(), Instant::now());
    cache.appeared(CgroupId(1), &docker(), now);
    let ticket = question(&mut cache, now);
    cache.removed(CgroupId(1), now);
    assert!(cache.containers().is_empty());
    cache.resolved(ticket, web(), now);
    assert_eq!(cache.lookup(CgroupId(1)).unwrap().name, "web");
    let almost = now + Duration::from_secs(599);
    cache.expire(almost);
    assert!(cache.lookup(CgroupId(1)).is_some());
    cache.expire(almost + Duration::from_secs(1));
    assert!(cache.lookup(CgroupId(1)).is_none());
    assert_eq!(
        cache.stats(),
        Stats {
            named: 1,
            ..Stats::default()
        }
    );
}

#[test]
fn a_full_table_refuses_cgroups_counts_them_and_never_gives_up_a_live_one() {
    let (mut cache, now) = (small(), Instant::now());
    for id in 1..=6 {
        cache.appeared(CgroupId(id), &format!("/x{id}"), now);
    }
    assert_eq!((cache.stats().live, cache.stats().refused), (4, 2));
    assert!(cache.lookup(CgroupId(4)).is_some());
    assert!(cache.lookup(CgroupId(5)).is_none());
    for id in 1..=3 {
        cache.removed(CgroupId(id), now);
    }
    assert_eq!((cache.stats().retained, cache.stats().evicted), (2, 1));
    assert!(
        cache.lookup(CgroupId(1)).is_none(),
        "the oldest removed one made room"
    );
    assert!(cache.lookup(CgroupId(2)).is_some());
    cache.appeared(CgroupId(5), "/x5", now);
    assert!(cache.lookup(CgroupId(5)).is_some(), "there is room again");
}

#[test]
fn a_restarted_unit_is_another_cgroup_with_the_same_path() {
    let (mut cache, now) = (small(), Instant::now());
    cache.appeared(CgroupId(1), "/system.slice/a.service", now);
    // The removal of the first one was lost.
    cache.appeared(CgroupId(2), "/system.slice/a.service", now);
    let live = cache.containers();
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].cgroup, CgroupId(2));
    assert_eq!(cache.lookup(CgroupId(1)).unwrap().cgroup, CgroupId(1));
    assert_eq!((cache.stats().live, cache.stats().retained), (1, 1));
}

#[test]
fn a_confirmed_containerd_container_takes_in_what_is_below_it() {
    let (mut cache, now) = (small(), Instant::now());
    assert!(cache.appeared(CgroupId(1), "/default/web", now));
    cache.appeared(CgroupId(2), "/default/web/early", now);
    assert_eq!(
        cache.lookup(CgroupId(2)).unwrap().name,
        "/default/web/early"
    );
    let ticket = question(&mut cache, now);
    cache.resolved(
        ticket,
        Answer::Names(Names::plain(Runtime::Containerd, "web")),
        now,
    );
    cache.appeared(CgroupId(3), "/default/web/system.slice/late.service", now);
    let web = cache.lookup(CgroupId(1)).unwrap();
    assert_eq!(
        (web.runtime, web.id.as_deref()),
        (Runtime::Containerd, Some("web"))
    );
    assert_eq!(web.namespace, "");
    for id in [2, 3] {
        assert!(
            Arc::ptr_eq(&web, &cache.lookup(CgroupId(id)).unwrap()),
            "{id}"
        );
    }
    for id in [3, 2, 1] {
        cache.removed(CgroupId(id), now);
    }
    assert_eq!(cache.stats().live, 0);
}

#[test]
fn a_wrong_guess_keeps_the_path_as_its_name() {
    let (mut cache, now) = (small(), Instant::now());
    cache.appeared(CgroupId(1), "/default/web", now);
    let ticket = question(&mut cache, now);
    cache.resolved(ticket, GONE, now);
    let other = cache.lookup(CgroupId(1)).unwrap();
    assert_eq!(
        (other.runtime, other.name.as_str()),
        (Runtime::Other, "/default/web")
    );
    assert_eq!(
        (other.namespace.as_str(), &other.naming),
        (Container::HOST, &Naming::Named)
    );
    assert_eq!(cache.stats().unnamed, 0);
}

#[test]
fn a_rescan_removes_what_it_did_not_see_but_not_what_came_meanwhile() {
    let (mut cache, now) = (small(), Instant::now());
    let started = now + Duration::from_secs(1);
    let after = now + Duration::from_secs(2);
    cache.appeared(CgroupId(1), "/a", now);
    cache.appeared(CgroupId(2), "/b", now);
    cache.appeared(CgroupId(3), "/c", after);
    cache.remove_unseen(&[(CgroupId(2), "/b".to_owned())], started, after);
    let mut live: Vec<u64> = cache.containers().iter().map(|c| c.cgroup.0).collect();
    live.sort_unstable();
    assert_eq!(live, [2, 3]);
}

#[derive(Clone, Debug)]
enum Step {
    Appear(u64, usize),
    Remove(u64),
    Answer(bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u64..12, 0usize..9).prop_map(|(id, path)| Step::Appear(id, path)),
        (0u64..12).prop_map(Step::Remove),
        any::<bool>().prop_map(Step::Answer),
        (0u64..400).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Any order of reports, sane or not, keeps the bounds and leaves nothing behind.
    #[test]
    fn the_tables_agree_after_any_reports(steps in proptest::collection::vec(step(), 0..80)) {
        let paths = [
            docker(), format!("{}/a", docker()), format!("{}/a/b.service", docker()),
            "/".to_owned(), "/d/w".to_owned(), "/d/w/x".to_owned(), "/d/w/x.service".to_owned(),
            "/s.slice/u.service".to_owned(), "/s.slice/u.service/v".to_owned(),
        ];
        let (mut cache, mut now) = (small(), Instant::now());
        for step in steps {
            match step {
                Step::Appear(id, path) => { cache.appeared(CgroupId(id), &paths[path], now); }
                Step::Remove(id) => cache.removed(CgroupId(id), now),
                Step::Answer(yes) => for (ticket, _) in cache.pending(now, 2) {
                    let names = Names::plain(Runtime::Containerd, "w");
                    cache.resolved(ticket, if yes { Answer::Names(names) } else { UNKNOWN }, now);
                },
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
            }
            cache.expire(now);
            let live = cache.members.values().filter(|m| m.removed.is_none()).count();
            prop_assert_eq!(live, cache.stats.live);
            prop_assert!(live <= 4);
            prop_assert_eq!(cache.members.len() - live, cache.stats.retained);
            prop_assert!(cache.stats.retained <= 2);
            prop_assert_eq!(cache.entries.values().map(|e| e.members.len()).sum::<usize>(), cache.members.len());
            prop_assert_eq!(cache.entries.values().map(|e| e.live).sum::<usize>(), live);
            prop_assert!(cache.entries.values().all(|e| !e.members.is_empty()));
            prop_assert!(cache.live_paths.values().all(|t| cache.entries[t].live > 0));
        }
        now += Duration::from_secs(10_000);
        for id in 0..12 {
            cache.removed(CgroupId(id), now);
        }
        cache.expire(now + Duration::from_secs(10_000));
        prop_assert!(cache.members.is_empty() && cache.entries.is_empty());
        prop_assert!(cache.live_paths.is_empty() && cache.removals.is_empty());
        prop_assert_eq!(cache.asking.len(), 0);
    }
}

#[test]
fn a_question_that_nobody_can_be_asked_yet_has_its_time_from_then() {
    let start = Instant::now();
    let deadline = Limits::default().deadline;
    let mut cache = small();
    cache.appeared(CgroupId(1), &docker(), start);
    cache.postpone(start + 9 * deadline);
    cache.appeared(CgroupId(2), &format!("/docker/{}", "2".repeat(64)), start);
    let naming = |cache: &Cache, id| cache.lookup(CgroupId(id)).unwrap().naming.clone();
    cache.expire(start + 9 * deadline);
    assert_eq!(naming(&cache, 1), Naming::Pending);
    // Somebody can be asked sooner than was thought.
    cache.postpone(start + deadline);
    cache.expire(start + deadline + deadline / 2);
    for id in [1, 2] {
        assert_eq!(naming(&cache, id), Naming::Pending);
    }
    cache.expire(start + 2 * deadline);
    for id in [1, 2] {
        assert!(matches!(naming(&cache, id), Naming::Unnamed(_)));
    }
}
