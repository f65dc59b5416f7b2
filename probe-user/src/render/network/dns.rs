//! The table of `nodeprobe dns`.

use std::io::{self, Write};

use super::{Field, add_counts, all, by_name, first, plain, quantile, sum, total, write};
use crate::render::{
    Look,
    format::{count, duration, or_dash},
    sheet::Column,
    text::safe,
    view::{By, DnsView, Report},
};

/// Writes lookups in the order of the report.
///
/// # Errors
///
/// Those of `out`.
pub fn write_dns(
    out: &mut impl Write,
    report: &Report<DnsView>,
    top: Option<usize>,
    look: &Look,
) -> io::Result<()> {
    let rows = &report.rows;
    let split = first(rows, top);
    let failed = |row: &DnsView| {
        let fine = row.rcodes.get("NOERROR").copied().unwrap_or_default();
        total(&row.rcodes).saturating_sub(fine) + row.timeouts
    };
    let title = format!(
        "name look-ups by {}, {}: {} look-ups, {} failed, {} of them never answered; {} not answered yet",
        report.summary.by.name(),
        duration(report.summary.duration.as_secs_f64(), look.charset),
        count(all(rows, |row| row.lookups)),
        count(all(rows, failed)),
        count(all(rows, |row| row.timeouts)),
        count(all(rows, |row| row.pending)),
    );
    let context = (&report.summary, look);
    let fields = fields(report.summary.by);
    write(out, &title, split, &fields, add, &[], context)
}

fn fields(by: By) -> Vec<Field<DnsView>> {
    let mut fields: Vec<Field<DnsView>> =
        vec![plain(Column::name("CONTAINER", 12, 0), |row, look| {
            safe(&row.container.display_name(), look.charset)
        })];
    if by == By::Name {
        fields.push(plain(Column::name("NAME", 14, 0), |row, look| {
            let name = row.name.as_deref();
            or_dash(name.map(|name| safe(name, look.charset)), look.charset)
        }));
        fields.push(plain(Column::name("TYPE", 4, 2), |row, look| {
            or_dash(row.kind.clone(), look.charset)
        }));
    }
    if by == By::Server {
        fields.push(plain(Column::name("SERVER", 14, 0), |row, look| {
            or_dash(row.server.map(|it| it.to_string()), look.charset)
        }));
    }
    let rest: [Field<DnsView>; 7] = [
        sum(Column::number("LOOKUPS", 0), |row, _| count(row.lookups)),
        sum(Column::number("TIMEOUTS", 1), |row, _| count(row.timeouts)),
        sum(Column::number("PENDING", 3), |row, _| count(row.pending)),
        sum(Column::list("RCODES", 10, 2), |row, look| {
            by_name(&row.rcodes, look)
        }),
        plain(Column::number("P50", 4), |row, look| {
            quantile(row.latency.p50_seconds, look)
        }),
        plain(Column::number("P99", 3), |row, look| {
            quantile(row.latency.p99_seconds, look)
        }),
        plain(Column::list("ADDRESSES", 12, 5), |row, _| {
            let addresses = row.addresses.iter().map(ToString::to_string);
            addresses.collect::<Vec<_>>().join(", ")
        }),
    ];
    fields.extend(rest);
    fields
}

fn add(sum: &mut DnsView, other: &DnsView) {
    sum.lookups = sum.lookups.saturating_add(other.lookups);
    sum.timeouts = sum.timeouts.saturating_add(other.timeouts);
    sum.pending = sum.pending.saturating_add(other.pending);
    add_counts(&mut sum.rcodes, &other.rcodes);
}
