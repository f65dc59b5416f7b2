//! How long tasks waited for a CPU.

use std::io::{self, Write};

use super::{chart::chart, line, owner, summary};
use crate::render::{
    Look, Selection,
    format::{count, duration},
    sheet::{title, wrapped},
    table::{footer, more},
    view::{Report, SchedOrder, SchedView},
};

/// Writes a histogram of the run-queue latency for each row.
///
/// # Errors
///
/// Those of `out`.
pub fn write_runqlat(
    out: &mut impl Write,
    report: &Report<SchedView>,
    selection: &Selection<SchedOrder>,
    look: &Look,
) -> io::Result<()> {
    let (shown, rest) = selection.split(&report.rows, SchedOrder::compare);
    let all: Vec<&SchedView> = report.rows.iter().collect();
    let by = report.summary.by.name();
    let measured = duration(report.summary.duration.as_secs_f64(), look.charset);
    title(
        out,
        &format!(
            "run-queue latency by {by}, {measured}: {}",
            waits(&all, look)
        ),
        look,
    )?;
    for row in shown {
        owner(out, row, look)?;
        wrapped(
            out,
            &format!("  {}", summary(&row.runqueue, "waits", look)),
            look,
        )?;
        for bar in chart(&[("run queue", &row.runqueue)], look) {
            line(out, &bar, look)?;
        }
    }
    if !rest.is_empty() {
        writeln!(out)?;
        wrapped(
            out,
            &format!("{}: {}", more(rest.len()), waits(&rest, look)),
            look,
        )?;
    }
    writeln!(out)?;
    footer(out, &report.summary, look)
}

fn waits(rows: &[&SchedView], look: &Look) -> String {
    let waits = rows
        .iter()
        .map(|row| row.runqueue.count)
        .fold(0, u64::saturating_add);
    let seconds: f64 = rows.iter().map(|row| row.runqueue.sum_seconds).sum();
    format!(
        "{} waits, {} in total",
        count(waits),
        duration(seconds, look.charset)
    )
}
