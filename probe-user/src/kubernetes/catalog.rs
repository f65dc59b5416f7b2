//! All that is known, behind one lock that is held for moments.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use probe_policy::{
    load::{Finding, Item, Store},
    model::{Cluster, Phase as PodPhase, Pod},
};
use serde_json::Value;

use super::{
    Settings,
    addresses::{Addresses, Peer},
    connect::{RequestCounts, Requests},
    events::EventCounts,
    pods::{PodFacts, Pods},
    resources,
    services::{ServiceName, Services},
    state::{Phase, ResourceState},
};
use crate::kernel::{Roots, addresses::of_host as addresses_of_host, clock::monotonic};

/// What is said of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// Its pod, and its own name.
    Container(Arc<PodFacts>, String),
    /// Its pod is known; its own name was not told yet.
    Pod(Arc<PodFacts>),
    /// Neither is known.
    Unknown,
}

/// How much is known, and what was counted since the start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Addresses that are known.
    pub addresses: usize,
    /// Addresses that found no room.
    pub addresses_refused: u64,
    /// Objects in which something is wrong.
    pub malformed: u64,
    /// Requests by resource, and bytes of their answers.
    pub requests: BTreeMap<String, RequestCounts>,
    /// Events that were written or not.
    pub events: EventCounts,
}

/// What is known of a cluster. All methods may be called from any thread.
#[derive(Debug)]
pub struct Catalog {
    inner: Mutex<Inner>,
    changed: Condvar,
    pub(super) requests: Requests,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    pods: Pods,
    addresses: Addresses,
    services: Services,
    states: Vec<ResourceState>,
    malformed: u64,
    events: EventCounts,
    /// Name of our own node.
    node: String,
    /// Counts changes of what policies are about.
    generation: u64,
    /// The same without those of pods.
    policy_generation: u64,
}

impl Catalog {
    pub(super) fn new(settings: &Settings) -> Self {
        let states = resources::wanted(settings.scope, settings.policies)
            .map(|it| ResourceState::new(it.plural, it.kind, it.is_essential()));
        Self {
            inner: Mutex::new(Inner {
                store: Store::default(),
                pods: Pods::new(&settings.node, &settings.labels, &settings.annotations),
                addresses: Addresses::default(),
                services: Services::default(),
                states: states.collect(),
                malformed: 0,
                events: EventCounts::default(),
                node: settings.node.clone(),
                generation: 0,
                policy_generation: 0,
            }),
            changed: Condvar::new(),
            requests: Requests::default(),
        }
    }

    /// The names of a container that is in a pod with this uid.
    pub fn names(&self, pod_uid: &str, container_id: &str) -> Named {
        let inner = self.lock();
        let container = inner.pods.container(container_id);
        let uid = container.map_or(pod_uid, |(uid, _)| uid);
        match (inner.pods.of_uid(uid), container) {
            (Some(facts), Some((_, name))) => Named::Container(facts.clone(), name.to_owned()),
            (Some(facts), None) => Named::Pod(facts.clone()),
            (None, _) => Named::Unknown,
        }
    }

    /// A pod by the uid that its cgroups carry.
    pub fn pod(&self, uid: &str) -> Option<Arc<PodFacts>> {
        self.lock().pods.of_uid(uid).cloned()
    }

    /// Name of our own node.
    pub fn node(&self) -> String {
        self.lock().node.clone()
    }

    /// Pods of our own node.
    pub fn pods_here(&self) -> Vec<Arc<PodFacts>> {
        self.lock().pods.ours()
    }

    /// Who had an address at a monotonic time.
    pub fn peer(&self, address: IpAddr, at: Duration) -> Option<Arc<Peer>> {
        self.lock().addresses.at(address, at).cloned()
    }

    /// The service that has an address, or that has something behind it there.
    pub fn service(&self, address: IpAddr, port: u16) -> Option<Arc<ServiceName>> {
        let mut inner = self.lock();
        let Inner {
            services, store, ..
        } = &mut *inner;
        services.find(store, address, port)
    }

    /// All that policies are about, and those themselves.
    pub fn cluster(&self) -> Cluster {
        self.lock().store.cluster()
    }

    /// Counts the changes of that.
    pub fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// The same, without changes of pods, services and nodes.
    pub fn policy_generation(&self) -> u64 {
        self.lock().policy_generation
    }

