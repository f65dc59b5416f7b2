//! The handle that tests have.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::sync_channel},
};

use serde_json::Value;

use crate::{
    kinds::{KINDS, Kind},
    kubeconfig::kubeconfig,
    request::Request,
    route::{Route, Target},
    server::{Command, Done, Server},
    state::{Shared, State},
    store::Key,
};

/// In kubeconfigs when no token is required.
const ANY_TOKEN: &str = "stub";

/// A server, on a thread of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct StubApi {
    shared: Arc<Shared>,
    /// `None` while it is dropped.
    server: Option<Server>,
    url: String,
}

/// Start and end.
impl StubApi {
    /// Starts a server that has every group and version.
    ///
    /// # Panics
    ///
    /// If there is no port or no thread.
    pub fn start() -> Self {
        let shared = Shared::new();
        let server = match Server::start(Arc::clone(&shared)) {
            Ok(server) => server,
            Err(fault) => panic!("the stub cannot listen on loopback: {fault}"),
        };
        Self {
            url: format!("http://{}", server.address),
            server: Some(server),
            shared,
        }
    }

    /// Starts a server that lacks groups (`policy.networking.k8s.io`), versions
    /// (`discovery.k8s.io/v1`) or resources (`policy.networking.k8s.io/v1alpha1/adminnetworkpolicies`).
    ///
    /// # Panics
    ///
    /// If there is no port or no thread.
    pub fn without(lacks: &[&str]) -> Self {
        let stub = Self::start();
        stub.switch_off(lacks);
        stub
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Writes a kubeconfig with the token that is [required](Self::require_token) now.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn kubeconfig(&self, dir: &Path) -> PathBuf {
        let token = self.shared.lock().token.clone();
        let config = kubeconfig(&self.url, token.as_deref().unwrap_or(ANY_TOKEN));
        let path = dir.join("kubeconfig");
        if let Err(fault) = fs::write(&path, config.to_string()) {
            panic!("cannot write {}: {fault}", path.display());
        }
        path
    }
}

impl Drop for StubApi {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            drop(server.commands);
            server.thread.join().ok();
        }
    }
}

/// Objects.
impl StubApi {
    /// Creates or updates an object, with a `resourceVersion` of the server's and a `uid` if it has none.
    /// Namespaces get the label `kubernetes.io/metadata.name`. It is shown in every version of its group, not
    /// converted. Watches see even an update that changes nothing.
    ///
    /// # Panics
    ///
    /// If its kind is unknown, it has no name, or no namespace where it needs one.
    pub fn put(&self, object: Value) {
        self.put_many([object]);
    }

    /// [Puts](Self::put) many objects. Lists and watches see none of them or all.
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put); then none is there.
    pub fn put_many(&self, objects: impl IntoIterator<Item = Value>) {
        let objects: Vec<_> = objects.into_iter().map(identify).collect();
        self.shared.change(|state| {
            for (kind, key, object) in objects {
                state.store.put(kind, key, object);
            }
        });
    }

    /// Takes any value as an object and never touches it, but that `metadata` without a `resourceVersion` get
    /// one. The path is that of the list: `/api/v1/namespaces/NS/pods`, `/api/v1/nodes`.
    ///
    /// # Panics
    ///
    /// If the path is none of a list or lacks a namespace.
    pub fn put_raw(&self, path: &str, name: &str, object: Value) {
        let Route::Objects(Target {
            kind,
            namespace,
            name: None,
            ..
        }) = Route::new(path)
        else {
            panic!("{path} is no path of objects");
        };
        assert!(
            namespace.is_some() || !kind.namespaced,
            "{path} names no namespace"
        );
        let key = Key {
            kind: kind.index(),
            namespace: namespace.unwrap_or_default(),
            name: name.to_owned(),
        };
        self.shared.change(|state| state.store.put_raw(key, object));
    }

    /// Deletes an object; the namespace is empty for kinds without one. Whether it was there.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let keys = KINDS
            .iter()
            .filter(|known| known.kind == kind)
            .map(|known| Key {
                kind: known.index(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            });
        self.shared
            .change(|state| keys.filter(|key| state.store.delete(key)).count() != 0)
    }

    /// Events that clients wrote and tests [put](Self::put), as they are now: those of the core group, then
    /// those of `events.k8s.io`.
    pub fn events(&self) -> Vec<Value> {
        let state = self.shared.lock();
        KINDS
            .iter()
            .filter(|kind| kind.kind == "Event")
            .flat_map(|kind| state.store.at(kind, state.store.version()).into_values())
            .map(|stored| stored.object.clone())
            .collect()
    }
}

