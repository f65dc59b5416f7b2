//! Asks every different selector once, and makes numbers of the peers of rules.

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;

use super::{
    super::{identity::Identities, index::Index},
    BLOCK, Compact, NONE, short,
};
use crate::model::{Block, Namespaces, Peer, Port, Rule, Selector};

/// Selectors are asked once each.
pub(super) struct Compiler<'a> {
    identities: Index<'a>,
    namespaces: Index<'a>,
    /// Identities of each namespace.
    of_namespace: Vec<FixedBitSet>,
    number: FxHashMap<&'a str, usize>,
    pub(super) bitmaps: Vec<FixedBitSet>,
    known: FxHashMap<(Namespaces, Selector), u32>,
    known_namespaces: FxHashMap<Selector, FixedBitSet>,
    known_ports: FxHashMap<Vec<Port>, u32>,
    known_blocks: FxHashMap<Block, u32>,
    pub(super) rules: Vec<Compact>,
    pub(super) peers: Vec<u32>,
    pub(super) ports: Vec<Vec<Port>>,
    pub(super) blocks: Vec<Block>,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(identities: &'a Identities) -> Self {
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
    pub(super) fn select_in(&self, namespace: &str, pods: &Selector) -> FixedBitSet {
        let mut selected = self.identities.select(pods);
        match self.number.get(namespace) {
            Some(number) => selected.intersect_with(&self.of_namespace[*number]),
            None => selected.clear(),
        }
        selected
    }

    /// Identities in all namespaces that are selected.
    pub(super) fn select(&mut self, namespaces: &Selector, pods: &Selector) -> FixedBitSet {
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

    pub(super) fn rule(&mut self, rule: &Rule) {
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
