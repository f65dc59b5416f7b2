//! The admin and the baseline tier: the first rule that matches decides.

use super::{
    direction::{Match, Question, note, short},
    ports::PortFound,
};
use crate::{
    model::{Action, Tier},
    verdict::{Caveat, Hit, Reason, Side, Word},
};

impl Question<'_> {
    /// Policies by priority; `next` is asked where none decides, or one passes.
    pub(super) fn ordered(
        &self,
        tier: Tier,
        policies: &[(u16, u32)],
        next: &dyn Fn() -> Side,
    ) -> Side {
        let (priority, side) = self.decide(policies, next);
        // Only what may have come before has a say.
        let invalid = self.invalid(tier, priority);
        if invalid.is_empty() {
            return side;
        }
        Side {
            lean: Some(side.word),
            hits: invalid,
            ..Side::because(Word::Unknown, Reason::InvalidPolicy)
        }
    }

    /// The verdict, and the priority at which it was come to.
    fn decide(&self, policies: &[(u16, u32)], next: &dyn Fn() -> Side) -> (Option<u16>, Side) {
        let mut caveats = Vec::new();
        for equals in policies.chunk_by(|(one, _), (other, _)| one == other) {
            let first = |(_, policy): &(u16, u32)| self.first_match(*policy, &mut caveats);
            let matches: Vec<_> = equals.iter().filter_map(first).collect();
            let sides = matches.into_iter().map(|(action, hit, matched)| {
                let mut side = apply(action, hit, next);
                note(&mut side, matched);
                side
            });
            if let Some(side) = tied(sides.collect()) {
                let priority = equals.first().map(|(priority, _)| *priority);
                return (priority, remark(side, &caveats));
            }
        }
        (None, remark(next(), &caveats))
    }

    /// The first rule of a policy that matches.
    fn first_match(&self, policy: u32, caveats: &mut Vec<Caveat>) -> Option<(Action, Hit, Match)> {
        let rules = self.engine.policy(policy).rules(self.direction);
        for (number, rule) in rules.iter().enumerate() {
            let hit = |peer: Option<usize>, port: Option<usize>| Hit {
                policy,
                rule: Some(short(number)),
                peer: peer.map(short),
                port: port.map(short),
                miss: None,
            };
            // What is not understood fails closed: it accepts nothing, and otherwise the rule denies all that it may be about.
            let closes = rule.action != Action::Accept;
            let any_port = closes && rule.has_unknown_port();
            let any_peer = closes && rule.has_unknown_peer();
            let port = match self.port_of(policy, number) {
                PortFound::Yes(port) => port,
                _ if any_port => None,
                _ => continue,
            };
            let action = if any_port || any_peer {
                Action::Deny
            } else {
                rule.action
            };
            match self.peer_of(policy, number) {
                (Match::No, _) if any_peer => {
                    return Some((action, hit(None, port), Match::Yes));
                }
                (Match::No, _) => {}
                (Match::Perhaps, _) => caveats.push(Caveat::DomainNameUnknown),
                (matched, peer) => return Some((action, hit(peer, port), matched)),
            }
        }
        None
    }
}

/// Notes what was not judged. A denial is not known where a rule that accepts by name may have come before.
fn remark(mut side: Side, caveats: &[Caveat]) -> Side {
    caveats.iter().for_each(|caveat| side.caveat(*caveat));
    if caveats.contains(&Caveat::DomainNameUnknown) && side.word.allows() == Some(false) {
        side.lean = Some(side.word);
        (side.word, side.reason) = (Word::Unknown, Some(Reason::DomainName));
    }
    side
}

fn apply(action: Action, hit: Hit, next: &dyn Fn() -> Side) -> Side {
    let decided = |word| Side {
        hits: vec![hit],
        ..Side::plain(word)
    };
    match action {
        Action::Accept => decided(Word::Allowed),
        Action::Deny => decided(Word::Denied),
        Action::Pass => {
            let mut side = next();
            side.passed.insert(0, hit);
            side
        }
    }
}

/// What policies of one priority come to, each to its end. `None` if there are none.
fn tied(sides: Vec<Side>) -> Option<Side> {
    let mut sides = sides.into_iter();
    let mut first = sides.next()?;
    let others: Vec<_> = sides.collect();
    if others.is_empty() {
        return Some(first);
    }
    let same = others.iter().all(|side| side.word == first.word);
    for side in others {
        for hit in side.hits {
            if !first.hits.contains(&hit) {
                first.hits.push(hit);
            }
        }
        for hit in side.passed {
            if !first.passed.contains(&hit) {
                first.passed.push(hit);
            }
        }
    }
    if same {
        first.caveat(Caveat::PriorityTieSameResult);
    } else {
        (first.word, first.reason, first.lean) = (Word::Undefined, Some(Reason::PriorityTie), None);
    }
    Some(first)
}
