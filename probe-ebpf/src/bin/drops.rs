//! Program of the `drops` probe: packets that the kernel dropped, by its own reason, by the cgroup of the socket and by flow.
#![no_std]
#![no_main]

#[path = "../body/drops_by_flow.rs"]
mod by_flow;

use aya_ebpf::{
    Global,
    bindings::BPF_NOEXIST,
    btf_maps::HashMap,
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use probe_common::{drops::DropKey, loss::OWNERS_FULL};
use probe_ebpf::{
    count::add_shared,
    loss::count_losses,
    offsets::{ABSENT, Reader as _, Trusted},
    socket,
};

/// Offset of `sk_buff.sk`.
#[unsafe(no_mangle)]
static SKB_SK: Global<u32> = Global::new(ABSENT);
/// Offset of `sk_buff.protocol`.
#[unsafe(no_mangle)]
static SKB_PROTOCOL: Global<u32> = Global::new(ABSENT);
/// 1 if the hook passes the receiving socket (Linux 6.11, c53795d48ee8).
#[unsafe(no_mangle)]
static HAS_RX_SOCKET: Global<u32> = Global::new(0);

/// Dropped packets.
#[btf_map]
static DROPS: HashMap<DropKey, u64, 1> = HashMap::new();

/// `ETH_P_IP` of include/uapi/linux/if_ether.h, in network order.
const IPV4: u16 = 0x0800_u16.to_be();
/// `ETH_P_IPV6`, as above.
const IPV6: u16 = 0x86dd_u16.to_be();

/// `TP_PROTO(struct sk_buff *skb, void *location, enum skb_drop_reason reason, struct sock *rx_sk)`, the last where the kernel
/// has it. Before Linux 5.17 there is no reason, and this is not loaded.
#[btf_tracepoint(function = "kfree_skb")]
fn kfree_skb(ctx: BtfTracePointContext) -> i32 {
    let skb: *const u8 = ctx.arg(0);
    let reason = ctx.arg::<u64>(2) as u32;
    // SAFETY: packet and socket are arguments of the tracepoint, which the verifier trusts where they are not zero.
    unsafe {
        let ip_version = match Trusted::field(skb, &SKB_PROTOCOL) {
            IPV4 => 4,
            IPV6 => 6,
            _ => return 0,
        };
        let packet = by_flow::Dropped::read(skb, ip_version, reason);
        let segments = packet.segments;
        if packet.is_freed() {
            count(
                DropKey {
                    cgroup: 0,
                    reason,
                    freed: 1,
                },
                segments,
            );
            return 0;
        }
        let cgroup = cgroup(&ctx, skb);
        packet.count(cgroup);
        count(
            DropKey {
                cgroup,
                reason,
                freed: 0,
            },
            segments,
        );
    }
    0
}

/// The cgroup of the socket that a packet is from or for; 0 where the kernel does not know it.
///
/// # Safety
///
/// `skb` must be the packet of the tracepoint.
#[inline(always)]
unsafe fn cgroup(ctx: &BtfTracePointContext, skb: *const u8) -> u64 {
    // SAFETY: passed on to the caller; the receiving socket is an argument of the tracepoint too.
    unsafe {
        let sk = Trusted::field::<usize>(skb, &SKB_SK) as *const u8;
        if !sk.is_null() && socket::is_full::<Trusted>(sk) {
            return socket::cgroup::<Trusted>(sk);
        }
        if HAS_RX_SOCKET.load() == 1 {
            let sk: *const u8 = ctx.arg(3);
            if !sk.is_null() && socket::is_full::<Trusted>(sk) {
                return socket::cgroup::<Trusted>(sk);
            }
        }
        0
    }
}

#[inline(always)]
fn count(key: DropKey, packets: u64) {
    let mut drops = DROPS.get_ptr_mut(key);
    if drops.is_none() {
        _ = DROPS.insert(key, 0, u64::from(BPF_NOEXIST));
        drops = DROPS.get_ptr_mut(key);
    }
    match drops {
        // SAFETY: the pointer is that of a map value.
        Some(drops) => unsafe { add_shared(drops, packets) },
        None => count_losses(OWNERS_FULL, packets),
    }
}
