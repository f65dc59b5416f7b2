//! Dropped packets by flow: what their own headers say, for user space to find the flow by.

use aya_ebpf::{
    Global,
    bindings::BPF_NOEXIST,
    btf_maps::{Array, HashMap},
    helpers::{bpf_ktime_get_ns, bpf_probe_read_kernel},
    macros::btf_map,
};
use probe_common::{
    drops::{FlowDropKey, FlowDropStats},
    flows::{ICMP, ICMPV6, TCP},
    loss::{FLOW_DROPS_FULL, MAP_MISSING, READ_FAILED},
};
use probe_ebpf::{
    count::add_shared,
    loss::{count_loss, count_losses},
    offsets::{ABSENT, Copied, Reader, Trusted},
    packet::{self, Malformed, Packet, Source},
};

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[unsafe(no_mangle)] static $name: Global<u32> = Global::new(ABSENT);)*
    };
}

offsets! {
    /// Offset of `sk_buff.head`: where the memory of its headers begins.
    SKB_HEAD;
    /// Offset of `sk_buff.network_header`, which counts from there.
    SKB_NETWORK_HEADER;
    /// Offset of `sk_buff.tail`, which counts from there too.
    SKB_TAIL;
    /// Offset of `sk_buff.end`, where the `struct skb_shared_info` begins.
    SKB_END;
    /// Offset of `skb_shared_info.gso_segs`.
    SHINFO_GSO_SEGS;
}

/// The reason of whoever says none, which the end of a segment to a connection that is over is too.
#[unsafe(no_mangle)]
static NOT_SPECIFIED: Global<u32> = Global::new(ABSENT);
/// The reason of what a socket that closes has left in its queues (Linux 6.8): packets that it had taken long before.
#[unsafe(no_mangle)]
static QUEUE_PURGE: Global<u32> = Global::new(ABSENT);
/// The reason of copies that a packet socket, such as that of a capture, had no room for (Linux 6.11).
#[unsafe(no_mangle)]
static PACKET_SOCK_ERROR: Global<u32> = Global::new(ABSENT);

/// Dropped packets since they were last read.
#[btf_map]
static FLOW_DROPS: HashMap<FlowDropKey, FlowDropStats, 1> = HashMap::new();
/// 1 while user space reads the table.
#[btf_map]
static FLOW_DROPS_READ: Array<u32, 1> = Array::new();

/// Bytes of a header of IPv4, and of IPv6.
const V4: usize = 20;
const V6: usize = 40;

/// The headers of a packet in memory that is copied from.
struct Headers {
    start: *const u8,
    length: u32,
}

impl Source for Headers {
    #[inline(always)]
    fn load<T>(&self, at: u32) -> Result<T, Malformed> {
        if at.saturating_add(size_of::<T>() as u32) > self.length {
            return Err(Malformed);
        }
        // SAFETY: the helper checks the address itself.
        unsafe { bpf_probe_read_kernel(self.start.wrapping_add(at as usize).cast()) }.map_err(
            |_| {
                count_loss(READ_FAILED);
                Malformed
            },
        )
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.length
    }
}

/// A header as it was copied, aligned as the kernel aligns them.
#[repr(align(4))]
struct Aligned<const N: usize>([u8; N]);

/// The key of no packet.
const NOTHING: FlowDropKey = FlowDropKey {
    source: [0; 16],
    destination: [0; 16],
    source_port: 0,
    destination_port: 0,
    protocol: 0,
    ip_version: 0,
    has_cgroup: 0,
    reason: 0,
    pad2: 0,
};

/// A packet that the kernel frees with a reason.
pub(crate) struct Dropped {
    /// What it is counted under.
    key: FlowDropKey,
    /// Whether that is known. It is not where its headers cannot be read or nobody asks: it is in no flow. No `Option`: what one does
    /// not have is in registers that the verifier takes for unset.
    has_key: bool,
    reason: u32,
    /// How many packets it is: a buffer may hold several segments of one flow.
    pub(crate) segments: u64,
}

