//! Programs of the `flows` probe: datagrams by socket and address pair, and name look-ups.
//!
//! They run for every packet of every socket, so what a packet of TCP costs here is next to nothing: its connection is
//! counted by the kernel's socket (see `bin/tcp.rs`). A packet program lets the packet pass whatever happens.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

#[path = "../body/dns.rs"]
mod dns;
#[path = "../body/narrow.rs"]
mod narrow;

use aya_ebpf::{
    Global,
    bindings::BPF_NOEXIST,
    btf_maps::HashMap,
    helpers::{
        bpf_get_socket_cookie, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns, bpf_skb_cgroup_id,
    },
    macros::{btf_map, cgroup_skb},
    programs::SkBuffContext,
};
use probe_common::{
    flows::{
        FIRST_SENT, FRAGMENTS, FlowKey, FlowStats, ICMP, ICMPV6, SEEN_COUNTED, SEEN_MALFORMED, TCP,
        UntrackedStats,
    },
    loss::{FLOWS_FULL, MALFORMED, OWNERS_FULL},
    narrow::Tuple,
};
use probe_ebpf::{
    count::add_shared,
    loss::{count_loss, count_losses},
    packet::{self, Packet, Ports},
};

/// 1 if the kernel has the clock that is read without the hardware (Linux 5.11, d05512618056).
#[unsafe(no_mangle)]
static HAS_COARSE_CLOCK: Global<u32> = Global::new(0);

/// Flows that are there.
#[btf_map]
static FLOWS: HashMap<FlowKey, FlowStats, 1> = HashMap::new();
/// What found no room in `FLOWS`, by cgroup.
#[btf_map]
static UNTRACKED: HashMap<u64, UntrackedStats, 1> = HashMap::new();

const PASS: i32 = 1;

#[cgroup_skb(egress)]
fn flows_egress(ctx: SkBuffContext) -> i32 {
    on_packet(&ctx, true);
    PASS
}

#[cgroup_skb(ingress)]
fn flows_ingress(ctx: SkBuffContext) -> i32 {
    on_packet(&ctx, false);
    PASS
}

#[inline(always)]
fn on_packet(ctx: &SkBuffContext, sent: bool) {
    if packet::first_protocol(ctx) == Some(TCP) {
        if dns::ENABLED.load() == 1 {
            dns::on_segment(ctx, sent);
        }
        return;
    }
    on_datagram(ctx, sent);
}

/// A program of its own for the stack's sake: each has 512 bytes for itself and all that it calls.
#[inline(never)]
fn on_datagram(ctx: &SkBuffContext, sent: bool) {
    let read = packet::parse(ctx).and_then(|packet| Ok((packet::ports(ctx, &packet)?, packet)));
    let Ok((ports, packet)) = read else {
        narrow::seen(SEEN_MALFORMED, 1);
        count_loss(MALFORMED);
        return;
    };
    // Behind extension headers.
    if packet.protocol == TCP {
        return;
    }
    count(ctx, sent, &packet, &ports);
    if dns::ENABLED.load() == 1 {
        dns::on_datagram(ctx, sent, &packet, &ports);
    }
}

/// Counts a packet that is not of TCP.
#[inline(always)]
fn count(ctx: &SkBuffContext, sent: bool, packet: &Packet, ports: &Ports) {
    let key = key(ctx, sent, packet, ports);
    let packet = Counted {
        sent,
        payload: u64::from(ports.payload),
        // SAFETY: the context is that of the program. A buffer may hold several datagrams of one flow, which the hardware
        // or the receiver tells apart.
        segments: u64::from(unsafe { (*ctx.skb.skb).gso_segs }.max(1)),
        flags: (u32::from(sent != ports.is_reply) * FIRST_SENT)
            | (u32::from(packet.is_fragment) * FRAGMENTS),
    };
    let fate = narrow::fate(|| tuple(&key));
    narrow::seen(fate, packet.segments);
    if fate != SEEN_COUNTED {
        return;
    }
    if let Some(flow) = FLOWS.get_ptr_mut(key) {
        // SAFETY: the pointer is that of a map value.
        unsafe { add(flow, &packet) };
        return;
    }
    start(ctx, &key, &packet);
}

/// What one packet adds.
struct Counted {
    sent: bool,
    payload: u64,
    segments: u64,
    /// Flags of a flow that begins with it. An answer whose question was not seen belongs to the other side's question.
    flags: u32,
}

