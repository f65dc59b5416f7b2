//! Objects and how they became so.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use serde_json::{Value, json};

use crate::kinds::Kind;

/// Names an object.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    /// [`Kind::index`]
    pub(crate) kind: usize,
    /// Empty for kinds without namespaces.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// An object.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) object: Value,
    /// Shown as it is.
    pub(crate) raw: bool,
}

/// A step of the history. At least one side is there.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) before: Option<Arc<Stored>>,
    pub(crate) after: Option<Arc<Stored>>,
}

/// What a snapshot shows.
pub(crate) type Objects = BTreeMap<Key, Arc<Stored>>;

/// All objects and their history since it was compacted.
#[derive(Debug)]
pub(crate) struct Store {
    version: u64,
    compacted: u64,
    objects: Objects,
    history: Vec<Change>,
    uids: u64,
}

impl Store {
    pub(crate) fn new() -> Self {
        // No real server shows 0: it means any version.
        Self {
            version: 1,
            compacted: 1,
            objects: BTreeMap::new(),
            history: Vec::new(),
            uids: 0,
        }
    }

    /// That of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The oldest version from which a watch can start.
    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Creates or updates an object as a server does.
    pub(crate) fn put(&mut self, kind: &'static Kind, key: Key, mut object: Value) {
        let before = self.objects.get(&key);
        let uid = before.and_then(|before| before.object.pointer("/metadata/uid").cloned());
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = (self.version + 1).to_string().into();
        if metadata.get("uid").is_none_or(Value::is_null) {
            metadata["uid"] = uid.unwrap_or_else(|| {
                self.uids += 1;
                format!("00000000-0000-4000-8000-{:012x}", self.uids).into()
            });
        }
        if kind.kind == "Namespace" {
            let labels = &mut metadata["labels"];
            if labels.is_null() {
                *labels = json!({});
            }
            labels["kubernetes.io/metadata.name"] = key.name.as_str().into();
        }
        self.set(key, Stored { object, raw: false });
    }

    /// Takes an object as it is. Metadata get a version if they have none.
    pub(crate) fn put_raw(&mut self, key: Key, mut object: Value) {
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata
                .entry("resourceVersion")
                .or_insert_with(|| (self.version + 1).to_string().into());
        }
        self.set(key, Stored { object, raw: true });
    }

    fn set(&mut self, key: Key, stored: Stored) {
        self.version += 1;
        let after = Arc::new(stored);
        let before = self.objects.insert(key.clone(), Arc::clone(&after));
        self.history.push(Change {
            version: self.version,
            key,
            before,
            after: Some(after),
        });
    }

    /// Whether there was such an object.
    pub(crate) fn delete(&mut self, key: &Key) -> bool {
        let Some(before) = self.objects.remove(key) else {
            return false;
        };
        self.version += 1;
        self.history.push(Change {
            version: self.version,
            key: key.clone(),
            before: Some(before),
            after: None,
        });
        true
    }

    /// An object as it is now.
    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Stored>> {
        self.objects.get(key)
    }

    /// Forgets the history, so that every version that was shown is too old.
    pub(crate) fn compact(&mut self) {
        // As if something else had been written.
        self.version += 1;
        self.compacted = self.version;
        self.history.clear();
    }

    /// What happened after a version that is not compacted.
    pub(crate) fn after(&self, version: u64) -> &[Change] {
        let from = self
            .history
            .partition_point(|change| change.version <= version);
        &self.history[from..]
    }

    /// Objects of a kind as they were at a version that is not compacted.
    pub(crate) fn at(&self, kind: &'static Kind, version: u64) -> Objects {
        let kind = kind.index();
        let first = |kind| Key {
            kind,
            namespace: String::new(),
            name: String::new(),
        };
        let range = (
            Bound::Included(first(kind)),
            Bound::Excluded(first(kind + 1)),
        );
        let mut objects: Objects = self
            .objects
            .range(range)
            .map(|(key, stored)| (key.clone(), Arc::clone(stored)))
            .collect();
        for change in self.after(version).iter().rev() {
            if change.key.kind != kind {
                continue;
            }
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        objects
    }
}
