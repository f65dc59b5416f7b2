//! Counts what the kernel side could not record.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use probe_common::loss::REASONS;

/// Losses by reason, see `probe_common::loss`.
#[btf_map]
static LOST: PerCpuArray<u64, REASONS> = PerCpuArray::new();

/// Counts one loss. The loss of a loss count cannot be counted: the map is an array, so it has room.
#[inline(always)]
pub fn count_loss(reason: u32) {
    count_losses(reason, 1);
}

/// Counts some losses at once.
#[inline(always)]
pub fn count_losses(reason: u32, losses: u64) {
    if let Some(counter) = LOST.get_ptr_mut(reason) {
        // SAFETY: the pointer is this CPU's slot of an array map. A program that interrupts this one between the load
        // and the store can cost one count of a loss, which the atomic instruction avoids.
        unsafe { crate::count::add_shared(counter, losses) };
    }
}
