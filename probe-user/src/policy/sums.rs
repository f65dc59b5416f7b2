//! What was judged, summed up.

use probe_policy::{
    audit::{Assessment, Change, Judged, Outcome, RuleHit},
    model::Direction,
    verdict::Word,
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{limits, model::OwnerId};

/// Verdicts are summed up by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerdictKey {
    /// The container whose end it is.
    pub owner: OwnerId,
    /// Which of its ends.
    pub direction: Direction,
    /// What policies say in that direction.
    pub verdict: Word,
    /// What became of the connection.
    pub outcome: Outcome,
}

/// The end that a connection is judged at.
pub(super) struct Seat {
    pub(super) owner: OwnerId,
    pub(super) direction: Direction,
    /// Namespace of the pod.
    pub(super) namespace: String,
    /// Whether the other end is on this host, and judged as well.
    pub(super) has_peer: bool,
}

/// Counts since the start, but for those that say otherwise.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Connections since they were last taken.
    pub verdicts: FxHashMap<VerdictKey, u64>,
    /// Gaps and breakages by the namespace of the pod that policies are about.
    pub findings: FxHashMap<(Assessment, String, Direction), u64>,
    /// Connections that a rule, or a policy that isolates, had a say in. Those of the rules about local pods begin at 0.
    pub rules: FxHashMap<RuleHit, u64>,
    /// What pending policies would change, by the namespace of the local pod.
    pub changes: FxHashMap<(Change, String), u64>,
    /// Connections that were judged.
    pub judged: u64,
    /// Connections of containers that are no pod of the manifests.
    pub no_pod: u64,
    /// Reports of connections that found no room: these are judged at their end.
    pub put_off: u64,
    /// Addresses of containers that found no room.
    pub residents_refused: u64,
    /// Rules that found no room.
    pub rules_refused: u64,
}

impl Sums {
    /// Has the rules about local pods counted from 0, and forgets those that are in no policy any more.
    pub(super) fn follow_rules(&mut self, known: &[RuleHit]) {
        let known: FxHashSet<_> = known.iter().collect();
        self.rules.retain(|rule, _| known.contains(rule));
        for rule in known {
            self.count_rule(rule, 0);
        }
    }

    /// Counts a connection that was judged.
    pub(super) fn add(&mut self, judged: &Judged<'_>, seat: &Seat) {
        self.judged += 1;
        let side = |direction| match direction {
            Direction::Egress => judged.verdict.egress.word,
            Direction::Ingress => judged.verdict.ingress.word,
        };
        let mut key = VerdictKey {
            owner: seat.owner,
            direction: seat.direction,
            verdict: side(seat.direction),
            outcome: judged.outcome,
        };
        if self.verdicts.len() >= limits::VERDICTS && !self.verdicts.contains_key(&key) {
            key.owner = OwnerId::OVERFLOW;
        }
        *self.verdicts.entry(key).or_default() += 1;
        for rule in judged.hits(seat.direction) {
            self.count_rule(&rule, 1);
        }
        let namespace = || seat.namespace.clone();
        // Both ends tell of one connection: it is found once, at the end whose policies deny it.
        let own = side(seat.direction).allows() == Some(false);
        let is_told_here = !seat.has_peer || seat.direction == Direction::Egress;
        let (finding, is_counted) = match judged.assessment {
            Assessment::Gap => (Assessment::Gap, own || !seat.has_peer),
            Assessment::Breakage => (Assessment::Breakage, is_told_here),
            _ => (judged.assessment, false),
        };
        if is_counted {
            let key = (finding, namespace(), seat.direction);
            *self.findings.entry(key).or_default() += 1;
        }
        if let Some(change) = judged.change()
            && change != Change::None
            && is_told_here
        {
            *self.changes.entry((change, namespace())).or_default() += 1;
        }
    }

    fn count_rule(&mut self, rule: &RuleHit, count: u64) {
        let has_room = self.rules.len() < limits::POLICY_RULES;
        if let Some(sum) = self.rules.get_mut(rule) {
            *sum += count;
        } else if has_room {
            self.rules.insert(rule.clone(), count);
        } else {
            self.rules_refused += count;
        }
    }
}
