//! Reports of flows that wait for the answer of connection tracking.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use lru::LruCache;
use rustc_hash::{FxBuildHasher, FxHashSet};

use super::{Gone, Key, Question, Translator};
use crate::{
    flows::{Ends, Event},
    kernel::conntrack::Tracked,
    limits,
    model::{IdleCapacity as _, Transport, Tuple},
    session::{FlowEvent, FlowReport, Units},
};

/// How long a report waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// What became of questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TranslationCounts {
    /// Addresses are translated.
    pub translated: u64,
    /// Connection tracking has an entry, which translates nothing.
    pub untranslated: u64,
    /// It has none.
    pub absent: u64,
    /// It could not be asked.
    pub failed: u64,
    /// The record could not wait for the answer.
    pub late: u64,
    /// Not asked, because too many were.
    pub over_budget: u64,
}

/// Holds reports back, in their order, until it is known what is behind their addresses.
pub(in crate::session) struct Translations {
    /// `None` once the thread has ended.
    translator: Option<Translator>,
    /// What is known of flows that go on.
    known: LruCache<Key, Option<Tuple>, FxBuildHasher>,
    asked: FxHashSet<Key>,
    waiting: VecDeque<(Instant, Box<FlowReport>)>,
    /// What these have.
    units: Units,
    budget: Budget,
    counts: TranslationCounts,
}

impl Translations {
    pub(in crate::session) fn new(translator: Translator) -> Self {
        let room = NonZeroUsize::new(limits::TRANSLATIONS).unwrap_or(NonZeroUsize::MIN);
        Self {
            translator: Some(translator),
            known: LruCache::with_hasher(room, FxBuildHasher),
            asked: FxHashSet::default(),
            waiting: VecDeque::new(),
            units: Units::default(),
            budget: Budget::new(limits::TRANSLATIONS_PER_SECOND),
            counts: TranslationCounts::default(),
        }
    }

    /// Takes a report, and asks for it where its other end is not known.
    pub(in crate::session) fn push(&mut self, report: Box<FlowReport>) {
        let now = Instant::now();
        if self.wants(&report) {
            self.ask(&report, now);
        }
        self.units.add(report.units());
        self.waiting.push_back((now + PATIENCE, report));
    }

    /// Passes on what need not wait any more.
    pub(in crate::session) fn release(&mut self, ends: &Ends, events: &mut Vec<FlowEvent>) {
        while let Some(answer) = self.next_answer(Duration::ZERO) {
            self.take(answer);
        }
        let now = Instant::now();
        while let Some((due, report)) = self.waiting.front() {
            let key = Key::from(&report.flow);
            if self.asked.contains(&key) {
                if now < *due {
                    break;
                }
                self.asked.remove(&key);
                self.counts.late += 1;
            }
            if let Some((_, report)) = self.waiting.pop_front() {
                self.units.remove(report.units());
                events.push(FlowEvent::Flow(self.completed(report, &key, ends)));
            }
        }
        self.waiting.give_back();
    }

    /// Passes everything on, at most as much later as a report may wait.
    pub(in crate::session) fn finish(&mut self, ends: &Ends, events: &mut Vec<FlowEvent>) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.release(ends, events);
            if self.waiting.is_empty() {
                break;
            }
            let rest = until.saturating_duration_since(Instant::now());
            if let Some(answer) = self.next_answer(rest.max(Duration::from_millis(1))) {
                self.take(answer);
            }
        }
    }

    /// What reports that wait have.
    pub(in crate::session) fn units(&self) -> Units {
        self.units
    }

    pub(in crate::session) fn counts(&self) -> TranslationCounts {
        self.counts
    }

    fn wants(&mut self, report: &FlowReport) -> bool {
        let transport = report.flow.tuple.transport;
        let key = Key::from(&report.flow);
        // Where both ends are known there is nothing to find. An attempt to connect shows its port at its end.
        if report.peer.is_some()
            || report.flow.tuple.local_port == 0
            || !transport.has_ports()
            || self.asked.contains(&key)
        {
            return false;
        }
        // What is behind the address of a connection stays; with datagrams it can become another.
        let is_known = self.known.contains(&key);
        !is_known || (transport != Transport::TCP && report.event != Event::End)
    }

    fn ask(&mut self, report: &FlowReport, now: Instant) {
        let Some(translator) = &self.translator else {
            return;
        };
        let key = Key::from(&report.flow);
        let question = Question {
            key,
            netns: report.flow.netns,
        };
        let has_room = self.asked.len() < limits::TRANSLATIONS_ASKED && self.budget.take(now);
        match has_room.then(|| translator.ask(question)) {
            Some(Ok(true)) => {
                self.asked.insert(key);
            }
            Some(Ok(false)) | None => self.counts.over_budget += 1,
            Some(Err(gone)) => self.give_up(gone),
        }
    }

    fn next_answer(&mut self, within: Duration) -> Option<(Key, Option<Tracked>)> {
        match self.translator.as_ref()?.answer(within) {
            Ok(answer) => answer,
            Err(gone) => {
                self.give_up(gone);
                None
            }
        }
    }

    /// The thread has said why.
    fn give_up(&mut self, Gone: Gone) {
        self.translator = None;
        self.counts.failed += self.asked.len() as u64;
        self.asked.clear();
    }

    fn take(&mut self, (key, tracked): (Key, Option<Tracked>)) {
        if !self.asked.remove(&key) {
            return;
        }
        match tracked {
            Some(Tracked::As(tuple)) => {
                self.counts.translated += 1;
                self.known.put(key, Some(tuple));
            }
            Some(Tracked::AsItIs) => {
                self.counts.untranslated += 1;
                self.known.put(key, None);
            }
            Some(Tracked::Absent) => {
                self.counts.absent += 1;
                // An entry may end before its flow does.
                self.known.get_or_insert(key, || None);
            }
            None => self.counts.failed += 1,
        }
    }

    /// The report with what is known of the addresses behind it.
    fn completed(
        &mut self,
        mut report: Box<FlowReport>,
        key: &Key,
        ends: &Ends,
    ) -> Box<FlowReport> {
        let known = if report.event == Event::End {
            self.known.pop(key)
        } else {
            self.known.get(key).copied()
        };
        if let Some(Some(nat)) = known
            && report.peer.is_none()
        {
            report.nat = Some(nat);
            report.peer = ends.peer_behind(&report.flow, nat);
        }
        report
    }
}

/// So many in a second, and no more.
struct Budget {
    per_second: u32,
    left: u32,
    since: Option<Instant>,
}

impl Budget {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            left: per_second,
            since: None,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let over = |since| now.duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(over) {
            self.since = Some(now);
            self.left = self.per_second;
        }
        let has = self.left > 0;
        self.left -= u32::from(has);
        has
    }
}

#[cfg(test)]
mod tests;
