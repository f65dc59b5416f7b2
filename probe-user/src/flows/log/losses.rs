//! Losses that no record has told of yet.

use std::{collections::BTreeMap, time::Duration};

use super::STREAM;
use crate::flows::record::{ByName, Loss};

/// Least time between two records of one kind.
const APART: Duration = Duration::from_secs(1);

/// What losses are merged by. All parts are names from the code, so there are few.
type Key = (&'static str, &'static str, &'static str, &'static str);

/// Counts by kind, and what follows from them for the next flow record.
#[derive(Debug, Default)]
pub(super) struct Losses {
    waiting: BTreeMap<Key, Loss>,
    written: BTreeMap<Key, Duration>,
    /// Since the last flow record, by stage.
    before: ByName<'static>,
    /// Counters of intervals that began before may lack something.
    incomplete_until: Option<Duration>,
}

impl Losses {
    pub(super) fn add(&mut self, loss: &Loss) {
        if loss.count == 0 {
            return;
        }
        if loss.stream == STREAM {
            *self.before.entry(loss.stage.into()).or_default() += loss.count;
            // A record that found no room makes the next one not wrong: totals count on.
            if loss.stage != "queue" {
                self.incomplete_until(loss.last);
            }
        }
        self.waiting
            .entry(key(loss))
            .and_modify(|waiting| {
                waiting.count = waiting.count.saturating_add(loss.count);
                waiting.exact &= loss.exact;
                waiting.first = waiting.first.min(loss.first);
                waiting.last = waiting.last.max(loss.last);
                waiting.cpu = waiting.cpu.filter(|cpu| Some(*cpu) == loss.cpu);
            })
            .or_insert_with(|| loss.clone());
    }

    /// Counters may lack something until then.
    pub(super) fn incomplete_until(&mut self, until: Duration) {
        self.incomplete_until = self.incomplete_until.max(Some(until));
    }

    /// Whether something was lost in an interval that began then and has just ended.
    pub(super) fn touch(&self, since: Duration) -> bool {
        self.incomplete_until.is_some_and(|until| until >= since)
    }

    /// A loss that a record may tell of now.
    pub(super) fn due(&self, at: Duration, all: bool) -> Option<Loss> {
        let due = |key: &Key| {
            let written = self.written.get(key);
            written.is_none_or(|written| at.saturating_sub(*written) >= APART)
        };
        self.waiting
            .iter()
            .find(|(key, _)| all || due(key))
            .map(|(_, loss)| loss.clone())
    }

    /// A record tells of it.
    pub(super) fn written(&mut self, loss: &Loss, at: Duration) {
        self.waiting.remove(&key(loss));
        self.written.insert(key(loss), at);
    }

    /// What the next flow record is to say.
    pub(super) fn take_before(&mut self) -> ByName<'static> {
        std::mem::take(&mut self.before)
    }

    /// It could not say it.
    pub(super) fn put_back(&mut self, before: ByName<'static>) {
        for (stage, count) in before {
            *self.before.entry(stage).or_default() += count;
        }
    }
}

fn key(loss: &Loss) -> Key {
    (loss.stream, loss.stage, loss.reason, loss.unit)
}
