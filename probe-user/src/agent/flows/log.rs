//! The flow log of the agent: where it goes, and what it is told of losses.

use std::{
    collections::BTreeMap,
    fs, io,
    time::{Duration, Instant, SystemTime},
};

use probe_common::loss::{FLOWS_FULL, NAMES};

use super::super::{RunError, delta::Previous};
use crate::{
    config::{Config, FlowFsync, FlowTarget},
    flows::{Balance, FlowLog, Gap, Loss, Origin, WallClock},
    kernel::{Roots, clock::monotonic},
    model::{FeatureState, LostCount, Measurements},
    session::{FollowerCounts, Session},
    sinks::{Fsync, Rotation, Settings, Target},
};

/// Probes whose records are in the log.
const PROBES: [&str; 2] = ["flows", "tcp"];

/// What the kernel side calls a full table of flows.
const TABLE_FULL: &str = NAMES[FLOWS_FULL as usize];

/// Opens the log and says since when nobody watched; `None` where it is off.
pub(in crate::agent) fn open(
    config: &Config,
    session: &Session,
) -> Result<Option<FlowLog>, RunError> {
    let flows = &config.flows;
    let target = match &flows.log {
        FlowTarget::Off => return Ok(None),
        FlowTarget::Stdout => Target::Stdout,
        FlowTarget::File(path) => Target::File(path.clone()),
    };
    let (now, wall) = (monotonic(), SystemTime::now());
    // Before it is opened: from then on it is written.
    let from = last_written(&target, now, wall);
    let settings = Settings {
        rotation: Rotation {
            size: flows.log_size,
            age: flows.log_age,
            keep: flows.log_keep as usize,
            compress: flows.log_compress,
        },
        fsync: match flows.log_fsync {
            FlowFsync::Never => Fsync::Never,
            FlowFsync::Rotation => Fsync::OnRotation,
            FlowFsync::After(time) => Fsync::Interval(time),
        },
        ..Settings::new("flow log", target)
    };
    let roots = Roots::default();
    let id = |name: &str| {
        let path = roots.proc.join("sys/kernel/random").join(name);
        let text = fs::read_to_string(path).map(|text| text.trim().to_owned());
        text.map_err(|source| RunError::System {
            what: "read an id of this boot or run",
            source,
        })
    };
    let origin = Origin {
        node: config.node.clone(),
        boot_id: id("boot_id")?,
        run_id: id("uuid")?,
    };
    let log = FlowLog::start(settings, origin, WallClock::new(now, wall))
        .map_err(|source| refused(&flows.log, source))?;
    let to = now.saturating_sub(session.started().elapsed());
    let watching = |probe: &&str| {
        session.states().iter().any(|(name, state)| {
            name == probe && matches!(state, FeatureState::On | FeatureState::Degraded(_))
        })
    };
    log.gap(
        now,
        &Gap {
            cause: "restart",
            from: from.min(to),
            to,
            probes: PROBES.into_iter().filter(watching).collect(),
        },
    );
    Ok(Some(log))
}

fn refused(target: &FlowTarget, source: io::Error) -> RunError {
    RunError::FlowLog {
        target: target.to_string(),
        source,
    }
}

/// When somebody last wrote the log; where that is not known, nobody did since the host was booted.
fn last_written(target: &Target, now: Duration, wall: SystemTime) -> Duration {
    let Target::File(path) = target else {
        return Duration::ZERO;
    };
    let age = fs::metadata(path)
        .ok()
        .filter(|it| it.is_file() && it.len() > 0)
        .and_then(|it| wall.duration_since(it.modified().ok()?).ok());
    age.map_or(Duration::ZERO, |age| now.saturating_sub(age))
}

/// What the log was told so far.
#[derive(Default)]
pub(super) struct Marks {
    lost: Previous<(&'static str, &'static str, &'static str), u64>,
    /// Monotonic time of the reading that losses were told of last.
    read: Option<(Instant, Duration)>,
    /// Packets of datagrams in records that found no room.
    refused: u64,
}

impl Marks {
    /// Notes what became of a record with so many packets of datagrams.
    pub(super) fn written(&mut self, packets: u64, accepted: bool) {
        if !accepted {
            self.refused += packets;
        }
    }

