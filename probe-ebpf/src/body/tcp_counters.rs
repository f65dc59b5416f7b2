//! What the connections of a cgroup come to.

use aya_ebpf::{bindings::BPF_NOEXIST, btf_maps::HashMap, macros::btf_map};
use probe_common::{
    hist,
    loss::{LISTENERS_FULL, MAP_MISSING, OWNERS_FULL},
    tcp::{
        FAILED_ABORTED, FAILED_NO_LOCAL_PORT, FAILED_PROHIBITED, FAILED_REFUSED, FAILED_RESET,
        FAILED_TIMEOUT, FAILED_UNREACHABLE, FAILURES, ListenDropKey, RETRANSMITS, Totals,
    },
};
use probe_ebpf::{count::add_shared, loss::count_loss};

/// Totals by cgroup. What finds no room is counted under [`OVERFLOW`].
#[btf_map]
static TOTALS: HashMap<u64, Totals, 1> = HashMap::new();

/// Handshakes that listening sockets dropped, by cgroup and port.
#[btf_map]
static LISTEN_DROPS: HashMap<ListenDropKey, u64, 1> = HashMap::new();

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

/// Counts the round-trip time of a connection that goes on.
pub(crate) fn round_trip(cgroup: u64, srtt_us: u32) {
    if let Some(totals) = totals(cgroup) {
        // SAFETY: the pointer is that of a map value.
        unsafe { observe(&raw mut (*totals).rtt, u64::from(srtt_us) * 1000) };
    }
}

/// Counts segments that a socket has sent, and those of them that were retransmissions.
pub(crate) fn segments(cgroup: u64, sent: u32, retransmitted: u32) {
    if sent == 0 && retransmitted == 0 {
        return;
    }
    if let Some(totals) = totals(cgroup) {
        // SAFETY: the pointer is that of a map value.
        unsafe {
            add_shared(&raw mut (*totals).segments_sent, u64::from(sent));
            add_shared(
                &raw mut (*totals).segments_retransmitted,
                u64::from(retransmitted),
            );
        }
    }
}

/// Counts an attempt that ended without a connection, by an error number of include/uapi/asm-generic/errno.h. `EINVAL` is the
/// answer of a route that is a black hole.
pub(crate) fn failed(cgroup: u64, error: u32) {
    let reason = match error {
        111 => FAILED_REFUSED,
        110 => FAILED_TIMEOUT,
        // EINVAL, ENODEV, ENONET, ENOPROTOOPT, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH
        22 | 19 | 64 | 92 | 100 | 101 | 112 | 113 => FAILED_UNREACHABLE,
        104 => FAILED_RESET,
        // EPERM, EACCES
        1 | 13 => FAILED_PROHIBITED,
        99 => FAILED_NO_LOCAL_PORT,
        _ => FAILED_ABORTED,
    };
    add!(cgroup, failed[reason % FAILURES]);
}

pub(crate) fn retransmit(cgroup: u64, kind: usize, segments: u64) {
    if let Some(totals) = totals(cgroup) {
        // SAFETY: the pointer is that of a map value; the index is bounded.
        unsafe { add_shared(&raw mut (*totals).retransmits[kind % RETRANSMITS], segments) };
    }
}

pub(crate) fn reset_sent(cgroup: u64) {
    add!(cgroup, resets_sent);
}

pub(crate) fn reset_received(cgroup: u64) {
    add!(cgroup, resets_received);
}

/// Counts handshakes that a listening socket dropped.
pub(crate) fn listen_drops(cgroup: u64, port: u16, more: u32) {
    if let Some(totals) = totals(cgroup) {
        // SAFETY: the pointer is that of a map value.
        unsafe { add_shared(&raw mut (*totals).listen_drops, u64::from(more)) };
    }
    let key = ListenDropKey {
        cgroup,
        port,
        pad: 0,
        pad2: 0,
    };
    let mut drops = LISTEN_DROPS.get_ptr_mut(key);
    if drops.is_none() {
        _ = LISTEN_DROPS.insert(key, 0, u64::from(BPF_NOEXIST));
        drops = LISTEN_DROPS.get_ptr_mut(key);
    }
    match drops {
        // SAFETY: the pointer is that of a map value.
        Some(drops) => unsafe { add_shared(drops, u64::from(more)) },
        // They are counted for the container.
        None => count_loss(LISTENERS_FULL),
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
