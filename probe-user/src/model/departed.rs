//! Counters that were freed before they were shown.

use std::{collections::HashSet, hash::Hash};

use rustc_hash::FxHashMap;

use super::{
    ErrnoRow, Measurements, OwnerId, PreemptionRow, SchedRow, Syscall, SyscallRow, network::Sums,
};

/// Most rows of one kind that are kept apart; what comes later is added up as [`OwnerId::OVERFLOW`].
const MAX_ROWS: usize = 65_536;

/// What owners had measured when their counters were freed.
#[derive(Debug, Default)]
pub struct Departed {
    syscalls: FxHashMap<(OwnerId, Syscall), SyscallRow>,
    errnos: FxHashMap<(OwnerId, Syscall, u16), ErrnoRow>,
    sched: FxHashMap<OwnerId, SchedRow>,
    preemptions: FxHashMap<(OwnerId, OwnerId), PreemptionRow>,
    network: Sums,
}

impl Departed {
    /// Keeps what a reading says of owners that have been freed since.
    pub fn keep(&mut self, reading: &Measurements, freed: &[OwnerId]) {
        let freed: HashSet<OwnerId> = freed.iter().copied().collect();
        if freed.is_empty() {
            return;
        }
        for row in reading.syscalls.iter().filter(|r| freed.contains(&r.owner)) {
            let mut row = row.clone();
            if is_full(&self.syscalls, &(row.owner, row.syscall)) {
                row.owner = OwnerId::OVERFLOW;
            }
            let key = (row.owner, row.syscall);
            add(&mut self.syscalls, key, row, SyscallRow::add);
        }
        for row in reading.errnos.iter().filter(|r| freed.contains(&r.owner)) {
            let mut row = row.clone();
            if is_full(&self.errnos, &(row.owner, row.syscall, row.errno)) {
                row.owner = OwnerId::OVERFLOW;
            }
            let key = (row.owner, row.syscall, row.errno);
            add(&mut self.errnos, key, row, |sum, row| {
                sum.count += row.count
            });
        }
        for row in reading.sched.iter().filter(|r| freed.contains(&r.owner)) {
            let mut row = row.clone();
            if is_full(&self.sched, &row.owner) {
                row.owner = OwnerId::OVERFLOW;
            }
            add(&mut self.sched, row.owner, row, SchedRow::add);
        }
        self.network.add(
            reading,
            |owner| owner.is_some_and(|owner| freed.contains(&owner)),
            MAX_ROWS,
        );
        let is_freed =
            |row: &&PreemptionRow| freed.contains(&row.victim) || freed.contains(&row.by);
        for row in reading.preemptions.iter().filter(is_freed) {
            let mut row = *row;
            if is_full(&self.preemptions, &(row.victim, row.by)) {
                (row.victim, row.by) = (OwnerId::OVERFLOW, OwnerId::OVERFLOW);
            }
            let key = (row.victim, row.by);
            add(&mut self.preemptions, key, row, |sum, row| {
                sum.count += row.count
            });
        }
    }

    /// A later reading, with what was kept.
    #[must_use]
    pub fn with(mut self, reading: &Measurements) -> Measurements {
        for row in reading.syscalls.iter().cloned() {
            add(
                &mut self.syscalls,
                (row.owner, row.syscall),
                row,
                SyscallRow::add,
            );
        }
        for row in reading.errnos.iter().cloned() {
            let key = (row.owner, row.syscall, row.errno);
            add(&mut self.errnos, key, row, |sum, row| {
                sum.count += row.count
            });
        }
        for row in reading.sched.iter().cloned() {
            add(&mut self.sched, row.owner, row, SchedRow::add);
        }
        for row in reading.preemptions.iter().copied() {
            let key = (row.victim, row.by);
            add(&mut self.preemptions, key, row, |sum, row| {
                sum.count += row.count
            });
        }
        self.network.add(reading, |_| true, usize::MAX);
        let mut total = Measurements {
            syscalls: self.syscalls.into_values().collect(),
            errnos: self.errnos.into_values().collect(),
            sched: self.sched.into_values().collect(),
            running: reading.running.clone(),
            preemptions: self.preemptions.into_values().collect(),
            processes: reading.processes.clone(),
            lost: reading.lost.clone(),
            seen: reading.seen,
            ended: reading.ended,
            ..Measurements::default()
        };
        self.network.replace_in(&mut total);
        total
    }
}

impl Measurements {
    /// Forgets what it says of owners whose counters have been freed: a new one starts at zero.
    pub fn forget(&mut self, freed: &[OwnerId]) {
        let freed: HashSet<OwnerId> = freed.iter().copied().collect();
        self.syscalls.retain(|row| !freed.contains(&row.owner));
        self.errnos.retain(|row| !freed.contains(&row.owner));
        self.sched.retain(|row| !freed.contains(&row.owner));
        self.tcp.retain(|row| !freed.contains(&row.owner));
        self.drops
            .retain(|row| row.owner.is_none_or(|owner| !freed.contains(&owner)));
        self.answers.retain(|row| !freed.contains(&row.owner));
        self.lookups.retain(|row| !freed.contains(&row.owner));
        self.untracked.retain(|row| !freed.contains(&row.owner));
        self.preemptions
            .retain(|row| !freed.contains(&row.victim) && !freed.contains(&row.by));
    }
}

impl SyscallRow {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.latency.merge(&other.latency);
    }
}

impl SchedRow {
    fn add(&mut self, other: Self) {
        self.runqueue.merge(&other.runqueue);
        self.offcpu_voluntary.merge(&other.offcpu_voluntary);
        self.offcpu_involuntary.merge(&other.offcpu_involuntary);
        self.uninterruptible += other.uninterruptible;
        self.oncpu += other.oncpu;
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
    }
}

fn is_full<K: Eq + Hash, V>(rows: &FxHashMap<K, V>, key: &K) -> bool {
    rows.len() >= MAX_ROWS && !rows.contains_key(key)
}

fn add<K: Eq + Hash, V>(rows: &mut FxHashMap<K, V>, key: K, row: V, sum: impl Fn(&mut V, V)) {
    match rows.get_mut(&key) {
        Some(known) => sum(known, row),
        None => {
            rows.insert(key, row);
        }
    }
}

#[cfg(test)]
mod tests;
