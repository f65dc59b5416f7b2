//! Reports every so often, while a runtime does not answer: counts and their time belong together, and nothing is late.

use std::{
    os::unix::net::{UnixListener, UnixStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tests::{
    cgroup::Cgroup,
    isolate::Isolate as _,
    lock::alone,
    nodeprobe::{Tool, command},
    report::Report,
    skip::unless_available,
    wait::LONG,
    workload::Workload,
};

const PER_SECOND: f64 = 200.0;

/// A runtime's socket that takes connections and never answers.
struct Silent {
    folder: tempfile::TempDir,
}

impl Silent {
    fn listen() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = UnixListener::bind(folder.path().join("docker.sock"))?;
        // Ends with the test's process; until then it keeps what it accepts open.
        thread::spawn(move || {
            listener
                .incoming()
                .collect::<Vec<std::io::Result<UnixStream>>>()
        });
        Ok(Self { folder })
    }

    fn run(&self, args: &str) -> Result<Tool> {
        let mut command = command();
        command.with_run("docker.sock", &self.folder.path().join("docker.sock"));
        Tool::attach_as(args, command)
    }
}

/// A cgroup with the name of a container whose runtime was not asked before.
fn container(parent: &Cgroup, number: u64) -> Result<Cgroup> {
    parent.child(&format!("docker-{number:064x}.scope"))
}

#[test]
fn rates_hold_while_containers_have_no_name() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("rates")) else {
        return Ok(());
    };
    let docker = Silent::listen()?;
    let busy = container(&cgroup, 1)?;
    let workload = Workload::new()?;
    let running = workload.ready(&busy, "steady --per-second 200 --seconds 8")?;
    let stop = AtomicBool::new(false);
    let (text, took) = thread::scope(|scope| {
        // At every reading there is a container that waits for its name.
        let others = scope.spawn(|| {
            let mut made = Vec::new();
            for number in 2.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                made.extend(container(&cgroup, number).ok());
                thread::sleep(Duration::from_millis(200));
            }
            made.len()
        });
        let args = format!(
            "syscalls --interval 1s --duration 4s --by container,syscall --cgroup {} -o json",
            busy.path()
        );
        let run = || {
            let tool = docker.run(&args)?;
            let begin = Instant::now();
            running.task.go()?;
            let text = tool.output()?;
            anyhow::Ok((text, begin.elapsed()))
        };
        let result = run();
        stop.store(true, Ordering::Relaxed);
        let made = others.join().unwrap_or_default();
        assert!(made > 4, "only {made} containers appeared");
        result
    })?;
    let reports: Vec<Report> = text
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("read `{line}`")))
        .collect::<Result<_>>()?;
    assert_eq!(reports.len(), 4, "one line for each of four intervals");
    let total: f64 = reports.iter().map(|report| report.duration_seconds).sum();
    assert!((3.99..LONG.as_secs_f64()).contains(&total), "{total} s");
    // Begins with the first call and is late where the machine is busy, and never early.
    for report in &reports[1..] {
        let calls = report.calls(&busy.path(), "ioprio_get").calls as f64;
        let rate = calls / report.duration_seconds;
        assert!(
            (0.3 * PER_SECOND..2.5 * PER_SECOND).contains(&rate),
            "{rate} calls/s in {} s",
            report.duration_seconds
        );
    }
    // Four seconds, and a bounded wait for the name of the one that is shown.
    assert!(took < Duration::from_secs_f64(total + 4.0), "{took:?}");
    Ok(())
}

#[test]
fn a_tool_that_shows_no_unnamed_container_waits_for_no_name() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("prompt")) else {
        return Ok(());
    };
    let docker = Silent::listen()?;
    let shown = cgroup.child("shown")?;
    let running = Workload::new()?.ready(&shown, "steady --per-second 200 --seconds 3")?;
    let tool = docker.run(&format!(
        "runqlat --duration 1s --cgroup {} -o json",
        shown.path()
    ))?;
    let begin = Instant::now();
    // It waits for three seconds at most, which begin now.
    let unnamed = container(&cgroup, 7)?;
    let other = Workload::new()?.ready(&unnamed, "steady --per-second 200 --seconds 2")?;
    other.task.go()?;
    running.task.go()?;
    let report = tool.report()?;
    let waited = begin.elapsed().as_secs_f64() - report.duration_seconds;
    assert_eq!(report.rows.len(), 1, "{:?}", report.rows);
    assert!(waited < 1.5, "the tool waited {waited} s for a name");
    Ok(())
}
