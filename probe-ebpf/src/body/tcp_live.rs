//! What connections that go on add to the totals of their cgroup: segments, and now and then their round-trip time.
//!
//! Nothing runs per packet, so user space asks, and the end of a connection counts the rest.

use core::ptr;

use probe_common::tcp::{Connection, ESTABLISHED};
use probe_ebpf::{
    offsets::{Reader as _, Tried},
    socket,
};

use super::{
    ask::{self, Health},
    counters,
    table::{CONNECTIONS, SKC_COOKIE},
};

/// State of a socket that has closed, `include/net/tcp_states.h`.
const CLOSE: u8 = 7;

/// Counts what a socket has sent since it was last counted, whose address user space read from the table.
#[inline(never)]
pub(crate) fn count(address: u64, with_round_trip: bool) {
    let Some(known) = CONNECTIONS.get_ptr_mut(address) else {
        return;
    };
    let sk = address as *const u8;
    // SAFETY: the pointer is that of a map value. The address may be out of date: the reader copies, which gives zeroes for what
    // is not mapped, and the cookie tells whether it still is the same socket. A `struct tcp_sock` begins with its `struct sock`.
    unsafe {
        let health = ask::health_of::<Tried>(sk);
        let state = socket::state::<Tried>(sk);
        let cookie = ptr::read(&raw const (*known).cookie);
        // The end counts what one that closes came to.
        if state == 0
            || state == CLOSE
            || cookie != 0 && Tried::field::<u64>(sk, &SKC_COOKIE) != cookie
        {
            return;
        }
        add(known, &health);
        if with_round_trip && (*known).flags & ESTABLISHED != 0 && health.srtt_us > 0 {
            counters::round_trip((*known).cgroup, health.srtt_us);
        }
    }
}

/// Adds to the totals what the socket of a connection has sent since the last time.
///
/// If a connection is closed by one CPU just while another counts, both may count the same segments.
///
/// # Safety
///
/// `known` must be a whole connection, in the table or a copy of it.
#[inline(always)]
pub(crate) unsafe fn add(known: *mut Connection, health: &Health) {
    // SAFETY: passed on to the caller.
    unsafe {
        let sent = health.segments_sent.wrapping_sub((*known).segments_sent);
        let retransmitted = health
            .retransmits
            .wrapping_sub((*known).segments_retransmitted);
        (*known).segments_sent = health.segments_sent;
        (*known).segments_retransmitted = health.retransmits;
        counters::segments((*known).cgroup, sent, retransmitted);
    }
}
