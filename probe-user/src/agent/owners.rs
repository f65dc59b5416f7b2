//! Labels of the owners of measurements, for as long as one collection takes.

use std::{
    collections::hash_map::Entry,
    sync::Arc,
    time::{Duration, Instant},
};

use probe_common::id::CgroupId;
use rustc_hash::FxHashMap;

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
    /// Its labels are final.
    Known(Arc<OwnerLabels>),
    /// It has no name that will stay; its counters wait.
    Waiting,
    /// Nobody knows it, and nobody will: it goes into the bucket for such.
    Unknown(Arc<OwnerLabels>),
}

/// Finds the labels of owners, and gives those that nobody knows some time to become known.
pub(super) struct Owners {
    other: Arc<OwnerLabels>,
    unknown: Arc<OwnerLabels>,
    /// Owners that have labels, which never change from then on: a series that changed its name would fall.
    settled: FxHashMap<OwnerId, Arc<OwnerLabels>>,
    /// Owners that nobody knows, and since when.
    strangers: FxHashMap<OwnerId, Instant>,
    patience: Duration,
    catalog: Option<Arc<Catalog>>,
}

impl Owners {
    /// Pods belong to what the catalog of an API server says.
    pub(super) fn new(patience: Duration, catalog: Option<Arc<Catalog>>) -> Self {
        Self {
            other: Arc::new(OwnerLabels::bucket(Container::OTHER)),
            unknown: Arc::new(OwnerLabels::bucket(Container::UNKNOWN)),
            settled: FxHashMap::default(),
            strangers: FxHashMap::default(),
            patience,
            catalog,
        }
    }

    /// Changes how long an owner that nobody knows may become known.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
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
        if let Some(labels) = self.settled.get(&owner) {
            return Owner::Known(labels.clone());
        }
        match identities.lookup(CgroupId(owner.0)) {
            Some(container) if container.naming == Naming::Pending && !last => Owner::Waiting,
            Some(container) => {
                let workload = self.workload(&container);
                if workload.is_none() && !last && self.may_wait(owner, now) {
                    return Owner::Waiting;
                }
                let labels = Arc::new(OwnerLabels {
                    workload: workload.unwrap_or_default(),
                    ..OwnerLabels::from(&*container)
                });
                self.settled.insert(owner, labels.clone());
                self.strangers.remove(&owner);
                Owner::Known(labels)
            }
            None if !last && self.may_wait(owner, now) => Owner::Waiting,
            None => Owner::Unknown(self.unknown.clone()),
        }
    }

    /// What a container's pod belongs to; `None` where that may still be told.
    fn workload(&self, container: &Container) -> Option<String> {
        match &self.catalog {
            Some(catalog) if !container.pod_uid.is_empty() => {
                let pod = catalog.pod(&container.pod_uid)?;
                Some(pod.workload.name.clone())
            }
            _ => Some(String::new()),
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
            self.settled.remove(owner);
            self.strangers.remove(owner);
        }
    }
}
