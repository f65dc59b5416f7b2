//! Labels of the owners of measurements, for as long as one collection takes.

use std::{
    collections::hash_map::Entry,
    sync::Arc,
    time::{Duration, Instant},
};

use probe_common::id::CgroupId;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    identity::Identities,
    kubernetes::Catalog,
    model::{Container, Naming, OwnerId},
};

/// The three labels that name an owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OwnerLabels {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
    /// What the pod belongs to; empty outside Kubernetes, or where no API server is asked.
    pub(super) workload: String,
}

impl OwnerLabels {
    /// Everything in one bucket of this name.
    pub(super) fn bucket(name: &str) -> Self {
        Self {
            namespace: name.into(),
            pod: name.into(),
            container: name.into(),
            workload: name.into(),
        }
    }

    /// The labels as a slice that others can be appended to.
    pub(super) fn parts(&self) -> [&str; 3] {
        [&self.namespace, &self.pod, &self.container]
    }
}

impl From<&Container> for OwnerLabels {
    fn from(container: &Container) -> Self {
        Self {
            namespace: container.namespace.clone(),
            pod: container.pod.clone(),
            container: container.name.clone(),
            workload: String::new(),
        }
    }
}

/// What is known of an owner.
#[derive(Clone, Debug)]
pub(super) enum Owner {
    /// It has labels.
    Known(Arc<OwnerLabels>),
    /// It has no name that will stay; its counters wait.
    Waiting,
    /// Nobody knows it, and nobody will: it goes into the bucket for such.
    Unknown(Arc<OwnerLabels>),
}

/// How long an owner whose cgroup was removed keeps its labels for counts that come late.
const LATE_COUNTS: Duration = Duration::from_secs(60);

/// Finds the labels of owners, and gives those that nobody knows some time to become known.
///
/// Labels follow the identity of a container: when its name changes, or another live container has the same one, the
/// owner has other labels from then on. What it had before is in [`Owners::take_changes`].
pub(super) struct Owners {
    other: Arc<OwnerLabels>,
    unknown: Arc<OwnerLabels>,
    /// Owners that have labels.
    settled: FxHashMap<OwnerId, Settled>,
    /// These, by the names that their containers have.
    by_names: FxHashMap<Names, FxHashSet<OwnerId>>,
    /// Labels that owners no longer have.
    changes: Vec<Change>,
    /// Owners that nobody knows, and since when.
    strangers: FxHashMap<OwnerId, Instant>,
    patience: Duration,
    catalog: Option<Arc<Catalog>>,
}

/// Namespace, pod and name of a container.
type Names = [String; 3];

/// An owner that has labels.
struct Settled {
    container: Arc<Container>,
    labels: Arc<OwnerLabels>,
    /// Whether the labels tell it apart from another container of the same names.
    apart: bool,
    /// Whether it is known what the pod belongs to.
    has_workload: bool,
    removed: Option<Instant>,
}

/// An owner that had these labels and has others now, or none.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) owner: OwnerId,
    pub(super) labels: Arc<OwnerLabels>,
}

impl Owners {
    /// Pods belong to what the catalog of an API server says.
    pub(super) fn new(patience: Duration, catalog: Option<Arc<Catalog>>) -> Self {
        Self {
            other: Arc::new(OwnerLabels::bucket(Container::OTHER)),
            unknown: Arc::new(OwnerLabels::bucket(Container::UNKNOWN)),
            settled: FxHashMap::default(),
            by_names: FxHashMap::default(),
            changes: Vec::new(),
            strangers: FxHashMap::default(),
            patience,
            catalog,
        }
    }

