//! Which questions to ask when.
//!
//! A question is fresh until its deadline: it is asked again quickly, and its container waits for the name. After that it is late:
//! the container goes on without a name, and the question is asked again with long pauses.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use crate::model::NoName;

/// First pause before a fresh question is asked again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause of a fresh question.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
/// First pause of a late question; it doubles.
const FIRST_LATE_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause of a late question whose runtime does not respond.
const LONGEST_LATE_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause of a late question that the runtimes responded to, without a name.
const LONGEST_UNKNOWN_PAUSE: Duration = Duration::from_secs(300);
/// Late questions that are handed out together. Fresh ones come first.
const LATE_AT_ONCE: usize = 32;

/// Stands for a question until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// Open questions, ordered by when to ask and when to give up.
#[derive(Debug, Default)]
pub(super) struct Asking {
    open: FxHashMap<Ticket, Open>,
    due: BTreeSet<(Instant, Ticket)>,
    late_due: BTreeSet<(Instant, Ticket)>,
    deadlines: BTreeSet<(Instant, Ticket)>,
}

#[derive(Debug)]
struct Open {
    /// When to ask next; `None` while somebody asks.
    next: Option<Instant>,
    /// `None` for a late question.
    deadline: Option<Instant>,
    pause: Duration,
    /// What came of it so far.
    reason: Option<NoName>,
}

impl Asking {
    /// Opens a question that is due at once.
    pub(super) fn start(&mut self, ticket: Ticket, now: Instant, deadline: Instant) {
        let open = Open {
            next: Some(now),
            deadline: Some(deadline),
            pause: FIRST_PAUSE,
            reason: None,
        };
        self.open.insert(ticket, open);
        self.due.insert((now, ticket));
        self.deadlines.insert((deadline, ticket));
    }

    /// Takes at most `max` questions that are due, fresh ones first.
    pub(super) fn take_due(&mut self, now: Instant, max: usize) -> Vec<Ticket> {
        let mut taken = take(&mut self.due, now, max);
        let rest = (max - taken.len()).min(LATE_AT_ONCE);
        taken.extend(take(&mut self.late_due, now, rest));
        for ticket in &taken {
            if let Some(open) = self.open.get_mut(ticket) {
                open.next = None;
            }
        }
        taken
    }

    /// Puts a question back that got no answer, to be asked again after a pause.
    pub(super) fn again(&mut self, ticket: Ticket, reason: NoName, now: Instant) {
        let Some(open) = self
            .open
            .get_mut(&ticket)
            .filter(|open| open.next.is_none())
        else {
            return;
        };
        open.reason = Some(reason);
        if open.deadline.is_some() {
            let next = now + open.pause;
            open.pause = (open.pause * 2).min(LONGEST_PAUSE);
            open.next = Some(next);
            self.due.insert((next, ticket));
        } else {
            let longest = match reason {
                NoName::NotFound | NoName::NotConfigured => LONGEST_UNKNOWN_PAUSE,
                _ => LONGEST_LATE_PAUSE,
            };
            let next = now + jittered(open.pause.min(longest), ticket);
            open.pause = (open.pause * 2).min(longest);
            open.next = Some(next);
            self.late_due.insert((next, ticket));
        }
    }

    /// Takes the deadline from a question. Says whether it had one.
    pub(super) fn make_late(&mut self, ticket: Ticket) -> bool {
        let Some(open) = self.open.get_mut(&ticket) else {
            return false;
        };
        let Some(deadline) = open.deadline.take() else {
            return false;
        };
        self.deadlines.remove(&(deadline, ticket));
        open.pause = FIRST_LATE_PAUSE;
        if let Some(next) = open.next {
            self.due.remove(&(next, ticket));
            self.late_due.insert((next, ticket));
        }
        true
    }

    /// Has all late questions that nobody asks at the moment asked at once.
    pub(super) fn hurry_late(&mut self, now: Instant) {
        for (_, ticket) in std::mem::take(&mut self.late_due) {
            if let Some(open) = self.open.get_mut(&ticket) {
                open.next = Some(now);
                open.pause = FIRST_LATE_PAUSE;
                self.late_due.insert((now, ticket));
            }
        }
    }

    /// Closes a question. Says whether it was open.
    pub(super) fn stop(&mut self, ticket: Ticket) -> bool {
        let Some(open) = self.open.remove(&ticket) else {
            return false;
        };
        if let Some(deadline) = open.deadline {
            self.deadlines.remove(&(deadline, ticket));
        }
        if let Some(next) = open.next {
            self.due.remove(&(next, ticket));
            self.late_due.remove(&(next, ticket));
        }
        true
    }

