//! What the log is told of losses, and the sums of what was seen.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use probe_common::loss::{FLOWS_FULL, NAMES, RING_FULL};

use crate::{
    agent::delta::Previous,
    flows::{Balance, FlowLog, Loss},
    kernel::clock::monotonic,
    model::{Fates, LostCount, Measurements},
    session::{FollowerCounts, Units},
};

/// What the kernel side calls a full table of flows.
const TABLE_FULL: &str = NAMES[FLOWS_FULL as usize];

/// And a full ring.
const RING: &str = NAMES[RING_FULL as usize];

/// The stream of flow records.
const STREAM: &str = "flow";

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent::flows) enum Became {
    /// It is a record.
    Written,
    /// There was no room for its record.
    Refused,
    /// It is not wanted.
    Filtered,
}

/// What the log was told so far.
#[derive(Default)]
pub(in crate::agent::flows) struct Marks {
    lost: Previous<(&'static str, &'static str, &'static str), u64>,
    /// Monotonic time of the reading that losses were told of last.
    read: Option<(Instant, Duration)>,
    /// In records that found no room.
    refused: Units,
    /// In reports that rules left out.
    filtered: Units,
}

impl Marks {
    /// Notes what became of a report.
    pub(in crate::agent::flows) fn written(&mut self, units: Units, became: Became) {
        match became {
            Became::Written => {}
            Became::Refused => self.refused.add(units),
            Became::Filtered => self.filtered.add(units),
        }
    }

    /// Tells what the kernel side lost between two readings.
    pub(in crate::agent::flows) fn tell_losses(
        &mut self,
        log: &FlowLog,
        at: Instant,
        read: &Measurements,
    ) {
        if self.read.is_some_and(|(last, _)| last == at) {
            return;
        }
        let last = monotonic().saturating_sub(at.elapsed());
        let first = self.read.map_or(Duration::ZERO, |(_, last)| last);
        self.read = Some((at, last));
        for loss in self.losses(read) {
            log.loss(
                last,
                &Loss {
                    first,
                    last,
                    ..loss
                },
            );
        }
    }

    /// What was lost since the last call.
    fn losses(&mut self, read: &Measurements) -> Vec<Loss> {
        read.lost
            .iter()
            .filter_map(|it| {
                let (stage, reason, (stream, unit)) = (it.stage, it.reason, unit(it)?);
                let count = self.lost.added((it.stream, stage, reason), it.count);
                (count > 0).then_some(Loss {
                    stream,
                    stage,
                    reason,
                    unit,
                    count,
                    exact: true,
                    first: Duration::ZERO,
                    last: Duration::ZERO,
                    cpu: None,
                })
            })
            .collect()
    }

