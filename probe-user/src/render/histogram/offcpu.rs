//! How long tasks were off the CPU, and why.

use std::io::{self, Write};

use super::{
    Histograms, chart::chart, hint, line, maximum, number_of, owner, owner_columns, push_rest,
    quantile, summary, time_of,
};
use crate::render::{
    Look, Selection,
    format::{count, duration, percent, share},
    sheet::{Column, Sheet, title, wrapped},
    table::{footer, left_out_note, owner_cells},
    text::safe,
    view::{By, Report, SchedOrder, SchedView},
};

/// From this width on both histograms stand side by side.
const SIDE_BY_SIDE: usize = 100;
/// Preemptors that are named.
const PREEMPTORS: usize = 3;

/// Writes the time off the CPU of each row, voluntary and involuntary, in a table and as histograms where they are wanted.
///
/// # Errors
///
/// Those of `out`.
pub fn write_offcpu(
    out: &mut impl Write,
    report: &Report<SchedView>,
    selection: &Selection<SchedOrder>,
    histograms: Histograms,
    look: &Look,
) -> io::Result<()> {
    let (shown, rest) = selection.split(&report.rows, SchedOrder::compare);
    let all: Vec<&SchedView> = report.rows.iter().collect();
    let by = report.summary.by;
    let seconds = report.summary.duration.as_secs_f64();
    let text = format!(
        "off-CPU time by {}, {}: {} off, {} on",
        by.name(),
        duration(seconds, look.charset),
        time_of(&all, SchedView::offcpu_seconds, look),
        time_of(&all, |row| row.oncpu_seconds, look)
    );
    title(out, &text, look)?;
    writeln!(out)?;
    let mut sheet = Sheet::new(columns(by));
    for row in &shown {
        let mut cells = owner_cells(&row.container, row.process.as_ref(), by, look);
        cells.extend(figures(row, look));
        sheet.push(cells);
    }
    push_rest(&mut sheet, by, rest.len(), sums(&rest, look));
    let left_out = sheet.write(out, look)?;
    if histograms.are_shown(report.rows.len()) {
        for row in shown {
            owner(out, row, look)?;
            facts(out, row, seconds, look)?;
            charts(out, row, look)?;
        }
        writeln!(out)?;
    } else {
        writeln!(out)?;
        hint(out, look)?;
    }
    left_out_note(out, &left_out, look)?;
    footer(out, &report.summary, look)
}

/// VOL: the task slept or waited by itself. INV: it was preempted, or its time slice was over.
fn columns(by: By) -> Vec<Column> {
    let mut columns = owner_columns(by);
    columns.extend([
        Column::number("ON CPU", 2),
        Column::number("VOL", 0),
        Column::number("VOL P50", 7),
        Column::number("VOL P99", 4),
        Column::number("VOL MAX", 9),
        Column::number("VOL TOTAL", 0),
        Column::number("INV", 0),
        Column::number("INV P50", 8),
        Column::number("INV P99", 1),
        Column::number("INV MAX", 6),
        Column::number("INV TOTAL", 0),
        Column::number("D STATE", 3),
        Column::list("PREEMPTED BY", 16, 5),
    ]);
    columns
}

fn figures(row: &SchedView, look: &Look) -> [String; 13] {
    let time = |seconds| duration(seconds, look.charset);
    let (voluntary, involuntary) = (&row.offcpu_voluntary, &row.offcpu_involuntary);
    [
        time(row.oncpu_seconds),
        count(voluntary.count),
        quantile(voluntary.p50_seconds, look),
        quantile(voluntary.p99_seconds, look),
        maximum(voluntary, look),
        time(voluntary.sum_seconds),
        count(involuntary.count),
        quantile(involuntary.p50_seconds, look),
        quantile(involuntary.p99_seconds, look),
        maximum(involuntary, look),
        time(involuntary.sum_seconds),
        time(row.uninterruptible_seconds),
        preemptors(row, preemptions(row), look),
    ]
}

