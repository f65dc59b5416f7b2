//! Flows that are known, and what of each was reported.

use std::{hash::Hash, time::Duration};

use rustc_hash::FxHashMap;

use super::Event;
use crate::model::{Counters, Drops, EndReason, Flow, FlowEnd, IdleCapacity as _};

/// What is to be said of a flow.
#[derive(Clone, Debug)]
pub struct Change {
    /// Began, goes on or ended.
    pub event: Event,
    /// All that is known, counted since its start.
    pub flow: Flow,
    /// What was exchanged since the last report, or the start.
    pub interval: Counters,
    /// What of it was dropped, where the kernel is asked.
    pub dropped: Option<Drops>,
    /// When that interval began.
    pub since: Duration,
}

struct Entry {
    flow: Flow,
    reported: Counters,
    reported_drops: Option<Drops>,
    reported_at: Duration,
}

/// Flows by the key that the kernel side has them under.
pub struct FlowTable<K> {
    entries: FxHashMap<K, Entry>,
    period: Duration,
}

impl<K: Copy + Eq + Hash> FlowTable<K> {
    /// An empty table, whose flows are reported once in `period`.
    pub fn new(period: Duration) -> Self {
        Self {
            entries: FxHashMap::default(),
            period,
        }
    }

    /// Takes a reading of a flow that goes on; answers what is to be said of it.
    ///
    /// What a socket counts is read while it goes on counting: no counter falls by that.
    pub fn seen(&mut self, key: K, mut flow: Flow, now: Duration) -> Option<Change> {
        let Some(entry) = self.entries.get_mut(&key) else {
            let change = Change {
                event: Event::Start,
                interval: flow.counters,
                dropped: flow.drops.clone(),
                since: flow.start,
                flow: flow.clone(),
            };
            let entry = Entry {
                reported: flow.counters,
                reported_drops: flow.drops.clone(),
                reported_at: now,
                flow,
            };
            self.entries.insert(key, entry);
            return Some(change);
        };
        flow.counters = flow.counters.max(entry.flow.counters);
        entry.flow = flow;
        if now.saturating_sub(entry.reported_at) < self.period {
            return None;
        }
        let change = entry.change(Event::Update);
        entry.reported = entry.flow.counters;
        entry.reported_drops.clone_from(&entry.flow.drops);
        entry.reported_at = now;
        Some(change)
    }

    /// Takes the end of a flow, which may not have been seen before.
    pub fn ended(&mut self, key: &K, mut flow: Flow) -> Change {
        let known = self.entries.remove(key);
        self.entries.give_back();
        match known {
            Some(entry) => {
                flow.counters = flow.counters.max(entry.flow.counters);
                Entry { flow, ..entry }.change(Event::End)
            }
            None => Change {
                event: Event::End,
                interval: flow.counters,
                dropped: flow.drops.clone(),
                since: flow.start,
                flow,
            },
        }
    }

    /// Ends a flow by what was last known of it.
    pub fn give_up(&mut self, key: &K, reason: EndReason, now: Duration) -> Option<Change> {
        let entry = self.entries.remove(key)?;
        self.entries.give_back();
        let mut change = entry.change(Event::End);
        change.flow.end = Some(FlowEnd {
            reason,
            at: now,
            error: None,
        });
        Some(change)
    }

    /// Ends all flows, because the probe does.
    pub fn shut_down(&mut self, now: Duration) -> Vec<Change> {
        let keys: Vec<K> = self.entries.keys().copied().collect();
        keys.iter()
            .filter_map(|key| self.give_up(key, EndReason::Shutdown, now))
            .collect()
    }

    /// Keys of all flows.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// Flows that are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What was exchanged and not yet reported.
    pub fn unreported(&self) -> Counters {
        let mut sum = Counters::default();
        for entry in self.entries.values() {
            sum.add(entry.flow.counters.since(entry.reported));
        }
        sum
    }
}

impl Entry {
    fn change(&self, event: Event) -> Change {
        let dropped = self.flow.drops.as_ref().map(|drops| {
            let reported = self.reported_drops.as_ref();
            reported.map_or_else(|| drops.clone(), |reported| drops.since(reported))
        });
        Change {
            event,
            interval: self.flow.counters.since(self.reported),
            dropped,
            since: self.reported_at.max(self.flow.start),
            flow: self.flow.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::convert::tests::client;

    const PERIOD: Duration = Duration::from_secs(60);

    fn with_bytes(bytes_sent: u64) -> Flow {
        let mut flow = client();
        flow.counters.bytes_sent = bytes_sent;
        flow
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_intervals_of_a_flow_add_up_to_its_total() {
        let mut table = FlowTable::new(PERIOD);
        let mut sum = Counters::default();
        let start = table.seen(1, with_bytes(10), at(10)).unwrap();
        assert_eq!(start.event, Event::Start);
        sum.add(start.interval);
        assert!(table.seen(1, with_bytes(50), at(20)).is_none());
        assert_eq!(table.unreported().bytes_sent, 40);
        let update = table.seen(1, with_bytes(80), at(71)).unwrap();
        assert_eq!(update.event, Event::Update);
        sum.add(update.interval);
        let end = table.ended(&1, with_bytes(100));
        assert_eq!(end.event, Event::End);
        sum.add(end.interval);
        assert_eq!(sum.bytes_sent, 100);
        assert!(table.is_empty());
    }

    #[test]
    fn a_counter_that_was_read_too_low_does_not_fall() {
        let mut table = FlowTable::new(PERIOD);
        let mut sum = table.seen(1, with_bytes(50), at(10)).unwrap().interval;
        sum.add(table.seen(1, with_bytes(0), at(71)).unwrap().interval);
        sum.add(table.seen(1, with_bytes(60), at(140)).unwrap().interval);
        let end = table.ended(&1, with_bytes(60));
        sum.add(end.interval);
        assert_eq!((sum.bytes_sent, end.flow.counters.bytes_sent), (60, 60));
    }

    #[test]
    fn drops_are_told_once_as_well() {
        let with_drops = |packets| {
            let mut flow = client();
            let mut drops = Drops::default();
            drops.add(&"netfilter_drop".into(), packets, 0);
            flow.drops = Some(drops);
            flow
        };
        let sums = |change: Change| change.dropped.unwrap().sums().0;
        let mut table = FlowTable::new(PERIOD);
        assert_eq!(sums(table.seen(1, with_drops(2), at(10)).unwrap()), 2);
        assert!(table.seen(1, with_drops(3), at(20)).is_none());
        assert_eq!(sums(table.seen(1, with_drops(5), at(71)).unwrap()), 3);
        assert_eq!(sums(table.ended(&1, with_drops(6))), 1);
    }

    #[test]
    fn a_flow_that_was_too_short_to_be_read_is_reported_whole() {
        let mut table = FlowTable::<u64>::new(PERIOD);
        let end = table.ended(&1, with_bytes(100));
        assert_eq!(end.interval.bytes_sent, 100);
        assert_eq!(end.since, end.flow.start);
    }

    #[test]
    fn a_shutdown_ends_all_and_reports_the_rest() {
        let mut table = FlowTable::new(PERIOD);
        table.seen(1, with_bytes(10), at(10));
        table.seen(1, with_bytes(15), at(11));
        let ends = table.shut_down(at(12));
        assert_eq!(ends.len(), 1);
        assert_eq!(ends[0].interval.bytes_sent, 5);
        assert_eq!(ends[0].flow.end.unwrap().reason, EndReason::Shutdown);
    }
}
