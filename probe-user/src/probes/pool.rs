//! The user side of a pool of counters: hands out free entries, reads entries by key, takes them back.

use std::ops::Range;

use aya::{
    Ebpf, Pod,
    maps::{Map, MapData, Queue},
};
use probe_common::owner::OVERFLOW;

use crate::{
    loader::PoolSize,
    maps::{self, Banks, Cells, MapError},
    model::MapFill,
};

/// Names of the maps that make up a pool.
pub(super) struct Names {
    /// The counters.
    pub(super) counters: &'static str,
    /// Key to entry.
    pub(super) entries: &'static str,
    /// Free entries.
    pub(super) free: &'static str,
    /// Free entries kept for a special purpose, where there are such.
    pub(super) reserve: Option<&'static str>,
}

/// A pool of counters of type `T` by keys of type `K`.
pub(super) struct Pool<K, T> {
    names: Names,
    counters: Banks<T>,
    entries: Map,
    free: FreeList,
    reserve: Option<FreeList>,
    used: u64,
    _keys: std::marker::PhantomData<fn() -> K>,
}

/// A list of free entries, and which entries belong into it.
struct FreeList {
    name: &'static str,
    queue: Queue<MapData, u32>,
    range: Range<u32>,
}

impl FreeList {
    fn open(ebpf: &mut Ebpf, name: &'static str, range: Range<u32>) -> Result<Self, MapError> {
        let failed = |source| MapError::Aya { map: name, source };
        let mut queue = Queue::try_from(maps::take(ebpf, name)?).map_err(failed)?;
        for entry in range.clone() {
            queue.push(entry, 0).map_err(failed)?;
        }
        Ok(Self { name, queue, range })
    }

    fn put_back(&mut self, entry: u32) {
        if let Err(error) = self.queue.push(entry, 0) {
            tracing::warn!(map = self.name, %error, "a free entry could not be put back");
        }
    }
}

impl<K: Pod, T: Cells> Pool<K, T> {
    /// Opens the pool's maps. The first `reserved` entries after the overflow go into the reserve, all others into
    /// the list of free ones.
    pub(super) fn open(
        ebpf: &mut Ebpf,
        names: Names,
        size: PoolSize,
        reserved: u32,
    ) -> Result<Self, MapError> {
        let first = OVERFLOW + 1;
        let reserve = match names.reserve {
            Some(name) => Some(FreeList::open(ebpf, name, first..first + reserved)?),
            None => None,
        };
        Ok(Self {
            counters: Banks::new(
                maps::take(ebpf, names.counters)?,
                names.counters,
                size.banks,
                size.entries,
            )?,
            entries: maps::take(ebpf, names.entries)?,
            free: FreeList::open(ebpf, names.free, first + reserved..size.entries)?,
            reserve,
            names,
            used: 0,
            _keys: std::marker::PhantomData,
        })
    }

    /// All keys that have been seen, with their counters summed over the banks.
    pub(super) fn read(&mut self) -> Result<Vec<(K, T)>, MapError> {
        let keys = maps::lookup_all::<K, u32>(&self.entries, self.names.entries)?;
        self.used = keys.len() as u64;
        keys.into_iter()
            .map(|(key, entry)| Ok((key, self.counters.read(entry)?)))
            .collect()
    }

    /// What found no entry.
    pub(super) fn overflow(&self) -> Result<T, MapError> {
        self.counters.read(OVERFLOW)
    }

    /// Frees the entries whose key is `gone`. Nobody must be adding to them any more.
    ///
    /// An entry that cannot be freed stays taken; the next release tries again.
    pub(super) fn release(&mut self, gone: impl Fn(&K) -> bool) -> Result<(), MapError> {
        for (key, entry) in maps::lookup_all::<K, u32>(&self.entries, self.names.entries)? {
            if gone(&key) && maps::remove(&self.entries, self.names.entries, &key)? {
                self.counters.clear(entry)?;
                match &mut self.reserve {
                    Some(reserve) if reserve.range.contains(&entry) => reserve.put_back(entry),
                    _ => self.free.put_back(entry),
                }
            }
        }
        Ok(())
    }

    /// How full the pool is.
    pub(super) fn fill(&self, probe: &str) -> MapFill {
        MapFill {
            map: format!("{probe}/{}", self.names.counters),
            entries: self.used,
            capacity: u64::from(self.counters.entries() - 1),
            bytes: self.counters.bytes() as u64,
        }
    }
}
