//! What the kernel's own socket counts of a connection: read at its end, and when user space asks in between.

use aya_ebpf::{
    Global, bindings::BPF_F_MMAPABLE, btf_maps::Array, helpers::generated::bpf_skc_to_tcp_sock,
    macros::btf_map,
};
use probe_common::tcp::{ASKED, Question, SocketStats};
use probe_ebpf::{
    offsets::{ABSENT, Reader, Tried, Trusted},
    socket,
};

use super::table::SKC_COOKIE;

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[unsafe(no_mangle)] static $name: Global<u32> = Global::new(ABSENT);)*
    };
}

offsets! {
    /// Offset of `tcp_sock.bytes_sent`.
    TCP_BYTES_SENT;
    /// Offset of `tcp_sock.bytes_retrans`.
    TCP_BYTES_RETRANS;
    /// Offset of `tcp_sock.bytes_acked`.
    TCP_BYTES_ACKED;
    /// Offset of `tcp_sock.bytes_received`.
    TCP_BYTES_RECEIVED;
    /// Offset of `tcp_sock.segs_out`.
    TCP_SEGS_OUT;
    /// Offset of `tcp_sock.segs_in`.
    TCP_SEGS_IN;
    /// Offset of `tcp_sock.data_segs_out`.
    TCP_DATA_SEGS_OUT;
    /// Offset of `tcp_sock.data_segs_in`.
    TCP_DATA_SEGS_IN;
    /// Offset of `tcp_sock.total_retrans`.
    TCP_TOTAL_RETRANS;
    /// Offset of `tcp_sock.srtt_us`, in eighths.
    TCP_SRTT_US;
    /// Offset of the value of the first sample of `tcp_sock.rtt_min`.
    TCP_RTT_MIN;
    /// Offset of `inet_sock.inet_sport`, in network order: a `tcp_sock` begins with its `inet_sock`.
    INET_SPORT;
    /// Offset of `tcp_sock.snd_una`.
    TCP_SND_UNA;
    /// Offset of `tcp_sock.snd_nxt`.
    TCP_SND_NXT;
    /// Offset of `tcp_sock.write_seq`.
    TCP_WRITE_SEQ;
    /// Offset of `tcp_sock.rcv_nxt`.
    TCP_RCV_NXT;
    /// Offset of `sock_common.skc_flags`.
    SKC_FLAGS;
}

/// How many questions one run answers, at most [`ASKED`].
#[unsafe(no_mangle)]
static ASKED_AT_ONCE: Global<u32> = Global::new(1);

/// Questions and their answers, in memory that user space maps.
#[btf_map]
static QUESTIONS: Array<Question, ASKED, { BPF_F_MMAPABLE as usize }> = Array::new();

/// `SOCK_DONE` of `enum sock_flags`, include/net/sock.h: the number of the bit that says that the other side's FIN has come.
const SOCK_DONE: u64 = 1;

/// The counters of a socket that the verifier trusts. All zero for what is no TCP socket.
///
/// # Safety
///
/// `sk` must be a `struct sock` that the verifier trusts.
#[inline(always)]
pub(crate) unsafe fn socket_stats(sk: *const u8) -> SocketStats {
    // SAFETY: passed on to the caller.
    unsafe {
        let tcp = bpf_skc_to_tcp_sock(sk.cast_mut().cast());
        if tcp.is_null() {
            return SocketStats::default();
        }
        read::<Trusted>(tcp.cast_const().cast(), sk)
    }
}

/// Sequence numbers of the first byte of data in both directions.
#[derive(Default)]
pub(crate) struct Sequences {
    pub(crate) sent: u32,
    pub(crate) received: u32,
}

/// The sequence numbers of a connection that was established at this moment.
///
/// # Safety
///
/// As for [`socket_stats`].
#[inline(always)]
pub(crate) unsafe fn sequences(sk: *const u8) -> Sequences {
    // SAFETY: passed on to the caller.
    unsafe {
        let tcp = bpf_skc_to_tcp_sock(sk.cast_mut().cast());
        if tcp.is_null() {
            return Sequences::default();
        }
        let tcp = tcp.cast_const().cast();
        Sequences {
            sent: Trusted::field(tcp, &TCP_SND_UNA),
            received: Trusted::field(tcp, &TCP_RCV_NXT),
        }
    }
}

/// What a socket counts that totals need.
#[derive(Clone, Copy, Default)]
pub(crate) struct Health {
    /// Smoothed round-trip time in microseconds; 0 where there is none.
    pub(crate) srtt_us: u32,
    /// Segments sent.
    pub(crate) segments_sent: u32,
    /// Of these, the ones that were retransmissions.
    pub(crate) retransmits: u32,
    /// Sequence number after all that there is to be sent; 0 for a socket that never chose one.
    pub(crate) sequence_end: u32,
}

/// The health of a socket that the verifier trusts. All zero for what is no TCP socket.
///
/// # Safety
///
/// As for [`socket_stats`].
#[inline(always)]
pub(crate) unsafe fn health(sk: *const u8) -> Health {
    // SAFETY: passed on to the caller.
    unsafe {
        let tcp = bpf_skc_to_tcp_sock(sk.cast_mut().cast());
        if tcp.is_null() {
            return Health::default();
        }
        health_of::<Trusted>(tcp.cast_const().cast())
    }
}

