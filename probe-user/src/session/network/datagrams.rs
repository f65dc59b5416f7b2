//! Reads the table of datagrams and tells what changed.

use std::time::Duration;

use probe_common::flows::FlowKey;

use super::{FlowEvent, FlowFollower, UNSURE};
use crate::{
    flows::{Due, convert},
    maps::MapError,
    model::{EndReason, Flow, FlowEnd},
    probes::FlowsReader,
};

/// Flows that are told at once, so that who takes them is never flooded.
const TOLD: usize = 4096;

impl FlowFollower {
    /// Reads the table; what is to be told is told later. Flows that were idle for too long, and some of a table that becomes
    /// full, are taken out of it.
    pub(super) fn sweep_datagrams(&mut self, now: Duration) -> Result<(), MapError> {
        let Some(reader) = &self.flows else {
            return Ok(());
        };
        self.datagrams.begin();
        let idle_since = now.saturating_sub(self.settings.idle);
        let mut idle = Vec::new();
        let mut ages = Vec::new();
        reader.each_flow(|key, stats| {
            if Duration::from_nanos(stats.last_ns) <= idle_since {
                idle.push(*key);
                return;
            }
            ages.push(stats.last_ns);
            if self.datagrams.seen(key, stats, now) {
                self.ends.enter(&convert::datagrams(key, stats, 1));
            } else if let Some((_, known)) = &mut self.drops
                && !known.is_empty()
            {
                // Until it is told, what was dropped of it is not to be forgotten.
                let mut flow = convert::datagrams(key, stats, 1);
                let is_peer_here = self.ends.peer(&flow).is_some();
                known.charge(&mut flow, is_peer_here, now);
            }
        })?;
        let evict = evictions(ages.len() + idle.len(), reader.capacity() as usize);
        let evict = evict.saturating_sub(idle.len());
        self.take_datagrams(&idle, EndReason::Idle)?;
        if evict > 0 {
            self.evict(&mut ages, evict)?;
        }
        Ok(())
    }

    /// Takes the flows out of the table that were idle for longest.
    fn evict(&mut self, ages: &mut [u64], count: usize) -> Result<(), MapError> {
        let Some(reader) = &self.flows else {
            return Ok(());
        };
        let last = count.min(ages.len()) - 1;
        let (_, newest, _) = ages.select_nth_unstable(last);
        let mut victims = Vec::with_capacity(count);
        reader.each_flow(|key, stats| {
            if stats.last_ns <= *newest && victims.len() < count {
                victims.push(*key);
            }
        })?;
        self.counts.evicted += self.take_datagrams(&victims, EndReason::Evicted)?;
        Ok(())
    }

    /// Takes flows out of the table; answers how many were there. The last counters come with the removal: what was added
    /// since the reading is in them.
    fn take_datagrams(&mut self, keys: &[FlowKey], reason: EndReason) -> Result<u64, MapError> {
        let mut taken = 0;
        for key in keys {
            let Some(reader) = &self.flows else { break };
            if let Some(last) = reader.take(key)? {
                taken += 1;
                self.datagrams.ended(key, &last, reason);
            }
        }
        Ok(taken)
    }

    /// Reads the table for the last time: every flow ends with the probe.
    pub(super) fn end_datagrams(&mut self) -> Result<(), MapError> {
        if let Some(reader) = &self.flows {
            self.datagrams.begin();
            reader.each_flow(|key, stats| {
                self.ends.enter(&convert::datagrams(key, stats, 1));
                self.datagrams.ended(key, stats, EndReason::Shutdown);
            })?;
        }
        Ok(())
    }

    /// Tells some of what is due, or all of it.
    pub(super) fn tell_datagrams(&mut self, now: Duration, all: bool, events: &mut Vec<FlowEvent>) {
        let mut told = 0;
        while (all || told < TOLD)
            && let Some(due) = self.datagrams.next_due()
        {
            told += 1;
            let mut flow = self.datagrams_of(&due, now);
            self.charge(&mut flow, now);
            if flow.end.is_some() {
                self.ends.leave(&flow, now);
            }
            let change = self.datagrams.tell(&due.key, flow, now);
            self.tell(change, events);
        }
    }

    fn datagrams_of(&self, due: &Due, now: Duration) -> Flow {
        let sampling = self.flows.as_ref().map_or(1, FlowsReader::sampling);
        let mut flow = convert::datagrams(&due.key, &due.stats, sampling);
        flow.guessed = flow.start.saturating_sub(self.began) < UNSURE;
        flow.end = due.end.map(|reason| FlowEnd {
            reason,
            at: now,
            error: None,
        });
        flow
    }
}

/// How many flows to put out of a table: none until it is nine tenths full, then down to eight.
fn evictions(known: usize, capacity: usize) -> usize {
    if known * 10 >= capacity * 9 {
        known - capacity * 8 / 10
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::evictions;

    #[test]
    fn a_table_is_emptied_before_it_is_full() {
        assert_eq!(evictions(0, 100), 0);
        assert_eq!(evictions(89, 100), 0);
        assert_eq!(evictions(90, 100), 10);
        assert_eq!(evictions(100, 100), 20);
    }
}
