//! A script that looks for files that are not there, and one that starts processes without end.

use anyhow::{Context as _, Result};
use tests::{cgroup::Cgroup, guard, report::Report};

use crate::{
    rig,
    scenario::{Finding, Scenario},
};

pub(crate) const ENOENT: Scenario = Scenario {
    name: "enoent-storm",
    question: "which container looks for files that are not there, and how often?",
    expected_failure: None,
    run: enoent,
};

pub(crate) const FORKS: Scenario = Scenario {
    name: "fork-storm",
    question: "which container starts all these processes?",
    expected_failure: None,
    run: forks,
};

/// How many files one run of `stat` does not find.
const FILES: usize = 3000;
/// How many processes a shell starts, one after the other.
const PROCESSES: u64 = 1500;

/// `stat` is given the names of files that nobody has made; it complains of each.
fn enoent() -> Result<Finding> {
    let container = Cgroup::new("enoent")?;
    let names: Vec<String> = (0..FILES)
        .map(|number| format!("/nowhere/{number}"))
        .collect();
    let run = |program: &str, args: &[&str]| -> Result<(String, String)> {
        let mut command = container.command(tests::skip::program(program, program)?);
        rig::run_any(command.args(args).args(&names).env("LC_ALL", "C"))
    };
    let tool = rig::attach("syscalls --duration 300s --by container")?;
    let (_, complaints) = run("stat", &[])?;
    let text = tool.end()?;
    let report: Report = serde_json::from_str(&text).with_context(|| text.clone())?;
    let path = container.path();
    let said: u64 = report
        .of(&path)
        .filter_map(|row| row.errnos.get("ENOENT"))
        .sum();
    let most = report
        .rows
        .iter()
        .max_by_key(|row| row.errnos.get("ENOENT").copied().unwrap_or(0))
        .map(|row| row.container.cgroup.clone())
        .unwrap_or_default();
    let complaints = complaints
        .lines()
        .filter(|line| line.contains("No such file"))
        .count();
    // The same again, call by call: the loader does not find some files either.
    let (traced, _) = run("strace", &["-f", "-o", "/dev/stdout", "stat"])?;
    let traced = traced
        .lines()
        .filter(|line| line.contains("= -1 ENOENT"))
        .count() as u64;
    Ok(Finding {
        nodeprobe: format!("{said} ENOENT in {path}, most of all in {most}"),
        oracle: format!("strace of the same work: {traced}; {complaints} complaints of stat"),
        agrees: said == traced && complaints == FILES && most == path,
    })
}

/// A shell runs `/bin/true` again and again.
fn forks() -> Result<Finding> {
    let container = Cgroup::new("forks")?;
    let path = container.path();
    let tool = rig::attach("syscalls --duration 300s --by container,syscall")?;
    let script = format!("i=0; while [ $i -lt {PROCESSES} ]; do /bin/true; i=$((i+1)); done");
    guard::run(container.command("/bin/sh").args(["-c", &script]))?;
    let text = tool.end()?;
    let report: Report = serde_json::from_str(&text).with_context(|| text.clone())?;
    let of = |names: &[&str]| -> u64 {
        let calls = names.iter().map(|name| report.calls(&path, name).calls);
        calls.sum()
    };
    let (forked, started) = (of(&["fork", "vfork", "clone", "clone3"]), of(&["execve"]));
    let most = report
        .rows
        .iter()
        .filter(|row| row.syscall == "execve")
        .max_by_key(|row| row.calls)
        .map(|row| row.container.cgroup.clone())
        .unwrap_or_default();
    Ok(Finding {
        nodeprobe: format!("{forked} forks and {started} execs in {path}; most execs in {most}"),
        oracle: format!("the script: {PROCESSES} processes, and itself"),
        agrees: forked == PROCESSES && started == PROCESSES + 1 && most == path,
    })
}
