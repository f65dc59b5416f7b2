//! Filters as people write them, and those that match nothing.

use std::{process::Command, sync::mpsc::sync_channel, thread};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::{
    cgroup::Cgroup,
    lock::alone,
    nodeprobe::{Tool, command, run},
    skip::unless_available,
    workload::Workload,
};

const TOOLS: [&str; 6] = ["syscalls", "runqlat", "offcpu", "flows", "tcp", "dns"];

/// The notes of a report.
fn notes(report: &str) -> Result<Vec<String>> {
    let report: Value = serde_json::from_str(report).with_context(|| format!("read `{report}`"))?;
    let notes = report["notes"].as_array().context("a report has notes")?;
    let text = |note: &Value| note.as_str().map(str::to_owned);
    Ok(notes.iter().filter_map(text).collect())
}

fn has(notes: &[String], part: &str) -> bool {
    notes.iter().any(|note| note.contains(part))
}

#[test]
fn a_filter_that_matches_nothing_is_named_and_fails_where_it_must_match() -> Result<()> {
    let _alone = alone();
    for tool in TOOLS {
        let args = format!("{tool} -d 0.2 -o json -c np-nothing --cgroup /np/nothing");
        let (code, stdout, stderr) = run(&args, command())?;
        assert_eq!(code, 0, "{tool}: {stderr}");
        let notes = notes(&stdout)?;
        assert!(
            has(&notes, "--container np-nothing matches no container"),
            "{tool}: {notes:?}"
        );
        assert!(
            has(&notes, "--cgroup /np/nothing is no cgroup"),
            "{tool}: {notes:?}"
        );
        let (code, ..) = run(&format!("{args} --strict"), command())?;
        assert_eq!(code, 4, "{tool}");
    }
    Ok(())
}

#[test]
fn a_filter_that_matches_what_does_nothing_is_no_filter_that_matches_nothing() -> Result<()> {
    let _alone = alone();
    let Some(idle) = unless_available("cgroup", Cgroup::new("idle")) else {
        return Ok(());
    };
    for tool in TOOLS {
        let args = format!("{tool} -d 0.2 -o json --strict --cgroup {}", idle.path());
        let (code, stdout, stderr) = run(&args, command())?;
        assert_eq!(code, 0, "{tool}: {stderr}");
        let notes = notes(&stdout)?;
        assert!(
            has(&notes, "nothing was measured there"),
            "{tool}: {notes:?}"
        );
    }
    Ok(())
}

#[test]
fn a_cgroup_may_be_given_by_its_folder_or_without_a_slash() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("given")) else {
        return Ok(());
    };
    let path = cgroup.path();
    for given in [
        cgroup.folder().display().to_string(),
        format!("{}/", cgroup.folder().display()),
        path.trim_start_matches('/').to_owned(),
    ] {
        let running = Workload::new()?.ready(&cgroup, "sleep --calls 5 --ms 2")?;
        let args = format!("runqlat --duration 300s --cgroup {given}");
        let report = crate::measure::measure(&args, &[&running])?;
        assert_eq!(report.rows.len(), 1, "{given}: {:?}", report.rows);
        assert!(report.rows[0].container.is_at(&path), "{given}");
    }
    Ok(())
}

#[test]
fn the_id_of_a_thread_stands_for_its_process() -> Result<()> {
    let _alone = alone();
    let (ids, id) = sync_channel(1);
    let (stop, stopped) = sync_channel::<()>(0);
    let thread = thread::spawn(move || {
        ids.send(rustix::thread::gettid()).ok();
        stopped.recv().ok();
    });
    let thread_id = id.recv()?.as_raw_nonzero();
    let process = std::process::id();
    let tool = Tool::attach(&format!("syscalls --duration 300s --pid {thread_id}"))?;
    // Calls of this process.
    std::fs::metadata("/")?;
    let report = tool.end()?;
    drop(stop);
    thread.join().ok();
    let expected = format!("--pid {thread_id} is a thread of process {process}");
    assert!(has(&notes(&report)?, &expected), "{report}");
    let report: Value = serde_json::from_str(&report)?;
    assert_eq!(report["rows"][0]["process"]["pid"], process, "{report}");
    Ok(())
}

#[test]
fn a_process_that_has_ended_is_named() -> Result<()> {
    let _alone = alone();
    let mut child = Command::new("true").spawn()?;
    child.wait()?;
    let args = format!("offcpu -d 0.2 -o json --strict --pid {}", child.id());
    let (code, stdout, stderr) = run(&args, command())?;
    assert_eq!(code, 4, "{stderr}");
    let expected = format!("--pid {} is no process of this host", child.id());
    assert!(has(&notes(&stdout)?, &expected), "{stdout}");
    Ok(())
}
