//! Hash maps: all entries with few system calls (`BPF_MAP_LOOKUP_BATCH`, Linux 5.6), and removal.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

use aya::{Pod, maps::Map};

use super::MapError;

/// Commands of `bpf(2)`, include/uapi/linux/bpf.h.
const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_MAP_DELETE_ELEM: libc::c_long = 3;
const BPF_MAP_LOOKUP_AND_DELETE_ELEM: libc::c_long = 21;
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;

/// Entries asked for at once. The kernel hands out whole hash buckets, so this must exceed the longest one.
const BATCH: u32 = 4096;

/// The `batch` member of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}
const _: () = assert!(size_of::<BatchAttr>() == 56);

/// Reads all entries of a hash map whose keys and values are `K` and `V`.
///
/// Entries that come and go meanwhile may or may not be among them; all others are, once.
///
/// # Errors
///
/// If the map is of another type, or the kernel refuses.
pub fn lookup_all<K: Pod, V: Pod>(map: &Map, name: &'static str) -> Result<Vec<(K, V)>, MapError> {
    let mut found = Vec::new();
    lookup_each(map, name, |key, value| found.push((key, value)))?;
    Ok(found)
}

/// As [`lookup_all`], and hands each entry on instead of keeping all.
///
/// # Errors
///
/// As [`lookup_all`]; some entries may have been handed on before.
pub fn lookup_each<K: Pod, V: Pod>(
    map: &Map,
    name: &'static str,
    mut with: impl FnMut(K, V),
) -> Result<(), MapError> {
    let fd = hash_fd(map, name)?;
    let mut batch = Batch::<K, V>::of(BATCH);
    let mut position: Option<u32> = None;
    loop {
        match batch.read(fd, position) {
            Ok((count, next)) => {
                batch
                    .entries(count)
                    .for_each(|(key, value)| with(key, value));
                if next.is_none() {
                    return Ok(());
                }
                position = next;
            }
            // One bucket holds more than fits: ask again for more from the same position.
            Err(error)
                if error.raw_os_error() == Some(libc::ENOSPC) && batch.keys.len() < 1 << 24 =>
            {
                batch = Batch::of(batch.keys.len() as u32 * 2);
            }
            Err(source) => return Err(MapError::Read { map: name, source }),
        }
    }
}

/// Room for entries that are read at once.
struct Batch<K, V> {
    keys: Vec<MaybeUninit<K>>,
    values: Vec<MaybeUninit<V>>,
}

impl<K: Pod, V: Pod> Batch<K, V> {
    fn of(size: u32) -> Self {
        Self {
            keys: vec![MaybeUninit::uninit(); size as usize],
            values: vec![MaybeUninit::uninit(); size as usize],
        }
    }

    /// Reads from a position on; answers how many entries there are, and where to go on, or `None` at the end.
    fn read(&mut self, fd: BorrowedFd<'_>, from: Option<u32>) -> io::Result<(usize, Option<u32>)> {
        let size = self.keys.len();
        let mut next = 0_u32;
        let mut attr = BatchAttr {
            in_batch: from
                .as_ref()
                .map_or(0, |position| std::ptr::from_ref(position) as u64),
            out_batch: &raw mut next as u64,
            keys: self.keys.as_mut_ptr() as u64,
            values: self.values.as_mut_ptr() as u64,
            count: size as u32,
            map_fd: fd.as_raw_fd() as u32,
            ..BatchAttr::default()
        };
        // SAFETY: all addresses in the attribute are those of live buffers with room for `count` keys and values of the
        // map's sizes, and of `u32` positions, which is what hash maps use.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_MAP_LOOKUP_BATCH,
                &raw mut attr,
                size_of::<BatchAttr>(),
            )
        };
        let end = if answer == 0 {
            false
        } else {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::ENOENT) {
                return Err(error);
            }
            true
        };
        let count = (attr.count as usize).min(size);
        Ok((count, (!end).then_some(next)))
    }

    /// The first of what was read, which must have been that many.
    fn entries(&self, count: usize) -> impl Iterator<Item = (K, V)> {
        let both = self.keys.iter().zip(&self.values).take(count);
        // SAFETY: the kernel has written that many keys and values, and `Pod` accepts every bit pattern.
        both.map(|(key, value)| unsafe { (key.assume_init(), value.assume_init()) })
    }
}

