//! Judges a connection by what was in force when it began.

use std::time::Duration;

use super::{Assessment, Change, Outcome, Policies, Snapshot};
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

impl Policies {
    /// Judges a connection by what was in force when it began. What the connection is depends on the cluster: `connection` makes
    /// it for a state of that. Pods of pending policies must be those of the policies in force.
    ///
    /// A change of policies needs `grace` to be in force everywhere.
    pub fn judge(
        &self,
        seen: &Seen,
        grace: Duration,
        connection: impl Fn(&Snapshot) -> Connection,
    ) -> Judged<'_> {
        let by = |engine: &Engine, connection: &Connection| {
            let verdict = engine.judge(connection);
            if seen.has_initiator {
                verdict
            } else {
                guessed(&verdict)
            }
        };
        let of = |snapshot: &Snapshot| by(&snapshot.engine, &connection(snapshot));
        let current = &**self.current();
        let in_current = connection(current);
        let now = by(&current.engine, &in_current);
        let mut caveats = Vec::new();
        let in_force = self.states().find(|state| state.since <= seen.started);
        let (snapshot, verdict, is_settled) = match (in_force, seen.taken_over) {
            (Some(state), false) => {
                let verdict = if state.generation == current.generation {
                    now.clone()
                } else {
                    of(state)
                };
                let agrees = self.agrees_before(seen.started, grace, &verdict, of);
                if !agrees {
                    caveats.push(Caveat::WithinGrace);
                }
                (state, verdict, agrees)
            }
            // It began before anything that is remembered. Where policies are the same since, and pods that came and went meanwhile
            // made no difference, it is as if that were remembered.
            (None, false) if current.same_policies_since + grace <= seen.started => {
                let agrees = self.agrees_before(seen.started, grace, &now, of);
                if !agrees {
                    caveats.push(Caveat::WithinGrace);
                }
                (current, now.clone(), agrees)
            }
            _ => {
                caveats.push(Caveat::StartedBeforePolicies);
                (current, now.clone(), false)
            }
        };
        let assessment = Assessment::of(verdict.combined, seen.outcome);
        let would_now = (now.combined != verdict.combined).then_some(now.combined);
        if would_now.is_some() {
            caveats.insert(0, Caveat::PolicyChangedSinceStart);
        }
        let pending = current.pending.as_ref();
        Judged {
            snapshot,
            pending: pending.map(|pending| by(pending, &in_current)),
            outcome: seen.outcome,
            assessment: if is_settled {
                assessment
            } else {
                assessment.unsettled()
            },
            would_now,
            verdict,
            caveats,
        }
    }

    /// Whether all that may have been in force when a connection began would have said the same of it: the states since then are
    /// not asked, those of the time before are, as far as `grace` reaches back. Before the very first one there was none.
    fn agrees_before(
        &self,
        started: Duration,
        grace: Duration,
        verdict: &Verdict,
        of: impl Fn(&Snapshot) -> Verdict,
    ) -> bool {
        let begin = started.saturating_sub(grace);
        // Of what began before anything that is remembered, all of it is compared.
        let compares_all = self.states().all(|state| state.since > started);
        let mut reaches = false;
        let mut until = Duration::MAX;
        for state in self.states() {
            let was_in_force = state.since <= started && until > begin;
            if (was_in_force || compares_all)
                && of(state).combined.allows() != verdict.combined.allows()
            {
                return false;
            }
            reaches |= state.since <= begin || state.generation == 1;
            until = state.since;
        }
        reaches || self.current().same_policies_since + grace <= started
    }
}

impl Snapshot {
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
