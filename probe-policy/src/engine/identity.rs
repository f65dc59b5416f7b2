//! Pods that policies cannot tell apart.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::model::{Body, Cluster, ContainerPort, Direction, Labels, Peer, Policy, Rule, Selector};

/// All identities, and whose they are.
#[derive(Debug)]
pub(super) struct Identities {
    /// What each is.
    pub(super) all: Vec<Identity>,
    /// That of each pod of the cluster, by its index.
    pub(super) of_pod: Vec<u32>,
    /// Names of namespaces, with labels.
    pub(super) namespaces: Vec<(String, Labels)>,
}

/// A namespace, the labels that some policy asks for, and the ports with names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    /// Index of the namespace.
    pub(super) namespace: u32,
    pub(super) labels: Labels,
    pub(super) ports: Vec<ContainerPort>,
}

impl Identities {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let asked = asked_keys(&cluster.policies);
        let mut namespaces: BTreeSet<&str> =
            cluster.namespaces.keys().map(String::as_str).collect();
        namespaces.extend(cluster.pods.iter().map(|pod| pod.namespace.as_str()));
        let namespaces: Vec<(String, Labels)> = namespaces
            .into_iter()
            .map(|name| (name.to_owned(), cluster.namespace_labels(name)))
            .collect();
        let number: FxHashMap<&str, u32> = (0..)
            .zip(&namespaces)
            .map(|(n, (name, _))| (name.as_str(), n))
            .collect();
        let mut known: FxHashMap<Identity, u32> = FxHashMap::default();
        let mut all = Vec::new();
        let mut of_pod = Vec::with_capacity(cluster.pods.len());
        for pod in &cluster.pods {
            let labels = pod
                .labels
                .iter()
                .filter(|(key, _)| asked.contains(key.as_str()));
            let identity = Identity {
                namespace: number[pod.namespace.as_str()],
                labels: labels
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
                ports: pod
                    .ports
                    .iter()
                    .filter(|port| port.name.is_some())
                    .cloned()
                    .collect(),
            };
            let next = u32::try_from(all.len()).unwrap_or(u32::MAX);
            of_pod.push(*known.entry(identity).or_insert_with_key(|identity| {
                all.push(identity.clone());
                next
            }));
        }
        Self {
            all,
            of_pod,
            namespaces,
        }
    }
}

/// Keys of labels of pods that some selector mentions. The others, such as hashes of templates, only make pods different.
fn asked_keys(policies: &[Policy]) -> BTreeSet<&str> {
    let mut asked = BTreeSet::new();
    for policy in policies {
        let subjects = match &policy.body {
            Body::Network(network) => Some(&network.pods),
            Body::Tiered(tiered) => Some(&tiered.pods),
            Body::Invalid(invalid) => invalid.pods.as_ref(),
        };
        if let Some(subjects) = subjects {
            mention(subjects, &mut asked);
        }
        for rule in Direction::BOTH
            .into_iter()
            .flat_map(|direction| policy.rules(direction))
        {
            mention_peers(rule, &mut asked);
        }
    }
    asked
}

fn mention_peers<'a>(rule: &'a Rule, asked: &mut BTreeSet<&'a str>) {
    for peer in rule.peers.iter().flatten() {
        // Labels of namespaces are not those of pods.
        if let Peer::Pods { pods, .. } = peer {
            mention(pods, asked);
        }
    }
}

fn mention<'a>(selector: &'a Selector, asked: &mut BTreeSet<&'a str>) {
    asked.extend(
        selector
            .requirements
            .iter()
            .map(|requirement| requirement.key.as_str()),
    );
}