    /// Changes how long an owner that nobody knows may become known.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Begins a collection: takes up names that have changed, and lets go of owners that were removed a while ago.
    pub(super) fn begin(&mut self, identities: &Identities, now: Instant) {
        let mut renamed = Vec::new();
        let mut gone = Vec::new();
        for (owner, settled) in &mut self.settled {
            if is_live(*owner, identities) {
                settled.removed = None;
            } else {
                let removed = *settled.removed.get_or_insert(now);
                if now.saturating_duration_since(removed) >= LATE_COUNTS {
                    gone.push(*owner);
                    continue;
                }
            }
            let Some(container) = identities.lookup(CgroupId(owner.0)) else {
                continue;
            };
            let is_same = Arc::ptr_eq(&container, &settled.container);
            if is_same && settled.has_workload || container.naming == Naming::Pending {
                continue;
            }
            let workload = workload(self.catalog.as_deref(), &container);
            let same_workload = workload
                .as_ref()
                .is_none_or(|name| *name == settled.labels.workload);
            settled.has_workload |= workload.is_some();
            if names(&container) == names(&settled.container) && same_workload {
                settled.container = container;
            } else {
                let workload = workload.unwrap_or_else(|| settled.labels.workload.clone());
                renamed.push((*owner, container, workload));
            }
        }
        for owner in gone {
            self.leave(owner);
        }
        for (owner, container, workload) in renamed {
            let has_workload = self.settled.get(&owner).is_some_and(|it| it.has_workload);
            self.leave(owner);
            self.settle(owner, container, (workload, has_workload), identities);
        }
        self.rejoin();
    }

    /// Labels that owners have lost since the last call. An owner that has others now goes on under these.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Whether an owner has these labels.
    pub(super) fn in_use(&self) -> FxHashSet<[&str; 3]> {
        let all = self.settled.values();
        all.map(|settled| settled.labels.parts()).collect()
    }

    /// The labels of an owner. With `last`, nothing waits: there is no later collection.
    pub(super) fn find(
        &mut self,
        owner: OwnerId,
        identities: &Identities,
        now: Instant,
        last: bool,
    ) -> Owner {
        if owner == OwnerId::OVERFLOW {
            return Owner::Known(self.other.clone());
        }
        if let Some(settled) = self.settled.get(&owner) {
            return Owner::Known(settled.labels.clone());
        }
        match identities.lookup(CgroupId(owner.0)) {
            Some(container) if container.naming == Naming::Pending && !last => Owner::Waiting,
            Some(container) => {
                let workload = workload(self.catalog.as_deref(), &container);
                if workload.is_none() && !last && self.may_wait(owner, now) {
                    return Owner::Waiting;
                }
                self.strangers.remove(&owner);
                let workload = (workload.clone().unwrap_or_default(), workload.is_some());
                Owner::Known(self.settle(owner, container, workload, identities))
            }
            None if !last && self.may_wait(owner, now) => Owner::Waiting,
            None => Owner::Unknown(self.unknown.clone()),
        }
    }

