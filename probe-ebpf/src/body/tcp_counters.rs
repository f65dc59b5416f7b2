//! What the connections of a cgroup come to.

use aya_ebpf::{bindings::BPF_NOEXIST, btf_maps::HashMap, macros::btf_map};
use probe_common::{
    hist,
    loss::{MAP_MISSING, OWNERS_FULL},
    tcp::{
        FAILED_ABORTED, FAILED_REFUSED, FAILED_RESET, FAILED_TIMEOUT, FAILED_UNREACHABLE, FAILURES,
        RETRANSMITS, Totals,
    },
};
use probe_ebpf::{count::add_shared, loss::count_loss};

/// Totals by cgroup. What finds no room is counted under [`OVERFLOW`].
#[btf_map]
static TOTALS: HashMap<u64, Totals, 1> = HashMap::new();

/// Too large for the stack, from which a value is usually inserted.
#[unsafe(no_mangle)]
static NOTHING: Totals = Totals::ZERO;

/// A cgroup that the kernel does not number. User space enters it before anything is attached.
const OVERFLOW: u64 = u64::MAX;

#[inline(always)]
fn totals(cgroup: u64) -> Option<*mut Totals> {
    if let Some(totals) = TOTALS.get_ptr_mut(cgroup) {
        return Some(totals);
    }
    // Another CPU may be quicker, which the second look-up finds as well.
    let nothing: &Totals = &NOTHING;
    _ = TOTALS.insert(cgroup, nothing, u64::from(BPF_NOEXIST));
    if let Some(totals) = TOTALS.get_ptr_mut(cgroup) {
        return Some(totals);
    }
    count_loss(OWNERS_FULL);
    let totals = TOTALS.get_ptr_mut(OVERFLOW);
    if totals.is_none() {
        count_loss(MAP_MISSING);
    }
    totals
}

macro_rules! add {
    ($cgroup:expr, $($field:tt)+) => {
        if let Some(totals) = totals($cgroup) {
            // SAFETY: the pointer is that of a map value.
            unsafe { add_shared(&raw mut (*totals).$($field)+, 1) };
        }
    };
}

pub(crate) fn attempt(cgroup: u64) {
    add!(cgroup, attempts);
}

pub(crate) fn connected(cgroup: u64, handshake_ns: u64) {
    if let Some(totals) = totals(cgroup) {
        // SAFETY: the pointer is that of a map value.
        unsafe {
            add_shared(&raw mut (*totals).connected, 1);
            if handshake_ns > 0 {
                observe(&raw mut (*totals).connect, handshake_ns);
            }
        }
    }
}

pub(crate) fn accepted(cgroup: u64, handshake_ns: u64) {
    if let Some(totals) = totals(cgroup) {
        // SAFETY: the pointer is that of a map value.
        unsafe {
            add_shared(&raw mut (*totals).accepted, 1);
            if handshake_ns > 0 {
                observe(&raw mut (*totals).accept, handshake_ns);
            }
        }
    }
}

pub(crate) fn closed(cgroup: u64, srtt_us: u32) {
    if let Some(totals) = totals(cgroup) {
        // SAFETY: the pointer is that of a map value.
        unsafe {
            add_shared(&raw mut (*totals).closed, 1);
            if srtt_us > 0 {
                observe(&raw mut (*totals).rtt, u64::from(srtt_us) * 1000);
            }
        }
    }
}

/// Counts an attempt that ended without a connection, by the socket's error number (include/uapi/asm-generic/errno.h).
pub(crate) fn failed(cgroup: u64, error: u32) {
    let reason = match error {
        111 => FAILED_REFUSED,
        110 => FAILED_TIMEOUT,
        101 | 113 => FAILED_UNREACHABLE,
        104 => FAILED_RESET,
        _ => FAILED_ABORTED,
    };
    add!(cgroup, failed[reason % FAILURES]);
}

pub(crate) fn retransmit(cgroup: u64, kind: usize) {
    add!(cgroup, retransmits[kind % RETRANSMITS]);
}

pub(crate) fn reset_sent(cgroup: u64) {
    add!(cgroup, resets_sent);
}

pub(crate) fn reset_received(cgroup: u64) {
    add!(cgroup, resets_received);
}

pub(crate) fn listen_drops(cgroup: u64, more: u32) {
    if let Some(totals) = totals(cgroup) {
        // SAFETY: the pointer is that of a map value.
        unsafe { add_shared(&raw mut (*totals).listen_drops, u64::from(more)) };
    }
}

/// # Safety
///
/// `histogram` must point into a map value.
#[inline(always)]
unsafe fn observe(histogram: *mut hist::Histogram, ns: u64) {
    // SAFETY: passed on to the caller; the index is bounded.
    unsafe {
        add_shared(
            &raw mut (*histogram).buckets[hist::bucket(ns) % hist::BUCKETS],
            1,
        );
        add_shared(&raw mut (*histogram).sum_ns, ns);
    }
}
