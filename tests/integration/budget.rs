//! Memory and owners run out: detail is lost, counts are not.

use std::collections::BTreeSet;

use anyhow::Result;
use probe_common::syscalls::SyscallStats;
use tests::{
    cgroup::Cgroup,
    lock::alone,
    nodeprobe::Agent,
    scrape::{Sample, Scrape},
    skip::{skip, unless_available},
    wait::{LONG, poll},
    workload::Workload,
};

const CALLS: &str = "nodeprobe_syscalls_total";
const SWITCHES: &str = "nodeprobe_sched_context_switches_total";
const LOST: &str = "nodeprobe_records_lost_total";
const OTHER: &str = "~other";

/// Room for two owners and not many calls of theirs.
const TIGHT: &str = "[limits]\nowners = 2\nkernel_memory = \"4MiB\"\n";
/// No bound is reached.
const AMPLE: &str = "[limits]\nseries = 400000\n";

/// The same work as two agents saw it, one of which had no room for it.
struct Views {
    workers: BTreeSet<String>,
    before: [Scrape; 2],
    after: [Scrape; 2],
}

impl Views {
    /// What the tight agent counted for the workers and for nobody in particular, and the least and the most that it
    /// may have: others that it had no room for either are in the same sum.
    fn sums(
        &self,
        family: &str,
        is_complete: impl Fn(&Scrape, &Sample) -> bool,
    ) -> (f64, f64, f64) {
        let [tight_before, ample_before] = &self.before;
        let [tight, ample] = &self.after;
        let is_worker = |sample: &Sample| self.workers.contains(sample.label("container"));
        let of_workers = |scrape: &Scrape| -> f64 {
            let samples = scrape.with(family, &[]).filter(|sample| is_worker(sample));
            samples.map(|sample| sample.value).sum()
        };
        let of_strangers = |scrape: &Scrape| -> f64 {
            let samples = scrape.with(family, &[]);
            let strangers = samples.filter(|it| !is_worker(it) && !is_complete(tight_before, it));
            strangers.map(|sample| sample.value).sum()
        };
        let other = [("container", OTHER)];
        let counted =
            of_workers(tight) + tight.sum(family, &other) - tight_before.sum(family, &other);
        let expected = of_workers(ample);
        (
            counted,
            expected,
            expected + of_strangers(ample) - of_strangers(ample_before),
        )
    }

    fn calls(&self) -> (f64, f64, f64) {
        // Who has an entry for the calls that found none needs no other.
        self.sums(CALLS, |tight, sample| {
            let labels = [("container", sample.label("container")), ("syscall", OTHER)];
            tight.with(CALLS, &labels).next().is_some()
        })
    }

    fn switches(&self) -> (f64, f64, f64) {
        self.sums(SWITCHES, |tight, sample| {
            let labels = [("container", sample.label("container"))];
            tight.with(SWITCHES, &labels).next().is_some()
        })
    }
}

fn is_between((counted, least, most): (f64, f64, f64)) -> bool {
    (least..=most).contains(&counted)
}

fn lost(scrape: &Scrape, stream: &str, reason: &str) -> f64 {
    scrape.sum(LOST, &[("stream", stream), ("reason", reason)])
}

