//! Names of addresses, as each container asked for them.
//!
//! Owns a cache with a bound. A name is a hint and no proof: many names lead to one address, and what counts is the one
//! that the container asked for last before it opened the connection.

use std::{net::IpAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use probe_common::id::CgroupId;

use crate::model::Lookup;

/// Addresses with a name, of all containers: about 14 MiB, 28 MiB if every name is of the longest.
pub const NAMES: NonZeroUsize = NonZeroUsize::new(65_536).expect("it is not zero");
/// A name counts at least for so long, whatever its TTL: connections outlive it, and programs keep addresses.
pub const KEPT: Duration = Duration::from_secs(600);
/// Longest text of a name in bytes. No name of a host is longer; escapes can make others four times as long.
pub const LONGEST: usize = 253;

/// The last name that each container resolved to an address.
///
/// A container is a cgroup here: the one of the socket that asked. A name counts until the same cgroup resolves
/// another name to the address, or until nobody has resolved it for the longer of its TTL and [`KEPT`]. When there is
/// no room the address that was longest neither resolved nor asked for goes.
pub struct Names {
    entries: LruCache<(CgroupId, IpAddr), Entry>,
    counts: NameCounts,
}

/// What became of look-ups and of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameCounts {
    /// Addresses that were given a name, or the same one once more.
    pub inserted: u64,
    /// Addresses whose name gave way to another one.
    pub replaced: u64,
    /// Addresses that gave way to others because there was no room.
    pub evicted: u64,
    /// Look-ups that were left out: an answer that nobody asked for, or a name longer than [`LONGEST`].
    pub refused: u64,
}

struct Entry {
    /// Shared by the addresses of one look-up.
    name: Arc<str>,
    /// Monotonic time since when the address has this name without a gap.
    since: Duration,
    /// Monotonic time of the last look-up.
    last: Duration,
    ttl: Duration,
}

impl Entry {
    fn lapses(&self) -> Duration {
        self.last.saturating_add(self.ttl.max(KEPT))
    }
}

impl Names {
    /// A cache of at most so many addresses; [`NAMES`] is a good number.
    pub fn new(capacity: NonZeroUsize) -> Self {
        // `LruCache::new` would take the memory for all of them at once.
        let mut entries = LruCache::unbounded();
        entries.resize(capacity);
        Self {
            entries,
            counts: NameCounts::default(),
        }
    }

    /// What became of look-ups and of names until now.
    pub fn counts(&self) -> NameCounts {
        self.counts
    }

    /// Addresses with a name, those that have lapsed among them.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no address has a name.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives the addresses of a look-up the name that was asked for, also where aliases led to them.
    ///
    /// An answer without a latency is refused: nobody asked, and anyone can send such a datagram to a container.
    pub fn insert(&mut self, lookup: &Lookup) {
        if lookup.addresses.is_empty() {
            return;
        }
        if lookup.latency.is_none() || lookup.name.len() > LONGEST {
            self.counts.refused += 1;
            return;
        }
        let name: Arc<str> = lookup.name.as_str().into();
        for address in &lookup.addresses {
            self.name_address(lookup, *address, &name);
        }
    }

    fn name_address(&mut self, lookup: &Lookup, address: IpAddr, name: &Arc<str>) {
        let time = lookup.time;
        let fresh = Entry {
            name: Arc::clone(name),
            since: time,
            last: time,
            ttl: lookup.ttl.unwrap_or_default(),
        };
        let key = (lookup.cgroup, address.to_canonical());
        let Some(entry) = self.entries.get_mut(&key) else {
            self.counts.inserted += 1;
            self.counts.evicted += u64::from(self.entries.push(key, fresh).is_some());
            return;
        };
        // Records of several CPUs may come slightly out of order.
        if time < entry.last {
            return;
        }
        self.counts.inserted += 1;
        if entry.name != fresh.name {
            self.counts.replaced += 1;
            *entry = fresh;
        } else if time > entry.lapses() {
            *entry = fresh;
        } else {
            entry.last = time;
            entry.ttl = fresh.ttl;
        }
    }

    /// The name of an address for a connection that a container opened at `at` (monotonic), and how long before that
    /// it was last resolved; zero if it was resolved again since.
    ///
    /// `None` if the container resolved no name to it, did so only later, or too long before.
    pub fn name(
        &mut self,
        cgroup: CgroupId,
        address: IpAddr,
        at: Duration,
    ) -> Option<(&str, Duration)> {
        let entry = self.entries.get(&(cgroup, address.to_canonical()))?;
        let counts = entry.since <= at && at <= entry.lapses();
        counts.then(|| (&*entry.name, at.saturating_sub(entry.last)))
    }
}

#[cfg(test)]
mod tests;
