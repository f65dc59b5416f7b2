//! How long tasks were off the CPU, and why.

use std::io::{self, Write};

use super::{chart::chart, line, owner, summary};
use crate::render::{
    Look, Selection,
    format::{count, duration, percent, share},
    sheet::{title, wrapped},
    table::{footer, more},
    text::safe,
    view::{Report, SchedOrder, SchedView},
};

/// From this width on both histograms stand side by side.
const SIDE_BY_SIDE: usize = 100;
/// Preemptors that are named.
const PREEMPTORS: usize = 3;

/// Writes histograms of the time off the CPU for each row, voluntary and involuntary.
///
/// # Errors
///
/// Those of `out`.
pub fn write_offcpu(
    out: &mut impl Write,
    report: &Report<SchedView>,
    selection: &Selection<SchedOrder>,
    look: &Look,
) -> io::Result<()> {
    let (shown, rest) = selection.split(&report.rows, SchedOrder::compare);
    let all: Vec<&SchedView> = report.rows.iter().collect();
    let by = report.summary.by.name();
    let seconds = report.summary.duration.as_secs_f64();
    let measured = duration(seconds, look.charset);
    title(
        out,
        &format!("off-CPU time by {by}, {measured}: {}", times(&all, look)),
        look,
    )?;
    for row in shown {
        owner(out, row, look)?;
        facts(out, row, seconds, look)?;
        charts(out, row, look)?;
    }
    if !rest.is_empty() {
        writeln!(out)?;
        wrapped(
            out,
            &format!("{}: {}", more(rest.len()), times(&rest, look)),
            look,
        )?;
    }
    writeln!(out)?;
    footer(out, &report.summary, look)
}

fn times(rows: &[&SchedView], look: &Look) -> String {
    let sum =
        |of: fn(&SchedView) -> f64| duration(rows.iter().map(|row| of(row)).sum(), look.charset);
    format!(
        "{} off, {} on",
        sum(SchedView::offcpu_seconds),
        sum(|row| row.oncpu_seconds)
    )
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
    let preemptions = row
        .preempted_by
        .iter()
        .map(|by| by.count)
        .fold(0, u64::saturating_add);
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