    /// Closes a question that is late.
    pub(super) fn stop_late(&mut self, ticket: Ticket) {
        if self.is_late(ticket) {
            self.stop(ticket);
        }
    }

    /// Gives all fresh questions until this time.
    pub(super) fn postpone(&mut self, deadline: Instant) {
        self.deadlines.clear();
        for (ticket, open) in &mut self.open {
            if open.deadline.is_some() {
                open.deadline = Some(deadline);
                self.deadlines.insert((deadline, *ticket));
            }
        }
    }

    /// Whether a question is open.
    pub(super) fn is_open(&self, ticket: Ticket) -> bool {
        self.open.contains_key(&ticket)
    }

    /// Whether a question is open and has passed its deadline.
    pub(super) fn is_late(&self, ticket: Ticket) -> bool {
        let open = self.open.get(&ticket);
        open.is_some_and(|open| open.deadline.is_none())
    }

    /// A question past its deadline, and the last reason why it has no answer.
    pub(super) fn overdue(&self, now: Instant) -> Option<(Ticket, Option<NoName>)> {
        let (_, ticket) = self
            .deadlines
            .first()
            .filter(|(deadline, _)| *deadline <= now)?;
        Some((*ticket, self.open.get(ticket).and_then(|open| open.reason)))
    }

    /// When something is to be asked or given up.
    pub(super) fn next(&self) -> Option<Instant> {
        let sets = [&self.due, &self.late_due, &self.deadlines];
        sets.iter()
            .filter_map(|set| set.first().map(|(at, _)| *at))
            .min()
    }

    /// Fresh questions.
    pub(super) fn fresh(&self) -> usize {
        self.deadlines.len()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}

/// Takes what is due out of a set, at most `max`.
fn take(set: &mut BTreeSet<(Instant, Ticket)>, now: Instant, max: usize) -> Vec<Ticket> {
    let mut taken = Vec::new();
    while taken.len() < max
        && let Some((_, ticket)) = set.first().filter(|(at, _)| *at <= now).copied()
    {
        set.pop_first();
        taken.push(ticket);
    }
    taken
}

/// A pause between three and five quarters of the given one: containers that lost their runtime together do not query it
/// together for ever.
fn jittered(pause: Duration, ticket: Ticket) -> Duration {
    // Fibonacci hashing spreads consecutive numbers over all values.
    let spread = ticket.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    pause * 3 / 4 + pause / 2 * u32::try_from(spread).unwrap_or(0) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_questions_are_asked_with_growing_pauses_that_differ() {
        let (mut asking, start) = (Asking::default(), Instant::now());
        for ticket in (0..8).map(Ticket) {
            asking.start(ticket, start, start);
            asking.take_due(start, 1);
            asking.make_late(ticket);
            asking.again(ticket, NoName::Unreachable, start);
        }
        let due: BTreeSet<Instant> = asking.late_due.iter().map(|(at, _)| *at).collect();
        assert!(due.len() > 4, "{due:?}");
        let (mut asked, mut now) = (0, start);
        while now < start + Duration::from_secs(600) {
            now = asking.next().unwrap();
            for ticket in asking.take_due(now, 100) {
                asked += 1;
                asking.again(ticket, NoName::Unreachable, now);
            }
        }
        // At 1, 3, 7, 15, 31 s and every 30 s from then on.
        assert!((8 * 18..8 * 32).contains(&asked), "asked {asked} times");
    }

    #[test]
    fn fresh_questions_are_handed_out_before_late_ones() {
        let (mut asking, start) = (Asking::default(), Instant::now());
        for ticket in (0..100).map(Ticket) {
            asking.start(ticket, start, start);
            asking.make_late(ticket);
        }
        let fresh = Ticket(100);
        asking.start(fresh, start, start + LONGEST_PAUSE);
        let taken = asking.take_due(start, 200);
        assert_eq!((taken[0], taken.len()), (fresh, 1 + LATE_AT_ONCE));
        assert_eq!(asking.fresh(), 1);
    }

    #[test]
    fn late_questions_can_be_hurried() {
        let (mut asking, start) = (Asking::default(), Instant::now());
        asking.start(Ticket(1), start, start);
        asking.take_due(start, 1);
        asking.make_late(Ticket(1));
        asking.again(Ticket(1), NoName::NotRunning, start);
        assert!(asking.take_due(start, 1).is_empty());
        asking.hurry_late(start);
        assert_eq!(asking.take_due(start, 1), [Ticket(1)]);
    }
}