impl Dropped {
    /// Reads a packet.
    ///
    /// # Safety
    ///
    /// `skb` must be a `struct sk_buff` that the verifier trusts.
    #[inline(always)]
    pub(crate) unsafe fn read(skb: *const u8, ip_version: u8, reason: u32) -> Self {
        // SAFETY: passed on to the caller. What is in the middle of a buffer carries no type, so that is copied.
        let (headers, segments) = unsafe {
            let head = Trusted::field::<usize>(skb, &SKB_HEAD) as *const u8;
            let start = u32::from(Trusted::field::<u16>(skb, &SKB_NETWORK_HEADER));
            let end: u32 = Trusted::field(skb, &SKB_END);
            let shared = head.wrapping_add(end as usize);
            let headers = Headers {
                start: head.wrapping_add(start as usize),
                length: Trusted::field::<u32>(skb, &SKB_TAIL).saturating_sub(start),
            };
            (headers, Copied::field::<u16>(shared, &SHINFO_GSO_SEGS))
        };
        let mut packet = Self {
            key: NOTHING,
            has_key: false,
            reason,
            segments: u64::from(segments.max(1)),
        };
        let is_needed = is_read() || reason == NOT_SPECIFIED.load();
        if is_needed && let Ok(key) = key(&headers, ip_version, reason) {
            packet.key = key;
            packet.has_key = true;
        }
        packet
    }

    /// Whether the kernel was done with it rather than dropped it: what a closed socket had left in its queues, and segments of
    /// TCP without a reason, of which each connection that ends well has some.
    #[inline(always)]
    pub(crate) fn is_freed(&self) -> bool {
        self.reason == QUEUE_PURGE.load()
            || self.reason == NOT_SPECIFIED.load() && self.has_key && self.key.protocol == TCP
    }

    /// Counts it for its flow, and notes whether it is counted for a cgroup as well. A copy that was made for a capture is no part
    /// of the flow.
    #[inline(always)]
    pub(crate) fn count(mut self, cgroup: u64) {
        if self.has_key && is_read() && self.reason != PACKET_SOCK_ERROR.load() {
            self.key.has_cgroup = u16::from(cgroup != 0);
            add(&self.key, self.segments);
        }
    }
}

/// Whether user space reads the table.
#[inline(always)]
fn is_read() -> bool {
    let Some(read) = FLOW_DROPS_READ.get(0) else {
        count_loss(MAP_MISSING);
        return false;
    };
    *read == 1
}

#[inline(always)]
fn key(headers: &Headers, ip_version: u8, reason: u32) -> Result<FlowDropKey, Malformed> {
    let packet = parse(headers, ip_version)?;
    let ports = packet::ports(headers, &packet)?;
    let is_icmp = packet.protocol == ICMP || packet.protocol == ICMPV6;
    Ok(FlowDropKey {
        source: packet.source,
        destination: packet.destination,
        source_port: ports.source,
        destination_port: if is_icmp {
            ports.icmp
        } else {
            ports.destination
        },
        protocol: packet.protocol,
        ip_version,
        has_cgroup: 0,
        reason,
        pad2: 0,
    })
}

#[inline(always)]
fn parse(headers: &Headers, ip_version: u8) -> Result<Packet, Malformed> {
    let packet = if ip_version == 4 {
        let header: Aligned<V4> = headers.load(0)?;
        is_version(header.0[0], 4)?;
        // SAFETY: as many bytes were copied.
        unsafe { packet::v4(header.0.as_ptr()) }?
    } else {
        let header: Aligned<V6> = headers.load(0)?;
        is_version(header.0[0], 6)?;
        // SAFETY: as above.
        let mut packet = unsafe { packet::v6(header.0.as_ptr()) };
        packet::skip_extensions(headers, &mut packet)?;
        packet
    };
    Ok(packet)
}

/// A buffer that is dropped early may not know yet where its header is.
#[inline(always)]
fn is_version(first: u8, version: u8) -> Result<(), Malformed> {
    if first >> 4 == version {
        Ok(())
    } else {
        Err(Malformed)
    }
}

#[inline(always)]
fn add(key: &FlowDropKey, packets: u64) {
    // SAFETY: the helper has no requirement.
    let last_ns = unsafe { bpf_ktime_get_ns() };
    let mut drops = FLOW_DROPS.get_ptr_mut(key);
    if drops.is_none() {
        let nothing = FlowDropStats {
            packets: 0,
            last_ns,
        };
        _ = FLOW_DROPS.insert(key, nothing, u64::from(BPF_NOEXIST));
        drops = FLOW_DROPS.get_ptr_mut(key);
    }
    match drops {
        // SAFETY: the pointer is that of a map value. The time is stored whole by any CPU.
        Some(drops) => unsafe {
            add_shared(&raw mut (*drops).packets, packets);
            (*drops).last_ns = last_ns;
        },
        None => count_losses(FLOW_DROPS_FULL, packets),
    }
}
