//! Which policies are about an identity, and which identities a peer matches.

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;

use super::{identity::Identities, index::Index};
use crate::model::{Block, Body, Cluster, Direction, Namespaces, Peer, Port, Rule, Selector, Tier};

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
            let rules: [&[Rule]; 2] = match &policy.body {
                Body::Network(network) => {
                    let own = policy.namespace.as_deref().unwrap_or_default();
                    let subjects = compiler.select_in(own, &network.pods);
                    subjects.ones().for_each(|identity| {
                        for direction in [Direction::Ingress, Direction::Egress] {
                            if network.rules(direction).is_some() {
                                let about = &mut compiled.about[identity][slot(direction)];
                                about.isolating.push(index);
                            }
                        }
                    });
                    [&network.ingress, &network.egress]
                        .map(|rules| rules.as_deref().unwrap_or_default())
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
                    [&tiered.ingress, &tiered.egress]
                }
                Body::Invalid(invalid) => {
                    let everything = Selector::default();
                    let subjects = compiler.select(
                        invalid.namespaces.as_ref().unwrap_or(&everything),
                        invalid.pods.as_ref().unwrap_or(&everything),
                    );
                    for identity in subjects.ones() {
                        for direction in [Direction::Ingress, Direction::Egress] {
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
                    [&[], &[]]
                }
            };
            for rules in rules {
                compiled.policies.push(short(compiler.rules.len()));
                rules.iter().for_each(|rule| compiler.rule(rule));
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

/// Selectors are asked once each.
struct Compiler<'a> {
    identities: Index<'a>,
    namespaces: Index<'a>,
    /// Identities of each namespace.
    of_namespace: Vec<FixedBitSet>,
    number: FxHashMap<&'a str, usize>,
    bitmaps: Vec<FixedBitSet>,
    known: FxHashMap<(Namespaces, Selector), u32>,
    known_namespaces: FxHashMap<Selector, FixedBitSet>,
    known_ports: FxHashMap<Vec<Port>, u32>,
    known_blocks: FxHashMap<Block, u32>,
    rules: Vec<Compact>,
    peers: Vec<u32>,
    ports: Vec<Vec<Port>>,
    blocks: Vec<Block>,
}

impl<'a> Compiler<'a> {
    fn new(identities: &'a Identities) -> Self {
        let none = FixedBitSet::with_capacity(identities.all.len());
        let mut of_namespace = vec![none; identities.namespaces.len()];
        for (index, identity) in identities.all.iter().enumerate() {
            of_namespace[identity.namespace as usize].insert(index);
        }
        let names = identities.namespaces.iter().map(|(name, _)| name.as_str());
        Self {
            identities: Index::of(identities.all.iter().map(|identity| &identity.labels)),
            namespaces: Index::of(identities.namespaces.iter().map(|(_, labels)| labels)),
            of_namespace,
            number: names.zip(0..).collect(),
            bitmaps: Vec::new(),
            known: FxHashMap::default(),
            known_namespaces: FxHashMap::default(),
            known_ports: FxHashMap::default(),
            known_blocks: FxHashMap::default(),
            rules: Vec::new(),
            peers: Vec::new(),
            ports: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// Identities in a namespace.
    fn select_in(&self, namespace: &str, pods: &Selector) -> FixedBitSet {
        let mut selected = self.identities.select(pods);
        match self.number.get(namespace) {
            Some(number) => selected.intersect_with(&self.of_namespace[*number]),
            None => selected.clear(),
        }
        selected
    }

    /// Identities in all namespaces that are selected.
    fn select(&mut self, namespaces: &Selector, pods: &Selector) -> FixedBitSet {
        let mut selected = self.identities.select(pods);
        if !namespaces.is_everything() {
            if !self.known_namespaces.contains_key(namespaces) {
                let mut of_all = FixedBitSet::with_capacity(selected.len());
                let numbers = self.namespaces.select(namespaces);
                numbers
                    .ones()
                    .for_each(|number| of_all.union_with(&self.of_namespace[number]));
                self.known_namespaces.insert(namespaces.clone(), of_all);
            }
            selected.intersect_with(&self.known_namespaces[namespaces]);
        }
        selected
    }

    fn rule(&mut self, rule: &Rule) {
        let begin = short(self.peers.len());
        for peer in rule.peers.iter().flatten() {
            let number = self.peer(peer);
            self.peers.push(number);
        }
        let ports = rule.ports.as_ref().map(|ports| {
            *self.known_ports.entry(ports.clone()).or_insert_with(|| {
                self.ports.push(ports.clone());
                short(self.ports.len() - 1)
            })
        });
        self.rules.push(Compact {
            peers: begin,
            ports: ports.unwrap_or(NONE),
            every_peer: rule.peers.is_none(),
        });
    }

    fn peer(&mut self, peer: &Peer) -> u32 {
        let Peer::Block(block) = peer else {
            return self.bitmap(peer);
        };
        BLOCK
            | *self.known_blocks.entry(block.clone()).or_insert_with(|| {
                self.blocks.push(block.clone());
                short(self.blocks.len() - 1)
            })
    }

    fn bitmap(&mut self, peer: &Peer) -> u32 {
        let Peer::Pods { namespaces, pods } = peer else {
            return NONE;
        };
        let key = (namespaces.clone(), pods.clone());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let selected = match namespaces {
            Namespaces::Own(name) => self.select_in(name, pods),
            Namespaces::Selected(namespaces) => self.select(namespaces, pods),
        };
        let number = u32::try_from(self.bitmaps.len()).unwrap_or(NONE);
        self.bitmaps.push(selected);
        self.known.insert(key, number);
        number
    }
}