    fn may_wait(&mut self, owner: OwnerId, now: Instant) -> bool {
        let since = match self.strangers.entry(owner) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => *entry.insert(now),
        };
        now.duration_since(since) < self.patience
    }

    /// Forgets owners whose counters have been freed.
    pub(super) fn forget(&mut self, gone: &[OwnerId]) {
        for owner in gone {
            self.leave(*owner);
            self.strangers.remove(owner);
        }
    }

    /// Gives an owner labels, which no other live container has.
    fn settle(
        &mut self,
        owner: OwnerId,
        container: Arc<Container>,
        (workload, has_workload): (String, bool),
        identities: &Identities,
    ) -> Arc<OwnerLabels> {
        let names = names(&container);
        let group = self.by_names.entry(names.clone()).or_default();
        let of_same = |other: &OwnerId| {
            let other = self.settled.get(other)?;
            (other.container.cgroup_path == container.cgroup_path).then_some(other.apart)
        };
        let apart = group.iter().filter_map(of_same).any(|apart| apart);
        group.insert(owner);
        let labels = labels(&container, apart, workload);
        let settled = Settled {
            container,
            labels: labels.clone(),
            apart,
            has_workload,
            removed: None,
        };
        self.settled.insert(owner, settled);
        self.tell_apart(&names, identities);
        self.settled
            .get(&owner)
            .map_or(labels, |settled| settled.labels.clone())
    }

    fn leave(&mut self, owner: OwnerId) {
        let Some(settled) = self.settled.remove(&owner) else {
            return;
        };
        if let Entry::Occupied(mut group) = self.by_names.entry(names(&settled.container)) {
            group.get_mut().remove(&owner);
            if group.get().is_empty() {
                group.remove();
            }
        }
        let labels = settled.labels;
        self.changes.push(Change { owner, labels });
    }

    /// Where several live containers have these names, each gets labels that tell it apart.
    fn tell_apart(&mut self, names: &Names, identities: &Identities) {
        let Some(group) = self.by_names.get(names).filter(|group| group.len() > 1) else {
            return;
        };
        let group: Vec<OwnerId> = group.iter().copied().collect();
        if self.places(group.iter()) < 2 {
            return;
        }
        let live = group
            .into_iter()
            .filter(|owner| is_live(*owner, identities));
        let live: Vec<OwnerId> = live.collect();
        if self.places(live.iter()) < 2 {
            return;
        }
        for owner in live {
            self.relabel(owner, true);
        }
    }

    /// Containers that are the last of their names have these again.
    fn rejoin(&mut self) {
        let apart = self.settled.values().filter(|settled| settled.apart);
        let all: FxHashSet<Names> = apart.map(|settled| names(&settled.container)).collect();
        for names in all {
            let Some(group) = self.by_names.get(&names) else {
                continue;
            };
            if self.places(group.iter()) < 2 {
                let group: Vec<OwnerId> = group.iter().copied().collect();
                for owner in group {
                    self.relabel(owner, false);
                }
            }
        }
    }

    /// How many containers these owners are.
    fn places<'a>(&self, owners: impl Iterator<Item = &'a OwnerId>) -> usize {
        let settled = owners.filter_map(|owner| self.settled.get(owner));
        let paths: FxHashSet<&str> = settled
            .map(|settled| settled.container.cgroup_path.as_str())
            .collect();
        paths.len()
    }

    fn relabel(&mut self, owner: OwnerId, apart: bool) {
        let Some(settled) = self.settled.get_mut(&owner) else {
            return;
        };
        let apart = apart && !keeps_its_name(&settled.container);
        if settled.apart == apart {
            return;
        }
        settled.apart = apart;
        let new = labels(&settled.container, apart, settled.labels.workload.clone());
        let labels = std::mem::replace(&mut settled.labels, new);
        self.changes.push(Change { owner, labels });
    }
}

/// What a container's pod belongs to; `None` where that may still be told.
fn workload(catalog: Option<&Catalog>, container: &Container) -> Option<String> {
    match catalog {
        Some(catalog) if !container.pod_uid.is_empty() => {
            let pod = catalog.pod(&container.pod_uid)?;
            Some(pod.workload.name.clone())
        }
        _ => Some(String::new()),
    }
}

fn is_live(owner: OwnerId, identities: &Identities) -> bool {
    owner == OwnerId::ROOT || identities.is_live(CgroupId(owner.0))
}

fn names(container: &Container) -> Names {
    [&container.namespace, &container.pod, &container.name].map(Clone::clone)
}

fn labels(container: &Container, apart: bool, workload: String) -> Arc<OwnerLabels> {
    let plain = OwnerLabels::from(container);
    Arc::new(OwnerLabels {
        workload,
        container: if apart {
            container.unique_name()
        } else {
            plain.container
        },
        ..plain
    })
}

/// Units of the host itself keep their names where a container that no runtime knows has a unit of the same name.
fn keeps_its_name(container: &Container) -> bool {
    let mut slices = container.cgroup_path.rsplit('/').skip(1);
    container.id.is_none() && slices.all(|part| part.is_empty() || part.ends_with(".slice"))
}

#[cfg(test)]
mod tests;
