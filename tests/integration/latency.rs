//! Durations of system calls.

use anyhow::Result;
use tests::{
    cgroup::Cgroup, lock::alone, report::Histogram, skip::unless_available, workload::Workload,
};

use crate::measure::{BY_CALL, measure};

fn durations(args: &str, syscall: &str) -> Result<Option<Histogram>> {
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("latency")) else {
        return Ok(None);
    };
    let running = Workload::new()?.ready(&cgroup, args)?;
    let report = measure(BY_CALL, &[&running])?;
    let path = cgroup.path();
    let rows: Vec<_> = report
        .of(&path)
        .filter(|row| row.syscall == syscall)
        .collect();
    assert_eq!(rows.len(), 1, "one row of {syscall}");
    Ok(Some(rows[0].latency.clone()))
}

#[test]
fn sleeps_of_a_tenth_of_a_second_land_in_the_right_buckets() -> Result<()> {
    let _alone = alone();
    let Some(latency) = durations("sleep --calls 20 --ms 100", "nanosleep")? else {
        return Ok(());
    };
    assert_eq!(latency.count, 20);
    // 100 ms lies between 2^-4 and 2^-3 s; a busy machine may wake some late.
    assert_eq!(latency.between(0.0625, 0.5), 20, "{latency:?}");
    assert!(latency.between(0.0625, 0.125) >= 15, "{latency:?}");
    assert!((2.0..6.0).contains(&latency.sum_seconds), "{latency:?}");
    Ok(())
}

#[test]
fn every_short_call_has_a_duration_and_most_are_below_a_hundred_microseconds() -> Result<()> {
    let _alone = alone();
    let Some(latency) = durations("syscalls --calls 50000", "ioprio_get")? else {
        return Ok(());
    };
    assert_eq!(latency.count, 50_000);
    assert_eq!(
        latency
            .buckets
            .iter()
            .map(|bucket| bucket.count)
            .sum::<u64>(),
        50_000
    );
    assert!(latency.between(0.0, 2f64.powi(-13)) > 49_000, "{latency:?}");
    assert!(latency.sum_seconds > 0.0);
    Ok(())
}
