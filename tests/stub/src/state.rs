//! What the tests and the server share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use crate::{kinds::Kind, request::Request, store::Store};

/// Everything that changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    /// Groups, versions and resources that are off, as [`Target::resource`](crate::route::Target::resource) starts.
    pub(crate) off: BTreeSet<String>,
    /// Status codes by resource, plain or with the group.
    pub(crate) refused: BTreeMap<String, u16>,
    pub(crate) token: Option<String>,
    pub(crate) requests: Vec<Request>,
    /// How often watches were broken off.
    pub(crate) broken: u64,
    /// How often watches were ended.
    pub(crate) ended: u64,
    /// Watches that are open, by the plural of their kind.
    pub(crate) watches: BTreeMap<&'static str, usize>,
}

impl State {
    /// The resource, such as `networking.k8s.io/v1/networkpolicies`, or a version is on.
    pub(crate) fn is_on(&self, resource: &str) -> bool {
        !self.off.iter().any(|off| {
            resource
                .strip_prefix(off.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    pub(crate) fn refusal(&self, kind: &Kind) -> Option<u16> {
        self.refused
            .get(kind.plural)
            .or_else(|| self.refused.get(&kind.qualified()))
            .copied()
    }
}

/// The state, and who waits for it to change.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    sent: AtomicU64,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                store: Store::new(),
                off: BTreeSet::new(),
                refused: BTreeMap::new(),
                token: None,
                requests: Vec::new(),
                broken: 0,
                ended: 0,
                watches: BTreeMap::new(),
            }),
            changed: watch::Sender::new(()),
            sent: AtomicU64::new(0),
        })
    }

    /// The state. Watches do not notice what is changed here.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes the watches.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_replace(());
        result
    }

    /// Sees every change from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}
