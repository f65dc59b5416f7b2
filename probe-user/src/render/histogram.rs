//! `nodeprobe runqlat` and `nodeprobe offcpu`: a table with a line a row, and histograms on request.

mod chart;
mod offcpu;
mod runqlat;

use std::io::{self, Write};

use probe_common::hist::{BUCKETS, upper_bound_seconds};

pub use offcpu::write_offcpu;
pub use runqlat::write_runqlat;

use super::{
    Look,
    format::{at_most, count, duration, estimate, or_dash},
    sheet::{Column, Sheet, heading, wrapped},
    table::more,
    text::{prefix, safe},
    view::{By, HistogramView, SchedView},
};

/// Whether histograms follow the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Histograms {
    /// Where the report has a single row.
    OfOne,
    /// For each row that the table shows.
    All,
}

impl Histograms {
    fn are_shown(self, rows: usize) -> bool {
        self == Self::All || rows == 1
    }
}

/// Columns that name whose a row is.
fn owner_columns(by: By) -> Vec<Column> {
    let mut columns = vec![Column::name("CONTAINER", 14, 0)];
    if by.has_process() {
        columns.extend([Column::number("PID", 0), Column::name("COMMAND", 8, 1)]);
    }
    columns
}

/// The line for the rows that are not shown: sums where the column has one, else nothing.
fn push_rest(sheet: &mut Sheet, by: By, rest: usize, sums: Vec<String>) {
    if rest > 0 {
        let mut cells = vec![more(rest)];
        cells.resize(owner_columns(by).len(), String::new());
        cells.extend(sums);
        sheet.push(cells);
    }
}

/// Says how to get histograms.
fn hint(out: &mut impl Write, look: &Look) -> io::Result<()> {
    wrapped(
        out,
        "--histogram shows how the durations of each row are distributed",
        look,
    )
}

fn number_of(rows: &[&SchedView], of: fn(&SchedView) -> u64) -> String {
    count(rows.iter().map(|row| of(row)).fold(0, u64::saturating_add))
}

fn time_of(rows: &[&SchedView], of: fn(&SchedView) -> f64, look: &Look) -> String {
    duration(rows.iter().map(|row| of(row)).sum(), look.charset)
}

fn quantile(seconds: Option<f64>, look: &Look) -> String {
    or_dash(seconds.map(|it| estimate(it, look.charset)), look.charset)
}

/// The bound of the longest duration.
fn maximum(view: &HistogramView, look: &Look) -> String {
    let highest = upper_bound_seconds(BUCKETS - 2);
    let max = || at_most(view.max_bound_seconds, highest, look.charset);
    or_dash((view.count > 0).then(max), look.charset)
}

/// Writes the name of the owner, in bold where that is welcome.
fn owner(out: &mut impl Write, row: &SchedView, look: &Look) -> io::Result<()> {
    let mut line = safe(&row.container.display_name(), look.charset);
    if let Some(process) = &row.process {
        line.push_str(&format!(
            "  {} {}",
            process.pid,
            safe(&process.comm, look.charset)
        ));
    }
    writeln!(out)?;
    heading(out, &line, look)
}

/// Writes a safe line, cut to the width of the terminal.
fn line(out: &mut impl Write, text: &str, look: &Look) -> io::Result<()> {
    writeln!(out, "{}", prefix(text, look.width).trim_end())
}

/// `12,345 waits, mean 9.31 µs, p50 4 µs, p90 15 µs, p99 120 µs, max <= 977 µs`.
fn summary(view: &HistogramView, what: &str, look: &Look) -> String {
    let mut text = format!("{} {what}", count(view.count));
    if let Some(mean) = view.mean_seconds() {
        text.push_str(&format!(", mean {}", duration(mean, look.charset)));
    }
    let quantiles = [
        ("p50", view.p50_seconds),
        ("p90", view.p90_seconds),
        ("p99", view.p99_seconds),
    ];
    for (name, seconds) in quantiles {
        if let Some(seconds) = seconds {
            text.push_str(&format!(", {name} {}", estimate(seconds, look.charset)));
        }
    }
    if view.count > 0 {
        text.push_str(&format!(", max {}", maximum(view, look)));
    }
    text
}

#[cfg(test)]
mod tests;
