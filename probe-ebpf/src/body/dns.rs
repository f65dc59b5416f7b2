//! Name look-ups at port 53: questions are paired with their answers here, the messages go to user space to be read.

use core::arch::asm;

use aya_ebpf::{
    Global,
    bindings::{BPF_NOEXIST, BPF_RB_NO_WAKEUP},
    btf_maps::{HashMap, RingBuf},
    helpers::{bpf_get_socket_cookie, bpf_ktime_get_ns, bpf_skb_cgroup_id, bpf_skb_load_bytes},
    macros::btf_map,
    programs::SkBuffContext,
};
use probe_common::{
    dns::{
        AnswerKey, LARGE, LargeMessage, Latency, MessageHeader, OVER_TCP, PORT, Pending,
        PendingKey, SENT, SMALL, SmallMessage,
    },
    flows::UDP,
    hist::{self, Histogram},
    loss::{MESSAGE_CUT, OWNERS_FULL, PENDING_FULL, RING_FULL},
};
use probe_ebpf::{
    count::add_shared,
    loss::count_loss,
    packet::{self, Packet, Ports},
};

/// 1 if name look-ups are wanted.
#[unsafe(no_mangle)]
pub(crate) static ENABLED: Global<u32> = Global::new(0);

/// Bytes of the ring.
const RING_BYTES: usize = 1 << 20;
/// Bytes of a message's header, RFC 1035 section 4.1.1.
const HEADER: u32 = 12;

/// Questions without an answer.
#[btf_map]
static PENDING: HashMap<PendingKey, Pending, 1> = HashMap::new();
/// Answers by cgroup and response code.
#[btf_map]
static ANSWERS: HashMap<AnswerKey, u64, 1> = HashMap::new();
/// Durations by cgroup.
#[btf_map]
static LOOKUPS: HashMap<u64, Latency, 1> = HashMap::new();
/// Messages for user space.
#[btf_map]
static MESSAGES: RingBuf<SmallMessage, RING_BYTES> = RingBuf::new();

/// Too large for the stack.
#[unsafe(no_mangle)]
static NOTHING: Histogram = Histogram::EMPTY;

/// Where a message is, and between whom.
struct Message {
    /// Offset of its header in the packet.
    start: u32,
    length: u32,
    local_port: u16,
    remote_port: u16,
    flags: u8,
    /// Set by [`on_message`].
    time_ns: u64,
    latency_ns: u64,
    cgroup: u64,
    cookie: u64,
}

impl Message {
    #[inline(always)]
    fn new(start: u32, length: u32, ports: &Ports, sent: bool) -> Self {
        let (local_port, remote_port) = if sent {
            (ports.source, ports.destination)
        } else {
            (ports.destination, ports.source)
        };
        Self {
            start,
            length,
            local_port,
            remote_port,
            flags: if sent { SENT } else { 0 },
            time_ns: 0,
            latency_ns: 0,
            cgroup: 0,
            cookie: 0,
        }
    }
}

#[inline(always)]
pub(crate) fn on_datagram(ctx: &SkBuffContext, sent: bool, packet: &Packet, ports: &Ports) {
    if packet.protocol != UDP || packet.is_fragment || !is_dns(ports) {
        return;
    }
    let mut message = Message::new(packet.transport + 8, ports.payload, ports, sent);
    on_message(ctx, packet, &mut message);
}

/// Looks at a segment of TCP: first only whether it is one of port 53.
#[inline(always)]
pub(crate) fn on_segment(ctx: &SkBuffContext, sent: bool) {
    let (start, end) = packet::bounds(ctx);
    // The longest header of IPv4, or that of IPv6 and the ports.
    let header = start as *const u8;
    if start + 20 > end {
        return;
    }
    // SAFETY: 20 bytes from the start are inside the packet, which the verifier checks as well.
    let offset = unsafe {
        if *header >> 4 == 4 {
            usize::from(*header & 0x0f) * 4
        } else {
            40
        }
    };
    let ports = start + offset;
    if ports + 4 > end {
        return;
    }
    // SAFETY: 4 bytes from there are inside the packet.
    let [a, b, c, d] = unsafe { *(ports as *const [u8; 4]) };
    if u16::from_be_bytes([a, b]) == PORT || u16::from_be_bytes([c, d]) == PORT {
        on_dns_segment(ctx, sent);
    }
}

