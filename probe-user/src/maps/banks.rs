//! The counters of a pool, read from and cleared in the map's own memory, without a system call.

use std::{
    io,
    marker::PhantomData,
    os::fd::AsFd as _,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::Map;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::MapError;

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
    memory: NonNull<AtomicU64>,
    bytes: usize,
    entries: u32,
    banks: u32,
    /// Keeps the map's file descriptor open: the kernel frees a map that nobody holds.
    _map: Map,
    _values: PhantomData<T>,
}

// SAFETY: the memory is shared with the kernel anyway and is only accessed through atomics.
unsafe impl<T> Send for Banks<T> {}

impl<T: Cells> Banks<T> {
    /// Maps the memory of an array map that was created with `BPF_F_MMAPABLE` and `banks * entries` values.
    ///
    /// # Errors
    ///
    /// If the map is of another type or size, or cannot be mapped.
    pub fn new(map: Map, name: &'static str, banks: u32, entries: u32) -> Result<Self, MapError> {
        let Map::Array(data) = &map else {
            return Err(MapError::Type {
                map: name,
                expected: "an array",
            });
        };
        let info = data
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
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let memory = unsafe {
            mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                data.fd().as_fd(),
                0,
            )
        }
        .map_err(|errno| MapError::Mmap {
            map: name,
            source: errno.into(),
        })?;
        let memory = NonNull::new(memory.cast()).ok_or_else(|| MapError::Mmap {
            map: name,
            source: io::Error::other("mapped at address 0"),
        })?;
        Ok(Self {
            memory,
            bytes,
            entries,
            banks,
            _map: map,
            _values: PhantomData,
        })
    }

    /// The sum of an entry's counters over all banks, written over `sum`. `None` if there is no such entry.
    pub fn read(&self, entry: u32) -> Option<T> {
        if entry >= self.entries {
            return None;
        }
        // SAFETY: `Cells` promises that the type is `u64` counters only, for which zero is valid.
        let mut sum: T = unsafe { std::mem::zeroed() };
        // SAFETY: `Cells` promises that the value is exactly that many `u64`, whose alignment is that of the type.
        let cells =
            unsafe { std::slice::from_raw_parts_mut((&raw mut sum).cast::<u64>(), T::CELLS) };
        for bank in 0..self.banks {
            for (mine, theirs) in cells.iter_mut().zip(self.cells(bank, entry)) {
                *mine = mine.wrapping_add(theirs.load(Ordering::Relaxed));
            }
        }
        Some(sum)
    }

    /// Sets an entry's counters to zero in all banks. For entries that nobody writes any more.
    pub fn clear(&self, entry: u32) {
        if entry < self.entries {
            for bank in 0..self.banks {
                for cell in self.cells(bank, entry) {
                    cell.store(0, Ordering::Relaxed);
                }
            }
        }
    }

    /// Entries in one bank.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Size of the mapped memory in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn cells(&self, bank: u32, entry: u32) -> &[AtomicU64] {
        let first = (bank as usize * self.entries as usize + entry as usize) * T::CELLS;
        // SAFETY: callers pass a bank and an entry below the map's sizes, which the mapping covers; it lives as long
        // as `self`; atomics may be written by others at any time.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().add(first), T::CELLS) }
    }
}

impl<T> Drop for Banks<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this address and length, and no reference into it outlives `self`.
        // A failure would leave the mapping in place, which harms nobody.
        _ = unsafe { munmap(self.memory.as_ptr().cast(), self.bytes) };
    }
}
