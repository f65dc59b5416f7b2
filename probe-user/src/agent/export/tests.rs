//! Series by container through its life: it is renamed, ends, and is made again.

use probe_common::id::CgroupId;

use super::*;
use crate::{
    identity::Limits,
    metrics::{Budgets, Format, SharedRegistry},
    model::SyscallRow,
};

const WEB: OwnerId = OwnerId(70);
const PATH: &str = "/system.slice/web.service";

struct Rig {
    exporter: Exporter,
    identities: Identities,
    metrics: SharedRegistry,
    start: Instant,
}

impl Rig {
    fn new() -> Self {
        let choice = Choice {
            latency: false,
            per_syscall_latency: false,
        };
        Self {
            exporter: Exporter::new(choice, Duration::from_secs(3), None),
            identities: Identities::new(Limits::default()),
            metrics: SharedRegistry::new("n", Budgets::default()),
            start: Instant::now(),
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    /// A collection in which the kernel has counted so many calls of each owner.
    fn collect(&mut self, seconds: u64, calls: &[(OwnerId, u64)]) {
        let row = |(owner, calls): &(OwnerId, u64)| SyscallRow {
            owner: *owner,
            syscall: Syscall { nr: 0, abi: 0 },
            calls: *calls,
            errors: 0,
            latency: Histogram::EMPTY,
        };
        let measurements = Measurements {
            syscalls: calls.iter().map(row).collect(),
            ..Measurements::default()
        };
        let now = self.at(seconds);
        self.exporter.export(
            &mut self.metrics.lock(),
            &measurements,
            (traffic::State::default(), None),
            &self.identities,
            now,
            false,
        );
    }

    fn release(&mut self, seconds: u64, owner: OwnerId) {
        let now = self.at(seconds);
        self.exporter
            .forget(&mut self.metrics.lock(), &[owner], now);
    }

    /// Containers with their calls, as a scrape shows them.
    fn scrape(&self, seconds: u64) -> Vec<(String, u64)> {
        let text = self.metrics.render(Format::Text, self.at(seconds)).unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut shown: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("nodeprobe_syscalls_total{"))
            .filter_map(|line| {
                let (_, rest) = line.split_once("container=\"")?;
                let (container, rest) = rest.split_once('"')?;
                Some((container.to_owned(), rest.rsplit(' ').next()?.parse().ok()?))
            })
            .collect();
        shown.sort();
        shown
    }
}

fn shown(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected
        .iter()
        .map(|(name, calls)| ((*name).to_owned(), *calls))
        .collect()
}

#[test]
fn a_renamed_container_counts_on_under_its_new_name_and_nothing_twice() {
    let mut rig = Rig::new();
    rig.identities.appeared(CgroupId(70), PATH, rig.start);
    rig.collect(0, &[(WEB, 5)]);
    // What a rename looks like from here: another identity of the same cgroup.
    let new = "/system.slice/blue.service";
    rig.identities.appeared(CgroupId(70), new, rig.at(1));
    rig.collect(1, &[(WEB, 12)]);
    assert_eq!(
        rig.scrape(1),
        shown(&[("blue.service", 7), ("web.service", 5)])
    );
    rig.collect(70, &[(WEB, 15)]);
    assert_eq!(rig.scrape(70), shown(&[("blue.service", 10)]));
}

#[test]
fn series_of_a_container_that_is_made_again_last_as_long_after_its_last_end() {
    let again = OwnerId(71);
    let mut rig = Rig::new();
    rig.identities.appeared(CgroupId(70), PATH, rig.start);
    rig.collect(0, &[(WEB, 5)]);
    rig.identities.removed(CgroupId(70), rig.at(1));
    rig.identities.appeared(CgroupId(71), PATH, rig.at(2));
    rig.collect(3, &[(WEB, 5), (again, 3)]);
    // The second one ends just before the counters of the first are freed.
    rig.identities.removed(CgroupId(71), rig.at(30));
    rig.release(31, WEB);
    for seconds in 31..60 {
        rig.collect(seconds, &[(again, 3)]);
        assert_eq!(
            rig.scrape(seconds),
            shown(&[("web.service", 8)]),
            "{seconds}"
        );
    }
    rig.release(60, again);
    for seconds in 60..120 {
        assert_eq!(
            rig.scrape(seconds),
            shown(&[("web.service", 8)]),
            "{seconds}"
        );
    }
    assert_eq!(rig.scrape(121), []);
}

#[test]
fn counts_that_come_after_the_end_do_not_keep_series_for_ever() {
    let mut rig = Rig::new();
    rig.identities.appeared(CgroupId(70), PATH, rig.start);
    rig.collect(0, &[(WEB, 5)]);
    rig.identities.removed(CgroupId(70), rig.at(1));
    rig.release(31, WEB);
    rig.collect(32, &[(WEB, 2)]);
    for seconds in [33, 93, 94] {
        rig.collect(seconds, &[]);
        assert_eq!(rig.scrape(seconds), shown(&[("web.service", 7)]));
    }
    assert_eq!(rig.scrape(153), []);
}
