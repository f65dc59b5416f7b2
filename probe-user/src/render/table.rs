//! The table of `nodeprobe syscalls`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{
    Look, Selection,
    format::{count, duration, estimate, or_dash, rate, share},
    sheet::{self, Column, Sheet},
    text::safe,
    view::{By, ContainerRef, ProcessRef, Report, SyscallOrder, SyscallView},
};

mod footer;

pub(crate) use footer::{footer, left_out_note};

/// Writes the calls of each row of the report, and below it what the figures do not say by
/// themselves.
///
/// # Errors
///
/// Those of `out`.
pub fn write_syscalls(
    out: &mut impl Write,
    report: &Report<SyscallView>,
    selection: &Selection<SyscallOrder>,
    look: &Look,
) -> io::Result<()> {
    let (shown, rest) = selection.split(&report.rows, SyscallOrder::compare);
    let seconds = report.summary.duration.as_secs_f64();
    let mut sheet = Sheet::new(columns(report.summary.by, selection.order));
    for row in shown {
        sheet.push(cells(row, report.summary.by, seconds, look));
    }
    if !rest.is_empty() {
        sheet.push(rest_cells(&rest, report.summary.by, seconds, look));
    }
    sheet::title(out, &title(report, look), look)?;
    writeln!(out)?;
    let left_out = sheet.write(out, look)?;
    writeln!(out)?;
    left_out_note(out, &left_out, look)?;
    footer::syscall_notes(out, &report.rows, look)?;
    footer(out, &report.summary, look)
}

fn title(report: &Report<SyscallView>, look: &Look) -> String {
    let calls = report
        .rows
        .iter()
        .map(|row| row.calls)
        .fold(0, u64::saturating_add);
    let errors = report
        .rows
        .iter()
        .map(|row| row.errors)
        .fold(0, u64::saturating_add);
    format!(
        "system calls by {}, {}: {} calls, {} errors ({})",
        report.summary.by.name(),
        duration(report.summary.duration.as_secs_f64(), look.charset),
        count(calls),
        count(errors),
        share(errors, calls),
    )
}

/// The column that rows are sorted by is the last one to be left out.
fn columns(by: By, order: SyscallOrder) -> Vec<Column> {
    let mut columns = vec![Column::name("CONTAINER", 14, 0)];
    if by.has_process() {
        columns.extend([Column::number("PID", 0), Column::name("COMMAND", 8, 1)]);
    }
    if by.has_syscall() {
        columns.push(Column::name("SYSCALL", 8, 0));
    }
    let time_rank = if order == SyscallOrder::Time { 1 } else { 7 };
    columns.extend([
        Column::number("CALLS", 0),
        Column::number("CALLS/S", 8),
        Column::number("ERRORS", 2),
        Column::list("ERRNOS", 12, 4),
        Column::number("P50", 6),
        Column::number("P99", 3),
        Column::number("TIME", time_rank),
    ]);
    columns
}

fn cells(row: &SyscallView, by: By, seconds: f64, look: &Look) -> Vec<String> {
    let or_none = |text: Option<String>| or_dash(text, look.charset);
    let quantile = |q: Option<f64>| or_none(q.map(|s| estimate(s, look.charset)));
    let latency = row.latency.as_ref();
    let mut cells = owner_cells(&row.container, row.process.as_ref(), by, look);
    if by.has_syscall() {
        cells.push(safe(
            row.syscall.as_deref().unwrap_or_default(),
            look.charset,
        ));
    }
    cells.extend(sums(row.calls, row.errors, seconds));
    cells.extend([
        errnos(&row.errnos, row.errors, look),
        quantile(latency.and_then(|l| l.p50_seconds)),
        quantile(latency.and_then(|l| l.p99_seconds)),
        or_none(latency.map(|l| duration(l.sum_seconds, look.charset))),
    ]);
    cells
}

/// The line for the rows that are not shown.
fn rest_cells(rest: &[&SyscallView], by: By, seconds: f64, look: &Look) -> Vec<String> {
    let sum =
        |of: fn(&SyscallView) -> u64| rest.iter().map(|row| of(row)).fold(0, u64::saturating_add);
    let time = rest.iter().any(|row| row.latency.is_some());
    let total: f64 = rest.iter().map(|row| row.total_seconds()).sum();
    let mut cells = vec![more(rest.len())];
    let empty = 2 * usize::from(by.has_process()) + usize::from(by.has_syscall());
    cells.extend(std::iter::repeat_n(String::new(), empty));
    cells.extend(sums(sum(|row| row.calls), sum(|row| row.errors), seconds));
    cells.extend([String::new(), String::new(), String::new()]);
    cells.push(or_dash(
        time.then(|| duration(total, look.charset)),
        look.charset,
    ));
    cells
}

fn sums(calls: u64, errors: u64, seconds: f64) -> [String; 3] {
    [count(calls), rate(calls as f64 / seconds), count(errors)]
}

/// `... and 12 more`.
pub(crate) fn more(rows: usize) -> String {
    format!("... and {} more", count(rows as u64))
}

/// The first cells of a row: whose it is.
pub(super) fn owner_cells(
    container: &ContainerRef,
    process: Option<&ProcessRef>,
    by: By,
    look: &Look,
) -> Vec<String> {
    let mut cells = vec![safe(&container.display_name(), look.charset)];
    if by.has_process() {
        let pid = process.map(|process| process.pid.to_string());
        let comm = process.map(|process| safe(&process.comm, look.charset));
        cells.extend([pid, comm].map(|cell| or_dash(cell, look.charset)));
    }
    cells
}

/// `EAGAIN 98%, ENOENT 2%`, most frequent first.
fn errnos(errnos: &BTreeMap<String, u64>, errors: u64, look: &Look) -> String {
    const SHOWN: usize = 3;
    let mut sorted: Vec<_> = errnos.iter().collect();
    sorted.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let shown = sorted.iter().take(SHOWN);
    let mut parts: Vec<String> = shown
        .map(|(name, n)| {
            format!(
                "{} {}",
                safe(name, look.charset),
                share(**n, errors.max(**n))
            )
        })
        .collect();
    if sorted.len() > SHOWN {
        parts.push(format!("+{}", sorted.len() - SHOWN));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests;
