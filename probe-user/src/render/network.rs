//! The tables of `nodeprobe flows`, `tcp`, `dns` and `policy audit`.

mod audit;
mod dns;
mod flows;
mod follow;
mod tcp;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

pub use self::{
    audit::write_audit,
    dns::write_dns,
    flows::write_flows,
    follow::{FlowLine, FlowLines, LookupLines},
    tcp::write_tcp,
};
use super::{
    Look,
    format::{count, duration, estimate, or_dash},
    sheet::{self, Column, Sheet},
    table::{footer, left_out_note, more},
    text::safe,
    view::Summary,
};

/// A column, and what it says of a row.
struct Field<R> {
    column: Column,
    cell: fn(&R, &Look) -> String,
    /// Whether the line for the rows that are not shown has it.
    summed: bool,
}

/// A field that is a name or the like.
fn plain<R>(column: Column, cell: fn(&R, &Look) -> String) -> Field<R> {
    Field {
        column,
        cell,
        summed: false,
    }
}

/// A field that is a sum.
fn sum<R>(column: Column, cell: fn(&R, &Look) -> String) -> Field<R> {
    Field {
        column,
        cell,
        summed: true,
    }
}

/// Writes title, rows, a line for the rest, notes and footer. `add` adds a row to the sum of the rest.
fn write<R: Clone>(
    out: &mut impl Write,
    title: &str,
    (shown, rest): (Vec<&R>, Vec<&R>),
    fields: &[Field<R>],
    add: fn(&mut R, &R),
    notes: &[String],
    (summary, look): (&Summary, &Look),
) -> io::Result<()> {
    let mut sheet = Sheet::new(fields.iter().map(|field| field.column).collect());
    for row in shown {
        sheet.push(fields.iter().map(|field| (field.cell)(row, look)).collect());
    }
    if let Some((first, others)) = rest.split_first() {
        let mut total = (*first).clone();
        others.iter().for_each(|row| add(&mut total, row));
        let cells = fields.iter().map(|field| {
            if field.summed {
                (field.cell)(&total, look)
            } else {
                String::new()
            }
        });
        let mut cells: Vec<String> = cells.collect();
        if let Some(cell) = cells.first_mut() {
            *cell = more(rest.len());
        }
        sheet.push(cells);
    }
    sheet::title(out, title, look)?;
    writeln!(out)?;
    let left_out = sheet.write(out, look)?;
    writeln!(out)?;
    left_out_note(out, &left_out, look)?;
    for note in notes {
        sheet::wrapped(out, note, look)?;
    }
    footer(out, summary, look)
}

/// The rows to show and the rest, in the order of the report.
fn first<R>(rows: &[R], top: Option<usize>) -> (Vec<&R>, Vec<&R>) {
    let shown = top.unwrap_or(usize::MAX).min(rows.len());
    let (shown, rest) = rows.split_at(shown);
    (shown.iter().collect(), rest.iter().collect())
}

/// `refused 3, timeout 1`, most frequent first.
fn by_name(counts: &BTreeMap<String, u64>, look: &Look) -> String {
    let mut sorted: Vec<_> = counts.iter().filter(|(_, n)| **n > 0).collect();
    sorted.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let parts = sorted
        .into_iter()
        .map(|(name, n)| format!("{} {}", safe(name, look.charset), count(*n)));
    parts.collect::<Vec<_>>().join(", ")
}

fn add_counts(sum: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>) {
    for (name, n) in other {
        let sum = sum.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*n);
    }
}

fn total(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().copied().fold(0, u64::saturating_add)
}

fn time(seconds: Option<f64>, look: &Look) -> String {
    or_dash(seconds.map(|s| duration(s, look.charset)), look.charset)
}

/// A quantile of a histogram.
fn quantile(seconds: Option<f64>, look: &Look) -> String {
    or_dash(seconds.map(|s| estimate(s, look.charset)), look.charset)
}

fn all<R>(rows: &[R], of: impl Fn(&R) -> u64) -> u64 {
    rows.iter().map(of).fold(0, u64::saturating_add)
}