/// # Safety
///
/// `tcp` must be a `struct tcp_sock` that `R` can read through.
#[inline(always)]
pub(crate) unsafe fn health_of<R: Reader>(tcp: *const u8) -> Health {
    // SAFETY: passed on to the caller.
    unsafe {
        Health {
            srtt_us: R::field::<u32>(tcp, &TCP_SRTT_US) >> 3,
            segments_sent: R::field(tcp, &TCP_SEGS_OUT),
            retransmits: R::field(tcp, &TCP_TOTAL_RETRANS),
            sequence_end: R::field(tcp, &TCP_WRITE_SEQ),
        }
    }
}

/// The port that a socket sends from. It stays when the socket gives its port back, which it does before it says that it is
/// closed.
///
/// # Safety
///
/// As for [`socket_stats`].
#[inline(always)]
pub(crate) unsafe fn source_port(sk: *const u8) -> u16 {
    // SAFETY: passed on to the caller.
    unsafe {
        let tcp = bpf_skc_to_tcp_sock(sk.cast_mut().cast());
        if tcp.is_null() {
            return 0;
        }
        u16::from_be(Trusted::field(tcp.cast_const().cast(), &INET_SPORT))
    }
}

/// # Safety
///
/// `tcp` and `sk` must be the same socket, as `struct tcp_sock` and `struct sock`, and `R` be able to read through both.
#[inline(always)]
unsafe fn read<R: Reader>(tcp: *const u8, sk: *const u8) -> SocketStats {
    // SAFETY: passed on to the caller.
    unsafe {
        let received: u64 = R::field(tcp, &TCP_BYTES_RECEIVED);
        // The kernel counts what was acknowledged before it moves `snd_una`, so both belong together where the count stays.
        let acked: u64 = R::field(tcp, &TCP_BYTES_ACKED);
        let unacked_from: u32 = R::field(tcp, &TCP_SND_UNA);
        let acked_meanwhile = R::field::<u64>(tcp, &TCP_BYTES_ACKED).wrapping_sub(acked);
        let next: u32 = R::field(tcp, &TCP_SND_NXT);
        let flags: u64 = R::field(sk, &SKC_FLAGS);
        // The kernel counts the FIN as a byte.
        let fin = flags >> SOCK_DONE & 1;
        SocketStats {
            bytes_sent: R::field(tcp, &TCP_BYTES_SENT),
            bytes_retransmitted: R::field(tcp, &TCP_BYTES_RETRANS),
            bytes_received: received.saturating_sub(fin),
            bytes_sequenced: acked.wrapping_add(u64::from(next.wrapping_sub(unacked_from))),
            segments_sent: R::field(tcp, &TCP_SEGS_OUT),
            segments_received: R::field(tcp, &TCP_SEGS_IN),
            data_segments_sent: R::field(tcp, &TCP_DATA_SEGS_OUT),
            data_segments_received: R::field(tcp, &TCP_DATA_SEGS_IN),
            retransmits: R::field(tcp, &TCP_TOTAL_RETRANS),
            srtt_us: R::field::<u32>(tcp, &TCP_SRTT_US) >> 3,
            min_rtt_us: R::field(tcp, &TCP_RTT_MIN),
            state: socket::state::<R>(sk),
            fin_received: fin as u8,
            local_port: u16::from_be(R::field(tcp, &INET_SPORT)),
            sequence_next: next,
            sequence_end: R::field(tcp, &TCP_WRITE_SEQ),
            acked_meanwhile: acked_meanwhile as u32,
            pad: 0,
        }
    }
}

/// Answers the first `count` questions. A socket that is gone, or whose memory is another's, is left unanswered.
#[inline(always)]
pub(crate) fn answer(count: u32) {
    for index in 0..ASKED as u32 {
        // The first is known to the verifier, which follows no further.
        if index >= ASKED_AT_ONCE.load() || index >= count {
            return;
        }
        let Some(question) = QUESTIONS.get_ptr_mut(index) else {
            return;
        };
        // SAFETY: the pointer is that of a map value. The address comes from a table of sockets and may be out of date:
        // the reader copies, which fails for what is not mapped, and the cookie tells whether it still is the same socket.
        unsafe {
            let socket = (*question).socket as *const u8;
            let cookie = (*question).cookie;
            // A cookie that was not known then may have been made since.
            if cookie != 0 && Tried::field::<u64>(socket, &SKC_COOKIE) != cookie {
                (*question).answered = 0;
                continue;
            }
            // A TCP socket begins with its `struct sock`.
            let stats = read::<Tried>(socket, socket);
            // Read again: it may have been freed and used again meanwhile.
            let same = cookie == 0 || Tried::field::<u64>(socket, &SKC_COOKIE) == cookie;
            // What could not be read has a state that there is not.
            let same = same && stats.state != 0;
            (*question).stats = stats;
            (*question).answered = u32::from(same);
        }
    }
}
