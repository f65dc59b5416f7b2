//! Reading kernel maps in the two ways that aya lacks: mapped memory and batches.

mod banks;
mod hash;
mod shared;
mod windows;

pub use banks::{Banks, Cells};
pub use hash::{lookup_all, lookup_each, put, remove, take_entry};
pub use shared::Shared;

use std::io;

use aya::{Ebpf, maps::Map};

/// A map could not be used.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The object does not define the map: it is not of this build.
    #[error("the kernel object has no map `{0}`; rebuild nodeprobe")]
    Missing(&'static str),
    /// The map is of another type than expected.
    #[error("map `{map}` is not {expected}; rebuild nodeprobe")]
    Type {
        /// Name of the map.
        map: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The map's memory could not be mapped.
    #[error("cannot map the memory of map `{map}`")]
    Mmap {
        /// Name of the map.
        map: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A table names an entry that its pool does not have.
    #[error("map `{map}` has no entry {entry}; rebuild nodeprobe")]
    NoEntry {
        /// Name of the map.
        map: &'static str,
        /// The entry.
        entry: u32,
    },
    /// Entries could not be read.
    #[error("cannot read map `{map}`")]
    Read {
        /// Name of the map.
        map: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// aya's own answer.
    #[error("cannot use map `{map}`")]
    Aya {
        /// Name of the map.
        map: &'static str,
        /// What aya said.
        #[source]
        source: aya::maps::MapError,
    },
}

/// Takes a map out of a loaded object.
///
/// # Errors
///
/// If the object does not define it.
pub fn take(ebpf: &mut Ebpf, map: &'static str) -> Result<Map, MapError> {
    ebpf.take_map(map).ok_or(MapError::Missing(map))
}
