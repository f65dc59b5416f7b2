//! The table of `nodeprobe policy audit`.

use std::io::{self, Write};

use super::{Field, all, first, plain, sum, write};
use crate::render::{
    Look,
    format::{count, duration, or_dash},
    sheet::Column,
    text::safe,
    view::{AuditView, Report},
};

/// Writes what was judged, in the order of the report.
///
/// # Errors
///
/// Those of `out`.
pub fn write_audit(
    out: &mut impl Write,
    report: &Report<AuditView>,
    top: Option<usize>,
    look: &Look,
) -> io::Result<()> {
    let rows = &report.rows;
    let split = first(rows, top);
    let of = |assessment: &str| {
        count(all(rows, |row| {
            row.connections * u64::from(row.assessment == assessment)
        }))
    };
    let title = format!(
        "policy audit, {}: {} connections, {} gaps, {} breakages",
        duration(report.summary.duration.as_secs_f64(), look.charset),
        count(all(rows, |row| row.connections)),
        of("gap"),
        of("breakage"),
    );
    let has_changes = rows.iter().any(|row| row.change.is_some());
    let context = (&report.summary, look);
    write(out, &title, split, &fields(has_changes), add, &[], context)
}

fn fields(has_changes: bool) -> Vec<Field<AuditView>> {
    let mut fields: Vec<Field<AuditView>> = vec![
        plain(Column::name("FROM", 12, 0), |row, look| {
            safe(&row.from, look.charset)
        }),
        plain(Column::name("TO", 12, 0), |row, look| {
            safe(&row.to, look.charset)
        }),
        plain(Column::number("PORT", 0), |row, _| {
            format!("{}/{}", row.port, row.transport)
        }),
        plain(Column::list("VERDICT", 10, 0), |row, _| row.verdict.clone()),
        plain(Column::list("OUTCOME", 10, 0), |row, _| row.outcome.clone()),
        plain(Column::list("ASSESSMENT", 12, 0), |row, _| {
            row.assessment.clone()
        }),
        sum(Column::number("CONNECTIONS", 0), |row, _| {
            count(row.connections)
        }),
    ];
    if has_changes {
        fields.push(plain(Column::list("PENDING", 10, 1), |row, look| {
            or_dash(row.change.clone(), look.charset)
        }));
    }
    fields.push(plain(Column::list("POLICIES", 14, 2), |row, look| {
        safe(&row.policies.join(", "), look.charset)
    }));
    fields
}

fn add(sum: &mut AuditView, other: &AuditView) {
    sum.connections = sum.connections.saturating_add(other.connections);
}