#[inline(never)]
fn on_dns_segment(ctx: &SkBuffContext, sent: bool) {
    let Ok(packet) = packet::parse(ctx) else {
        return;
    };
    let Ok(ports) = packet::ports(ctx, &packet) else {
        return;
    };
    // Data offset, RFC 9293 section 3.1.
    let Ok(offset) = ctx.load::<u8>(packet.transport as usize + 12) else {
        return;
    };
    let start = packet.transport + u32::from(offset >> 4) * 4;
    let Some(length) = ctx.len().checked_sub(start) else {
        return;
    };
    // Two bytes of length precede the message, RFC 1035 section 4.2.2. What begins elsewhere is the rest of one.
    if length < 2 + HEADER {
        return;
    }
    let Ok(prefix) = ctx.load::<[u8; 2]>(start as usize) else {
        return;
    };
    if u32::from(u16::from_be_bytes(prefix)) < length - 2 {
        count_loss(MESSAGE_CUT);
        return;
    }
    let mut message = Message::new(start + 2, length - 2, &ports, sent);
    message.flags |= OVER_TCP;
    on_message(ctx, &packet, &mut message);
}

#[inline(always)]
fn is_dns(ports: &Ports) -> bool {
    ports.source == PORT || ports.destination == PORT
}

#[inline(never)]
fn on_message(ctx: &SkBuffContext, packet: &Packet, message: &mut Message) {
    if message.length < HEADER {
        return;
    }
    let Ok(head) = ctx.load::<[u8; 4]>(message.start as usize) else {
        return;
    };
    // SAFETY: the helpers have no requirement; the context is that of the program.
    unsafe {
        message.time_ns = bpf_ktime_get_ns();
        message.cgroup = bpf_skb_cgroup_id(ctx.skb.skb);
        message.cookie = bpf_get_socket_cookie(ctx.skb.skb.cast());
    }
    let is_answer = head[2] & 0x80 != 0;
    // Only the asking side is counted: a container that serves names would be counted for its clients.
    if message.remote_port == PORT && (message.flags & SENT != 0) != is_answer {
        let key = PendingKey {
            cookie: message.cookie,
            id: u16::from_be_bytes([head[0], head[1]]),
            local_port: message.local_port,
            pad: 0,
        };
        if is_answer {
            answered(&key, message, u32::from(head[3] & 0x0f));
        } else {
            asked(&key, message);
        }
    }
    if message.length <= SMALL as u32 {
        send_small(ctx, packet, message);
    } else {
        send_large(ctx, packet, message);
    }
}

#[inline(always)]
fn asked(key: &PendingKey, message: &Message) {
    const EEXIST: i32 = -17;
    let pending = Pending {
        asked_ns: message.time_ns,
        cgroup: message.cgroup,
    };
    // A question that is sent again waits since it was first sent.
    match PENDING.insert(key, pending, u64::from(BPF_NOEXIST)) {
        Ok(()) | Err(EEXIST) => {}
        Err(_) => count_loss(PENDING_FULL),
    }
}

