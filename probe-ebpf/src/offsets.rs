//! Where the running kernel keeps a field, and how it is read.
//!
//! rustc emits no CO-RE relocations. User space looks each field up by name in the kernel's BTF and writes its offset
//! into a read-only global before the program is loaded. The verifier knows those globals as constants: a load through
//! a trusted pointer at such an offset is checked like one that a C compiler wrote, and the branches for absent fields
//! are pruned.

use core::ptr;

use aya_ebpf::{
    Global,
    helpers::{
        bpf_get_current_task, bpf_probe_read_kernel,
        generated::{self, bpf_get_current_task_btf},
    },
};
use probe_common::loss::READ_FAILED;

use crate::loss::count_loss;

/// Offset of a field that the kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// A way to read kernel objects.
pub trait Reader {
    /// The current task, as a pointer that [`Reader::field`] can read through.
    fn current() -> *const u8;

    /// Loads a field of a kernel object.
    ///
    /// # Safety
    ///
    /// `object` must point to an object of the type that `offset` was looked up in, and come from a source that this
    /// reader can read through.
    unsafe fn field<T: Copy + Default>(object: *const u8, offset: &Global<u32>) -> T;
}

/// Reads through pointers that the verifier trusts: arguments of `tp_btf` programs, the current task from Linux 5.11
/// on, and what these point to. One load instruction, no helper call.
pub struct Trusted;

impl Reader for Trusted {
    #[inline(always)]
    fn current() -> *const u8 {
        // SAFETY: the helper has no requirement.
        unsafe { bpf_get_current_task_btf() }.cast_const().cast()
    }

    #[inline(always)]
    unsafe fn field<T: Copy + Default>(object: *const u8, offset: &Global<u32>) -> T {
        // SAFETY: the caller vouches for the object; the kernel answers a faulting load through such a pointer with
        // zero. Volatile, because the compiler must neither split the load nor merge it with another.
        unsafe { ptr::read_volatile(object.add(offset.load() as usize).cast()) }
    }
}

/// Reads by a helper that copies, for kernels that give no trusted pointer to the current task.
pub struct Copied;

impl Reader for Copied {
    #[inline(always)]
    fn current() -> *const u8 {
        // SAFETY: the helper has no requirement.
        unsafe { bpf_get_current_task() as *const u8 }
    }

    #[inline(always)]
    unsafe fn field<T: Copy + Default>(object: *const u8, offset: &Global<u32>) -> T {
        // SAFETY: the helper checks the address itself.
        unsafe { bpf_probe_read_kernel(object.wrapping_add(offset.load() as usize).cast()) }
            .unwrap_or_else(|_| {
                count_loss(READ_FAILED);
                T::default()
            })
    }
}

/// Reads as [`Copied`] does, and takes what cannot be read for zero: for whoever can tell by the values whether all of them were
/// read. It has no branches, of which each read would double what the verifier looks at in a loop.
pub struct Tried;

impl Reader for Tried {
    #[inline(always)]
    fn current() -> *const u8 {
        Copied::current()
    }

    #[inline(always)]
    unsafe fn field<T: Copy + Default>(object: *const u8, offset: &Global<u32>) -> T {
        let mut value = T::default();
        // SAFETY: the helper checks the address itself, and writes zeroes where it cannot read.
        unsafe {
            generated::bpf_probe_read_kernel(
                (&raw mut value).cast(),
                size_of::<T>() as u32,
                object.wrapping_add(offset.load() as usize).cast(),
            )
        };
        value
    }
}