#[inline(never)]
fn start(ctx: &SkBuffContext, key: &FlowKey, packet: &Counted) {
    // SAFETY: the helpers have no requirement; the context is that of the program.
    let (now, cgroup) = unsafe { (bpf_ktime_get_ns(), bpf_skb_cgroup_id(ctx.skb.skb)) };
    let flow = FlowStats {
        bytes_sent: 0,
        bytes_received: 0,
        packets_sent: 0,
        packets_received: 0,
        first_ns: now,
        last_ns: now,
        cgroup,
        flags: packet.flags,
        pad: 0,
    };
    // Starts at zero and is found again, so that a CPU that is quicker loses nothing.
    _ = FLOWS.insert(key, flow, u64::from(BPF_NOEXIST));
    if let Some(flow) = FLOWS.get_ptr_mut(key) {
        // SAFETY: the pointer is that of a map value.
        unsafe { add(flow, packet) };
        return;
    }
    count_losses(FLOWS_FULL, packet.segments);
    untracked(cgroup, packet);
}

/// Counts for the cgroup alone.
#[inline(always)]
fn untracked(cgroup: u64, packet: &Counted) {
    const ZERO: UntrackedStats = UntrackedStats {
        bytes_sent: 0,
        bytes_received: 0,
        packets_sent: 0,
        packets_received: 0,
    };
    /// Entered by user space: a cgroup that the kernel does not number.
    const OVERFLOW: u64 = u64::MAX;
    let mut stats = UNTRACKED.get_ptr_mut(cgroup);
    if stats.is_none() {
        _ = UNTRACKED.insert(cgroup, ZERO, u64::from(BPF_NOEXIST));
        stats = UNTRACKED.get_ptr_mut(cgroup);
    }
    if stats.is_none() {
        count_loss(OWNERS_FULL);
        stats = UNTRACKED.get_ptr_mut(OVERFLOW);
    }
    if let Some(stats) = stats {
        // SAFETY: the pointer is that of a map value.
        unsafe {
            if packet.sent {
                add_shared(&raw mut (*stats).bytes_sent, packet.payload);
                add_shared(&raw mut (*stats).packets_sent, packet.segments);
            } else {
                add_shared(&raw mut (*stats).bytes_received, packet.payload);
                add_shared(&raw mut (*stats).packets_received, packet.segments);
            }
        }
    }
}

/// # Safety
///
/// `flow` must point to a value of a map.
#[inline(always)]
unsafe fn add(flow: *mut FlowStats, packet: &Counted) {
    // SAFETY: passed on to the caller. `last_ns` is stored whole by any CPU, and any of them is right within one tick.
    unsafe {
        if packet.sent {
            add_shared(&raw mut (*flow).bytes_sent, packet.payload);
            add_shared(&raw mut (*flow).packets_sent, packet.segments);
        } else {
            add_shared(&raw mut (*flow).bytes_received, packet.payload);
            add_shared(&raw mut (*flow).packets_received, packet.segments);
        }
        (*flow).last_ns = if HAS_COARSE_CLOCK.load() == 1 {
            bpf_ktime_get_coarse_ns()
        } else {
            bpf_ktime_get_ns()
        };
    }
}

#[inline(always)]
fn key(ctx: &SkBuffContext, sent: bool, packet: &Packet, ports: &Ports) -> FlowKey {
    let (local, remote, local_port, mut remote_port) = if sent {
        (
            packet.source,
            packet.destination,
            ports.source,
            ports.destination,
        )
    } else {
        (
            packet.destination,
            packet.source,
            ports.destination,
            ports.source,
        )
    };
    if packet.protocol == ICMP || packet.protocol == ICMPV6 {
        remote_port = ports.icmp;
    }
    FlowKey {
        // SAFETY: the context is that of the program.
        cookie: unsafe { bpf_get_socket_cookie(ctx.skb.skb.cast()) },
        local,
        remote,
        local_port,
        remote_port,
        protocol: packet.protocol,
        ip_version: packet.ip_version,
        pad: 0,
    }
}

#[inline(always)]
fn tuple(key: &FlowKey) -> Tuple {
    Tuple {
        local: key.local,
        remote: key.remote,
        local_port: key.local_port,
        remote_port: key.remote_port,
        protocol: key.protocol,
        ip_version: key.ip_version,
    }
}
