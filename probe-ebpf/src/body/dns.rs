//! Name look-ups at port 53: messages go to user space to be read. Those of UDP are paired and counted here, so that the counts are
//! exact whatever user space gets to see; those of TCP there, because a segment is no message.

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
        AnswerKey, CLOSES, EVERYONE, HUGE, HugeMessage, LARGE, LargeMessage, Latency, MEDIUM,
        MediumMessage, MessageHeader, OVER_TCP, PORT, Pending, PendingKey, SENT, SMALL,
        SmallMessage, Waiting,
    },
    flows::UDP,
    hist::{self, Histogram},
    loss::{MAP_MISSING, MESSAGE_CUT, OWNERS_FULL, PENDING_FULL, RING_FULL},
    share::may_take,
};
use probe_ebpf::{
    count::add_shared,
    loss::count_loss,
    packet::{self, Packet, Ports},
    share,
};

/// 1 if name look-ups are wanted.
#[unsafe(no_mangle)]
pub(crate) static ENABLED: Global<u32> = Global::new(0);

/// Room for questions that wait.
#[unsafe(no_mangle)]
static ROOM: Global<u32> = Global::new(0);
/// Until then, in seconds of the monotonic clock, an answer may be one to a question that was asked before the program was there.
#[unsafe(no_mangle)]
static UNSURE_UNTIL: Global<u32> = Global::new(0);

/// Bytes of the ring.
const RING_BYTES: usize = 1 << 20;
/// Bytes of a message's header, RFC 1035 section 4.1.1.
const HEADER: u32 = 12;

