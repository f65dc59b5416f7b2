//! Whose series these are: among many containers, and with equal names.

use std::collections::BTreeSet;

use anyhow::Result;
use tests::{
    cgroup::Cgroup,
    lock::alone,
    nodeprobe::Agent,
    scrape::Scrape,
    skip::{not_in_vm, unless_available},
    wait::LONG,
    workload::Workload,
};

const CALLS: &str = "nodeprobe_syscalls_total";
const ERRORS: &str = "nodeprobe_syscall_errors_total";
const ONCPU: &str = "nodeprobe_sched_oncpu_seconds_total";
const SWITCHES: &str = "nodeprobe_sched_context_switches_total";

fn calls_of(scrape: &Scrape, container: &str) -> f64 {
    let labels = [("container", container), ("syscall", "ioprio_get")];
    scrape.sum(CALLS, &labels)
}

#[test]
fn a_container_among_two_hundred_busy_ones_has_its_exact_counts_in_all_families() -> Result<()> {
    const OTHERS: usize = 200;
    let _alone = alone();
    // Emulated processors do not keep up with two hundred processes.
    if unless_available("processors", not_in_vm()).is_none() {
        return Ok(());
    }
    let Some(parent) = unless_available("cgroup", Cgroup::new("crowd")) else {
        return Ok(());
    };
    let agent = Agent::start("")?;
    let workload = Workload::new()?;
    let mut crowd = Vec::new();
    let mut busy = Vec::new();
    for number in 0..OTHERS {
        let cgroup = parent.child(&format!("busy-{number:03}.service"))?;
        busy.push(workload.start(&cgroup, "steady --per-second 20 --seconds 600")?);
        crowd.push(cgroup);
    }
    let has_all = |scrape: &Scrape| {
        (0..OTHERS).all(|number| calls_of(scrape, &format!("busy-{number:03}.service")) > 0.0)
    };
    assert!(has_all(&agent.scrape_until(LONG, has_all)?));

    let own = Cgroup::new("exact")?;
    let path = own.path();
    let running = workload.ready(&own, "syscalls --calls 4000 --errors 301")?;
    running.work()?;
    let scrape = agent.scrape_until(LONG, |scrape| calls_of(scrape, &path) >= 4000.0)?;
    assert_eq!(calls_of(&scrape, &path), 4000.0);
    let errors = [("container", path.as_str()), ("syscall", "ioprio_get")];
    assert_eq!(scrape.sum(ERRORS, &errors), 301.0);

    // Who is shown by one family is shown by all.
    let shown = |family: &str| -> BTreeSet<String> {
        let samples = scrape.with(family, &[]);
        let names = samples.map(|sample| sample.label("container").to_owned());
        names.filter(|name| name.starts_with("busy-")).collect()
    };
    let by_calls = shown(CALLS);
    assert_eq!(by_calls.len(), OTHERS);
    for family in [ONCPU, SWITCHES] {
        assert_eq!(shown(family), by_calls, "{family}");
    }
    let folded = [("state", "folded")];
    assert_eq!(scrape.sum("nodeprobe_series_containers", &folded), 0.0);
    drop(busy);
    Ok(())
}

#[test]
fn two_live_containers_of_one_name_have_counts_of_their_own() -> Result<()> {
    let _alone = alone();
    let Some(parent) = unless_available("cgroup", Cgroup::new("twins")) else {
        return Ok(());
    };
    let (left, right) = (parent.child("left")?, parent.child("right")?);
    let twins = [left.child("cron.service")?, right.child("cron.service")?];
    let agent = Agent::start("")?;
    let workload = Workload::new()?;
    for twin in &twins {
        workload.run(twin, "syscalls --calls 10")?;
    }
    let paths = twins.each_ref().map(Cgroup::path);
    let is_shown = |scrape: &Scrape, path: &String| {
        scrape.with(CALLS, &[("container", path)]).next().is_some()
    };
    // The first that is seen may have had the plain name for a moment.
    let mut made = 20.0;
    let before = agent.scrape_until(LONG, |scrape| {
        made += 20.0;
        for twin in &twins {
            workload.run(twin, "syscalls --calls 10").ok();
        }
        paths.iter().all(|path| is_shown(scrape, path))
    })?;
    assert!(paths.iter().all(|path| is_shown(&before, path)));
    // What was made since the last look is counted before the next step begins.
    let counted = |scrape: &Scrape| {
        let own: f64 = paths.iter().map(|path| calls_of(scrape, path)).sum();
        own + calls_of(scrape, "cron.service")
    };
    let settled = agent.scrape_until(LONG, |scrape| counted(scrape) >= made)?;
    assert_eq!(counted(&settled), made);
    let plain = calls_of(&settled, "cron.service");
    workload.run(&twins[0], "syscalls --calls 300")?;
    workload.run(&twins[1], "syscalls --calls 500")?;
    let added =
        |scrape: &Scrape, at: usize| calls_of(scrape, &paths[at]) - calls_of(&settled, &paths[at]);
    let after = agent.scrape_until(LONG, |scrape| {
        added(scrape, 0) >= 300.0 && added(scrape, 1) >= 500.0
    })?;
    assert_eq!([added(&after, 0), added(&after, 1)], [300.0, 500.0]);
    // The series of the plain name has ended and counts nothing.
    assert!(calls_of(&after, "cron.service") <= plain);
    Ok(())
}
