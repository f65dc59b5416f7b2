//! Rules without which nothing would be different.

use super::{
    Doubt, Problem, field,
    tries::{At, Subjects, is_of},
};
use crate::{
    engine::Engine,
    model::{Body, Rule},
    verdict::{Hit, Word},
};

impl Engine {
    pub(super) fn check_redundancy(&self, problems: &mut Vec<Problem>) {
        let subjects = self.subjects();
        for (index, direction, number, rule) in self.rules() {
            let at = (index, direction, number);
            let is_network = matches!(self.policy(index).body, Body::Network(_));
            let found = if is_network {
                let covering = self.covered(at, rule, &subjects);
                covering.map(|by| {
                    (
                        Doubt::Redundant,
                        "all that it allows is allowed without it, as by",
                        by,
                    )
                })
            } else {
                let deciding = self.shadowed(at, rule, &subjects);
                deciding.map(|by| {
                    (
                        Doubt::Shadowed,
                        "all that it matches is decided before, as by",
                        by,
                    )
                })
            };
            let Some((doubt, what, by)) = found else {
                continue;
            };
            let other = self.policy(by.policy);
            let place = match by.rule.filter(|_| by.miss.is_none()) {
                Some(rule) => format!("{} of {other}", field(direction, usize::from(rule))),
                None => other.to_string(),
            };
            problems.push(Problem {
                doubt,
                object: self.policy(index).to_string(),
                field: field(direction, number),
                message: format!("{what} {place}"),
            });
        }
    }

    /// A rule that allows something of what this one allows, if others allow all of it.
    fn covered(&self, at: At, rule: &Rule, subjects: &Subjects) -> Option<Hit> {
        let mut covering = None;
        for side in self.tries(at, rule, subjects) {
            if side.hits.iter().any(|hit| is_of(at, hit)) {
                covering = Some(*side.hits.iter().find(|hit| !is_of(at, hit))?);
            }
        }
        covering
    }

    /// What decides something that a rule of a cluster-wide policy matches, if the rule decides nothing of it.
    fn shadowed(&self, at: At, rule: &Rule, subjects: &Subjects) -> Option<Hit> {
        if rule.has_unknown_peer() || rule.has_unknown_port() {
            return None;
        }
        let mut deciding = None;
        for side in self.tries(at, rule, subjects) {
            // What is exempt or not known says nothing of rules.
            if matches!(side.word, Word::Exempt | Word::Unknown | Word::Undefined) {
                continue;
            }
            let mut hits = side.passed.iter().chain(&side.hits);
            if hits.clone().any(|hit| is_of(at, hit)) {
                return None;
            }
            deciding = deciding.or(hits.next_back().copied());
        }
        deciding
    }
}
