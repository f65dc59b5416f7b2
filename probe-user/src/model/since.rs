//! What was added between two readings of the same counters.

use std::{collections::HashMap, hash::Hash};

use super::{LostCount, Measurements};

impl Measurements {
    /// What was added since an earlier reading. Rows without an addition are left out, what runs at the moment stays.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut added = self.clone();
        let before = index(&earlier.syscalls, |row| (row.owner, row.syscall));
        for row in &mut added.syscalls {
            if let Some(before) = before.get(&(row.owner, row.syscall)) {
                row.calls = row.calls.saturating_sub(before.calls);
                row.errors = row.errors.saturating_sub(before.errors);
                row.latency = row.latency.since(&before.latency);
            }
        }
        added.syscalls.retain(|row| row.calls > 0);
        let before = index(&earlier.errnos, |row| (row.owner, row.syscall, row.errno));
        for row in &mut added.errnos {
            let before = before.get(&(row.owner, row.syscall, row.errno));
            row.count = row.count.saturating_sub(before.map_or(0, |row| row.count));
        }
        added.errnos.retain(|row| row.count > 0);
        let before = index(&earlier.sched, |row| row.owner);
        for row in &mut added.sched {
            if let Some(before) = before.get(&row.owner) {
                row.runqueue = row.runqueue.since(&before.runqueue);
                row.offcpu_voluntary = row.offcpu_voluntary.since(&before.offcpu_voluntary);
                row.offcpu_involuntary = row.offcpu_involuntary.since(&before.offcpu_involuntary);
                row.uninterruptible = row.uninterruptible.saturating_sub(before.uninterruptible);
                row.oncpu = row.oncpu.saturating_sub(before.oncpu);
                row.voluntary = row.voluntary.saturating_sub(before.voluntary);
                row.involuntary = row.involuntary.saturating_sub(before.involuntary);
            }
        }
        added.sched.retain(|row| row.voluntary + row.involuntary + row.runqueue.count() > 0);
        let before = index(&earlier.preemptions, |row| (row.victim, row.by));
        for row in &mut added.preemptions {
            let before = before.get(&(row.victim, row.by));
            row.count = row.count.saturating_sub(before.map_or(0, |row| row.count));
        }
        added.preemptions.retain(|row| row.count > 0);
        let key = |lost: &LostCount| (lost.stream, lost.stage, lost.reason);
        let before = index(&earlier.lost, key);
        for lost in &mut added.lost {
            let before = before.get(&key(lost)).map_or(0, |lost| lost.count);
            lost.count = lost.count.saturating_sub(before);
        }
        added
    }
}

fn index<T, K: Eq + Hash>(rows: &[T], key: impl Fn(&T) -> K) -> HashMap<K, &T> {
    rows.iter().map(|row| (key(row), row)).collect()
}

#[cfg(test)]
mod tests {
    use probe_common::hist::Histogram;

    use super::*;
    use crate::model::{OwnerId, Syscall, SyscallRow};

    fn calls(calls: u64, durations_ns: &[u64]) -> Measurements {
        let mut latency = Histogram::EMPTY;
        durations_ns.iter().for_each(|ns| latency.observe(*ns));
        let syscall = Syscall { nr: 0, abi: 0 };
        let row = SyscallRow { owner: OwnerId(7), syscall, calls, errors: 0, latency };
        Measurements { syscalls: vec![row], ..Measurements::default() }
    }

    #[test]
    fn only_additions_are_left() {
        let added = calls(5, &[100, 200, 300]).since(&calls(3, &[100]));
        assert_eq!(added.syscalls[0].calls, 2);
        assert_eq!(added.syscalls[0].latency.count(), 2);
        assert_eq!(added.syscalls[0].latency.sum_ns, 500);
    }

    #[test]
    fn rows_without_an_addition_are_gone() {
        assert!(calls(5, &[]).since(&calls(5, &[])).syscalls.is_empty());
        assert_eq!(calls(5, &[]).since(&Measurements::default()).syscalls.len(), 1);
    }
}