/// Counts an answer, and notes how long it took where the question was seen.
#[inline(never)]
fn answered(key: &PendingKey, message: &mut Message, rcode: u32) {
    // SAFETY: the value is copied out at once.
    let Some(asked_ns) = (unsafe { PENDING.get(key) }).map(|pending| pending.asked_ns) else {
        return;
    };
    // An answer that comes twice counts once.
    if PENDING.remove(key).is_err() {
        return;
    }
    let cgroup = message.cgroup;
    let latency_ns = message.time_ns.saturating_sub(asked_ns).max(1);
    message.latency_ns = latency_ns;
    let counter = AnswerKey {
        cgroup,
        rcode,
        pad: 0,
    };
    let mut answers = ANSWERS.get_ptr_mut(counter);
    if answers.is_none() {
        _ = ANSWERS.insert(counter, 0, u64::from(BPF_NOEXIST));
        answers = ANSWERS.get_ptr_mut(counter);
    }
    match answers {
        // SAFETY: the pointer is that of a map value.
        Some(answers) => unsafe { add_shared(answers, 1) },
        None => count_loss(OWNERS_FULL),
    }
    let mut lookups = LOOKUPS.get_ptr_mut(cgroup);
    if lookups.is_none() {
        let nothing: &Histogram = &NOTHING;
        _ = LOOKUPS.insert(cgroup, nothing, u64::from(BPF_NOEXIST));
        lookups = LOOKUPS.get_ptr_mut(cgroup);
    }
    match lookups {
        // SAFETY: as above; the index is bounded.
        Some(lookups) => unsafe {
            add_shared(
                &raw mut (*lookups).buckets[hist::bucket(latency_ns) % hist::BUCKETS],
                1,
            );
            add_shared(&raw mut (*lookups).sum_ns, latency_ns);
        },
        None => count_loss(OWNERS_FULL),
    }
}

/// The same number, of which the compiler knows nothing: it would leave out checks that only the verifier needs.
#[inline(always)]
fn opaque(number: u32) -> u32 {
    let mut number = u64::from(number);
    // SAFETY: a move of a register to itself. It has to be an instruction, or the kernel finds two lines of source at one.
    unsafe { asm!("{0} = {0}", inout(reg) number, options(nomem, nostack, preserves_flags)) };
    number as u32
}

macro_rules! sender {
    ($name:ident, $record:ty, $room:expr) => {
        #[inline(never)]
        fn $name(ctx: &SkBuffContext, packet: &Packet, message: &Message) {
            let Some(mut record) = MESSAGES.reserve_untyped::<$record>(0) else {
                count_loss(RING_FULL);
                return;
            };
            let to: *mut $record = record.as_mut_ptr();
            if message.length > $room as u32 {
                count_loss(MESSAGE_CUT);
            }
            // Between 1 and the room, in a form that the verifier of every kernel follows: it learns little from comparisons.
            const MASK: u32 = $room as u32 - 1;
            let captured = (opaque(message.length.min($room as u32) - 1) & MASK) + 1;
            // SAFETY: the record has room for `captured` bytes, and the context is that of the program.
            unsafe {
                write_header(&raw mut (*to).header, packet, message);
                let failed = bpf_skb_load_bytes(
                    ctx.skb.skb.cast(),
                    message.start,
                    (&raw mut (*to).bytes).cast(),
                    captured,
                );
                (*to).header.captured = if failed == 0 { captured as u16 } else { 0 };
            }
            record.submit(u64::from(BPF_RB_NO_WAKEUP));
        }
    };
}

/// # Safety
///
/// `header` must point into a record.
#[inline(always)]
unsafe fn write_header(header: *mut MessageHeader, packet: &Packet, message: &Message) {
    // SAFETY: passed on to the caller.
    unsafe {
        (*header).time_ns = message.time_ns;
        (*header).latency_ns = message.latency_ns;
        (*header).cgroup = message.cgroup;
        (*header).cookie = message.cookie;
        if message.flags & SENT != 0 {
            (*header).local = packet.source;
            (*header).remote = packet.destination;
        } else {
            (*header).local = packet.destination;
            (*header).remote = packet.source;
        }
        (*header).local_port = message.local_port;
        (*header).remote_port = message.remote_port;
        (*header).ip_version = packet.ip_version;
        (*header).flags = message.flags;
        (*header).length = message.length as u16;
        (*header).pad = [0; 3];
    }
}

sender!(send_small, SmallMessage, SMALL);
sender!(send_large, LargeMessage, LARGE);
