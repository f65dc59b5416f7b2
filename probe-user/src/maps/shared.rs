//! Values of a mappable array that user space and programs both write, such as questions and their answers.

use std::{marker::PhantomData, os::fd::AsFd as _};

use aya::{
    Pod,
    maps::{Map, MapData},
};

use super::{MapError, windows::Windows};

/// The values of a mappable array map, read and written without a system call.
pub struct Shared<T> {
    name: &'static str,
    memory: Windows,
    entries: u32,
    /// Its file descriptor keeps the map: the kernel frees a map that nobody holds.
    map: MapData,
    _values: PhantomData<T>,
}

impl<T: Pod> Shared<T> {
    /// Opens an array map that was created with `BPF_F_MMAPABLE` and `entries` values.
    ///
    /// # Errors
    ///
    /// If the map is of another type or size, or there are no addresses for it.
    pub fn new(map: Map, name: &'static str, entries: u32) -> Result<Self, MapError> {
        const PAGE: usize = 4096;
        let wrong = MapError::Type {
            map: name,
            expected: "an array of the size that it was loaded with",
        };
        let Map::Array(map) = map else {
            return Err(wrong);
        };
        let info = map
            .info()
            .map_err(|source| MapError::Aya { map: name, source })?;
        if info.max_entries() != entries
            || info.value_size() as usize != size_of::<T>()
            || !size_of::<T>().is_multiple_of(8)
        {
            return Err(wrong);
        }
        let bytes = (entries as usize * size_of::<T>()).next_multiple_of(PAGE);
        let memory =
            Windows::reserve(bytes).map_err(|source| MapError::Mmap { map: name, source })?;
        Ok(Self {
            name,
            memory,
            entries,
            map,
            _values: PhantomData,
        })
    }

    /// Reads a value. One that a program is writing may be half old, half new.
    ///
    /// # Errors
    ///
    /// If there is no such value, or its memory cannot be mapped.
    pub fn get(&self, entry: u32) -> Result<T, MapError> {
        // SAFETY: the address is that of a mapped value, which lives as long as `self`; `Pod` accepts every bit pattern.
        Ok(unsafe { self.address(entry)?.read_volatile() })
    }

    /// Writes a value.
    ///
    /// # Errors
    ///
    /// As for [`Shared::get`].
    pub fn set(&mut self, entry: u32, value: T) -> Result<(), MapError> {
        // SAFETY: as for `get`; nobody else in this process has the mapping.
        unsafe { self.address(entry)?.write_volatile(value) };
        Ok(())
    }

    fn address(&self, entry: u32) -> Result<*mut T, MapError> {
        if entry >= self.entries {
            return Err(MapError::NoEntry {
                map: self.name,
                entry,
            });
        }
        let start = entry as usize * size_of::<T>();
        let address = self
            .memory
            .touch(self.map.fd().as_fd(), start..start + size_of::<T>())
            .map_err(|source| MapError::Mmap {
                map: self.name,
                source,
            })?;
        Ok(address.as_ptr().cast())
    }
}
