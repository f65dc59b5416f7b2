//! What makes a socket send data again, a loss that it noticed or a probe for one, and how many segments it sends.

use aya_ebpf::{Global, helpers::generated::bpf_skc_to_tcp_sock};
use probe_ebpf::offsets::{ABSENT, Reader as _, Trusted};

/// Offset of `inet_connection_sock.icsk_pending`: a `tcp_sock` begins with its `inet_connection_sock`.
#[unsafe(no_mangle)]
static ICSK_PENDING: Global<u32> = Global::new(ABSENT);
/// Offset of the byte that holds `inet_connection_sock.icsk_ca_state`.
#[unsafe(no_mangle)]
static ICSK_CA_STATE: Global<u32> = Global::new(ABSENT);
/// Lowest bit of it in its byte.
#[unsafe(no_mangle)]
static ICSK_CA_STATE_SHIFT: Global<u32> = Global::new(0);
/// Its bits, once shifted.
#[unsafe(no_mangle)]
static ICSK_CA_STATE_MASK: Global<u32> = Global::new(0);

/// Offset of `tcp_skb_cb.tcp_gso_segs` in a `sk_buff`, whose control buffer is a `tcp_skb_cb` here.
#[unsafe(no_mangle)]
static SKB_SEGMENTS: Global<u32> = Global::new(ABSENT);

/// `ICSK_TIME_LOSS_PROBE`, include/net/inet_connection_sock.h.
const LOSS_PROBE: u8 = 5;
/// `TCP_CA_Recovery` of `enum tcp_ca_state`, include/uapi/linux/tcp.h. From here on the socket repairs a loss.
const RECOVERY: u32 = 3;

/// Whether a retransmission is a tail-loss probe (RFC 8985, section 7): the timer of the probe runs, which it also does when
/// an acknowledgement tells of a loss, but then the socket has begun to repair it.
///
/// # Safety
///
/// `sk` must be a `struct sock` that the verifier trusts.
#[inline(always)]
pub(crate) unsafe fn is_probe(sk: *const u8) -> bool {
    // SAFETY: passed on to the caller; the helper answers null for what is no TCP socket.
    unsafe {
        let tcp = bpf_skc_to_tcp_sock(sk.cast_mut().cast());
        if tcp.is_null() {
            return false;
        }
        let tcp: *const u8 = tcp.cast_const().cast();
        let pending: u8 = Trusted::field(tcp, &ICSK_PENDING);
        let byte: u8 = Trusted::field(tcp, &ICSK_CA_STATE);
        let state =
            (u32::from(byte) >> (ICSK_CA_STATE_SHIFT.load() & 7)) & ICSK_CA_STATE_MASK.load();
        pending == LOSS_PROBE && state < RECOVERY
    }
}

/// Segments in a buffer that TCP sends, as `tcp_skb_pcount()` has them: with segmentation offload one buffer holds several.
///
/// # Safety
///
/// `skb` must be a `struct sk_buff` of the queue of a TCP socket that the verifier trusts.
#[inline(always)]
pub(crate) unsafe fn segments(skb: *const u8) -> u64 {
    // SAFETY: passed on to the caller.
    let segments: u16 = unsafe { Trusted::field(skb, &SKB_SEGMENTS) };
    u64::from(segments).max(1)
}
