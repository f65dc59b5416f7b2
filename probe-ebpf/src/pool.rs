//! Where in a pool a counter is, and who writes it. See `probe_common::owner`.

use aya_ebpf::{Global, btf_maps::Queue, helpers::bpf_get_smp_processor_id};
use probe_common::loss::ENTRY_LEAKED;

use crate::loss::count_loss;

/// Entries in one bank.
#[unsafe(no_mangle)]
static BANK_ENTRIES: Global<u32> = Global::new(1);
/// Number of banks minus one; the number is a power of two.
#[unsafe(no_mangle)]
static BANK_MASK: Global<u32> = Global::new(0);

/// Indices of entries that nobody owns. User space fills it at start and puts entries of removed owners back.
pub type FreeList = Queue<u32, 1>;

/// The position in the pool's array of this CPU's copy of an entry.
#[inline(always)]
pub fn position(entry: u32) -> u32 {
    // SAFETY: the helper has no requirement.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    (cpu & BANK_MASK.load()) * BANK_ENTRIES.load() + entry
}

/// Takes a free entry. `None` where there is none, or where the list's lock could not be had.
#[inline(always)]
pub fn take(list: &FreeList) -> Option<u32> {
    list.pop().ok().flatten()
}

/// Gives an entry back that another CPU was quicker to need.
#[inline(always)]
pub fn give_back(list: &FreeList, entry: u32) {
    // The list has room: the entry came from it. Its lock cannot always be had.
    if list.push(entry, 0).is_err() {
        count_loss(ENTRY_LEAKED);
    }
}
