use std::collections::HashMap;

use proptest::{collection::vec, prelude::*};

use super::*;

const WEB: CgroupId = CgroupId(1);
const JOB: CgroupId = CgroupId(2);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn lookup(cgroup: CgroupId, at: u64, name: &str, addresses: &[u8]) -> Lookup {
    Lookup {
        cgroup,
        time: seconds(at),
        server: IpAddr::from([10, 0, 0, 1]),
        over_tcp: false,
        name: name.to_owned(),
        kind: "A".to_owned(),
        rcode: Some("NOERROR".to_owned()),
        latency: Some(Duration::from_millis(1)),
        addresses: addresses.iter().map(|last| address(*last)).collect(),
        aliases: Vec::new(),
        ttl: Some(seconds(30)),
        asked: true,
    }
}

fn found(names: &mut Names, cgroup: CgroupId, last: u8, at: u64) -> Option<(String, u64)> {
    let (name, age) = names.name(cgroup, address(last), seconds(at))?;
    Some((name.to_owned(), age.as_secs()))
}

fn some(name: &str, age: u64) -> Option<(String, u64)> {
    Some((name.to_owned(), age))
}

#[test]
fn each_container_has_its_own_names() {
    let mut names = Names::new(NAMES);
    names.insert(&lookup(WEB, 100, "db.example", &[1, 2]));
    names.insert(&lookup(JOB, 101, "queue.example", &[1]));
    assert_eq!(found(&mut names, WEB, 1, 105), some("db.example", 5));
    assert_eq!(found(&mut names, WEB, 2, 100), some("db.example", 0));
    assert_eq!(found(&mut names, JOB, 1, 105), some("queue.example", 4));
    assert_eq!(found(&mut names, JOB, 2, 105), None);
    assert_eq!((names.len(), names.is_empty()), (3, false));
}

#[test]
fn the_asked_name_counts_and_not_its_aliases() {
    let mut names = Names::new(NAMES);
    let mut lookup = lookup(WEB, 1, "shop.example", &[1]);
    lookup.aliases = vec!["edge.cdn.example".to_owned()];
    names.insert(&lookup);
    assert_eq!(found(&mut names, WEB, 1, 1), some("shop.example", 0));
}

#[test]
fn a_later_name_replaces_an_earlier_one() {
    let mut names = Names::new(NAMES);
    names.insert(&lookup(WEB, 10, "a.example", &[1]));
    names.insert(&lookup(WEB, 20, "b.example", &[1]));
    // It comes late and says nothing any more.
    names.insert(&lookup(WEB, 15, "c.example", &[1]));
    assert_eq!(found(&mut names, WEB, 1, 21), some("b.example", 1));
    assert_eq!(names.counts().replaced, 1);
    // At that time it was another name, which is forgotten.
    assert_eq!(found(&mut names, WEB, 1, 12), None);
}

#[test]
fn a_name_counts_for_ten_minutes_or_its_ttl() {
    let mut names = Names::new(NAMES);
    names.insert(&lookup(WEB, 100, "short.example", &[1]));
    let mut long = lookup(WEB, 100, "long.example", &[2]);
    long.ttl = Some(seconds(3_600));
    names.insert(&long);
    assert_eq!(found(&mut names, WEB, 1, 700), some("short.example", 600));
    assert_eq!(found(&mut names, WEB, 1, 701), None);
    assert_eq!(
        found(&mut names, WEB, 2, 3_700),
        some("long.example", 3_600)
    );
    assert_eq!(found(&mut names, WEB, 2, 3_701), None);
}