/// The member of `union bpf_attr` for single elements.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}
const _: () = assert!(size_of::<ElementAttr>() == 32);

/// Removes an entry of a hash map whose keys are `K`; answers whether it was there.
///
/// # Errors
///
/// If the map is of another type, or the kernel refuses.
pub fn remove<K: Pod>(map: &Map, name: &'static str, key: &K) -> Result<bool, MapError> {
    let fd = hash_fd(map, name)?;
    element::<K, ()>(BPF_MAP_DELETE_ELEM, fd, key, None)
        .map_err(|source| MapError::Read { map: name, source })
}

/// Enters a value, or replaces the one that is there.
///
/// # Errors
///
/// If the map is of another type or full, or the kernel refuses.
pub fn put<K: Pod, V: Pod>(
    map: &Map,
    name: &'static str,
    key: &K,
    value: &V,
) -> Result<(), MapError> {
    let fd = hash_fd(map, name)?;
    // The kernel only reads it.
    let mut value = MaybeUninit::new(*value);
    element(BPF_MAP_UPDATE_ELEM, fd, key, Some(&mut value))
        .map(|_| ())
        .map_err(|source| MapError::Read { map: name, source })
}

/// Removes an entry of a hash map and answers its last value, in one step where the kernel can (Linux 5.14, 3e87f192b405).
/// Elsewhere what a program adds between the two steps is lost.
///
/// # Errors
///
/// If the map is of another type, or the kernel refuses.
pub fn take_entry<K: Pod, V: Pod>(
    map: &Map,
    name: &'static str,
    key: &K,
) -> Result<Option<V>, MapError> {
    let fd = hash_fd(map, name)?;
    let failed = |source| MapError::Read { map: name, source };
    let mut value = MaybeUninit::<V>::uninit();
    let found = match element(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, key, Some(&mut value)) {
        // The kernel's own ENOTSUPP, which no header of user space has, or a command that it does not know.
        Err(error) if matches!(error.raw_os_error(), Some(524 | libc::EINVAL)) => {
            element(BPF_MAP_LOOKUP_ELEM, fd, key, Some(&mut value)).map_err(failed)?
                && element::<K, ()>(BPF_MAP_DELETE_ELEM, fd, key, None).map_err(failed)?
        }
        other => other.map_err(failed)?,
    };
    // SAFETY: the kernel has written the value, and `Pod` accepts every bit pattern.
    Ok(found.then(|| unsafe { value.assume_init() }))
}

/// A command for one element; answers whether it was there.
fn element<K: Pod, V>(
    command: libc::c_long,
    fd: BorrowedFd<'_>,
    key: &K,
    value: Option<&mut MaybeUninit<V>>,
) -> io::Result<bool> {
    let attr = ElementAttr {
        map_fd: fd.as_raw_fd() as u32,
        pad: 0,
        key: std::ptr::from_ref(key) as u64,
        value: value.map_or(0, |value| value.as_mut_ptr() as u64),
        flags: 0,
    };
    // SAFETY: the addresses are those of a live key of the map's key size, and of room for a value where there is one.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            &raw const attr,
            size_of::<ElementAttr>(),
        )
    };
    if answer == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        error => Err(error),
    }
}

/// The file descriptor of a hash map.
fn hash_fd<'a>(map: &'a Map, name: &'static str) -> Result<BorrowedFd<'a>, MapError> {
    match map {
        Map::HashMap(data) => Ok(data.fd().as_fd()),
        _ => Err(MapError::Type {
            map: name,
            expected: "a hash map",
        }),
    }
}
