//! The table of `nodeprobe tcp`.

use std::io::{self, Write};

use super::{Field, add_counts, all, by_name, first, plain, quantile, sum, total, write};
use crate::render::{
    Look,
    format::{count, duration, or_dash, share},
    sheet::Column,
    text::safe,
    view::{Report, TcpView},
};

/// Writes the connections by container, in the order of the report.
///
/// # Errors
///
/// Those of `out`.
pub fn write_tcp(
    out: &mut impl Write,
    report: &Report<TcpView>,
    top: Option<usize>,
    look: &Look,
) -> io::Result<()> {
    let rows = &report.rows;
    let split = first(rows, top);
    let title = format!(
        "TCP by {}, {}: {} attempts, {} failed, {} accepted, {} segments sent again",
        report.summary.by.name(),
        duration(report.summary.duration.as_secs_f64(), look.charset),
        count(all(rows, |row| row.attempts)),
        count(all(rows, |row| total(&row.failed))),
        count(all(rows, |row| row.accepted)),
        count(all(rows, |row| row
            .retransmits_syn
            .saturating_add(row.retransmits_data)
            .saturating_add(row.retransmits_probe))),
    );
    let notes = [
        "RTT: smoothed, of connections that ended in this time or are open at its end".to_owned(),
    ];
    let context = (&report.summary, look);
    write(out, &title, split, &fields(), add, &notes, context)
}

fn fields() -> Vec<Field<TcpView>> {
    vec![
        plain(Column::name("CONTAINER", 12, 0), |row, look| {
            safe(&row.container.display_name(), look.charset)
        }),
        sum(Column::number("ATTEMPTS", 0), |row, _| count(row.attempts)),
        sum(Column::number("OUT", 0), |row, _| count(row.connected)),
        sum(Column::number("IN", 0), |row, _| count(row.accepted)),
        sum(Column::number("FAILED", 0), |row, _| {
            count(total(&row.failed))
        }),
        sum(Column::list("WHY", 10, 4), |row, look| {
            by_name(&row.failed, look)
        }),
        sum(Column::number("RETR SYN", 7), |row, _| {
            count(row.retransmits_syn)
        }),
        sum(Column::number("RETR DATA", 1), |row, _| {
            count(row.retransmits_data)
        }),
        sum(Column::number("RETR TLP", 9), |row, _| {
            count(row.retransmits_probe)
        }),
        sum(Column::number("RETR SHARE", 4), |row, look| {
            let share = share(row.segments_retransmitted, row.segments_sent);
            or_dash((row.segments_sent > 0).then_some(share), look.charset)
        }),
        sum(Column::number("SEGS OUT", 10), |row, _| {
            count(row.segments_sent)
        }),
        sum(Column::number("LISTEN DROPS", 6), |row, _| {
            count(row.listen_drops)
        }),
        sum(Column::list("AT PORTS", 8, 6), |row, look| {
            by_name(&row.listen_drops_by_port, look)
        }),
        sum(Column::number("RST OUT", 8), |row, _| {
            count(row.resets_sent)
        }),
        sum(Column::number("RST IN", 9), |row, _| {
            count(row.resets_received)
        }),
        plain(Column::number("CONN P50", 10), |row, look| {
            quantile(row.connect.p50_seconds, look)
        }),
        plain(Column::number("CONN P99", 3), |row, look| {
            quantile(row.connect.p99_seconds, look)
        }),
        plain(Column::number("RTT P50", 11), |row, look| {
            quantile(row.rtt.p50_seconds, look)
        }),
        plain(Column::number("RTT P99", 5), |row, look| {
            quantile(row.rtt.p99_seconds, look)
        }),
        sum(Column::number("DROPS", 2), |row, look| {
            or_dash(row.drops.as_ref().map(|it| count(total(it))), look.charset)
        }),
        sum(Column::list("DROP REASONS", 12, 6), |row, look| {
            let drops = row.drops.as_ref();
            drops.map(|it| by_name(it, look)).unwrap_or_default()
        }),
    ]
}

fn add(sum: &mut TcpView, other: &TcpView) {
    for (sum, n) in [
        (&mut sum.attempts, other.attempts),
        (&mut sum.connected, other.connected),
        (&mut sum.accepted, other.accepted),
        (&mut sum.closed, other.closed),
        (&mut sum.retransmits_syn, other.retransmits_syn),
        (&mut sum.retransmits_data, other.retransmits_data),
        (&mut sum.retransmits_probe, other.retransmits_probe),
        (&mut sum.segments_sent, other.segments_sent),
        (
            &mut sum.segments_retransmitted,
            other.segments_retransmitted,
        ),
        (&mut sum.listen_drops, other.listen_drops),
        (&mut sum.resets_sent, other.resets_sent),
        (&mut sum.resets_received, other.resets_received),
    ] {
        *sum = sum.saturating_add(n);
    }
    add_counts(&mut sum.failed, &other.failed);
    add_counts(&mut sum.listen_drops_by_port, &other.listen_drops_by_port);
    match (&mut sum.drops, &other.drops) {
        (Some(sum), Some(other)) => add_counts(sum, other),
        (sum @ None, other) => sum.clone_from(other),
        (Some(_), None) => {}
    }
}
