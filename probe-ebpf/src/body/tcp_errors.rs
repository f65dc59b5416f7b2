//! Errors that the kernel gives a socket: from its error number, or from the answer of the network that lies in its error queue.
//!
//! The kernel puts such an answer into the queue and wakes the program before it notes the error. The program takes the note with
//! `SO_ERROR`, and nothing is left of it when the socket closes.

use aya_ebpf::Global;
use probe_ebpf::offsets::{ABSENT, Reader as _, Tried, Trusted};

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[unsafe(no_mangle)] static $name: Global<u32> = Global::new(ABSENT);)*
    };
}

offsets! {
    /// Offset of `sock.sk_err`.
    SOCK_ERR;
    /// Offset of `sock.sk_err_soft`.
    SOCK_ERR_SOFT;
    /// Offset of `sock.sk_error_queue` plus that of `sk_buff_head.qlen`.
    SOCK_ERROR_QUEUE_LENGTH;
    /// Offset of `sock.sk_error_queue` plus that of `sk_buff_head.prev`.
    SOCK_ERROR_QUEUE_LAST;
    /// Offset of `sk_buff.cb` plus those of `sock_exterr_skb.ee` and `sock_extended_err.ee_errno`.
    QUEUED_ERROR;
    /// The same for `ee_origin`.
    QUEUED_ORIGIN;
}

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6`, include/uapi/linux/errqueue.h.
const ANSWERS: core::ops::RangeInclusive<u8> = 2..=3;

/// The socket's error number, or 0.
///
/// # Safety
///
/// `sk` must be a `struct sock` that the verifier trusts.
#[inline(always)]
pub(crate) unsafe fn hard(sk: *const u8) -> u32 {
    // SAFETY: passed on to the caller.
    unsafe { Trusted::field(sk, &SOCK_ERR) }
}

/// The error that the socket keeps until its attempt is over, or 0.
///
/// # Safety
///
/// As for [`hard`].
#[inline(always)]
pub(crate) unsafe fn soft(sk: *const u8) -> u32 {
    // SAFETY: passed on to the caller.
    unsafe { Trusted::field(sk, &SOCK_ERR_SOFT) }
}

/// The error that the program is woken for, or 0.
///
/// # Safety
///
/// As for [`hard`].
#[inline(always)]
pub(crate) unsafe fn reported(sk: *const u8) -> u32 {
    // SAFETY: passed on to the caller. What a packet of the queue says is copied, which fails for what is not mapped.
    unsafe {
        let error = hard(sk);
        if error != 0 {
            return error;
        }
        if Trusted::field::<u32>(sk, &SOCK_ERROR_QUEUE_LENGTH) == 0 {
            return 0;
        }
        let last = Trusted::field::<usize>(sk, &SOCK_ERROR_QUEUE_LAST) as *const u8;
        if ANSWERS.contains(&Tried::field(last, &QUEUED_ORIGIN)) {
            Tried::field(last, &QUEUED_ERROR)
        } else {
            0
        }
    }
}
