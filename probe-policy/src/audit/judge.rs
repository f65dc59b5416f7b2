//! Judges a connection by what was in force when it began.

use std::time::Duration;

use super::{Assessment, Change, Outcome, Snapshot};
use crate::{
    engine::{Connection, Engine},
    verdict::{Caveat, Reason, Side, Verdict, Word},
};

/// A connection that was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What became of it.
    pub outcome: Outcome,
    /// Monotonic time of its beginning.
    pub started: Duration,
    /// Whether its beginning was before anybody watched, so that the time is not known.
    pub taken_over: bool,
    /// Whether it is known who began.
    pub has_initiator: bool,
}

/// What is said of it.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// What was in force.
    pub snapshot: &'a Snapshot,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict with policies that are not in force yet.
    pub pending: Option<Verdict>,
    /// What became of the connection.
    pub outcome: Outcome,
    /// What both come to.
    pub assessment: Assessment,
    /// What the verdict would be by what is in force by now, if that is another word.
    pub would_now: Option<Word>,
    /// Caveats of the time; the verdict has its own.
    pub caveats: Vec<Caveat>,
}

impl Snapshot {
    /// Judges a connection. What it is depends on the cluster: `connection` makes it for a state of that. Pods of pending
    /// policies must be those of the policies in force.
    ///
    /// A change of policies needs `grace` to be in force everywhere.
    pub fn judge(
        &self,
        seen: &Seen,
        grace: Duration,
        connection: impl Fn(&Self) -> Connection,
    ) -> Judged<'_> {
        let by = |engine: &Engine, connection: &Connection| {
            let verdict = engine.judge(connection);
            if seen.has_initiator {
                verdict
            } else {
                guessed(&verdict)
            }
        };
        let of = |snapshot: &Self| by(&snapshot.engine, &connection(snapshot));
        let now = connection(self);
        let current = by(&self.engine, &now);
        let previous = self.previous.as_deref();
        let mut caveats = Vec::new();
        let (snapshot, verdict, is_settled) = match previous {
            // It began before this was in force, and it is known what was.
            Some(previous) if seen.started < self.since && !seen.taken_over => {
                caveats.push(Caveat::PolicyChangedSinceStart);
                let verdict = of(previous);
                (previous, verdict, previous.has_settled(seen, grace))
            }
            Some(previous) if !self.has_settled(seen, grace) => {
                let is_same = of(previous).combined.allows() == current.combined.allows();
                if !is_same {
                    caveats.push(Caveat::WithinGrace);
                }
                (self, current.clone(), is_same && !seen.taken_over)
            }
            _ => {
                let is_older = seen.taken_over || seen.started < self.since;
                if is_older {
                    caveats.push(Caveat::StartedBeforePolicies);
                }
                (self, current.clone(), !is_older)
            }
        };
        let assessment = Assessment::of(verdict.combined, seen.outcome);
        let pending = self.pending.as_ref();
        Judged {
            snapshot,
            pending: pending.map(|pending| by(pending, &now)),
            outcome: seen.outcome,
            assessment: if is_settled {
                assessment
            } else {
                assessment.unsettled()
            },
            would_now: (current.combined != verdict.combined).then_some(current.combined),
            verdict,
            caveats,
        }
    }

    /// Whether it was in force for long enough when a connection began. The first one was not changed, as far as is known.
    fn has_settled(&self, seen: &Seen, grace: Duration) -> bool {
        let from = if self.generation == 1 {
            self.since
        } else {
            self.since + grace
        };
        seen.started >= from
    }

    /// The word that a connection which goes on has by now, if it was another one.
    pub fn would_now(&self, was: Word, connection: &Connection) -> Option<Word> {
        let word = self.engine.judge(connection).combined;
        (word != was).then_some(word)
    }
}

impl Judged<'_> {
    /// What policies that are not in force yet would change.
    pub fn change(&self) -> Option<Change> {
        let pending = self.pending.as_ref()?;
        Some(Change::between(self.verdict.combined, pending.combined))
    }
}

/// Who began is a guess: nothing is certain, but what the rules say is told.
fn guessed(verdict: &Verdict) -> Verdict {
    let side = |side: &Side| Side {
        lean: Some(side.lean.unwrap_or(side.word)),
        ..Side::because(Word::Unknown, Reason::GuessedInitiator)
    };
    Verdict::new(side(&verdict.egress), side(&verdict.ingress))
}

#[cfg(test)]
mod tests;
