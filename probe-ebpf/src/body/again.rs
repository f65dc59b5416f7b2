//! A second chance for events that the kernel keeps from a program.
//!
//! The kernel runs no program inside itself. Where an interrupt, or since Linux 7.2 another task, comes to the same hook while
//! the program is at work on that CPU, the program is skipped. So two programs with one body are attached to the hook: the first
//! notes each event that it takes, and the second, which comes after it, takes what the first has not noted.

use core::ptr;

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use probe_common::loss::MAP_MISSING;
use probe_ebpf::{count::add_shared, loss::count_loss};

/// Notes that fit: one for each context that was interrupted between the two programs, and some that stay behind where the second
/// one was skipped. An interrupt would have to bring more than this to one that was about to look.
const ROOM: usize = 128;

/// What the first program took and the second has not come to, the latest last.
#[repr(C)]
struct Notes {
    length: u64,
    events: [u64; ROOM],
}

#[btf_map]
static NOTES: PerCpuArray<Notes, 1> = PerCpuArray::new();
/// Events that the second program took.
#[btf_map]
static TAKEN: PerCpuArray<u64, 1> = PerCpuArray::new();

/// Notes that the first program takes an event. `event` must not be that of another one for as long as the machine runs.
#[inline(always)]
pub(crate) fn note(event: u64) {
    let Some(notes) = NOTES.get_ptr_mut(0) else {
        count_loss(MAP_MISSING);
        return;
    };
    // SAFETY: the pointer is that of a map value of this CPU, and the index is bounded. Only the first program makes entries, and
    // it does not interrupt itself.
    unsafe {
        let length = ptr::read_volatile(&raw const (*notes).length) as usize;
        // Full of what stayed behind.
        let at = if length >= ROOM { 0 } else { length };
        ptr::write_volatile(&raw mut (*notes).events[at % ROOM], event);
        ptr::write_volatile(&raw mut (*notes).length, at as u64 + 1);
    }
}

/// Whether the second program has to take an event, for the first was skipped.
#[inline(always)]
pub(crate) fn is_left(event: u64) -> bool {
    let Some(notes) = NOTES.get_ptr_mut(0) else {
        count_loss(MAP_MISSING);
        return false;
    };
    // SAFETY: as above. What interrupts this leaves the entries below alone, and what it left above is of no use.
    unsafe {
        let length = ptr::read_volatile(&raw const (*notes).length) as usize;
        for above in 1..=ROOM {
            if above > length {
                break;
            }
            let at = length - above;
            if ptr::read_volatile(&raw const (*notes).events[at % ROOM]) == event {
                ptr::write_volatile(&raw mut (*notes).length, at as u64);
                return false;
            }
        }
    }
    match TAKEN.get_ptr_mut(0) {
        // SAFETY: the pointer is that of a map value.
        Some(taken) => unsafe { add_shared(taken, 1) },
        None => count_loss(MAP_MISSING),
    }
    true
}