#[test]
fn a_name_that_is_resolved_again_counts_since_the_first_time() {
    let mut names = Names::new(NAMES);
    names.insert(&lookup(WEB, 100, "a.example", &[1]));
    names.insert(&lookup(WEB, 400, "a.example", &[1]));
    assert_eq!(found(&mut names, WEB, 1, 99), None);
    assert_eq!(found(&mut names, WEB, 1, 200), some("a.example", 0));
    assert_eq!(found(&mut names, WEB, 1, 1_000), some("a.example", 600));
    // After a gap it begins anew.
    names.insert(&lookup(WEB, 1_001, "a.example", &[1]));
    assert_eq!(found(&mut names, WEB, 1, 1_000), None);
    assert_eq!(found(&mut names, WEB, 1, 1_002), some("a.example", 1));
    assert_eq!((names.counts().inserted, names.counts().replaced), (3, 0));
}

#[test]
fn what_nobody_asked_for_is_refused() {
    let mut names = Names::new(NAMES);
    let mut unasked = lookup(WEB, 1, "bank.example", &[1]);
    unasked.latency = None;
    names.insert(&unasked);
    names.insert(&lookup(WEB, 1, &"x".repeat(LONGEST + 1), &[1]));
    names.insert(&lookup(WEB, 1, "nothing.example", &[]));
    assert_eq!(found(&mut names, WEB, 1, 1), None);
    assert_eq!((names.counts().refused, names.len()), (2, 0));
}

#[test]
fn a_mapped_address_is_one_of_ipv4() {
    let mut names = Names::new(NAMES);
    let mut lookup = lookup(WEB, 1, "a.example", &[]);
    lookup.addresses = vec!["::ffff:192.0.2.1".parse().unwrap()];
    names.insert(&lookup);
    assert_eq!(found(&mut names, WEB, 1, 1), some("a.example", 0));
}

#[test]
fn what_was_not_used_for_longest_is_evicted_and_counted() {
    let mut names = Names::new(NonZeroUsize::new(2).unwrap());
    names.insert(&lookup(WEB, 1, "a.example", &[1]));
    names.insert(&lookup(WEB, 2, "b.example", &[2]));
    assert!(found(&mut names, WEB, 1, 3).is_some());
    names.insert(&lookup(WEB, 4, "c.example", &[3]));
    assert_eq!(found(&mut names, WEB, 2, 5), None);
    assert!(found(&mut names, WEB, 1, 5).is_some());
    assert_eq!((names.counts().evicted, names.len()), (1, 2));
}

proptest! {
    #[test]
    fn within_the_bound_the_last_name_is_found(
        steps in vec((0..3u64, 0..4u8, 0..5u8, 0..200u64), 1..60),
    ) {
        let mut names = Names::new(NonZeroUsize::new(12).unwrap());
        let mut expected = HashMap::new();
        let mut now = 0;
        for (cgroup, last, name, pause) in steps {
            now += pause;
            let name = format!("n{name}.example");
            names.insert(&lookup(CgroupId(cgroup), now, &name, &[last]));
            expected.insert((cgroup, last), (name, now));
        }
        for ((cgroup, last), (name, at)) in expected {
            let age = now - at;
            let wanted = (age <= 600).then_some((name, age));
            prop_assert_eq!(found(&mut names, CgroupId(cgroup), last, now), wanted);
        }
        prop_assert_eq!(names.counts().evicted, 0);
    }

    #[test]
    fn the_bound_holds_and_no_address_is_lost_uncounted(
        steps in vec((0..4u64, any::<u8>()), 0..100),
        capacity in 1..10usize,
    ) {
        let mut names = Names::new(NonZeroUsize::new(capacity).unwrap());
        for (cgroup, last) in &steps {
            let (had, before) = (names.len() as u64, names.counts());
            let known = found(&mut names, CgroupId(*cgroup), *last, 1).is_some();
            names.insert(&lookup(CgroupId(*cgroup), 1, "a.example", &[*last]));
            prop_assert!(names.len() <= capacity);
            let evicted = names.counts().evicted - before.evicted;
            prop_assert_eq!(names.len() as u64, had + u64::from(!known) - evicted);
        }
        prop_assert_eq!(names.counts().inserted, steps.len() as u64);
    }
}
