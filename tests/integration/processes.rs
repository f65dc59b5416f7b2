//! What processes are called.

use std::fs;

use anyhow::{Context as _, Result};
use tests::{
    cgroup::Cgroup,
    guard::Process,
    lock::alone,
    nodeprobe::Tool,
    report::Report,
    skip::unless_available,
    task::Task,
    wait::{LONG, poll},
    workload::Workload,
};

use crate::measure::measure;

const BY_PROCESS: &str = "syscalls --duration 300s --by process,syscall";

/// The names of the processes of a cgroup that called `ioprio_get`, with how often.
fn callers(report: &Report, cgroup: &Cgroup) -> Vec<(String, u64)> {
    let path = cgroup.path();
    let rows = report.of(&path).filter(|row| row.syscall == "ioprio_get");
    rows.filter_map(|row| Some((row.process.as_ref()?.comm.clone(), row.calls)))
        .collect()
}

fn comm(pid: i32) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/comm")).context("read its name")?;
    Ok(text.trim_end().to_owned())
}

#[test]
fn a_process_has_the_last_name_that_it_gave_itself() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("renamed")) else {
        return Ok(());
    };
    let running = Workload::new()?.ready(&cgroup, "syscalls --calls 41")?;
    let first = comm(running.task.pid())?;
    let report = measure(BY_PROCESS, &[&running])?;
    let last = comm(running.task.pid())?;
    assert_ne!(first, last, "it changes its name while it works");
    assert_eq!(callers(&report, &cgroup), [(last, 41)]);
    Ok(())
}

#[test]
fn a_process_of_which_another_thread_is_seen_first_has_the_name_of_its_first_thread() -> Result<()>
{
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("leader")) else {
        return Ok(());
    };
    // The first thread waits for the other one, which works.
    let running = Workload::new()?.ready(&cgroup, "steady --per-second 50 --seconds 300")?;
    running.task.go()?;
    let pid = running.task.pid();
    poll(LONG, "the second thread to work", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        (threads.count() == 2).then_some(())
    })?;
    let tool = Tool::attach(BY_PROCESS)?;
    // Calls that return after the tool has attached.
    let calls = |pid: i32| -> Option<u64> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let worker = tasks.filter_map(Result::ok).map(|task| task.path());
        let status = worker.filter_map(|path| fs::read_to_string(path.join("status")).ok());
        let switches = status.filter_map(|text| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse::<u64>().ok()
        });
        Some(switches.sum())
    };
    let before = calls(pid).context("it runs")?;
    poll(LONG, "the second thread to go on", || {
        (calls(pid)? > before + 10).then_some(())
    })?;
    let report = tool.finish()?;
    let name = comm(pid)?;
    drop(running);
    let callers = callers(&report, &cgroup);
    assert_eq!(callers.len(), 1, "{callers:?}");
    assert_eq!(callers[0].0, name, "{callers:?}");
    Ok(())
}

#[test]
fn a_process_that_a_shell_starts_has_its_own_name_although_it_is_gone() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("shell")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let tool = Tool::attach(BY_PROCESS)?;
    let mut shell = cgroup.command("/bin/sh");
    // With more to do the shell does not replace itself.
    shell.args(["-c", r#""$0" syscalls --calls 7 >/dev/null; true"#]);
    let mut shell = Process::spawn(shell.arg(workload.path()))?;
    let pid = shell.pid();
    assert!(shell.wait(LONG)?.success());
    let report = tool.finish()?;
    // The name that it gives itself at its end.
    assert_eq!(callers(&report, &cgroup), [("np-done".to_owned(), 7)]);
    assert!(Task::new(pid).is_err() || comm(pid).is_err(), "it is gone");
    Ok(())
}