/// Questions without an answer.
#[btf_map]
static PENDING: HashMap<PendingKey, Pending, 1> = HashMap::new();
/// Questions that were entered and answered, by cgroup and of [`EVERYONE`]. Written here alone.
#[btf_map]
static WAITING: HashMap<u64, Waiting, 1> = HashMap::new();
/// Questions that user space gave up (`left`), by cgroup and of [`EVERYONE`]. Written there alone.
#[btf_map]
static GIVEN_UP: HashMap<u64, Waiting, 1> = HashMap::new();
/// Questions that found no room and whose answers did not come yet, by cgroup: those answers count.
#[btf_map]
static UNPAIRED: HashMap<u64, u64, 1> = HashMap::new();
/// Shares of the ring, by cgroup.
#[btf_map]
static MESSAGE_SHARES: share::Shares = share::Shares::new();
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
    /// Of a segment.
    sequence: u32,
    /// Set by [`stamp`](Self::stamp).
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
            sequence: 0,
            time_ns: 0,
            latency_ns: 0,
            cgroup: 0,
            cookie: 0,
        }
    }

    /// Notes when it is, and whose.
    #[inline(always)]
    fn stamp(&mut self, ctx: &SkBuffContext) {
        // SAFETY: the helpers have no requirement; the context is that of the program.
        unsafe {
            self.time_ns = bpf_ktime_get_ns();
            self.cgroup = bpf_skb_cgroup_id(ctx.skb.skb);
            self.cookie = bpf_get_socket_cookie(ctx.skb.skb.cast());
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
    // Who serves names would be counted for its clients, as with UDP.
    let remote_port = if sent {
        ports.destination
    } else {
        ports.source
    };
    if remote_port != PORT {
        return;
    }
    // Sequence number, data offset and flags, RFC 9293 section 3.1.
    const FIN_OR_RST: u8 = 0x05;
    let at = packet.transport as usize;
    let (Ok(sequence), Ok([offset, flags])) =
        (ctx.load::<[u8; 4]>(at + 4), ctx.load::<[u8; 2]>(at + 12))
    else {
        return;
    };
    let start = packet.transport + u32::from(offset >> 4) * 4;
    let Some(length) = ctx.len().checked_sub(start) else {
        return;
    };
    let mut message = Message::new(start, length, &ports, sent);
    message.flags |= OVER_TCP;
    if flags & FIN_OR_RST != 0 {
        message.flags |= CLOSES;
    } else if length == 0 {
        return;
    }
    message.sequence = u32::from_be_bytes(sequence);
    message.stamp(ctx);
    send(ctx, &packet, &message);
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
    message.stamp(ctx);
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
    send(ctx, packet, message);
}

#[inline(never)]
fn send(ctx: &SkBuffContext, packet: &Packet, message: &Message) {
    if message.length <= SMALL as u32 {
        send_small(ctx, packet, message);
    } else if message.length <= MEDIUM as u32 {
        send_medium(ctx, packet, message);
    } else if message.length <= LARGE as u32 {
        send_large(ctx, packet, message);
    } else {
        send_huge(ctx, packet, message);
    }
}

/// Whether a cgroup may have another question waiting: it may hold half as many as find room, so that one that asks without end leaves
/// most of the table to the others.
#[inline(never)]
fn may_wait(cgroup: u64) -> bool {
    let room = u64::from(ROOM.load()).saturating_sub(held(EVERYONE));
    may_take(held(cgroup), 0, room)
}

/// Questions of a cgroup that wait.
#[inline(never)]
fn held(cgroup: u64) -> u64 {
    // SAFETY: the pointers are those of map values.
    unsafe {
        let (entered, left) = WAITING
            .get_ptr(cgroup)
            .map_or((0, 0), |it| ((*it).entered, (*it).left));
        let given_up = GIVEN_UP.get_ptr(cgroup).map_or(0, |it| (*it).left);
        entered.saturating_sub(left).saturating_sub(given_up)
    }
}

/// Notes that questions of a cgroup were entered or left.
#[inline(never)]
fn note_waiting(cgroup: u64, entered: u64, left: u64) {
    let mut waiting = WAITING.get_ptr_mut(cgroup);
    if waiting.is_none() {
        let nothing = Waiting {
            entered: 0,
            left: 0,
        };
        _ = WAITING.insert(cgroup, nothing, u64::from(BPF_NOEXIST));
        waiting = WAITING.get_ptr_mut(cgroup);
    }
    match waiting {
        // SAFETY: the pointer is that of a map value.
        Some(waiting) => unsafe {
            add_shared(&raw mut (*waiting).entered, entered);
            add_shared(&raw mut (*waiting).left, left);
        },
        None => count_loss(MAP_MISSING),
    }
}

/// Notes a question whose answer will count although nothing is known of it.
#[inline(never)]
fn unpaired(cgroup: u64) {
    count_loss(PENDING_FULL);
    let mut waiting = UNPAIRED.get_ptr_mut(cgroup);
    if waiting.is_none() {
        _ = UNPAIRED.insert(cgroup, 0, u64::from(BPF_NOEXIST));
        waiting = UNPAIRED.get_ptr_mut(cgroup);
    }
    match waiting {
        // SAFETY: the pointer is that of a map value.
        Some(waiting) => unsafe { add_shared(waiting, 1) },
        None => count_loss(MAP_MISSING),
    }
}

/// Whether an answer counts whose question does not wait: it was asked before the program was there, or found no room. Others come
/// twice, or too late.
#[inline(never)]
fn counts_unpaired(message: &Message) -> bool {
    const ONE_LESS: u64 = u64::MAX;
    const SECOND: u64 = 1_000_000_000;
    if message.time_ns < u64::from(UNSURE_UNTIL.load()) * SECOND {
        return true;
    }
    match UNPAIRED.get_ptr_mut(message.cgroup) {
        // SAFETY: the pointer is that of a map value. Answers on two CPUs at once may both count for one question, which makes the
        // number less than zero: that counts for nobody.
        Some(waiting) => unsafe {
            let counts = *waiting > 0 && *waiting <= u64::from(u32::MAX);
            if counts {
                add_shared(waiting, ONE_LESS);
            }
            counts
        },
        None => false,
    }
}

#[inline(never)]
fn asked(key: &PendingKey, message: &Message) {
    const EEXIST: i32 = -17;
    let pending = Pending {
        asked_ns: message.time_ns,
        cgroup: message.cgroup,
    };
    // A question that is sent again waits since it was first sent.
    if PENDING.get_ptr(key).is_some() {
        return;
    }
    if !may_wait(message.cgroup) {
        unpaired(message.cgroup);
        return;
    }
    match PENDING.insert(key, pending, u64::from(BPF_NOEXIST)) {
        Ok(()) => {
            note_waiting(message.cgroup, 1, 0);
            note_waiting(EVERYONE, 1, 0);
        }
        Err(EEXIST) => {}
        Err(_) => unpaired(message.cgroup),
    }
}

/// Counts an answer, and notes how long it took where the question was seen.
#[inline(never)]
fn answered(key: &PendingKey, message: &mut Message, rcode: u32) {
    // SAFETY: the value is copied out at once.
    match unsafe { PENDING.get(key) }.copied() {
        Some(pending) => {
            // An answer that comes twice counts once.
            if PENDING.remove(key).is_err() {
                return;
            }
            note_waiting(pending.cgroup, 0, 1);
            note_waiting(EVERYONE, 0, 1);
            message.latency_ns = message.time_ns.saturating_sub(pending.asked_ns).max(1);
        }
        None if counts_unpaired(message) => {}
        None => return,
    }
    count_answer(message.cgroup, message.latency_ns, rcode);
}

#[inline(never)]
fn count_answer(cgroup: u64, latency_ns: u64, rcode: u32) {
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
    if latency_ns == 0 {
        return;
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
            // SAFETY: the address of a map definition stands for the map.
            let admitted = unsafe {
                share::admits(
                    core::ptr::from_ref(&MESSAGES).cast_mut().cast(),
                    &MESSAGE_SHARES,
                    message.cgroup,
                    size_of::<$record>() as u64,
                )
            };
            if !admitted {
                count_loss(RING_FULL);
                return;
            }
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
            let captured = (opaque(message.length.min($room as u32).wrapping_sub(1)) & MASK) + 1;
            // SAFETY: the record has room for `captured` bytes, and the context is that of the program.
            unsafe {
                write_header(&raw mut (*to).header, packet, message);
                let failed = message.length == 0
                    || bpf_skb_load_bytes(
                        ctx.skb.skb.cast(),
                        message.start,
                        (&raw mut (*to).bytes).cast(),
                        captured,
                    ) != 0;
                (*to).header.captured = if failed { 0 } else { captured as u16 };
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
        (*header).pad = 0;
        (*header).sequence = message.sequence;
    }
}

sender!(send_small, SmallMessage, SMALL);
sender!(send_medium, MediumMessage, MEDIUM);
sender!(send_large, LargeMessage, LARGE);
sender!(send_huge, HugeMessage, HUGE);
