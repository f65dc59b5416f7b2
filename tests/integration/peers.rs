//! The one-shot tools beside those of libbpf-tools, over the same ten seconds of a steady load.
//!
//! Neither can be started at the very same moment as the other, so their windows differ by some
//! tens of milliseconds at either end. A steady load makes that a difference of about one percent;
//! the tolerance is five, and one bucket for the median, since the bounds of the two histograms
//! differ (powers of two seconds here, of two microseconds there).

use anyhow::Result;
use tests::{
    cgroup::Cgroup,
    lock::alone,
    nodeprobe::Tool,
    peers::{Peer, runqlat_histogram, syscount_table},
    report::Report,
    skip::unless_available,
    workload::Workload,
};

const TOLERANCE: f64 = 0.05;

/// Ten seconds of both, beside a load that lasts longer.
fn both(
    tool: &str,
    peer: fn(u32) -> Result<Peer>,
    load: &[&str],
) -> Result<Option<(Report, String)>> {
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("peers")) else {
        return Ok(None);
    };
    let workload = Workload::new()?;
    let loads: Vec<_> = load
        .iter()
        .map(|args| workload.start(&cgroup, args))
        .collect::<Result<_>>()?;
    let Some(peer) = unless_available("libbpf-tools", peer(10)) else {
        return Ok(None);
    };
    let tool = Tool::attach(&format!("{tool} --duration 10s"))?;
    let report = tool.report()?;
    let Some(output) = unless_available("libbpf-tools", peer.output()) else {
        return Ok(None);
    };
    drop(loads);
    Ok(Some((report, output)))
}

fn close(ours: f64, theirs: f64, what: &str) {
    assert!(
        (ours - theirs).abs() <= TOLERANCE * theirs,
        "{what}: {ours} here, {theirs} there"
    );
}

#[test]
fn syscall_counts_agree_with_syscount() -> Result<()> {
    let _alone = alone();
    let loads = [
        "steady --per-second 2000 --seconds 60",
        "sleep --calls 100000 --ms 5",
    ];
    let Some((report, output)) = both("syscalls --by container,syscall", Peer::syscount, &loads)?
    else {
        return Ok(());
    };
    let theirs = syscount_table(&output)?;
    for name in ["ioprio_get", "nanosleep"] {
        let ours: u64 = report
            .rows
            .iter()
            .filter(|row| row.syscall == name)
            .map(|row| row.calls)
            .sum();
        assert!(ours > 1000, "{name}: {ours}");
        close(
            ours as f64,
            theirs.get(name).copied().unwrap_or(0) as f64,
            name,
        );
    }
    Ok(())
}

#[test]
fn run_queue_latency_agrees_with_runqlat() -> Result<()> {
    let _alone = alone();
    // Sleepers beside hogs on every CPU, so that most waits are long and both see the same ones.
    let loads = [
        "spin --seconds 120",
        "spin --seconds 120",
        "sleep --calls 100000 --ms 2",
        "sleep --calls 100000 --ms 3",
        "victim --seconds 120",
    ];
    let Some((report, output)) = both("runqlat --by container", Peer::runqlat, &loads)? else {
        return Ok(());
    };
    let theirs = runqlat_histogram(&output)?;
    let ours: u64 = report.rows.iter().map(|row| row.runqueue.count).sum();
    let total: u64 = theirs.iter().map(|(_, count)| count).sum();
    assert!(ours > 1000, "{ours}");
    close(ours as f64, total as f64, "waits");

    // Both medians as the upper bound of a bucket, in seconds.
    let mut buckets: Vec<(f64, u64)> = report
        .rows
        .iter()
        .flat_map(|row| &row.runqueue.buckets)
        .filter_map(|bucket| Some((bucket.le?, bucket.count)))
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let theirs: Vec<_> = theirs
        .iter()
        .map(|(upper, count)| (*upper as f64 / 1e6, *count))
        .collect();
    let (ours, theirs) = (median(&buckets), median(&theirs));
    let ratio = ours / theirs;
    assert!(
        (0.45..2.2).contains(&ratio),
        "median up to {ours} s here, up to {theirs} s there"
    );
    Ok(())
}

/// The upper bound of the bucket in which the median lies.
fn median(buckets: &[(f64, u64)]) -> f64 {
    let total: u64 = buckets.iter().map(|(_, count)| count).sum();
    let mut below = 0;
    for (upper, count) in buckets {
        below += count;
        if 2 * below >= total {
            return *upper;
        }
    }
    f64::INFINITY
}