fn sums(rows: &[&SchedView], look: &Look) -> Vec<String> {
    let none = String::new;
    vec![
        time_of(rows, |row| row.oncpu_seconds, look),
        number_of(rows, |row| row.offcpu_voluntary.count),
        none(),
        none(),
        none(),
        time_of(rows, |row| row.offcpu_voluntary.sum_seconds, look),
        number_of(rows, |row| row.offcpu_involuntary.count),
        none(),
        none(),
        none(),
        time_of(rows, |row| row.offcpu_involuntary.sum_seconds, look),
        time_of(rows, |row| row.uninterruptible_seconds, look),
        none(),
    ]
}

fn preemptions(row: &SchedView) -> u64 {
    let counts = row.preempted_by.iter().map(|by| by.count);
    counts.fold(0, u64::saturating_add)
}

fn facts(out: &mut impl Write, row: &SchedView, measured: f64, look: &Look) -> io::Result<()> {
    let time = |seconds| duration(seconds, look.charset);
    let on_cpu = format!(
        "  on CPU: {} ({} of one CPU); switches: {} voluntary, {} involuntary",
        time(row.oncpu_seconds),
        percent(row.oncpu_seconds / measured),
        count(row.voluntary_switches),
        count(row.involuntary_switches),
    );
    wrapped(out, &on_cpu, look)?;
    let preemptions = preemptions(row);
    if preemptions > 0 {
        wrapped(
            out,
            &format!("  preempted by: {}", preemptors(row, preemptions, look)),
            look,
        )?;
    }
    Ok(())
}

fn preemptors(row: &SchedView, preemptions: u64, look: &Look) -> String {
    let shown = row.preempted_by.iter().take(PREEMPTORS);
    let mut parts: Vec<String> = shown
        .map(|by| {
            let mut name = safe(&by.container.display_name(), look.charset);
            if let Some(process) = &by.process {
                name.push_str(&format!(
                    " {} {}",
                    process.pid,
                    safe(&process.comm, look.charset)
                ));
            }
            format!(
                "{name} {} ({})",
                count(by.count),
                share(by.count, preemptions)
            )
        })
        .collect();
    if let Some(others) = row
        .preempted_by
        .len()
        .checked_sub(PREEMPTORS)
        .filter(|n| *n > 0)
    {
        parts.push(format!("{} more", count(others as u64)));
    }
    parts.join(", ")
}

fn charts(out: &mut impl Write, row: &SchedView, look: &Look) -> io::Result<()> {
    let mut voluntary = format!(
        "  voluntary: {}",
        summary(&row.offcpu_voluntary, "times", look)
    );
    if row.uninterruptible_seconds > 0.0 {
        let seconds = duration(row.uninterruptible_seconds, look.charset);
        voluntary.push_str(&format!(", {seconds} of it uninterruptible"));
    }
    let involuntary = format!(
        "  involuntary: {}",
        summary(&row.offcpu_involuntary, "times", look)
    );
    if look.width >= SIDE_BY_SIDE && row.offcpu_involuntary.count > 0 {
        wrapped(out, &voluntary, look)?;
        wrapped(out, &involuntary, look)?;
        return bars(
            out,
            chart(
                &[
                    ("voluntary", &row.offcpu_voluntary),
                    ("involuntary", &row.offcpu_involuntary),
                ],
                look,
            ),
            look,
        );
    }
    wrapped(out, &voluntary, look)?;
    bars(
        out,
        chart(&[("voluntary", &row.offcpu_voluntary)], look),
        look,
    )?;
    wrapped(out, &involuntary, look)?;
    bars(
        out,
        chart(&[("involuntary", &row.offcpu_involuntary)], look),
        look,
    )
}

fn bars(out: &mut impl Write, bars: Vec<String>, look: &Look) -> io::Result<()> {
    bars.iter().try_for_each(|bar| line(out, bar, look))
}
