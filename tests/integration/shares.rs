//! One container that fills a table leaves the others exact.

use anyhow::Result;
use tests::{
    cgroup::Cgroup, flowlog::sums, lock::alone, nodeprobe::Tool, report::Report, scrape::Scrape,
    skip::unless_available, wait::LONG, wire::FAR, workload::Workload,
};

use crate::faults::Watched;

/// Calls of the container that is not to be blinded.
const OWN: u64 = 2_000;
/// Numbers of these that no kernel has.
const OWN_INVALID: u64 = 10;

/// A tool beside a container that floods, and one that works before, between and after.
fn beside(tool: &str, flood: &[&str]) -> Result<Option<(Report, String, String)>> {
    let Some(noisy) = unless_available("cgroup", Cgroup::new("noisy")) else {
        return Ok(None);
    };
    let quiet = Cgroup::new("quiet")?;
    let workload = Workload::new()?;
    let tool = Tool::attach(tool)?;
    for work in flood {
        workload.run(&noisy, work)?;
    }
    workload.run(&quiet, &format!("syscalls --calls {OWN}"))?;
    workload.run(
        &quiet,
        &format!("invalid --first 700 --last {}", 700 + OWN_INVALID - 1),
    )?;
    Ok(Some((tool.finish()?, noisy.path(), quiet.path())))
}

fn is_exact(report: &Report, quiet: &str) {
    assert_eq!(report.calls(quiet, "ioprio_get").calls, OWN);
    let enosys = report.of(quiet).filter_map(|row| row.errnos.get("ENOSYS"));
    assert_eq!(enosys.sum::<u64>(), OWN_INVALID);
}

#[test]
fn numbers_that_no_kernel_has_take_one_entry() -> Result<()> {
    const NUMBERS: u64 = 544;
    let _alone = alone();
    let flood = format!("invalid --first 600 --last {}", 600 + NUMBERS - 1);
    let tool = "syscalls --duration 300s --by container,syscall";
    let Some((report, noisy, quiet)) = beside(tool, &[&flood])? else {
        return Ok(());
    };
    is_exact(&report, &quiet);
    let rows: Vec<_> = report.of(&noisy).collect();
    let other = rows.iter().filter(|row| row.syscall == "~other");
    let folded: u64 = other.filter_map(|row| row.errnos.get("ENOSYS")).sum();
    assert_eq!(folded, NUMBERS);
    assert!(rows.len() < 100, "{} rows", rows.len());
    assert_eq!(report.lost_total(), 0, "{:?}", report.lost);
    Ok(())
}

#[test]
fn a_container_with_every_error_of_every_call_leaves_those_of_others() -> Result<()> {
    let _alone = alone();
    // As many pairs of call and errno as a filter of the process's own can answer.
    let flood = "flood --numbers 330 --errnos 130";
    let tool = "syscalls --duration 300s --by container,syscall";
    let Some((report, noisy, quiet)) = beside(tool, &[flood])? else {
        return Ok(());
    };
    is_exact(&report, &quiet);
    let errors: u64 = report.of(&noisy).map(|row| row.errors).sum();
    assert!(errors >= 330 * 130, "{errors}");
    // There was not room for all.
    assert!(
        report.lost.keys().any(|key| key.ends_with("errno_full")),
        "{:?}",
        report.lost
    );
    Ok(())
}

#[test]
fn a_storm_of_short_processes_leaves_those_of_others() -> Result<()> {
    // More than there is room for.
    const PROCESSES: u64 = 20_000;
    let _alone = alone();
    let flood = format!("processes --count {PROCESSES}");
    let tool = "syscalls --duration 300s --by process,syscall";
    let Some((report, noisy, quiet)) = beside(tool, &[&flood])? else {
        return Ok(());
    };
    is_exact(&report, &quiet);
    let own = report.of(&quiet).filter(|row| row.syscall == "ioprio_get");
    let named = own.filter(|row| row.process.as_ref().is_some_and(|it| it.pid > 0));
    assert_eq!(named.map(|row| row.calls).sum::<u64>(), OWN);
    let calls = report
        .of(&noisy)
        .filter(|row| row.syscall == "ioprio_get" || row.syscall == "~other");
    assert!(calls.map(|row| row.calls).sum::<u64>() >= PROCESSES);
    Ok(())
}

/// Ends of connections fill their ring: the container that makes them has the rest counted as lost, and each end of another one is there.
#[test]
fn a_flood_of_refused_connections_leaves_the_records_of_others() -> Result<()> {
    const REFUSED: u64 = 40_000;
    const CONNECTIONS: u64 = 60;
    const SENT: u64 = 500;
    const PORT: u16 = 7300;
    const CLOSED: u16 = 7301;
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let noisy = Cgroup::new("noisy")?;
    let workload = Workload::new()?;
    let site = watched
        .wire
        .serve(&format!("site --port {PORT} --answer 100"))?;
    let command = noisy.command(workload.path());
    let flood = workload.start_as(
        watched.wire.near.netns.within(command),
        &format!("refused --host {FAR} --port {CLOSED} --connections {REFUSED}"),
    )?;
    watched.wire.run(&format!(
        "visit --to {FAR} --port {PORT} --connections {CONNECTIONS} --send {SENT}"
    ))?;
    flood.result()?;
    site.close()?;
    let path = noisy.path();
    let labels = [("container", path.as_str()), ("reason", "refused")];
    let refused = |scrape: &Scrape| scrape.sum("nodeprobe_tcp_failed_connects_total", &labels);
    let scrape = watched
        .agent
        .scrape_until(LONG, |it| refused(it) == REFUSED as f64)?;
    assert_eq!(refused(&scrape), REFUSED as f64);
    let (log, wire) = watched.log()?;
    let near = wire.near.cgroup.path();
    let own = sums(log.of(&near).filter(|flow| flow.dst_port == Some(PORT)));
    assert_eq!(
        (own.flows, own.bytes_fwd),
        (CONNECTIONS, CONNECTIONS * SENT)
    );
    Ok(())
}
