//! A share of a ring for each of those that fill it, so that one container cannot take the room of all others.
//!
//! Half of a ring is for whoever comes first. What is beyond is shared: until the reader has taken half a ring more, each may put
//! half as much there as is free. So a single one gets two thirds of the ring, many that all need much get equal parts, and there is
//! room for a newcomer, as in `probe_common::share`.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{
        BPF_NOEXIST, BPF_RB_AVAIL_DATA, BPF_RB_CONS_POS, BPF_RB_RING_SIZE, BPF_RINGBUF_HDR_SZ,
    },
    btf_maps::LruHashMap,
    helpers::generated::bpf_ringbuf_query,
};

use probe_common::share::may_take;

use crate::count::add_shared;

/// Those that are told apart. Which one is forgotten begins anew.
pub const SHARERS: usize = 1024;

/// What somebody has put into the second half of a ring.
#[repr(C)]
pub struct Share {
    /// How far the reader was when it began.
    since: u64,
    /// Bytes.
    taken: u64,
}

/// Shares by whoever fills the ring: a cgroup, or what stands for one.
pub type Shares = LruHashMap<u64, Share, SHARERS>;

/// Whether `who` may put a record of `bytes` into a ring. Answers yes where the shares cannot be looked up: a full ring counts what
/// it refuses.
///
/// # Safety
///
/// `ring` must be the address of a ring's definition.
#[inline(always)]
pub unsafe fn admits(ring: *mut c_void, shares: &Shares, who: u64, bytes: u64) -> bool {
    // SAFETY: the caller vouches for the ring.
    let query = |what: u32| unsafe { bpf_ringbuf_query(ring, u64::from(what)) };
    let size = query(BPF_RB_RING_SIZE);
    let unread = query(BPF_RB_AVAIL_DATA);
    if unread < size / 2 {
        return true;
    }
    let read = query(BPF_RB_CONS_POS);
    let mut share = shares.get_ptr_mut(who);
    if share.is_none() {
        let first = Share {
            since: read,
            taken: 0,
        };
        // Another CPU may be quicker.
        _ = shares.insert(who, first, u64::from(BPF_NOEXIST));
        share = shares.get_ptr_mut(who);
    }
    let Some(share) = share else {
        return true;
    };
    // SAFETY: the pointer is that of a map value. Two CPUs that begin anew at once may forget some bytes of each other.
    unsafe {
        if read.wrapping_sub(ptr::read(&raw const (*share).since)) >= size / 2 {
            ptr::write(&raw mut (*share).since, read);
            ptr::write(&raw mut (*share).taken, 0);
        }
        let taken = ptr::read_volatile(&raw const (*share).taken);
        let admitted = may_take(taken, 0, size.saturating_sub(unread));
        if admitted {
            add_shared(
                &raw mut (*share).taken,
                bytes + u64::from(BPF_RINGBUF_HDR_SZ),
            );
        }
        admitted
    }
}
