//! The other side's FIN where the local side has closed first and let go of its socket: a small one waits for it.

use core::ptr;

use aya_ebpf::{
    Global,
    btf_maps::RingBuf,
    macros::btf_map,
    programs::{BtfTracePointContext, FExitContext},
};
use probe_common::{loss::RING_FULL, tcp::LateFin};
use probe_ebpf::{
    loss::count_loss,
    offsets::{ABSENT, Reader as _, Tried, Trusted},
    share::{self, Shares},
    socket,
};

use super::table::SKC_COOKIE;

/// Bytes of the ring: 16,000 of them between two readings.
const RING_BYTES: usize = 256 << 10;

/// FINs that came after the ends of their connections. A ring of their own: anybody can send many to one connection that is over.
#[btf_map]
static LATE_FINS: RingBuf<LateFin, RING_BYTES> = RingBuf::new();
/// What each network namespace has of it: a small socket belongs to no cgroup.
#[btf_map]
static LATE_FIN_SHARES: Shares = Shares::new();

/// Offset of `inet_timewait_sock.tw_substate`.
#[unsafe(no_mangle)]
static TW_SUBSTATE: Global<u32> = Global::new(ABSENT);
/// Offset of `sk_buff.head`: where the memory of its headers begins.
#[unsafe(no_mangle)]
static SKB_HEAD: Global<u32> = Global::new(ABSENT);
/// Offset of `sk_buff.transport_header`, which counts from there.
#[unsafe(no_mangle)]
static SKB_TRANSPORT_HEADER: Global<u32> = Global::new(ABSENT);
/// Offset of the byte that holds `tcphdr.fin`.
#[unsafe(no_mangle)]
static TCPHDR_FIN: Global<u32> = Global::new(ABSENT);
/// Its lowest bit in that byte.
#[unsafe(no_mangle)]
static TCPHDR_FIN_SHIFT: Global<u32> = Global::new(0);

/// `TCP_TIME_WAIT`, `include/net/tcp_states.h`: what the small socket is in once it has taken the FIN.
const TIME_WAIT: u8 = 6;

/// `enum tcp_tw_status tcp_timewait_state_process(struct inet_timewait_sock *tw, struct sk_buff *skb, const struct tcphdr *th, …)`:
/// tells of a FIN that the small socket took. One that comes again is told again.
#[inline(always)]
pub(crate) fn on_segment(ctx: &FExitContext) {
    let (small, header): (*const u8, *const u8) = (ctx.arg(0), ctx.arg(2));
    // SAFETY: socket and header are arguments of the function, which the verifier trusts. A `struct inet_timewait_sock` begins
    // with its `struct sock_common`.
    unsafe {
        if is_fin(Trusted::field(header, &TCPHDR_FIN))
            && Trusted::field::<u8>(small, &TW_SUBSTATE) == TIME_WAIT
        {
            tell(
                Trusted::field(small, &SKC_COOKIE),
                socket::netns::<Trusted>(small),
            );
        }
    }
}

/// `TP_PROTO(struct sk_buff *skb, void *location, enum skb_drop_reason reason, struct sock *rx_sk)`: the kernel frees a segment that a
/// small socket took as if it had dropped it.
#[inline(always)]
pub(crate) fn on_freed(ctx: &BtfTracePointContext) {
    let (skb, small): (*const u8, *const u8) = (ctx.arg(0), ctx.arg(3));
    if small.is_null() {
        return;
    }
    // SAFETY: packet and socket are arguments of the tracepoint, which the verifier trusts. To it the socket is a whole one, so what
    // only the small one has is copied, as the packet's headers are.
    unsafe {
        if socket::state::<Trusted>(small) != TIME_WAIT {
            return;
        }
        let head = Trusted::field::<usize>(skb, &SKB_HEAD) as *const u8;
        let transport: u16 = Trusted::field(skb, &SKB_TRANSPORT_HEADER);
        let header = head.wrapping_add(usize::from(transport));
        if is_fin(Tried::field(header, &TCPHDR_FIN))
            && Tried::field::<u8>(small, &TW_SUBSTATE) == TIME_WAIT
        {
            tell(
                Trusted::field(small, &SKC_COOKIE),
                socket::netns::<Trusted>(small),
            );
        }
    }
}

#[inline(always)]
fn is_fin(byte: u8) -> bool {
    u32::from(byte) >> (TCPHDR_FIN_SHIFT.load() & 7) & 1 != 0
}

#[inline(always)]
fn tell(cookie: u64, netns: u32) {
    // SAFETY: the address of a map definition stands for the map.
    let is_admitted = unsafe {
        share::admits(
            ptr::from_ref(&LATE_FINS).cast_mut().cast(),
            &LATE_FIN_SHARES,
            u64::from(netns),
            size_of::<LateFin>() as u64,
        )
    };
    if !is_admitted {
        count_loss(RING_FULL);
        return;
    }
    let Some(mut record) = LATE_FINS.reserve(0) else {
        count_loss(RING_FULL);
        return;
    };
    record.write(LateFin { cookie });
    record.submit(u64::from(aya_ebpf::bindings::BPF_RB_NO_WAKEUP));
}
