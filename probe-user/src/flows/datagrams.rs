//! Flows of datagrams: what of each was reported, and what is still to be told.
//!
//! The kernel's table has all that is known of such a flow, so this keeps only what was told of it. There may be a million, all
//! of which are new, or due, in one reading: they are told one by one, by who asks.

use std::{collections::VecDeque, time::Duration};

use probe_common::flows::{FlowKey, FlowStats};
use rustc_hash::FxHashMap;

use super::{Change, Event};
use crate::model::{Counters, Drops, EndReason, Flow, IdleCapacity as _};

/// What was told of a flow.
struct Told {
    counters: Counters,
    /// Monotonic time; `None` before the first time.
    at: Option<Duration>,
}

/// A flow that is to be told.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Its key.
    pub key: FlowKey,
    /// What the reading had.
    pub stats: FlowStats,
    /// Why it ended, if it has.
    pub end: Option<EndReason>,
}

/// The flows that are known.
pub struct Datagrams {
    told: FxHashMap<FlowKey, Told>,
    /// Few flows have any.
    drops: FxHashMap<FlowKey, Drops>,
    due: VecDeque<Due>,
    unreported: Counters,
    period: Duration,
}

impl Datagrams {
    /// Knows none, and has each told once in `period`.
    pub fn new(period: Duration) -> Self {
        Self {
            told: FxHashMap::default(),
            drops: FxHashMap::default(),
            due: VecDeque::new(),
            unreported: Counters::default(),
            period,
        }
    }

    /// Begins a reading of all flows. What is due of the last one must have been told.
    pub fn begin(&mut self) {
        debug_assert!(self.due.is_empty());
        self.unreported = Counters::default();
        self.told.give_back();
        self.due.give_back();
        self.drops.give_back();
    }

    /// Takes the reading of a flow that goes on; answers whether it is due to be told.
    pub fn seen(&mut self, key: &FlowKey, stats: &FlowStats, now: Duration) -> bool {
        let told = self.enter(key, stats);
        let is_due = told
            .at
            .is_none_or(|at| now.saturating_sub(at) >= self.period);
        if is_due {
            self.due.push_back(Due {
                key: *key,
                stats: *stats,
                end: None,
            });
        }
        is_due
    }

    /// Takes the last reading of a flow.
    pub fn ended(&mut self, key: &FlowKey, stats: &FlowStats, reason: EndReason) {
        self.enter(key, stats);
        self.due.push_back(Due {
            key: *key,
            stats: *stats,
            end: Some(reason),
        });
    }

    fn enter(&mut self, key: &FlowKey, stats: &FlowStats) -> Told {
        let told = self.told.entry(*key).or_insert(Told {
            counters: Counters::default(),
            at: None,
        });
        self.unreported
            .add(Counters::from(stats).since(told.counters));
        Told { ..*told }
    }

    /// The next flow that is to be told, if there is one. Tell it by [`tell`](Self::tell).
    pub fn next_due(&mut self) -> Option<Due> {
        let due = self.due.pop_front();
        if due.is_none() {
            // A million flows at once are the exception.
            self.due.shrink_to_fit();
        }
        due
    }

    /// Makes a change of what is known of a flow that was due.
    pub fn tell(&mut self, key: &FlowKey, flow: Flow, now: Duration) -> Change {
        let is_over = flow.end.is_some();
        let told = self.told.get(key).and_then(|told| Some((told, told.at?)));
        let (event, interval, since) = match told {
            Some((told, at)) => {
                let event = if is_over { Event::End } else { Event::Update };
                (
                    event,
                    flow.counters.since(told.counters),
                    at.max(flow.start),
                )
            }
            None if is_over => (Event::End, flow.counters, flow.start),
            None => (Event::Start, flow.counters, flow.start),
        };
        self.unreported = self.unreported.since(interval);
        let dropped = self.tell_drops(key, &flow);
        if is_over {
            self.told.remove(key);
            self.drops.remove(key);
        } else {
            let counters = flow.counters;
            let at = Some(now);
            self.told.insert(*key, Told { counters, at });
        }
        Change {
            event,
            flow,
            interval,
            dropped,
            since,
        }
    }

