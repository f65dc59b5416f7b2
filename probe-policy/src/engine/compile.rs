//! Which policies are about an identity, and which identities a peer matches.

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;

use super::{identity::Identities, index::Index};
use crate::model::{Body, Cluster, Direction, Namespaces, Peer, Rule, Selector, Tier};

/// Where a peer is none that a bitmap tells.
const NO_BITMAP: u32 = u32::MAX;

/// What all questions are answered with.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    /// Identities of each different peer that selects pods.
    bitmaps: Vec<FixedBitSet>,
    /// Of each policy the bitmaps of the peers of its rules.
    ingress: Vec<Vec<Vec<u32>>>,
    egress: Vec<Vec<Vec<u32>>>,
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
            let (ingress, egress) = match &policy.body {
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
                    (
                        compiler.rules(network.ingress.as_deref().unwrap_or_default()),
                        compiler.rules(network.egress.as_deref().unwrap_or_default()),
                    )
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
                    (
                        compiler.rules(&tiered.ingress),
                        compiler.rules(&tiered.egress),
                    )
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
                    (Vec::new(), Vec::new())
                }
            };
            compiled.ingress.push(ingress);
            compiled.egress.push(egress);
        }
        for about in compiled.about.iter_mut().flatten() {
            // Stable: within a priority they stay in the order of the cluster, which is by name.
            about.admin.sort_by_key(|(priority, _)| *priority);
            about.baseline.sort_by_key(|(priority, _)| *priority);
        }
        compiled.bitmaps = compiler.bitmaps;
        compiled
    }

    /// What is about an identity.
    pub(super) fn about(&self, identity: u32, direction: Direction) -> &About {
        &self.about[identity as usize][slot(direction)]
    }

    /// Whether a peer that selects pods matches an identity.
    pub(super) fn matches(
        &self,
        direction: Direction,
        place: (u32, usize, usize),
        identity: u32,
    ) -> bool {
        self.bitmap(direction, place)
            .is_some_and(|bitmap| bitmap.contains(identity as usize))
    }

    /// Whether a peer that selects pods matches none at all.
    pub(super) fn matches_nothing(&self, direction: Direction, place: (u32, usize, usize)) -> bool {
        self.bitmap(direction, place)
            .is_none_or(FixedBitSet::is_clear)
    }

    /// Policies that are about any identity.
    pub(super) fn have_subjects(&self) -> FixedBitSet {
        let mut all = FixedBitSet::with_capacity(self.ingress.len());
        for about in self.about.iter().flatten() {
            let ordered = about
                .admin
                .iter()
                .chain(&about.baseline)
                .map(|(_, policy)| policy);
            all.extend(
                about
                    .isolating
                    .iter()
                    .chain(ordered)
                    .map(|policy| *policy as usize),
            );
        }
        all
    }

    fn bitmap(&self, direction: Direction, place: (u32, usize, usize)) -> Option<&FixedBitSet> {
        let (policy, rule, peer) = place;
        let all = match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        };
        let bitmap = all[policy as usize][rule][peer];
        (bitmap != NO_BITMAP).then(|| &self.bitmaps[bitmap as usize])
    }
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

    fn rules(&mut self, rules: &[Rule]) -> Vec<Vec<u32>> {
        let peers = |rule: &Rule| -> Vec<u32> {
            rule.peers
                .iter()
                .flatten()
                .map(|peer| self.bitmap(peer))
                .collect()
        };
        rules.iter().map(peers).collect()
    }

    fn bitmap(&mut self, peer: &Peer) -> u32 {
        let Peer::Pods { namespaces, pods } = peer else {
            return NO_BITMAP;
        };
        let key = (namespaces.clone(), pods.clone());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let selected = match namespaces {
            Namespaces::Own(name) => self.select_in(name, pods),
            Namespaces::Selected(namespaces) => self.select(namespaces, pods),
        };
        let number = u32::try_from(self.bitmaps.len()).unwrap_or(NO_BITMAP);
        self.bitmaps.push(selected);
        self.known.insert(key, number);
        number
    }
}
