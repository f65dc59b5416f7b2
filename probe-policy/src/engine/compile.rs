//! Which policies are about an identity, and which identities a peer matches.

mod selectors;

use fixedbitset::FixedBitSet;

use super::identity::Identities;
use crate::model::{Block, Body, Cluster, Direction, Port, Selector, Tier};
use selectors::Compiler;

/// Where there is none.
const NONE: u32 = u32::MAX;
/// Marks the numbers of blocks among those of peers.
const BLOCK: u32 = 1 << 31;
/// Bits of a word of a row.
const BITS: usize = u64::BITS as usize;

/// What all questions are answered with.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    /// Of each identity the different peers that select it, in rows: one question is about one row, which is little memory.
    rows: Vec<u64>,
    /// Words of a row.
    width: usize,
    /// Of each peer its number in a row.
    peers: Vec<u32>,
    /// All rules, those of a policy and direction side by side.
    rules: Vec<Compact>,
    /// Of each policy where its rules of ingress begin, and those of egress.
    policies: Vec<u32>,
    /// The different lists of ports.
    ports: Vec<Vec<Port>>,
    /// The different blocks of addresses.
    blocks: Vec<Block>,
    /// Policies that are about each identity.
    about: Vec<[About; 2]>,
}

/// Policies that are about an identity in one direction, by their index.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    /// NetworkPolicies.
    pub(super) isolating: Vec<u32>,
    /// Policies of the admin tier with their priority, in order.
    pub(super) admin: Vec<(u16, u32)>,
    /// Those of the baseline tier.
    pub(super) baseline: Vec<(u16, u32)>,
    /// Those that are not valid and may be about it.
    pub(super) invalid: Vec<Unread>,
}

impl About {
    pub(super) fn is_empty(&self) -> bool {
        self.isolating.is_empty()
            && self.admin.is_empty()
            && self.baseline.is_empty()
            && self.invalid.is_empty()
    }
}

/// A rule without what is the same in many.
#[derive(Clone, Copy, Debug)]
struct Compact {
    /// Where its peers begin.
    peers: u32,
    /// Its ports; `NONE` for all.
    ports: u32,
    /// Whether it matches every peer.
    every_peer: bool,
}

/// What a peer asks.
pub(super) enum Asks<'a> {
    /// Whether the other end is one of some pods, and it is or not.
    Pods(bool),
    /// Whether its address is in a block.
    Block(&'a Block),
    /// Anything else.
    Other,
}

/// A policy that is not valid.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    pub(super) tier: Option<Tier>,
    pub(super) priority: Option<u16>,
    pub(super) policy: u32,
}

impl Compiled {
    pub(super) fn of(cluster: &Cluster, identities: &Identities) -> Self {
        let mut compiler = Compiler::new(identities);
        let mut compiled = Self {
            about: vec![Default::default(); identities.all.len()],
            ..Self::default()
        };
        // Within a priority by name, so that the order of files does not matter.
        for (index, policy) in (0..).zip(&cluster.policies) {
            match &policy.body {
                Body::Network(network) => {
                    let own = policy.namespace.as_deref().unwrap_or_default();
                    let subjects = compiler.select_in(own, &network.pods);
                    subjects.ones().for_each(|identity| {
                        for direction in Direction::BOTH {
                            if network.rules(direction).is_some() {
                                let about = &mut compiled.about[identity][slot(direction)];
                                about.isolating.push(index);
                            }
                        }
                    });
                }
                Body::Tiered(tiered) => {
                    let subjects = compiler.select(&tiered.namespaces, &tiered.pods);
                    for identity in subjects.ones() {
                        for about in &mut compiled.about[identity] {
                            let list = match tiered.tier {
                                Tier::Baseline => &mut about.baseline,
                                Tier::Admin | Tier::Network => &mut about.admin,
                            };
                            list.push((tiered.priority, index));
                        }
                    }
                }
                Body::Invalid(invalid) => {
                    let everything = Selector::default();
                    let subjects = compiler.select(
                        invalid.namespaces.as_ref().unwrap_or(&everything),
                        invalid.pods.as_ref().unwrap_or(&everything),
                    );
                    for identity in subjects.ones() {
                        for direction in Direction::BOTH {
                            if invalid.has(direction) {
                                compiled.about[identity][slot(direction)]
                                    .invalid
                                    .push(Unread {
                                        tier: invalid.tier,
                                        priority: invalid.priority,
                                        policy: index,
                                    });
                            }
                        }
                    }
                }
            }
            for direction in Direction::BOTH {
                compiled.policies.push(short(compiler.rules.len()));
                policy
                    .rules(direction)
                    .iter()
                    .for_each(|rule| compiler.rule(rule));
            }
        }
        for about in compiled.about.iter_mut().flatten() {
            // Stable: within a priority they stay in the order of the cluster, which is by name.
            about.admin.sort_by_key(|(priority, _)| *priority);
            about.baseline.sort_by_key(|(priority, _)| *priority);
        }
        compiled.policies.push(short(compiler.rules.len()));
        compiled.rules = compiler.rules;
        compiled.peers = compiler.peers;
        compiled.ports = compiler.ports;
        compiled.blocks = compiler.blocks;
        compiled.turn(&compiler.bitmaps, identities.all.len());
        compiled
    }