    /// What was dropped since the last time.
    fn tell_drops(&mut self, key: &FlowKey, flow: &Flow) -> Option<Drops> {
        let drops = flow.drops.as_ref()?;
        if drops.is_empty() {
            return Some(Drops::default());
        }
        let earlier = self.drops.insert(*key, drops.clone());
        Some(earlier.map_or_else(|| drops.clone(), |earlier| drops.since(&earlier)))
    }

    /// Flows that are known.
    pub fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Whether some are still to be told.
    pub fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// What was exchanged until the last reading and not yet told.
    pub fn unreported(&self) -> Counters {
        self.unreported
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{flows::convert, model::FlowEnd};

    const PERIOD: Duration = Duration::from_secs(60);

    fn key() -> FlowKey {
        FlowKey {
            cookie: 7,
            local: [1; 16],
            remote: [2; 16],
            local_port: 40_000,
            remote_port: 53,
            protocol: 17,
            ip_version: 6,
            pad: 0,
        }
    }

    fn stats(bytes_sent: u64) -> FlowStats {
        FlowStats {
            bytes_sent,
            bytes_received: 0,
            packets_sent: 1,
            packets_received: 0,
            first_ns: 5_000_000_000,
            last_ns: 6_000_000_000,
            cgroup: 9,
            flags: 0,
            pad: 0,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn tell(flows: &mut Datagrams, now: Duration, drops: Option<Drops>) -> Change {
        let due = flows.next_due().unwrap();
        let mut flow = convert::datagrams(&due.key, &due.stats, 1);
        flow.drops = drops;
        flow.end = due.end.map(|reason| FlowEnd {
            reason,
            at: now,
            error: None,
        });
        flows.tell(&due.key, flow, now)
    }

    #[test]
    fn the_intervals_of_a_flow_add_up_to_its_total() {
        let mut flows = Datagrams::new(PERIOD);
        let mut sum = Counters::default();
        assert!(flows.seen(&key(), &stats(10), at(10)));
        assert_eq!(flows.unreported().bytes_sent, 10);
        let start = tell(&mut flows, at(11), None);
        assert_eq!((start.event, start.since), (Event::Start, at(5)));
        sum.add(start.interval);
        flows.begin();
        assert!(!flows.seen(&key(), &stats(50), at(20)));
        assert!(!flows.has_due());
        assert_eq!(flows.unreported().bytes_sent, 40);
        flows.begin();
        assert!(flows.seen(&key(), &stats(80), at(71)));
        let update = tell(&mut flows, at(71), None);
        assert_eq!((update.event, update.since), (Event::Update, at(11)));
        sum.add(update.interval);
        assert!(flows.unreported().is_zero());
        flows.begin();
        flows.ended(&key(), &stats(100), EndReason::Idle);
        let end = tell(&mut flows, at(80), None);
        assert_eq!((end.event, end.since), (Event::End, at(71)));
        sum.add(end.interval);
        assert_eq!(sum.bytes_sent, 100);
        assert!(flows.is_empty() && flows.unreported().is_zero());
    }

    #[test]
    fn drops_are_told_once() {
        let drops = |packets| {
            let mut drops = Drops::default();
            drops.add(&"netfilter_drop".into(), packets, 0);
            Some(drops)
        };
        let mut flows = Datagrams::new(PERIOD);
        let mut sums = Vec::new();
        for (seconds, packets) in [(10, 0), (71, 2), (132, 5), (193, 5)] {
            flows.begin();
            flows.seen(&key(), &stats(10), at(seconds));
            let change = tell(&mut flows, at(seconds), drops(packets));
            sums.push(change.dropped.unwrap().sums().0);
        }
        assert_eq!(sums, [0, 2, 3, 0]);
    }

    #[test]
    fn a_flow_that_ended_before_it_was_told_is_told_whole() {
        let mut flows = Datagrams::new(PERIOD);
        flows.ended(&key(), &stats(100), EndReason::Evicted);
        let end = tell(&mut flows, at(10), None);
        assert_eq!((end.event, end.interval.bytes_sent), (Event::End, 100));
        assert_eq!(end.since, end.flow.start);
        assert_eq!(flows.len(), 0);
    }
}