/// Faults.
impl StubApi {
    /// Removes groups, versions or resources, named as for [`without`](Self::without). Their watches end; their
    /// objects stay.
    pub fn switch_off(&self, what: &[&str]) {
        let what = what.iter().map(|text| (*text).to_owned());
        self.shared.change(|state| state.off.extend(what));
    }

    /// Takes back what [`switch_off`](Self::switch_off) and [`without`](Self::without) did, by the same names.
    pub fn switch_on(&self, what: &[&str]) {
        self.shared
            .change(|state| state.off.retain(|off| !what.contains(&off.as_str())));
    }

    /// Answers every request for a resource (`pods`, `events.events.k8s.io`) with a status code from now on.
    /// Watches that are open stay open.
    pub fn refuse(&self, resource: &str, code: u16) {
        self.shared.lock().refused.insert(resource.to_owned(), code);
    }

    /// Takes back [`refuse`](Self::refuse).
    pub fn allow(&self, resource: &str) {
        self.shared.lock().refused.remove(resource);
    }

    /// Answers 401 to requests without this token.
    pub fn require_token(&self, token: &str) {
        self.shared.lock().token = Some(token.to_owned());
    }

    /// Forgets the history: every version that was shown until now is too old, for watches (an event `ERROR`
    /// with the code 410), for exact lists and for further pages. Watches that are open end.
    pub fn compact(&self) {
        self.shared.change(|state| {
            state.store.compact();
            state.ended += 1;
        });
    }

    /// Breaks the connections of all watches off, in the middle of the answer.
    pub fn hang_up(&self) {
        self.shared.change(|state| state.broken += 1);
    }

    /// Begins an outage: all connections are closed, new ones are refused. Objects can be changed meanwhile.
    pub fn pause(&self) {
        self.command(Command::Pause);
    }

    /// Ends an outage: listens again, on the same port.
    pub fn resume(&self) {
        self.command(Command::Resume);
    }

    fn command(&self, command: impl FnOnce(Done) -> Command) {
        let (done, wait) = sync_channel(1);
        if let Some(server) = &self.server
            && server.commands.try_send(command(done)).is_ok()
        {
            // An error says that the other side is done: nothing is ever sent.
            wait.recv().ok();
        }
    }
}

/// Observation.
impl StubApi {
    /// Every request until now, those that were refused among them.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Bytes of all bodies until now, as they were handed to connections.
    pub fn bytes_sent(&self) -> u64 {
        self.shared.sent()
    }

    /// Watches that are open now, of a resource such as `pods`.
    pub fn open_watches(&self, resource: &str) -> usize {
        self.read(|state| state.watches.get(resource).copied().unwrap_or_default())
    }

    /// The `resourceVersion` of the last change.
    pub fn resource_version(&self) -> u64 {
        self.read(|state| state.store.version())
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.shared.lock())
    }
}

/// What an object says that it is.
fn identify(object: Value) -> (&'static Kind, Key, Value) {
    let text = |pointer| {
        let value = object.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default()
    };
    let Some(kind) = Kind::of_object(text("/apiVersion"), text("/kind")) else {
        panic!("the stub does not know this kind: {object}");
    };
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    assert!(!name.is_empty(), "an object without a name: {object}");
    assert_eq!(
        kind.namespaced,
        !namespace.is_empty(),
        "a namespace is missing, or one too many: {object}"
    );
    let key = Key {
        kind: kind.index(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    (kind, key, object)
}
