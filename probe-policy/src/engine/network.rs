//! The tier of NetworkPolicies: allowed by any rule of all policies that isolate the pod, or not at all.

use super::{
    direction::{Match, Question, note, short},
    ports::PortFound,
};
use crate::{
    model::{Direction, Tier},
    verdict::{Hit, Miss, Reason, Side, Word},
};

impl Question<'_> {
    /// `next` is asked where no policy isolates the pod.
    pub(super) fn network(&self, next: &dyn Fn() -> Side) -> Side {
        let (engine, subject) = (self.engine, self.subject);
        let is_node = engine.is_node_of(self.peer, subject);
        if is_node && self.direction == Direction::Ingress {
            return Side::because(Word::Exempt, Reason::LocalNode);
        }
        let invalid = self.invalid(Tier::Network, None);
        let is_isolated = !self.about.isolating.is_empty();
        if !is_isolated && invalid.is_empty() {
            return next();
        }
        let mut side = if is_isolated { self.isolated() } else { next() };
        // One more policy cannot take away what others of the tier allow.
        let is_settled = is_isolated && side.word == Word::Allowed;
        if !invalid.is_empty() && !is_settled {
            return Side {
                lean: Some(side.word),
                hits: invalid,
                ..Side::because(Word::Unknown, Reason::InvalidPolicy)
            };
        }
        let open = if !self.connection.protocol.is_policed() {
            Some(Reason::Protocol)
        } else if self.is_hairpin {
            Some(Reason::Hairpin)
        } else if is_node && side.word == Word::WouldDeny {
            Some(Reason::EgressToLocalNode)
        } else {
            None
        };
        if let Some(reason) = open {
            side.lean = Some(side.word);
            (side.word, side.reason) = (Word::Undefined, Some(reason));
        }
        side
    }

    fn isolated(&self) -> Side {
        let engine = self.engine;
        let mut side = Side::plain(Word::Allowed);
        let mut misses = Vec::new();
        // As much as is needed to allow it.
        let mut by = Match::ByAddress;
        for policy in &self.about.isolating {
            let mut nearest = (Miss::NoRule, None);
            for number in 0..engine.compiled.count(self.direction, *policy) {
                let (matched, peer) = self.peer_of(*policy, number);
                let peer_matches = matches!(matched, Match::Yes | Match::ByAddress);
                let miss = match (peer_matches, self.port_of(*policy, number)) {
                    (true, PortFound::Yes(port)) => {
                        if matched == Match::Yes {
                            by = Match::Yes;
                        }
                        side.hits.push(Hit {
                            policy: *policy,
                            rule: Some(short(number)),
                            peer: peer.map(short),
                            port: port.map(short),
                            miss: None,
                        });
                        continue;
                    }
                    (true, PortFound::No) => Miss::Port,
                    (true, PortFound::NoSuchName) => Miss::NamedPort,
                    (false, PortFound::Yes(_)) => Miss::Peer,
                    (false, _) => Miss::Both,
                };
                if miss > nearest.0 {
                    nearest = (miss, Some(short(number)));
                }
            }
            misses.push(Hit {
                policy: *policy,
                rule: nearest.1,
                peer: None,
                port: None,
                miss: Some(nearest.0),
            });
        }
        if side.hits.is_empty() {
            side.word = Word::WouldDeny;
            side.hits = misses;
        } else {
            note(&mut side, by);
        }
        side
    }
}
