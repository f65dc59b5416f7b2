//! The bpf(2) system call, as far as questions about the kernel need it.
//!
//! Maps and programs made here are never attached and vanish with their descriptors.

mod attr;
pub(super) mod insn;

use std::{
    io,
    os::fd::{BorrowedFd, FromRawFd as _, OwnedFd},
};

use attr::Attr;
use insn::Insn;

/// `enum bpf_cmd`.
mod cmd {
    pub(super) const MAP_CREATE: u32 = 0;
    pub(super) const PROG_LOAD: u32 = 5;
    pub(super) const PROG_TEST_RUN: u32 = 10;
    pub(super) const BTF_LOAD: u32 = 18;
    pub(super) const MAP_LOOKUP_BATCH: u32 = 24;
    pub(super) const ENABLE_STATS: u32 = 32;
}

/// `enum bpf_map_type`.
pub(super) mod map_type {
    pub(in super::super) const HASH: u32 = 1;
    pub(in super::super) const ARRAY: u32 = 2;
    pub(in super::super) const RINGBUF: u32 = 27;
    pub(in super::super) const TASK_STORAGE: u32 = 29;
}

/// Map flags, `BPF_F_*`.
pub(super) mod map_flag {
    pub(in super::super) const NO_PREALLOC: u32 = 1;
    pub(in super::super) const MMAPABLE: u32 = 1 << 10;
}

/// `enum bpf_prog_type`.
pub(super) mod program_type {
    pub(in super::super) const TRACING: u32 = 26;
}

/// `BPF_TRACE_RAW_TP` of `enum bpf_attach_type`.
const TRACE_RAW_TP: u32 = 23;

/// Shape of a map. Keys are always 4 bytes long.
#[derive(Clone, Copy)]
pub(super) struct Map<'a> {
    pub(super) kind: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) entries: u32,
    pub(super) flags: u32,
    /// BTF whose type 1 describes key and value.
    pub(super) btf: Option<BorrowedFd<'a>>,
}

impl Map<'_> {
    /// Creates the map.
    pub(super) fn create(self) -> io::Result<OwnedFd> {
        let mut attr = Attr::default();
        attr.u32(0, self.kind)
            .u32(4, self.key_size)
            .u32(8, self.value_size);
        attr.u32(12, self.entries).u32(16, self.flags);
        if let Some(btf) = self.btf {
            attr.fd(48, btf).u32(52, 1).u32(56, 1);
        }
        // SAFETY: MAP_CREATE takes no pointers.
        unsafe { new_fd(cmd::MAP_CREATE, &attr) }
    }
}

/// Loads a program and throws it away. `tracepoint` is the BTF id for `TRACING` programs.
pub(super) fn load_program(kind: u32, code: &[Insn], tracepoint: Option<u32>) -> io::Result<()> {
    const LICENSE: &std::ffi::CStr = c"GPL";
    let mut attr = Attr::default();
    attr.u32(0, kind).u32(4, code.len() as u32);
    attr.pointer(8, code.as_ptr()).pointer(16, LICENSE.as_ptr());
    if let Some(id) = tracepoint {
        attr.u32(68, TRACE_RAW_TP).u32(108, id);
    }
    // SAFETY: the kernel reads `code.len()` instructions of 8 bytes and a terminated string; both live
    // until the call returns.
    unsafe { new_fd(cmd::PROG_LOAD, &attr) }.map(drop)
}

/// Loads BTF with one type, a 4-byte integer with id 1.
pub(super) fn load_int_btf() -> io::Result<OwnedFd> {
    // Header of 24 bytes, `btf_type` with the encoding of an int, strings `\0i\0`.
    const INT: u32 = 1 << 24;
    let words = [24, 0, 16, 16, 3, 1, INT, 4, 32];
    let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
    bytes.extend([1, 0]);
    bytes.extend(words.iter().flat_map(|word: &u32| word.to_ne_bytes()));
    bytes.extend(b"\0i\0");
    let mut attr = Attr::default();
    attr.pointer(0, bytes.as_ptr()).u32(16, bytes.len() as u32);
    // SAFETY: the kernel reads `bytes.len()` bytes, which live until the call returns.
    unsafe { new_fd(cmd::BTF_LOAD, &attr) }
}

/// Looks up one element by the batch operation; values may take up to `value_bytes`.
pub(super) fn look_up_batch(map: BorrowedFd<'_>, value_bytes: usize) -> io::Result<()> {
    let (mut next, mut key) = ([0u64; 2], [0u64; 2]);
    let mut values = vec![0u64; value_bytes.div_ceil(8).max(1)];
    let mut attr = Attr::default();
    attr.pointer(8, next.as_mut_ptr())
        .pointer(16, key.as_mut_ptr());
    attr.pointer(24, values.as_mut_ptr()).u32(32, 1).fd(36, map);
    // SAFETY: the kernel writes at most one key of 4 bytes, a cursor of 4 bytes and one value of
    // `value_bytes`; the buffers are at least as long and live until the call returns.
    match unsafe { bpf(cmd::MAP_LOOKUP_BATCH, &attr) } {
        // The answer of an empty map.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other.map(drop),
    }
}

/// Has the kernel count the run times of programs for as long as the descriptor lives.
pub(super) fn enable_run_statistics() -> io::Result<OwnedFd> {
    // Type 0 is BPF_STATS_RUN_TIME.
    // SAFETY: ENABLE_STATS takes no pointers.
    unsafe { new_fd(cmd::ENABLE_STATS, &Attr::default()) }
}

/// Runs a loaded `raw_tracepoint` program once, here and now, with these arguments (Linux 5.10, 1b4d60ec162f).
///
/// # Errors
///
/// If the kernel cannot run such programs by themselves, or this thread may not.
pub fn run_raw_tracepoint(program: BorrowedFd<'_>, arguments: &[u64]) -> io::Result<()> {
    let mut attr = Attr::default();
    attr.fd(0, program)
        .u32(40, size_of_val(arguments) as u32)
        .pointer(48, arguments.as_ptr());
    // SAFETY: the kernel reads `arguments`, which live until the call returns, and writes nothing but the attribute.
    unsafe { bpf(cmd::PROG_TEST_RUN, &attr) }.map(drop)
}

/// A command that answers with a descriptor.
///
/// # Safety
///
/// As for [`bpf`]; and the command must return a descriptor that belongs to the caller.
unsafe fn new_fd(command: u32, attr: &Attr) -> io::Result<OwnedFd> {
    // SAFETY: passed on to the caller.
    let fd = unsafe { bpf(command, attr) }?;
    // SAFETY: the kernel has just made this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The system call.
///
/// # Safety
///
/// Pointers in `attr` must be valid for what the kernel reads and writes through them for `command`.
unsafe fn bpf(command: u32, attr: &Attr) -> io::Result<i32> {
    // SAFETY: `attr` is at least as long as stated, zero where nothing was set; the rest is the caller's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            attr.as_ptr(),
            Attr::LEN as libc::c_uint,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as i32)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd as _, AsRawFd as _};

    use super::*;

    #[test]
    fn a_descriptor_that_is_no_map_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(look_up_batch(file.as_fd(), 8).is_err());
    }

    #[test]
    fn an_unknown_kind_of_map_is_an_error() {
        let odd = Map {
            kind: 9999,
            key_size: 4,
            value_size: 4,
            entries: 1,
            flags: 0,
            btf: None,
        };
        let fd = odd.create();
        assert!(fd.is_err(), "{:?}", fd.map(|fd| fd.as_raw_fd()));
    }
}
