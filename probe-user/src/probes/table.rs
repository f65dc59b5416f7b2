//! The user side of a hash table of counts by key.

use aya::{Ebpf, Pod, maps::Map};

use crate::{
    maps::{self, MapError},
    model::MapFill,
};

/// A hash table that the programs fill, with values that are read as they are.
pub(super) struct Table<K, V> {
    name: &'static str,
    map: Map,
    capacity: u32,
    used: u64,
    _entries: std::marker::PhantomData<fn() -> (K, V)>,
}

impl<K: Pod, V: Pod> Table<K, V> {
    pub(super) fn open(
        ebpf: &mut Ebpf,
        name: &'static str,
        capacity: u32,
    ) -> Result<Self, MapError> {
        Ok(Self {
            name,
            map: maps::take(ebpf, name)?,
            capacity,
            used: 0,
            _entries: std::marker::PhantomData,
        })
    }

    /// Enters a value, in place of the one that is there.
    pub(super) fn put(&self, key: &K, value: &V) -> Result<(), MapError> {
        maps::put(&self.map, self.name, key, value)
    }

    /// All entries.
    pub(super) fn entries(&self) -> Result<Vec<(K, V)>, MapError> {
        maps::lookup_all(&self.map, self.name)
    }

    /// All entries, whose number is then in [`fill`](Self::fill).
    pub(super) fn read(&mut self) -> Result<Vec<(K, V)>, MapError> {
        let entries = self.entries()?;
        self.used = entries.len() as u64;
        Ok(entries)
    }

    /// The keys of all entries.
    pub(super) fn keys(&self) -> Result<Vec<K>, MapError> {
        let entries = maps::lookup_all::<K, V>(&self.map, self.name)?;
        Ok(entries.into_iter().map(|(key, _)| key).collect())
    }

    /// Removes the entries whose key is `gone`.
    pub(super) fn release(&self, gone: impl Fn(&K) -> bool) -> Result<(), MapError> {
        for (key, _) in maps::lookup_all::<K, V>(&self.map, self.name)? {
            if gone(&key) {
                maps::remove(&self.map, self.name, &key)?;
            }
        }
        Ok(())
    }

    pub(super) fn fill(&self, probe: &str) -> MapFill {
        // A preallocated element: the kernel's header of 48 bytes, key and value each rounded up to 8 bytes.
        let element = 48 + size_of::<K>().next_multiple_of(8) + size_of::<V>().next_multiple_of(8);
        MapFill {
            map: format!("{probe}/{}", self.name),
            entries: self.used,
            capacity: u64::from(self.capacity),
            bytes: u64::from(self.capacity) * element as u64,
        }
    }
}
