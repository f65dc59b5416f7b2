//! The table of `nodeprobe flows` and `nodeprobe tcp --connections`.

use std::io::{self, Write};

use super::{Field, add_counts, all, by_name, first, plain, sum, time, write};
use crate::render::{
    Charset, Look,
    format::{bytes, count, duration, or_dash},
    sheet::Column,
    text::safe,
    view::{By, Direction, EndView, FlowView, Report},
};

/// Writes flows, or groups of them, in the order of the report.
///
/// # Errors
///
/// Those of `out`.
pub fn write_flows(
    out: &mut impl Write,
    report: &Report<FlowView>,
    top: Option<usize>,
    look: &Look,
) -> io::Result<()> {
    let rows = &report.rows;
    let by = report.summary.by;
    let split = first(rows, top);
    let flows = count(all(rows, |row| row.flows));
    let seconds = report.summary.duration.as_secs_f64();
    let what = if by == By::Connection {
        format!("{flows} open connections")
    } else {
        let (by, time) = (by.name(), duration(seconds, look.charset));
        format!("flows by {by}, {time}: {flows} flows")
    };
    let title = format!(
        "{what}, {} sent, {} received",
        bytes(all(rows, |row| row.bytes_sent)),
        bytes(all(rows, |row| row.bytes_received)),
    );
    let mut notes = Vec::new();
    if by == By::Connection {
        notes.push("bytes and retransmits are those since each connection began".to_owned());
    }
    let is_local = |row: &FlowView| {
        row.remote
            .as_ref()
            .is_some_and(|end| end.container.is_some())
    };
    if rows.iter().any(is_local) {
        notes.push("flows between two sockets of this host have a row at each end".to_owned());
    }
    if rows.iter().any(|row| row.initiator_guessed) {
        notes.push("?: who began was not seen and is guessed".to_owned());
    }
    let context = (&report.summary, look);
    write(out, &title, split, &fields(by), add, &notes, context)
}

fn fields(by: By) -> Vec<Field<FlowView>> {
    let single = matches!(by, By::Flow | By::Connection);
    let mut fields: Vec<Field<FlowView>> =
        vec![plain(Column::name("CONTAINER", 12, 0), |row, look| {
            safe(&row.container.display_name(), look.charset)
        })];
    fields.push(plain(Column::name("DIR", 1, 5), direction));
    if by != By::Connection {
        fields.push(plain(Column::name("PROTO", 5, 4), |row, look| {
            or_dash(row.transport.clone(), look.charset)
        }));
    } else {
        fields.push(plain(Column::name("LOCAL", 12, 8), |row, look| {
            end(row.local.as_ref(), look)
        }));
    }
    if by != By::Container {
        fields.push(plain(Column::name("REMOTE", 14, 0), |row, look| {
            end(row.remote.as_ref(), look)
        }));
    }
    if single {
        fields.push(plain(Column::name("STATE", 8, 3), |row, look| {
            let end = row.ends.keys().next().or(row.state.as_ref());
            or_dash(end.map(|text| safe(text, look.charset)), look.charset)
        }));
    } else {
        fields.push(sum(Column::number("FLOWS", 2), |row, _| count(row.flows)));
    }
    fields.extend::<[Field<FlowView>; 2]>([
        sum(Column::number("SENT", 0), |row, _| bytes(row.bytes_sent)),
        sum(Column::number("RECEIVED", 0), |row, _| {
            bytes(row.bytes_received)
        }),
    ]);
    if by != By::Connection {
        fields.extend::<[Field<FlowView>; 2]>([
            sum(Column::number("PKTS OUT", 9), |row, _| {
                count(row.packets_sent)
            }),
            sum(Column::number("PKTS IN", 10), |row, _| {
                count(row.packets_received)
            }),
        ]);
    }
    fields.extend::<[Field<FlowView>; 2]>([
        sum(Column::number("RETRANS", 6), |row, look| {
            or_dash(row.retransmits.map(count), look.charset)
        }),
        plain(Column::number("RTT", 5), |row, look| {
            time(row.rtt_seconds, look)
        }),
    ]);
    if single {
        fields.push(plain(Column::name("PROCESS", 8, 7), |row, look| {
            let process = row.process.as_ref();
            let text = process.map(|p| format!("{} {}", safe(&p.comm, look.charset), p.pid));
            or_dash(text, look.charset)
        }));
    } else {
        fields.push(sum(Column::list("ENDS", 8, 7), |row, look| {
            by_name(&row.ends, look)
        }));
    }
    fields
}

/// An arrow to who was asked.
pub(super) fn direction(row: &FlowView, look: &Look) -> String {
    let arrows = match look.charset {
        Charset::Unicode => ["→", "←", "↔"],
        Charset::Ascii => ["->", "<-", "<>"],
    };
    let arrow = match row.direction {
        Some(Direction::Egress) => arrows[0],
        Some(Direction::Ingress) => arrows[1],
        None => arrows[2],
    };
    let guessed = if row.initiator_guessed { "?" } else { "" };
    format!("{arrow}{guessed}")
}

/// The address or name of an end.
pub(super) fn end(end: Option<&EndView>, look: &Look) -> String {
    let text = end.map(|end| safe(&end.display_name(), look.charset));
    or_dash(text, look.charset)
}

fn add(sum: &mut FlowView, other: &FlowView) {
    for (sum, n) in [
        (&mut sum.flows, other.flows),
        (&mut sum.bytes_sent, other.bytes_sent),
        (&mut sum.bytes_received, other.bytes_received),
        (&mut sum.packets_sent, other.packets_sent),
        (&mut sum.packets_received, other.packets_received),
    ] {
        *sum = sum.saturating_add(n);
    }
    sum.retransmits = match (sum.retransmits, other.retransmits) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    };
    add_counts(&mut sum.ends, &other.ends);
}