    /// Both sides of the sums, of packets of datagrams and of ends of connections. The kernel side was read before and after
    /// the tables and rings. `held` of what was reported is not in records yet.
    pub(in crate::agent::flows) fn balances(
        &self,
        [before, after]: [&Measurements; 2],
        follower: &FollowerCounts,
        held: Units,
    ) -> Vec<Balance> {
        let lost = |stream, reason| lost(after, stream, reason);
        let packets = Side {
            unit: "packets",
            seen: before.seen.zip(after.seen),
            reported: follower.reported_packets,
            open: follower.open_packets,
            held: held.packets,
            filtered: self.filtered.packets,
            refused: self.refused.packets,
            missing: ("kernel:flow_table_full", lost("flows", TABLE_FULL)),
            undecoded: 0,
        };
        let connections = Side {
            unit: "connections",
            seen: before.ended.zip(after.ended),
            reported: follower.reported_ends,
            open: follower.held_ends,
            held: held.ends,
            filtered: self.filtered.ends,
            refused: self.refused.ends,
            missing: ("ring:ring_full", lost("tcp", RING)),
            undecoded: follower.undecoded_ends,
        };
        [packets, connections]
            .into_iter()
            .filter_map(Side::balance)
            .collect()
    }
}

/// What is known of one unit.
struct Side {
    unit: &'static str,
    /// What the kernel side saw, before and after the rest was read.
    seen: Option<(Fates, Fates)>,
    /// In reports so far.
    reported: u64,
    /// Read and not yet reported.
    open: u64,
    /// Reported, in no record yet.
    held: u64,
    /// Reported, and not wanted.
    filtered: u64,
    /// Reported, without room in the queue.
    refused: u64,
    /// What the kernel side had no room for, and where.
    missing: (&'static str, u64),
    /// Came and could not be read.
    undecoded: u64,
}

impl Side {
    fn balance(self) -> Option<Balance> {
        let (before, after) = self.seen?;
        let read = self.reported + self.open + self.missing.1 + self.undecoded;
        // What came while the rest was read may be in it or not.
        let counted = read.clamp(before.counted, after.counted.max(before.counted));
        let lost = [
            self.missing,
            ("kernel:malformed", after.malformed),
            ("decode:decode_error", self.undecoded),
            ("queue:queue_full", self.refused),
        ];
        Some(Balance {
            stream: STREAM,
            unit: self.unit,
            seen: counted + after.left_out() + after.malformed,
            exported: self
                .reported
                .saturating_sub(self.held + self.filtered + self.refused),
            open: self.open + self.held,
            filtered: after.left_out() + self.filtered,
            lost: lost
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .map(|(stage, count)| (stage.to_owned(), count))
                .collect::<BTreeMap<_, _>>(),
        })
    }
}

/// What a loss of the kernel side belongs to and counts; `None` for one that no record lacks anything by.
fn unit(lost: &LostCount) -> Option<(&'static str, &'static str)> {
    Some(match (lost.stream, lost.reason) {
        // Durations of look-ups, and who listens.
        ("flows", "pending_full") | ("tcp", "listeners_full") => return None,
        // Messages of look-ups: flows may lack a name by them, and no packet.
        ("flows", RING | "message_cut") => ("dns", "records"),
        ("flows", TABLE_FULL | "malformed") => (STREAM, "packets"),
        ("drops", "flow_drops_full") => (STREAM, "packets"),
        ("tcp", "connections_full") => (STREAM, "connections"),
        ("flows" | "tcp", _) => (STREAM, "records"),
        _ => return None,
    })
}

/// A count of losses.
fn lost(read: &Measurements, stream: &str, reason: &str) -> u64 {
    let mut losses = read.lost.iter();
    let found = losses.find(|it| (it.stream, it.reason) == (stream, reason));
    found.map_or(0, |it| it.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurements(ring: u64, untracked: u64) -> Measurements {
        let lost = |stream, reason, count| LostCount {
            stream,
            stage: "kernel",
            reason,
            count,
        };
        Measurements {
            lost: vec![
                lost("tcp", "ring_full", ring),
                lost("flows", "ring_full", 8),
                lost("flows", "pending_full", 9),
                lost("flows", "flow_table_full", untracked),
                lost("syscalls", "ring_full", 9),
            ],
            seen: Some(Fates {
                counted: 100,
                unsampled: 15,
                ignored: 5,
                malformed: 3,
            }),
            ended: Some(Fates {
                counted: 20,
                unsampled: 1,
                ignored: 2,
                malformed: 0,
            }),
            ..Measurements::default()
        }
    }

    #[test]
    fn the_log_is_told_once_of_losses_that_records_lack_something_by() {
        let mut marks = Marks::default();
        let told = |losses: Vec<Loss>| -> Vec<_> {
            let each = losses.into_iter();
            each.map(|it| (it.stream, it.reason, it.unit, it.count))
                .collect()
        };
        assert_eq!(
            told(marks.losses(&measurements(5, 2))),
            [
                ("flow", "ring_full", "records", 5),
                ("dns", "ring_full", "records", 8),
                ("flow", "flow_table_full", "packets", 2)
            ]
        );
        assert_eq!(
            told(marks.losses(&measurements(5, 6))),
            [("flow", "flow_table_full", "packets", 4)]
        );
    }

    fn units(packets: u64, ends: u64) -> Units {
        Units { packets, ends }
    }

    #[test]
    fn what_is_held_is_open_what_was_refused_is_lost_and_what_was_left_out_is_filtered() {
        let mut marks = Marks::default();
        marks.written(units(7, 1), Became::Written);
        marks.written(units(5, 2), Became::Refused);
        marks.written(units(8, 3), Became::Filtered);
        let follower = FollowerCounts {
            open_packets: 30,
            reported_packets: 66,
            reported_ends: 13,
            held_ends: 1,
            undecoded_ends: 2,
            ..FollowerCounts::default()
        };
        let read = measurements(4, 4);
        let balances = marks.balances([&read, &read], &follower, units(11, 4));
        let [packets, connections] = &balances[..] else {
            panic!("{balances:?}");
        };
        assert_eq!(packets.unit, "packets");
        assert_eq!(
            (
                packets.seen,
                packets.exported,
                packets.open,
                packets.filtered
            ),
            (123, 42, 41, 28)
        );
        assert_eq!(packets.lost["queue:queue_full"], 5);
        assert_eq!(packets.lost["kernel:flow_table_full"], 4);
        assert_eq!(packets.error(), 0);
        assert_eq!(connections.unit, "connections");
        assert_eq!(
            (
                connections.seen,
                connections.exported,
                connections.open,
                connections.filtered
            ),
            (23, 4, 5, 6)
        );
        assert_eq!(connections.lost["ring:ring_full"], 4);
        assert_eq!(connections.lost["decode:decode_error"], 2);
        assert_eq!(connections.error(), 0);
    }

    #[test]
    fn what_comes_while_the_tables_are_read_is_no_error_and_anything_else_is() {
        let at = |counted| Measurements {
            seen: Some(Fates {
                counted,
                ..Fates::default()
            }),
            ..Measurements::default()
        };
        let error = |reported_packets| {
            let follower = FollowerCounts {
                reported_packets,
                ..FollowerCounts::default()
            };
            let read = [&at(100), &at(110)];
            let balances = Marks::default().balances(read, &follower, Units::default());
            balances[0].error()
        };
        assert_eq!([100, 104, 110].map(error), [0, 0, 0]);
        assert_eq!(error(97), 3);
        assert_eq!(error(111), -1);
    }
}
