//! Reports that wait for the names of both ends.

use std::{
    collections::VecDeque,
    iter,
    time::{Duration, Instant},
};

use probe_common::id::CgroupId;
use rustc_hash::FxHashSet;

use crate::{
    flows::Event,
    kernel::clock::monotonic,
    limits,
    model::IdleCapacity as _,
    session::{FlowReport, Units},
};

/// Reports that wait until the owners of both ends have their names. They keep their order, so what is behind one that waits
/// waits too.
pub(super) struct Held {
    patience: Duration,
    queue: VecDeque<Waiting>,
    /// What these have of both sides of the sum.
    pub(super) units: Units,
    /// Owners that were waited for in vain; nobody waits for them again.
    vain: FxHashSet<CgroupId>,
}

pub(super) struct Waiting {
    pub(super) report: Box<FlowReport>,
    /// Monotonic time of the report.
    pub(super) at: Duration,
    since: Instant,
}

impl Held {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            queue: VecDeque::new(),
            units: Units::default(),
            vain: FxHashSet::default(),
        }
    }

    pub(super) fn push(&mut self, report: Box<FlowReport>, since: Instant) {
        self.units.add(report.units());
        let end = report.flow.end.filter(|_| report.event == Event::End);
        let at = end.map_or_else(monotonic, |end| end.at);
        self.queue.push_back(Waiting { report, at, since });
    }

    /// The next one that may be written. With `all`, and where too many wait, it is the next one at all.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        all: bool,
        named: impl Fn(CgroupId) -> bool,
    ) -> Option<Waiting> {
        let first = self.queue.front()?;
        let owners =
            iter::once(first.report.flow.cgroup).chain(first.report.peer.map(|peer| peer.cgroup));
        let strangers: Vec<_> = owners
            .filter(|owner| !self.vain.contains(owner) && !named(*owner))
            .collect();
        let is_late = now.duration_since(first.since) >= self.patience;
        let ready = all || self.queue.len() > limits::HELD_FLOWS || is_late || strangers.is_empty();
        if is_late {
            if self.vain.len() >= limits::HELD_FLOWS {
                self.vain.clear();
            }
            self.vain.extend(strangers);
        }
        let next = ready.then(|| self.queue.pop_front())??;
        self.queue.give_back();
        self.units.remove(next.report.units());
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::traffic::tests::report;

    #[test]
    fn reports_wait_for_names_in_their_order_and_not_for_ever() {
        let start = Instant::now();
        let patience = Duration::from_secs(3);
        let mut held = Held::new(patience);
        for (id, cgroup) in [(1, 7), (2, 8), (3, 7)] {
            let report = report(Event::Start, id, cgroup, None, 2);
            held.push(Box::new(report), start);
        }
        assert_eq!(held.units.packets, 9);
        let known = |cgroup| cgroup == CgroupId(7);
        let mut next = |now, all| held.pop(now, all, known).map(|next| next.report.flow.id);
        assert_eq!(next(start, false), Some(1));
        assert_eq!(next(start, false), None);
        assert_eq!(next(start + patience, false), Some(2));
        assert_eq!(next(start, true), Some(3));
        assert_eq!(held.units.packets, 0);
        // Once waited for in vain is enough.
        let report = report(Event::Update, 2, 8, None, 2);
        held.push(Box::new(report), start);
        assert!(held.pop(start, false, known).is_some());
    }

    #[test]
    fn a_report_waits_for_the_name_of_its_peer_as_well() {
        let now = Instant::now();
        let mut held = Held::new(Duration::from_secs(3));
        let report = report(Event::Start, 1, 7, Some(8), 2);
        held.push(Box::new(report), now);
        let known = |cgroup| cgroup == CgroupId(7);
        assert!(held.pop(now, false, known).is_none());
        assert!(held.pop(now, false, |_| true).is_some());
    }
}
