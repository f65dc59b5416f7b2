//! One period of measuring.

use crate::{
    identity::Identities,
    model::{FeatureState, Measurements},
    render::view::{Report, Summary},
};

/// One period of measuring.
pub(in crate::cli) struct Period<'a> {
    /// What was counted in it.
    pub(in crate::cli) measurements: &'a Measurements,
    /// Who the owners are.
    pub(in crate::cli) identities: &'a Identities,
    /// No other period follows.
    pub(in crate::cli) is_last: bool,
    /// State of every probe.
    pub(in crate::cli) states: &'a [(&'static str, FeatureState)],
    pub(super) summary: Summary,
    /// What the filters match, where there are some and all of them match something.
    pub(super) matched: Option<String>,
}

impl Period<'_> {
    /// Says something that the rows do not say.
    pub(in crate::cli) fn note(&mut self, note: String) {
        self.summary.notes.push(note);
    }

    /// Says that something was lost.
    pub(in crate::cli) fn lost(&mut self, what: &str, count: u64) {
        if count > 0 {
            *self.summary.lost.entry(what.to_owned()).or_default() += count;
        }
    }

    /// Whether a probe is attached.
    pub(in crate::cli) fn has(&self, probe: &str) -> bool {
        let state = self.states.iter().find(|(name, _)| *name == probe);
        state
            .is_some_and(|(_, state)| matches!(state, FeatureState::On | FeatureState::Degraded(_)))
    }

    /// The findings with these rows. Where there are none, a note says that it is not for want of a match.
    pub(in crate::cli) fn report<R>(mut self, rows: Vec<R>) -> Report<R> {
        if let (Some(matched), true) = (&self.matched, rows.is_empty()) {
            let note = format!("the filters match {matched}; nothing was measured there");
            self.summary.notes.push(note);
        }
        self.end(rows)
    }

    /// The findings at the end of a stream, whose rows are written before.
    pub(in crate::cli) fn end_of_stream<R>(self) -> Report<R> {
        self.end(Vec::new())
    }

    fn end<R>(self, rows: Vec<R>) -> Report<R> {
        Report {
            summary: self.summary,
            rows,
        }
    }
}
