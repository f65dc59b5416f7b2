//! The counters of a pool, read from and cleared in the map's own memory, without a system call.

use std::{
    marker::PhantomData,
    os::fd::AsFd as _,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::{Map, MapData};

use super::{MapError, windows::Windows};

/// A type that is nothing but `u64` counters, all of which start at zero and add up.
///
/// # Safety
///
/// The type must consist of `u64` fields only, without padding.
pub unsafe trait Cells: Copy + 'static {
    /// Number of counters.
    const CELLS: usize = size_of::<Self>() / 8;
}

// SAFETY: `u64` fields and an array of `u64`; the size is asserted beside the type.
unsafe impl Cells for probe_common::syscalls::SyscallStats {}
// SAFETY: histograms, which are `u64` and an array of `u64`, and `u64` fields; the size is asserted beside the type.
unsafe impl Cells for probe_common::scheduler::SchedStats {}
// SAFETY: two `u64` fields.
unsafe impl Cells for probe_common::scheduler::Running {}

/// A mappable array map of `banks` times `entries` values.
pub struct Banks<T> {
    name: &'static str,
    memory: Windows,
    entries: u32,
    banks: u32,
    /// Its file descriptor keeps the map: the kernel frees a map that nobody holds.
    map: MapData,
    _values: PhantomData<T>,
}

impl<T: Cells> Banks<T> {
    /// Opens an array map that was created with `BPF_F_MMAPABLE` and `banks * entries` values.
    ///
    /// # Errors
    ///
    /// If the map is of another type or size, or there are no addresses for it.
    pub fn new(map: Map, name: &'static str, banks: u32, entries: u32) -> Result<Self, MapError> {
        let Map::Array(map) = map else {
            return Err(MapError::Type {
                map: name,
                expected: "an array",
            });
        };
        let info = map
            .info()
            .map_err(|source| MapError::Aya { map: name, source })?;
        if info.max_entries() != banks * entries || info.value_size() as usize != size_of::<T>() {
            return Err(MapError::Type {
                map: name,
                expected: "of the size that it was loaded with",
            });
        }
        let bytes = (banks as usize * entries as usize * size_of::<T>())
            .next_multiple_of(rustix::param::page_size());
        Ok(Self {
            name,
            memory: Windows::reserve(bytes)
                .map_err(|source| MapError::Mmap { map: name, source })?,
            entries,
            banks,
            map,
            _values: PhantomData,
        })
    }

    /// The sum of an entry's counters over all banks.
    ///
    /// # Errors
    ///
    /// If there is no such entry, or its memory cannot be mapped.
    pub fn read(&self, entry: u32) -> Result<T, MapError> {
        // SAFETY: `Cells` promises that the type is `u64` counters only, for which zero is valid.
        let mut sum: T = unsafe { std::mem::zeroed() };
        // SAFETY: `Cells` promises that the value is exactly that many `u64`, whose alignment is that of the type.
        let cells =
            unsafe { std::slice::from_raw_parts_mut((&raw mut sum).cast::<u64>(), T::CELLS) };
        for bank in 0..self.banks {
            for (mine, theirs) in cells.iter_mut().zip(self.cells(bank, entry)?) {
                *mine = mine.wrapping_add(theirs.load(Ordering::Relaxed));
            }
        }
        Ok(sum)
    }

    /// Sets an entry's counters to zero in all banks. For entries that nobody writes any more.
    ///
    /// # Errors
    ///
    /// If there is no such entry, or its memory cannot be mapped.
    pub fn clear(&self, entry: u32) -> Result<(), MapError> {
        for bank in 0..self.banks {
            for cell in self.cells(bank, entry)? {
                cell.store(0, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Entries in one bank.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Size of the map's memory in bytes.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    fn cells(&self, bank: u32, entry: u32) -> Result<&[AtomicU64], MapError> {
        if entry >= self.entries {
            return Err(MapError::NoEntry {
                map: self.name,
                entry,
            });
        }
        let first = (bank as usize * self.entries as usize + entry as usize) * size_of::<T>();
        let memory = self
            .memory
            .touch(self.map.fd().as_fd(), first..first + size_of::<T>())
            .map_err(|source| MapError::Mmap {
                map: self.name,
                source,
            })?;
        // SAFETY: `touch` has mapped the value for as long as `self` lives; it starts at a multiple of 8 bytes in pages;
        // atomics may be written by others at any time.
        Ok(unsafe { std::slice::from_raw_parts(memory.cast().as_ptr(), T::CELLS) })
    }
}
