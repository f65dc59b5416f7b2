//! The only place that adds to a counter which two contexts may touch at once.
//!
//! `core` has no atomic read-modify-write for the BPF target, and a plain `+=` is a load and a store with a gap
//! between them. The instruction is written out here: it is the one that fetches nothing, so that kernels before 5.12
//! take it too.

use core::arch::asm;

use aya_ebpf::Global;

/// 1 if every CPU has a bank of its own and no program can be interrupted by another that writes the same counters, so
/// that a plain add is whole.
#[unsafe(no_mangle)]
pub static EXCLUSIVE_BANKS: Global<u32> = Global::new(0);

/// Adds to a counter in map memory that other CPUs may be adding to.
///
/// # Safety
///
/// `counter` must point into a map value and be aligned to 8 bytes.
#[inline(always)]
pub unsafe fn add_shared(counter: *mut u64, n: u64) {
    // SAFETY: the caller vouches for the pointer; the instruction touches nothing but those 8 bytes.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {n}", counter = in(reg) counter, n = in(reg) n, options(nostack));
    }
}

/// Adds to a counter in a bank, plainly where the bank belongs to this CPU alone.
///
/// # Safety
///
/// As for [`add_shared`].
#[inline(always)]
pub unsafe fn add_banked(counter: *mut u64, n: u64) {
    if EXCLUSIVE_BANKS.load() == 1 {
        // SAFETY: the caller vouches for the pointer.
        unsafe { *counter = (*counter).wrapping_add(n) };
    } else {
        // SAFETY: passed on to the caller.
        unsafe { add_shared(counter, n) };
    }
}
