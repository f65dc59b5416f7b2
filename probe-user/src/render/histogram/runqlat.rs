//! How long tasks waited for a CPU.

use std::io::{self, Write};

use super::{
    Histograms, chart::chart, hint, line, maximum, number_of, owner, owner_columns, push_rest,
    quantile, summary, time_of,
};
use crate::render::{
    Look, Selection,
    format::{count, duration},
    sheet::{Column, Sheet, title, wrapped},
    table::{footer, left_out_note, owner_cells},
    view::{By, Report, SchedOrder, SchedView},
};

/// Writes the run-queue latency of each row, in a table and as histograms where they are wanted.
///
/// # Errors
///
/// Those of `out`.
pub fn write_runqlat(
    out: &mut impl Write,
    report: &Report<SchedView>,
    selection: &Selection<SchedOrder>,
    histograms: Histograms,
    look: &Look,
) -> io::Result<()> {
    let (shown, rest) = selection.split(&report.rows, SchedOrder::compare);
    let all: Vec<&SchedView> = report.rows.iter().collect();
    let by = report.summary.by;
    let measured = duration(report.summary.duration.as_secs_f64(), look.charset);
    title(
        out,
        &format!(
            "run-queue latency by {}, {measured}: {} waits, {} in total",
            by.name(),
            waits(&all),
            waited(&all, look)
        ),
        look,
    )?;
    writeln!(out)?;
    let mut sheet = Sheet::new(columns(by));
    for row in &shown {
        sheet.push(cells(row, by, look));
    }
    let empty = || vec![String::new(); 3];
    let sums = [vec![waits(&rest)], empty(), vec![waited(&rest, look)]];
    push_rest(&mut sheet, by, rest.len(), sums.concat());
    let left_out = sheet.write(out, look)?;
    if histograms.are_shown(report.rows.len()) {
        for row in shown {
            histogram(out, row, look)?;
        }
        writeln!(out)?;
    } else {
        writeln!(out)?;
        hint(out, look)?;
    }
    left_out_note(out, &left_out, look)?;
    footer(out, &report.summary, look)
}

fn columns(by: By) -> Vec<Column> {
    let mut columns = owner_columns(by);
    columns.extend([
        Column::number("WAITS", 0),
        Column::number("P50", 3),
        Column::number("P99", 0),
        Column::number("MAX", 2),
        Column::number("TOTAL", 1),
    ]);
    columns
}

fn cells(row: &SchedView, by: By, look: &Look) -> Vec<String> {
    let mut cells = owner_cells(&row.container, row.process.as_ref(), by, look);
    cells.extend([
        count(row.runqueue.count),
        quantile(row.runqueue.p50_seconds, look),
        quantile(row.runqueue.p99_seconds, look),
        maximum(&row.runqueue, look),
        duration(row.runqueue.sum_seconds, look.charset),
    ]);
    cells
}

fn histogram(out: &mut impl Write, row: &SchedView, look: &Look) -> io::Result<()> {
    owner(out, row, look)?;
    wrapped(
        out,
        &format!("  {}", summary(&row.runqueue, "waits", look)),
        look,
    )?;
    for bar in chart(&[("run queue", &row.runqueue)], look) {
        line(out, &bar, look)?;
    }
    Ok(())
}

fn waits(rows: &[&SchedView]) -> String {
    number_of(rows, |row| row.runqueue.count)
}

fn waited(rows: &[&SchedView], look: &Look) -> String {
    time_of(rows, |row| row.runqueue.sum_seconds, look)
}