    /// Tells what the kernel side lost between two readings.
    pub(super) fn tell_losses(&mut self, log: &FlowLog, at: Instant, read: &Measurements) {
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
                let (stage, reason, unit) = (it.stage, it.reason, unit(it)?);
                let count = self.lost.added((it.stream, stage, reason), it.count);
                (count > 0).then_some(Loss {
                    stream: "flow",
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

    /// Both sides of the sum of datagrams. `held` of the reported packets are not yet in records.
    pub(super) fn balance(
        &self,
        read: &Measurements,
        follower: &FollowerCounts,
        held: u64,
    ) -> Option<Balance> {
        let seen = read.seen?;
        let lost = [
            ("kernel:flow_table_full", untracked(read)),
            ("kernel:malformed", seen.malformed),
            ("queue:queue_full", self.refused),
        ];
        let not_in_records = held + self.refused;
        Some(Balance {
            stream: "flow",
            unit: "packets",
            seen: seen.counted + seen.filtered + seen.malformed,
            exported: follower.reported_packets.saturating_sub(not_in_records),
            open: follower.open_packets + held,
            filtered: seen.filtered,
            lost: lost
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .map(|(stage, count)| (stage.to_owned(), count))
                .collect::<BTreeMap<_, _>>(),
        })
    }
}

/// What a loss of the kernel side counts; `None` for one that no flow lacks anything by.
fn unit(lost: &LostCount) -> Option<&'static str> {
    Some(match (lost.stream, lost.reason) {
        // Of name look-ups, and of who listens.
        ("flows", "ring_full" | "pending_full" | "message_cut") | ("tcp", "listeners_full") => {
            return None;
        }
        ("flows", TABLE_FULL | "malformed") => "packets",
        ("tcp", "connections_full") => "connections",
        ("flows" | "tcp", _) => "records",
        _ => return None,
    })
}

/// Packets of datagrams that found no room in the table of flows.
fn untracked(read: &Measurements) -> u64 {
    let full = |it: &&LostCount| (it.stream, it.reason) == ("flows", TABLE_FULL);
    read.lost.iter().filter(full).map(|it| it.count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SeenPackets;

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
                lost("flows", "flow_table_full", untracked),
                lost("syscalls", "ring_full", 9),
            ],
            seen: Some(SeenPackets {
                counted: 100,
                filtered: 20,
                malformed: 3,
            }),
            ..Measurements::default()
        }
    }

    #[test]
    fn the_log_is_told_once_of_losses_that_flows_lack_something_by() {
        let mut marks = Marks::default();
        let told = |losses: Vec<Loss>| -> Vec<_> {
            let each = losses.into_iter();
            each.map(|it| (it.reason, it.unit, it.count)).collect()
        };
        assert_eq!(
            told(marks.losses(&measurements(5, 2))),
            [
                ("ring_full", "records", 5),
                ("flow_table_full", "packets", 2)
            ]
        );
        assert_eq!(
            told(marks.losses(&measurements(5, 6))),
            [("flow_table_full", "packets", 4)]
        );
    }

    #[test]
    fn what_is_held_is_open_and_what_was_refused_is_lost() {
        let mut marks = Marks::default();
        marks.written(7, true);
        marks.written(5, false);
        let follower = FollowerCounts {
            open_packets: 30,
            reported_packets: 66,
            ..FollowerCounts::default()
        };
        let balance = marks.balance(&measurements(0, 4), &follower, 11).unwrap();
        assert_eq!(
            (balance.seen, balance.exported, balance.open),
            (123, 50, 41)
        );
        assert_eq!(balance.lost["queue:queue_full"], 5);
        assert_eq!(balance.error(), 0);
    }

    #[test]
    fn a_log_that_is_there_tells_until_when_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flows");
        let (now, wall) = (Duration::from_secs(100), SystemTime::now());
        let at = |path: &std::path::Path, wall| last_written(&Target::File(path.into()), now, wall);
        assert_eq!(at(&path, wall), Duration::ZERO);
        fs::write(&path, "{}\n").unwrap();
        let later = SystemTime::now() + Duration::from_secs(10);
        let since = at(&path, later);
        assert!(since > Duration::from_secs(85) && since <= Duration::from_secs(90));
        assert_eq!(last_written(&Target::Stdout, now, wall), Duration::ZERO);
    }
}
