//! What was added between two readings of the same counters.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use super::{LostCount, Measurements, OwnerId, SchedRow, network::Sums};

impl Measurements {
    /// What was added since an earlier reading. Rows without an addition are left out. Time on the CPU contains what runs
    /// at the moment, as far as the earlier reading did not: `running` is empty.
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
        added.add_rows_for_running();
        let oncpu_before = earlier.oncpu_with_running();
        let oncpu_now = self.oncpu_with_running();
        let before = index(&earlier.sched, |row| row.owner);
        for row in &mut added.sched {
            if let Some(before) = before.get(&row.owner) {
                row.runqueue = row.runqueue.since(&before.runqueue);
                row.offcpu_voluntary = row.offcpu_voluntary.since(&before.offcpu_voluntary);
                row.offcpu_involuntary = row.offcpu_involuntary.since(&before.offcpu_involuntary);
                row.uninterruptible = row.uninterruptible.saturating_sub(before.uninterruptible);
                row.voluntary = row.voluntary.saturating_sub(before.voluntary);
                row.involuntary = row.involuntary.saturating_sub(before.involuntary);
            }
            let oncpu =
                |of: &HashMap<OwnerId, Duration>| of.get(&row.owner).copied().unwrap_or_default();
            row.oncpu = oncpu(&oncpu_now).saturating_sub(oncpu(&oncpu_before));
        }
        added.running.clear();
        added.sched.retain(|row| {
            row.voluntary + row.involuntary + row.runqueue.count() > 0 || !row.oncpu.is_zero()
        });
        let before = index(&earlier.preemptions, |row| (row.victim, row.by));
        for row in &mut added.preemptions {
            let before = before.get(&(row.victim, row.by));
            row.count = row.count.saturating_sub(before.map_or(0, |row| row.count));
        }
        added.preemptions.retain(|row| row.count > 0);
        Sums::of(self)
            .since(&Sums::of(earlier))
            .replace_in(&mut added);
        added.seen = self
            .seen
            .map(|seen| seen.since(earlier.seen.unwrap_or_default()));
        added.ended = self
            .ended
            .map(|ended| ended.since(earlier.ended.unwrap_or_default()));
        let key = |lost: &LostCount| (lost.stream, lost.stage, lost.reason);
        let before = index(&earlier.lost, key);
        for lost in &mut added.lost {
            let before = before.get(&key(lost)).map_or(0, |lost| lost.count);
            lost.count = lost.count.saturating_sub(before);
        }
        added
    }

    /// Time on the CPU by owner, with what runs at the moment.
    fn oncpu_with_running(&self) -> HashMap<OwnerId, Duration> {
        let mut total = HashMap::<_, Duration>::new();
        let done = self.sched.iter().map(|row| (row.owner, row.oncpu));
        let running = self.running.iter().map(|row| (row.owner, row.elapsed));
        for (owner, time) in done.chain(running) {
            *total.entry(owner).or_default() += time;
        }
        total
    }

    /// An owner whose tasks have run without a switch has nothing but what runs at the moment.
    fn add_rows_for_running(&mut self) {
        let mut known: HashSet<OwnerId> = self.sched.iter().map(|row| row.owner).collect();
        for running in &self.running {
            if known.insert(running.owner) {
                self.sched.push(SchedRow::empty(running.owner));
            }
        }
    }
}

fn index<T, K: Eq + Hash>(rows: &[T], key: impl Fn(&T) -> K) -> HashMap<K, &T> {
    rows.iter().map(|row| (key(row), row)).collect()
}

#[cfg(test)]
mod tests {
    use probe_common::hist::Histogram;

    use super::*;
    use crate::model::{RunningRow, Syscall, SyscallRow};

    fn calls(calls: u64, durations_ns: &[u64]) -> Measurements {
        let mut latency = Histogram::EMPTY;
        durations_ns.iter().for_each(|ns| latency.observe(*ns));
        let syscall = Syscall { nr: 0, abi: 0 };
        let row = SyscallRow {
            owner: OwnerId(7),
            syscall,
            calls,
            errors: 0,
            latency,
        };
        Measurements {
            syscalls: vec![row],
            ..Measurements::default()
        }
    }

    #[test]
    fn only_additions_are_left() {
        let added = calls(5, &[100, 200, 300]).since(&calls(3, &[100]));
        assert_eq!(added.syscalls[0].calls, 2);
        assert_eq!(added.syscalls[0].latency.count(), 2);
        assert_eq!(added.syscalls[0].latency.sum_ns, 500);
    }

    /// One owner: completed time on the CPU, and for how long it runs at the moment.
    fn on_cpu(done: u64, running: u64) -> Measurements {
        let mut sched = SchedRow::empty(OwnerId(7));
        sched.oncpu = Duration::from_secs(done);
        Measurements {
            sched: vec![sched],
            running: vec![RunningRow {
                owner: OwnerId(7),
                elapsed: Duration::from_secs(running),
            }],
            ..Measurements::default()
        }
    }

    #[test]
    fn a_run_without_a_switch_is_cut_into_the_periods() {
        let mut first = on_cpu(0, 3);
        // Nothing of it was counted by a switch, so it had no row.
        first.sched.clear();
        for (now, before) in [
            (on_cpu(0, 5), first),
            (on_cpu(0, 7), on_cpu(0, 5)),
            (on_cpu(8, 1), on_cpu(0, 7)),
        ] {
            let added = now.since(&before);
            assert_eq!(added.sched.len(), 1);
            assert_eq!(added.sched[0].oncpu, Duration::from_secs(2));
            assert!(added.running.is_empty());
        }
    }

    #[test]
    fn rows_without_an_addition_are_gone() {
        assert!(calls(5, &[]).since(&calls(5, &[])).syscalls.is_empty());
        assert_eq!(
            calls(5, &[]).since(&Measurements::default()).syscalls.len(),
            1
        );
    }
}
