//! The tools' other arguments, end to end: filters, rows by process, intervals, lines of JSON.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::{
    cgroup::Cgroup,
    lock::alone,
    nodeprobe::{Tool, command},
    report::Row,
    skip::unless_available,
    workload::{Running, Workload},
};

const SLEEPS: &str = "sleep --calls 30 --ms 4";

/// Two workloads that sleep in a cgroup each, measured by a tool with an argument that chooses the
/// first.
fn chosen(
    tool: &str,
    argument: impl Fn(&Cgroup, &Running) -> String,
) -> Result<Option<(Vec<Row>, String, i32)>> {
    let Some(chosen) = unless_available("cgroup", Cgroup::new("chosen")) else {
        return Ok(None);
    };
    let ignored = Cgroup::new("ignored")?;
    let workload = Workload::new()?;
    let first = workload.ready(&chosen, SLEEPS)?;
    let second = workload.ready(&ignored, SLEEPS)?;
    let args = format!("{tool} --duration 300s {}", argument(&chosen, &first));
    let report = crate::measure::measure(&args, &[&first, &second])?;
    assert_eq!(report.lost_total(), 0, "{:?}", report.lost);
    Ok(Some((report.rows, chosen.path(), first.task.pid())))
}

/// One row, that of the chosen cgroup, with all its sleeps.
fn is_only(rows: &[Row], path: &str) {
    let [row] = rows else {
        panic!("{} rows: {rows:?}", rows.len());
    };
    assert!(row.container.is_at(path), "{row:?}");
    assert!(row.runqueue.count >= 30, "{row:?}");
    assert!(row.offcpu_voluntary.count >= 30, "{row:?}");
}

#[test]
fn tools_for_the_scheduler_show_the_chosen_cgroup_only() -> Result<()> {
    let _alone = alone();
    for tool in ["runqlat", "offcpu"] {
        for option in ["--cgroup", "--container"] {
            let argument = |cgroup: &Cgroup, _: &Running| format!("{option} {}", cgroup.path());
            let Some((rows, path, _)) = chosen(tool, argument)? else {
                return Ok(());
            };
            is_only(&rows, &path);
        }
    }
    Ok(())
}

/// A cgroup inside of a unit, which is one with it unless somebody asks.
#[test]
fn a_cgroup_inside_of_a_unit_is_shown_apart_from_it() -> Result<()> {
    const INSIDE: u64 = 300;
    const BESIDE: u64 = 500;
    let _alone = alone();
    let Some(top) = unless_available("cgroup", Cgroup::new("units")) else {
        return Ok(());
    };
    let unit = top.child("web.service")?;
    let (inside, beside) = (unit.child("worker")?, unit.child("main")?);
    let workload = Workload::new()?;
    for (path, calls) in [(inside.path(), INSIDE), (unit.path(), INSIDE + BESIDE)] {
        let works = [
            workload.ready(&inside, &format!("syscalls --calls {INSIDE}"))?,
            workload.ready(&beside, &format!("syscalls --calls {BESIDE}"))?,
        ];
        let args = format!("syscalls --duration 300s --by container,syscall --cgroup {path}");
        let report = crate::measure::measure(&args, &[&works[0], &works[1]])?;
        assert_eq!(report.calls(&path, "ioprio_get").calls, calls, "{path}");
        let others = report.rows.iter().filter(|row| !row.container.is_at(&path));
        assert_eq!(others.count(), 0, "{:?}", report.rows);
    }
    Ok(())
}

#[test]
fn tools_for_the_scheduler_show_the_chosen_process_only() -> Result<()> {
    let _alone = alone();
    for tool in ["runqlat", "offcpu --by process"] {
        let argument = |_: &Cgroup, running: &Running| format!("--pid {}", running.task.pid());
        let Some((rows, path, pid)) = chosen(tool, argument)? else {
            return Ok(());
        };
        is_only(&rows, &path);
        let process = rows[0].process.as_ref().context("a row by process")?;
        assert_eq!(process.pid, pid);
    }
    Ok(())
}

#[test]
fn tools_for_the_scheduler_tell_processes_of_one_cgroup_apart() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("shared")) else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let many = workload.ready(&cgroup, "sleep --calls 60 --ms 3")?;
    let few = workload.ready(&cgroup, "sleep --calls 5 --ms 3")?;
    let args = format!(
        "offcpu --duration 300s --by process --cgroup {}",
        cgroup.path()
    );
    let report = crate::measure::measure(&args, &[&many, &few])?;
    let sleeps = |running: &Running| {
        let pid = running.task.pid();
        let is_own = |row: &&Row| row.process.as_ref().is_some_and(|it| it.pid == pid);
        let rows: Vec<_> = report.rows.iter().filter(is_own).collect();
        assert_eq!(rows.len(), 1, "one row of {pid}");
        rows[0].offcpu_voluntary.count
    };
    assert_eq!(report.rows.len(), 2, "{:?}", report.rows);
    // Those of the hand-shake before and after the work are open at one end.
    assert!((60..=65).contains(&sleeps(&many)), "{}", sleeps(&many));
    assert!((5..=10).contains(&sleeps(&few)), "{}", sleeps(&few));
    Ok(())
}

#[test]
fn lines_of_several_intervals_add_up_to_all_calls() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("lines")) else {
        return Ok(());
    };
    let running = Workload::new()?.ready(&cgroup, "steady --per-second 500 --seconds 3")?;
    let args = format!(
        "syscalls --duration 300s --interval 400ms --by container,syscall --cgroup {} -o ndjson",
        cgroup.path()
    );
    let tool = Tool::attach_as(&args, command())?;
    running.work()?;
    let text = tool.end()?;
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("read `{line}`")))
        .collect::<Result<_>>()?;
    let is_summary = |line: &&Value| line["type"] == "summary";
    let summaries = lines.iter().filter(is_summary).count();
    assert!(summaries >= 3, "{summaries} intervals in three seconds");
    assert!(lines.last().is_some_and(|line| line["type"] == "summary"));
    let rows = lines.iter().filter(|line| line["syscall"] == "ioprio_get");
    let calls: Vec<_> = rows.filter_map(|row| row["calls"].as_u64()).collect();
    assert!(calls.len() >= 2, "in more than one interval: {calls:?}");
    assert_eq!(calls.iter().sum::<u64>(), 1500, "{calls:?}");
    let lost = lines.iter().filter(is_summary).map(|line| &line["lost"]);
    for lost in lost {
        assert!(
            lost.as_object()
                .is_none_or(|lost| lost.values().all(|n| n == 0)),
            "{lost}"
        );
    }
    Ok(())
}
