//! One direction of a connection: the tiers, in their order.

use super::{
    Connection, Engine,
    compile::{About, Asks},
    end::Resolved,
};
use crate::{
    model::{Block, Body, Direction, Node, Peer, Tier},
    verdict::{Caveat, Hit, Reason, Side, Word},
};

/// What is asked of the policies that are about a pod.
pub(super) struct Question<'a> {
    pub(super) engine: &'a Engine,
    pub(super) direction: Direction,
    pub(super) about: &'a About,
    /// The pod that the policies are about.
    pub(super) subject: u32,
    /// The other end.
    pub(super) peer: &'a Resolved<'a>,
    /// The end that has the port.
    pub(super) destination: &'a Resolved<'a>,
    pub(super) connection: &'a Connection,
    /// Whether a pod talks to itself through a service.
    pub(super) is_hairpin: bool,
}

impl Engine {
    pub(super) fn side(
        &self,
        direction: Direction,
        from: &Resolved<'_>,
        to: &Resolved<'_>,
        connection: &Connection,
    ) -> Side {
        let (subject, peer) = match direction {
            Direction::Egress => (from, to),
            Direction::Ingress => (to, from),
        };
        let is_open = subject.is_stranger && !self.cluster.policies.is_empty();
        if subject.ended || peer.ended || is_open {
            return Side::because(Word::Unknown, Reason::NoPodData);
        }
        let (Some(pod), Some(identity)) = (subject.pod, subject.identity) else {
            return Side::plain(Word::NoPolicy);
        };
        let about = self.compiled.about(identity, direction);
        // Its labels are not known, so what rules say of it is open; where there are none it makes no difference.
        if peer.is_stranger && !about.is_empty() {
            return Side::because(Word::Unknown, Reason::NoPodData);
        }
        let question = Question {
            engine: self,
            direction,
            about,
            subject: pod,
            peer,
            destination: to,
            connection,
            is_hairpin: from.pod == to.pod,
        };
        question.admin()
    }
}

/// Whether a peer matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    No,
    Yes,
    /// A pod, by its address only.
    ByAddress,
    /// It may: the name of what is outside is not known.
    Perhaps,
}

impl Question<'_> {
    fn admin(&self) -> Side {
        let next = || self.network(&|| self.baseline());
        self.ordered(Tier::Admin, &self.about.admin, &next)
    }

    fn baseline(&self) -> Side {
        let next = || Side::plain(Word::NoPolicy);
        self.ordered(Tier::Baseline, &self.about.baseline, &next)
    }

    /// Policies that are not valid and may have a say in a tier.
    ///
    /// Where the tier has decided at a priority, those of a later one have none.
    pub(super) fn invalid(&self, tier: Tier, decided: Option<u16>) -> Vec<Hit> {
        let of_tier = |at: &Option<Tier>| match at {
            Some(at) => *at == tier,
            // Admin or baseline.
            None => tier != Tier::Network,
        };
        let in_time = |priority: &Option<u16>| match (priority, decided) {
            (Some(priority), Some(decided)) => *priority <= decided,
            _ => true,
        };
        let invalid = self.about.invalid.iter();
        invalid
            .filter(|invalid| of_tier(&invalid.tier) && in_time(&invalid.priority))
            .map(|invalid| all_of(invalid.policy))
            .collect()
    }

    /// The first peer of a rule that matches. `(Yes, None)` if the rule matches all.
    pub(super) fn peer_of(&self, policy: u32, rule: usize) -> (Match, Option<usize>) {
        let compiled = &self.engine.compiled;
        let Some(numbers) = compiled.peers(self.direction, policy, rule) else {
            return (Match::Yes, None);
        };
        let mut best = (Match::No, None);
        for (index, number) in numbers.iter().enumerate() {
            let matched = match compiled.asks(*number, self.peer.identity) {
                Asks::Pods(true) => Match::Yes,
                Asks::Pods(false) => Match::No,
                Asks::Block(block) => self.in_block(block),
                Asks::Other => self.other(policy, rule, index),
            };
            match (matched, best.0) {
                (Match::Yes, _) => return (Match::Yes, Some(index)),
                (Match::ByAddress, Match::No | Match::Perhaps) | (Match::Perhaps, Match::No) => {
                    best = (matched, Some(index));
                }
                _ => {}
            }
        }
        best
    }

    fn in_block(&self, block: &Block) -> Match {
        let addresses = self.peer.addresses.as_slice();
        if !addresses.iter().any(|address| block.contains(address)) {
            return Match::No;
        }
        match self.peer.pod {
            None => Match::Yes,
            Some(_) if self.engine.options.blocks_match_pods => Match::ByAddress,
            Some(_) => Match::No,
        }
    }

    /// Of peers that are neither pods nor blocks, which only cluster-wide policies have. None of them is a pod.
    fn other(&self, policy: u32, rule: usize, peer: usize) -> Match {
        let Body::Tiered(tiered) = &self.engine.cluster.policies[policy as usize].body else {
            return Match::No;
        };
        let peers = &tiered.rules(self.direction)[rule].peers;
        let addresses = self.peer.addresses.as_slice();
        let has_address = |node: &Node| addresses.iter().any(|a| node.addresses.contains(a));
        match peers.as_ref().and_then(|peers| peers.get(peer)) {
            _ if self.peer.pod.is_some() => Match::No,
            Some(Peer::Nodes(selector)) => {
                let mut nodes = self.engine.cluster.nodes.values();
                match nodes.any(|node| selector.matches(&node.labels) && has_address(node)) {
                    true => Match::Yes,
                    false => Match::No,
                }
            }
            Some(Peer::Domains(_)) => Match::Perhaps,
            _ => Match::No,
        }
    }
}

/// All of a policy.
pub(super) fn all_of(policy: u32) -> Hit {
    Hit {
        policy,
        rule: None,
        peer: None,
        port: None,
        miss: None,
    }
}

/// Indices of lists that a policy may have fit; longer ones are refused by every API server, for their size.
pub(super) fn short(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// Notes what a match by less than a selector means.
pub(super) fn note(side: &mut Side, matched: Match) {
    match matched {
        Match::ByAddress => side.caveat(Caveat::IpblockMatchedPod),
        Match::Perhaps => side.caveat(Caveat::DomainNameUnknown),
        Match::Yes | Match::No => {}
    }
}