    /// Makes rows of identities of the bitmaps of peers.
    fn turn(&mut self, bitmaps: &[FixedBitSet], identities: usize) {
        self.width = bitmaps.len().div_ceil(BITS);
        self.rows = vec![0; self.width * identities];
        for (peer, bitmap) in bitmaps.iter().enumerate() {
            for identity in bitmap.ones() {
                self.rows[identity * self.width + peer / BITS] |= 1 << (peer % BITS);
            }
        }
    }

    /// What is about an identity.
    pub(super) fn about(&self, identity: u32, direction: Direction) -> &About {
        &self.about[identity as usize][slot(direction)]
    }

    /// Whether a peer selects pods, and this identity is among them. The place is a policy, its rule, and a peer of that.
    pub(super) fn matches(
        &self,
        direction: Direction,
        (policy, rule, peer): (u32, usize, usize),
        identity: u32,
    ) -> bool {
        let peers = self.peers(direction, policy, rule).unwrap_or_default();
        let asks = peers.get(peer).map(|peer| self.asks(*peer, Some(identity)));
        matches!(asks, Some(Asks::Pods(true)))
    }

    /// Whether a peer that selects pods matches none at all.
    pub(super) fn matches_nothing(&self, direction: Direction, place: (u32, usize, usize)) -> bool {
        let mut identities = 0..short(self.about.len());
        !identities.any(|identity| self.matches(direction, place, identity))
    }

    /// Policies that are about any identity.
    pub(super) fn have_subjects(&self) -> FixedBitSet {
        let mut all = FixedBitSet::with_capacity(self.policies.len() / 2);
        for about in self.about.iter().flatten() {
            let tiers = about.admin.iter().chain(&about.baseline);
            let policies = tiers.map(|(_, policy)| policy).chain(&about.isolating);
            all.extend(policies.map(|policy| *policy as usize));
        }
        all
    }

    /// How many rules a policy has.
    pub(super) fn count(&self, direction: Direction, policy: u32) -> usize {
        let at = 2 * policy as usize + slot(direction);
        (self.policies[at + 1] - self.policies[at]) as usize
    }

    fn rule(&self, direction: Direction, policy: u32, rule: usize) -> usize {
        self.policies[2 * policy as usize + slot(direction)] as usize + rule
    }

    /// Ports of a rule; `None` for all.
    pub(super) fn ports(&self, direction: Direction, policy: u32, rule: usize) -> Option<&[Port]> {
        let ports = self.rules[self.rule(direction, policy, rule)].ports;
        (ports != NONE).then(|| self.ports[ports as usize].as_slice())
    }

    /// Numbers of the peers of a rule, for [`Self::asks`]; `None` if it matches all.
    pub(super) fn peers(&self, direction: Direction, policy: u32, rule: usize) -> Option<&[u32]> {
        let at = self.rule(direction, policy, rule);
        let end = self
            .rules
            .get(at + 1)
            .map_or(self.peers.len(), |next| next.peers as usize);
        let rule = self.rules[at];
        (!rule.every_peer).then(|| &self.peers[rule.peers as usize..end])
    }

    /// What a peer asks of the other end.
    pub(super) fn asks(&self, peer: u32, identity: Option<u32>) -> Asks<'_> {
        if peer == NONE {
            return Asks::Other;
        }
        if peer & BLOCK != 0 {
            return Asks::Block(&self.blocks[(peer & !BLOCK) as usize]);
        }
        let (word, bit) = (peer as usize / BITS, peer as usize % BITS);
        Asks::Pods(identity.is_some_and(|identity| {
            self.rows[identity as usize * self.width + word] >> bit & 1 == 1
        }))
    }
}

/// There are never as many: each takes more memory than its number.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn slot(direction: Direction) -> usize {
    match direction {
        Direction::Ingress => 0,
        Direction::Egress => 1,
    }
}
