//! Which questions to ask when.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

/// First pause before a question is asked again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// Stands for a question until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// Open questions, ordered by when to ask and when to give up.
#[derive(Debug, Default)]
pub(super) struct Asking {
    open: FxHashMap<Ticket, Open>,
    due: BTreeSet<(Instant, Ticket)>,
    deadlines: BTreeSet<(Instant, Ticket)>,
}

#[derive(Debug)]
struct Open {
    /// When to ask next; `None` while somebody asks.
    next: Option<Instant>,
    deadline: Instant,
    pause: Duration,
    /// What came of it so far.
    reason: Option<&'static str>,
}

impl Asking {
    /// Opens a question that is due at once.
    pub(super) fn start(&mut self, ticket: Ticket, now: Instant, deadline: Instant) {
        let open = Open {
            next: Some(now),
            deadline,
            pause: FIRST_PAUSE,
            reason: None,
        };
        self.open.insert(ticket, open);
        self.due.insert((now, ticket));
        self.deadlines.insert((deadline, ticket));
    }

    /// Takes at most `max` questions that are due.
    pub(super) fn take_due(&mut self, now: Instant, max: usize) -> Vec<Ticket> {
        let due: Vec<_> = self
            .due
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(max)
            .copied()
            .collect();
        for (at, ticket) in &due {
            self.due.remove(&(*at, *ticket));
            if let Some(open) = self.open.get_mut(ticket) {
                open.next = None;
            }
        }
        due.into_iter().map(|(_, ticket)| ticket).collect()
    }

    /// Puts a question back that got no answer, to be asked again after a pause.
    pub(super) fn again(&mut self, ticket: Ticket, reason: &'static str, now: Instant) {
        let Some(open) = self
            .open
            .get_mut(&ticket)
            .filter(|open| open.next.is_none())
        else {
            return;
        };
        let next = now + open.pause;
        open.pause = (open.pause * 2).min(LONGEST_PAUSE);
        open.reason = Some(reason);
        open.next = Some(next);
        self.due.insert((next, ticket));
    }

    /// Closes a question. Says whether it was open.
    pub(super) fn stop(&mut self, ticket: Ticket) -> bool {
        let Some(open) = self.open.remove(&ticket) else {
            return false;
        };
        self.deadlines.remove(&(open.deadline, ticket));
        if let Some(next) = open.next {
            self.due.remove(&(next, ticket));
        }
        true
    }

    /// Gives all open questions until this time.
    pub(super) fn postpone(&mut self, deadline: Instant) {
        self.deadlines.clear();
        for (ticket, open) in &mut self.open {
            open.deadline = deadline;
            self.deadlines.insert((deadline, *ticket));
        }
    }

    /// Whether a question is open.
    pub(super) fn is_open(&self, ticket: Ticket) -> bool {
        self.open.contains_key(&ticket)
    }

    /// A question past its deadline, and the last reason why it has no answer.
    pub(super) fn overdue(&self, now: Instant) -> Option<(Ticket, Option<&'static str>)> {
        let (_, ticket) = self
            .deadlines
            .first()
            .filter(|(deadline, _)| *deadline <= now)?;
        Some((*ticket, self.open.get(ticket).and_then(|open| open.reason)))
    }

    /// When something is to be asked or given up.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = self.due.first().map(|(at, _)| *at);
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        due.into_iter().chain(deadline).min()
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}