    /// Waits until something has changed since a generation, or the time is up.
    pub fn wait(&self, since: u64, timeout: Duration) {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |inner| inner.generation == since);
        drop(waited);
    }

    /// Whether all that connections are judged by was read once, and of the rest what can be.
    pub fn has_policies(&self) -> bool {
        self.lock().states.iter().all(|state| {
            state.has_synced || !state.is_essential && !matches!(state.phase, Phase::Waiting)
        })
    }

    /// Whether nothing was told of pods yet, neither what there is nor that it cannot be told.
    pub fn is_waiting(&self) -> bool {
        let states = &self.lock().states;
        states
            .iter()
            .any(|state| state.resource == "pods" && state.phase == Phase::Waiting)
    }

    /// The watches.
    pub fn states(&self) -> Vec<ResourceState> {
        let inner = self.lock();
        let mut states = inner.states.clone();
        for state in &mut states {
            state.objects = inner.store.count(state.kind);
        }
        states
    }

    /// Whether anything that connections are judged by is not up to date. What could never be read is missing, and not stale.
    pub fn is_stale(&self) -> bool {
        let states = &self.lock().states;
        states
            .iter()
            .any(|state| !state.is_fresh() && (state.is_essential || state.has_synced))
    }

    /// Fill and counts.
    pub fn counts(&self) -> Counts {
        let inner = self.lock();
        Counts {
            addresses: inner.addresses.len(),
            addresses_refused: inner.addresses.refused(),
            malformed: inner.malformed,
            requests: self.requests.counts(),
            events: inner.events,
        }
    }

    /// Takes an object. Answers what is wrong with it.
    pub(super) fn put(&self, value: &Value) -> Vec<Finding> {
        let (now, at) = (Instant::now(), monotonic());
        let mut guard = self.lock();
        let inner = &mut *guard;
        let put = inner.store.put(&place(value), value);
        let kind = value["kind"].as_str().unwrap_or_default();
        match put.item {
            Some(Item::Pod(pod)) => {
                if let Some(facts) = inner.pods.put(pod, value, now) {
                    let who = (pod.namespace.as_str(), pod.name.as_str());
                    let peer = Arc::new(Peer::of_pod(pod, &facts));
                    inner.addresses.set(who, addresses_of_pod(pod), &peer, at);
                }
            }
            Some(_) if kind == "Node" => {
                let name = value["metadata"]["name"].as_str().unwrap_or_default();
                let all = addresses_of_node(value, name == inner.node);
                let peer = Arc::new(Peer::of_node(name));
                inner.addresses.set(("", name), &all, &peer, at);
            }
            Some(_) if put.changed => inner.services.note(kind),
            _ => {}
        }
        let (changed, findings) = (put.changed, put.findings);
        inner.malformed += u64::from(!findings.is_empty());
        if changed {
            self.note(inner, kind);
        }
        findings
    }

    /// Forgets an object.
    pub(super) fn remove(&self, kind: &str, namespace: &str, name: &str) {
        let mut inner = self.lock();
        let was_there = inner.store.remove(kind, namespace, name);
        inner.forget(kind, namespace, name);
        if was_there {
            self.note(&mut inner, kind);
        }
    }

    /// All objects of a kind were told: others are gone.
    pub(super) fn keep_only(&self, kind: &str, keep: &HashSet<(String, String)>) {
        let mut inner = self.lock();
        let gone = inner.store.keep_only(kind, keep);
        for (namespace, name) in &gone {
            inner.forget(kind, namespace, name);
        }
        if !gone.is_empty() {
            self.note(&mut inner, kind);
        }
    }

    /// Forgets what was gone long ago.
    pub(super) fn expire(&self) {
        let mut inner = self.lock();
        inner.pods.expire(Instant::now());
        inner.addresses.expire(monotonic());
    }

    /// Changes the state of a watch; answers the phase that it had.
    pub(super) fn update(
        &self,
        resource: &str,
        kind: &'static str,
        change: impl FnOnce(&mut ResourceState),
    ) -> Phase {
        let mut inner = self.lock();
        let Some(state) = inner.states.iter_mut().find(|it| it.resource == resource) else {
            return Phase::Absent;
        };
        let before = state.phase.clone();
        state.kind = kind;
        change(state);
        // Who waits for all to be there looks again.
        if state.phase != before {
            self.note(&mut inner, kind);
        }
        before
    }

    /// Nothing can be asked, for this reason.
    pub(super) fn fail_all(&self, reason: &str) {
        let mut inner = self.lock();
        for state in &mut inner.states {
            state.phase = Phase::Failed(reason.to_owned());
        }
        self.note(&mut inner, "");
    }

    pub(super) fn count_events(&self, count: impl FnOnce(&mut EventCounts)) {
        count(&mut self.lock().events);
    }

    fn note(&self, inner: &mut Inner, kind: &str) {
        inner.generation += 1;
        if kind == "Namespace" || kind.ends_with("Policy") {
            inner.policy_generation += 1;
        }
        self.changed.notify_all();
    }

    /// A panic of another thread leaves one object half entered at worst, which is no reason to stop.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget(&mut self, kind: &str, namespace: &str, name: &str) {
        match kind {
            "Pod" => {
                self.pods.remove(namespace, name, Instant::now());
                self.addresses.vacate((namespace, name), monotonic());
            }
            "Node" => self.addresses.vacate(("", name), monotonic()),
            _ => self.services.note(kind),
        }
    }
}

/// What an object is called in messages.
fn place(value: &Value) -> String {
    let metadata = &value["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&value["kind"]), text(&metadata["name"]));
    match text(&metadata["namespace"]) {
        namespace if namespace.is_empty() => format!("{kind} {name}"),
        namespace => format!("{kind} {namespace}/{name}"),
    }
}

/// The addresses that are a pod's own: none with the network of its node, and none that another one may have by now.
fn addresses_of_pod(pod: &Pod) -> &[IpAddr] {
    if pod.host_network || pod.phase == PodPhase::Ended {
        &[]
    } else {
        &pod.addresses
    }
}

/// Those that the API server knows, and of our own node those of its bridges as well.
fn addresses_of_node(value: &Value, is_ours: bool) -> Vec<IpAddr> {
    let told = value["status"]["addresses"].as_array();
    let told = told.into_iter().flatten();
    let mut all: Vec<_> = told
        .filter_map(|it| it["address"].as_str()?.parse().ok())
        .collect();
    if is_ours {
        all.extend(addresses_of_host(&Roots::default().proc).unwrap_or_default());
    }
    all
}