#[test]
fn what_finds_no_room_is_counted_for_nobody_in_particular_and_the_sums_stay_exact() -> Result<()> {
    const EACH: f64 = 1000.0;
    let _alone = alone();
    let Some(first) = unless_available("cgroup", Cgroup::new("budget")) else {
        return Ok(());
    };
    let mut cgroups = vec![first];
    for _ in 1..8 {
        cgroups.push(Cgroup::new("budget")?);
    }
    let workload = Workload::new()?;
    let tight = Agent::start(TIGHT)?;
    let ample = Agent::start(AMPLE)?;
    // This program and the agents come first: until no entry is left for a call of theirs, and theirs go together.
    let full = poll(LONG, "the room to be full", || {
        std::process::Command::new(workload.path())
            .args(["syscalls", "--calls", "1"])
            .output()
            .ok()?;
        let scrape = tight.scrape().ok()?;
        let together = scrape
            .with(CALLS, &[("syscall", OTHER)])
            .any(|sample| sample.label("container") != OTHER);
        together.then_some(scrape)
    })?;
    let before = [full, ample.scrape()?];
    for cgroup in &cgroups {
        workload.run(cgroup, "syscalls --calls 1000 --errors 10")?;
    }
    let mut views = Views {
        workers: cgroups.iter().map(Cgroup::path).collect(),
        after: before.clone(),
        before,
    };
    // The last switch of a process comes after its end was reported.
    poll(LONG, "both agents to see the work", || {
        views.after = [tight.scrape().ok()?, ample.scrape().ok()?];
        let seen = views.after[1].sum(CALLS, &[("syscall", "ioprio_get")]);
        let exact = is_between(views.calls()) && is_between(views.switches());
        (seen >= EACH * cgroups.len() as f64 && exact).then_some(())
    })
    .ok();

    let (calls, switches) = (views.calls(), views.switches());
    eprintln!("calls counted, least, most: {calls:?}; switches: {switches:?}");
    assert!(calls.1 > EACH * cgroups.len() as f64, "{calls:?}");
    assert!(is_between(calls), "calls counted, least, most: {calls:?}");
    assert!(
        is_between(switches),
        "switches counted, least, most: {switches:?}"
    );
    let [tight, ample] = &views.after;
    for (stream, reason) in [
        ("syscalls", "detail_full"),
        ("syscalls", "owners_full"),
        ("scheduler", "owners_full"),
    ] {
        assert!(lost(tight, stream, reason) > 0.0, "{stream}/{reason}");
        assert_eq!(lost(ample, stream, reason), 0.0, "{stream}/{reason}");
    }
    // Errors by errno are in another map, which has room.
    for cgroup in &cgroups {
        let path = cgroup.path();
        let labels = [("container", path.as_str()), ("syscall", "ioprio_get")];
        assert_eq!(tight.sum("nodeprobe_syscall_errors_total", &labels), 10.0);
    }
    Ok(())
}

#[test]
fn counts_are_exact_where_cpus_share_their_counters() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("shared")) else {
        return Ok(());
    };
    let agent = Agent::start("[limits]\nowners = 65535\nkernel_memory = \"4MiB\"\n")?;
    let calls = |scrape: &Scrape| {
        let path = cgroup.path();
        let labels = [("container", path.as_str()), ("syscall", "ioprio_get")];
        (
            scrape.sum(CALLS, &labels),
            scrape.sum("nodeprobe_syscall_errors_total", &labels),
        )
    };
    let map = [("map", "syscalls/CALLS")];
    let scrape = agent.scrape()?;
    let entries = scrape.sum("nodeprobe_map_capacity", &map) + 1.0;
    let bytes = scrape.sum("nodeprobe_map_bytes", &map);
    // The last page is whole.
    let banks = (bytes / entries / size_of::<SyscallStats>() as f64).round();
    if std::thread::available_parallelism()?.get() == 1 {
        skip("shared counters", "one CPU shares them with nobody");
        return Ok(());
    }
    assert_eq!(banks, 1.0, "{bytes} bytes for {entries} entries");
    Workload::new()?.run(
        &cgroup,
        "syscalls --calls 400000 --errors 200000 --threads 8",
    )?;
    let scrape = agent.scrape_until(LONG, |scrape| calls(scrape).0 >= 400_000.0)?;
    let lost = scrape.with(LOST, &[("stream", "syscalls")]);
    let lost: Vec<_> = lost.filter(|sample| sample.value > 0.0).collect();
    assert_eq!(calls(&scrape), (400_000.0, 200_000.0), "{lost:?}");
    assert!(lost.is_empty(), "{lost:?}");
    Ok(())
}
