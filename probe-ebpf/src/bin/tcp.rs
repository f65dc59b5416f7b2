//! Programs of the `tcp` probe: connections, their handshakes, failures, retransmissions, resets and ends.
//!
//! Nothing runs per packet. What a connection exchanged is counted by the kernel's own socket; the last count is taken
//! when it ends, and one in between when user space asks. Every hook takes the cgroup from the socket: the current task is
//! often the other end, or nobody.
#![no_std]
#![no_main]

#[path = "../body/again.rs"]
mod again;
#[path = "../body/tcp_ask.rs"]
mod ask;
#[path = "../body/tcp_counters.rs"]
mod counters;
#[path = "../body/tcp_errors.rs"]
mod errors;
#[path = "../body/tcp_late.rs"]
mod late;
#[path = "../body/tcp_listeners.rs"]
mod listeners;
#[path = "../body/tcp_live.rs"]
mod live;
#[path = "../body/narrow.rs"]
mod narrow;
#[path = "../body/tcp_processes.rs"]
mod processes;
#[path = "../body/tcp_refused.rs"]
mod refused;
#[path = "../body/tcp_retransmit.rs"]
mod retransmit;
#[path = "../body/tcp_table.rs"]
mod table;

use core::ffi::c_void;

use aya_ebpf::{
    Global,
    helpers::{bpf_ktime_get_ns, generated::bpf_skc_to_tcp_sock},
    macros::{btf_tracepoint, fexit, raw_tracepoint},
    programs::{BtfTracePointContext, FExitContext, RawTracePointContext},
};
use probe_common::{
    flows::{SEEN_COUNTED, TCP},
    loss::RING_FULL,
    narrow::Tuple,
    tcp::{
        CLIENT, Connection, ConnectionEnd, ESTABLISHED, LIVE_AT_ONCE, LOCAL_CLOSED, REMOTE_CLOSED,
        RESET_RECEIVED, RESET_SENT, RETRANSMIT_DATA, RETRANSMIT_PROBE, RETRANSMIT_SYN, SERVER,
        TAKEN_OVER, UNTRACKED,
    },
};
use probe_ebpf::{
    loss::count_loss,
    offsets::{ABSENT, Reader as _, Trusted},
    socket,
};

/// Offset of `sock.sk_protocol`.
#[unsafe(no_mangle)]
static SOCK_PROTOCOL: Global<u32> = Global::new(ABSENT);
/// 1 if `tcp_retransmit_skb` says whether it could.
#[unsafe(no_mangle)]
static RETRANSMIT_HAS_ERROR: Global<u32> = Global::new(0);

/// States of a connection, `include/net/tcp_states.h`.
mod state {
    pub(crate) const ESTABLISHED: i32 = 1;
    pub(crate) const SYN_SENT: i32 = 2;
    pub(crate) const SYN_RECV: i32 = 3;
    pub(crate) const FIN_WAIT1: i32 = 4;
    pub(crate) const CLOSE: i32 = 7;
    pub(crate) const CLOSE_WAIT: i32 = 8;
    pub(crate) const LISTEN: i32 = 10;
}

/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    if let Some(change) = Change::of(&ctx) {
        // SAFETY: the socket is that of the tracepoint.
        unsafe {
            again::note(change.id());
            change.follow();
        }
    }
    0
}

/// Takes the changes that come while the program above is at work.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state_again(ctx: BtfTracePointContext) -> i32 {
    if let Some(change) = Change::of(&ctx) {
        // SAFETY: the socket is that of the tracepoint.
        unsafe {
            if again::is_left(change.id()) {
                change.follow();
            }
        }
    }
    0
}

/// A connection enters a state.
struct Change {
    sk: *const u8,
    old: i32,
    new: i32,
}

impl Change {
    #[inline(always)]
    fn of(ctx: &BtfTracePointContext) -> Option<Self> {
        let sk: *const u8 = ctx.arg(0);
        // SAFETY: the socket is an argument of the tracepoint, which the verifier trusts.
        let protocol: u16 = unsafe { Trusted::field(sk, &SOCK_PROTOCOL) };
        // The states are stored as 8 bytes each, of which the upper four say nothing.
        (protocol == u16::from(TCP)).then(|| Self {
            sk,
            old: ctx.arg::<u64>(1) as i32,
            new: ctx.arg::<u64>(2) as i32,
        })
    }

    /// What no other change has: a socket enters a state from another one once. Where sockets have no cookies the second program
    /// is not there to ask.
    ///
    /// # Safety
    ///
    /// The socket must be one that the verifier trusts.
    #[inline(always)]
    unsafe fn id(&self) -> u64 {
        // SAFETY: passed on to the caller.
        let cookie = unsafe { table::cookie(self.sk) };
        cookie ^ (self.old as u64) << 60 ^ (self.new as u64) << 56
    }

    /// # Safety
    ///
    /// As for [`id`](Self::id).
    #[inline(always)]
    unsafe fn follow(&self) {
        let sk = self.sk;
        // SAFETY: passed on to the caller.
        unsafe {
            match (self.old, self.new) {
                (state::LISTEN, _) => listeners::remove(sk),
                (_, state::LISTEN) => listeners::add(sk),
                (_, state::SYN_SENT) => connecting(sk),
                (state::SYN_SENT | state::SYN_RECV, state::ESTABLISHED) => {
                    established(sk, self.old)
                }
                // Nothing is known of a child that never was established, and its listener counts it.
                (state::SYN_RECV, state::CLOSE) => table::remove(sk),
                (_, state::CLOSE) => closed(sk, self.old),
                (state::ESTABLISHED | state::SYN_RECV, state::FIN_WAIT1) => {
                    table::mark(sk, LOCAL_CLOSED)
                }
                (state::ESTABLISHED, state::CLOSE_WAIT) => table::mark(sk, REMOTE_CLOSED),
                _ => {}
            }
        }
    }
}

/// # Safety
///
/// As for all here: `sk` must be a `struct sock` that the verifier trusts.
#[inline(always)]
unsafe fn connecting(sk: *const u8) {
    // SAFETY: passed on to the caller.
    unsafe {
        let Some(mut connection) = table::describe::<Trusted>(sk) else {
            return;
        };
        connection.flags = CLIENT;
        // The tracepoint runs inside `connect`, so the current task is the one that calls it.
        processes::note(&mut connection);
        counters::attempt(connection.cgroup);
        // Makes room where the end of another connection was missed.
        _ = table::find(sk);
        table::insert(sk, &connection);
    }
}

/// # Safety
///
/// As for [`connecting`].
#[inline(always)]
unsafe fn established(sk: *const u8, old: i32) {
    // SAFETY: passed on to the caller.
    unsafe {
        let sequences = ask::sequences(sk);
        if let Some(known) = table::find(sk) {
            let known = &mut *known;
            // The port was not chosen when the attempt began.
            if let Some(ends) = socket::ends::<Trusted>(sk) {
                known.local = ends.local;
                known.local_port = ends.local_port;
            }
            known.handshake_ns = bpf_ktime_get_ns().saturating_sub(known.start_ns);
            known.initiator_sequence = sequences.sent;
            known.responder_sequence = sequences.received;
            counters::connected(known.cgroup, known.handshake_ns);
            // Not before: a client has no port when it begins. User space does not tell of it until then.
            if fate(known) == SEEN_COUNTED {
                known.flags |= ESTABLISHED;
            } else {
                table::remove(sk);
            }
            return;
        }
        let Some(mut connection) = table::describe::<Trusted>(sk) else {
            return;
        };
        if old == state::SYN_SENT {
            // It found no room when it began: its handshake cannot be timed, and its end will be all that is told.
            counters::connected(connection.cgroup, 0);
            return;
        }
        connection.flags = SERVER | ESTABLISHED;
        connection.initiator_sequence = sequences.received;
        connection.responder_sequence = sequences.sent;
        // A new child has one measurement: that of the handshake, unless its answer was sent twice.
        connection.handshake_ns = u64::from(ask::health(sk).srtt_us) * 1000;
        counters::accepted(connection.cgroup, connection.handshake_ns);
        if fate(&connection) == SEEN_COUNTED {
            table::insert(sk, &connection);
        }
    }
}

/// # Safety
///
/// As for [`connecting`].
#[inline(always)]
unsafe fn closed(sk: *const u8, old: i32) {
    // SAFETY: passed on to the caller.
    unsafe {
        let mut connection = match table::find(sk) {
            Some(known) => *known,
            None => {
                let Some(mut connection) = table::describe::<Trusted>(sk) else {
                    return;
                };
                connection.flags = UNTRACKED;
                if old != state::SYN_SENT {
                    connection.flags |= ESTABLISHED;
                }
                connection
            }
        };
        table::remove(sk);
        let health = ask::health(sk);
        let error = error(sk, &connection, &health);
        live::add(&raw mut connection, &health);
        if connection.flags & ESTABLISHED == 0 {
            counters::failed(connection.cgroup, error);
        } else {
            counters::closed(connection.cgroup, health.srtt_us);
        }
        if connection.flags & (ESTABLISHED | UNTRACKED) != ESTABLISHED {
            // The port may have been chosen since, and is given back by now.
            if let Some(ends) = socket::ends::<Trusted>(sk) {
                connection.local = ends.local;
            }
            connection.local_port = ask::source_port(sk);
            let fate = fate(&connection);
            if fate != SEEN_COUNTED {
                narrow::seen(fate, 1);
                return;
            }
        }
        narrow::seen(SEEN_COUNTED, 1);
        if !table::admits_end(connection.cgroup) {
            count_loss(RING_FULL);
            return;
        }
        let Some(mut record) = table::ENDS.reserve(0) else {
            count_loss(RING_FULL);
            return;
        };
        let end: *mut ConnectionEnd = record.as_mut_ptr();
        (*end).socket = sk as u64;
        (*end).end_ns = bpf_ktime_get_ns();
        (*end).connection = connection;
        // The kernel tells of a state before it enters it: that is still the one before.
        (*end).stats = ask::socket_stats(sk);
        (*end).error = error;
        (*end).pad = 0;
        record.submit(table::wake_up());
    }
}

/// The error that ends a connection, or 0.
///
/// A program that waits for its socket may have read the error before the kernel closes the connection, which takes it from the
/// socket: it was noted when the socket got it. An answer of the network that meets the socket at work is only remembered by it.
///
/// # Safety
///
/// As for [`connecting`].
#[inline(always)]
unsafe fn error(sk: *const u8, connection: &Connection, health: &ask::Health) -> u32 {
    const ETIMEDOUT: u32 = 110;
    const EADDRNOTAVAIL: u32 = 99;
    // SAFETY: passed on to the caller.
    let (error, remembered) = unsafe { (errors::hard(sk), errors::soft(sk)) };
    if error != 0 {
        error
    } else if connection.flags & ESTABLISHED != 0 {
        // Others do not end a connection that is established.
        if connection.error == ETIMEDOUT {
            ETIMEDOUT
        } else {
            0
        }
    } else if connection.error != 0 {
        connection.error
    } else if connection.flags & CLIENT != 0 && health.sequence_end == 0 {
        // The kernel chooses the port, and then the sequence number.
        EADDRNOTAVAIL
    } else {
        remembered
    }
}

/// `TP_PROTO(const struct sock *sk)`.
#[btf_tracepoint(function = "inet_sk_error_report")]
fn inet_sk_error_report(ctx: BtfTracePointContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: the socket is an argument of the tracepoint, which the verifier trusts.
    unsafe {
        if Trusted::field::<u16>(sk, &SOCK_PROTOCOL) == u16::from(TCP) {
            let error = errors::reported(sk);
            if error != 0 {
                table::note_error(sk, error);
            }
        }
    }
    0
}

/// `int tcp_v4_connect(struct sock *sk, struct sockaddr *uaddr, int addr_len)`.
#[fexit(function = "tcp_v4_connect")]
fn tcp_v4_connect(ctx: FExitContext) -> i32 {
    refused::on_exit(&ctx);
    0
}

/// `int tcp_v6_connect(struct sock *sk, struct sockaddr *uaddr, int addr_len)`.
#[fexit(function = "tcp_v6_connect")]
fn tcp_v6_connect(ctx: FExitContext) -> i32 {
    if !refused::is_passed_on(&ctx) {
        refused::on_exit(&ctx);
    }
    0
}

/// `TP_PROTO(struct pt_regs *regs, long ret)`. In place of the two above, where the kernel refuses them.
#[btf_tracepoint(function = "sys_exit")]
fn refused_connect(ctx: BtfTracePointContext) -> i32 {
    refused::on_return(&ctx);
    0
}

/// `TP_PROTO(const struct sock *sk, const struct sk_buff *skb)`, and an error number from Linux 6.15 on: from then on it also
/// tells of what was not sent, such as a segment that still waits at the device.
#[btf_tracepoint(function = "tcp_retransmit_skb")]
fn tcp_retransmit_skb(ctx: BtfTracePointContext) -> i32 {
    if RETRANSMIT_HAS_ERROR.load() == 1 && ctx.arg::<u64>(2) as i32 != 0 {
        return 0;
    }
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: the socket is an argument of the tracepoint, which the verifier trusts.
    unsafe {
        let kind = match i32::from(socket::state::<Trusted>(sk)) {
            state::SYN_SENT | state::SYN_RECV => RETRANSMIT_SYN,
            _ if retransmit::is_probe(sk) => RETRANSMIT_PROBE,
            _ => RETRANSMIT_DATA,
        };
        let segments = retransmit::segments(ctx.arg(1));
        counters::retransmit(socket::cgroup::<Trusted>(sk), kind, segments);
    }
    0
}

/// `TP_PROTO(const struct sock *sk, const struct request_sock *req)`: the answer to a handshake, sent again.
#[btf_tracepoint(function = "tcp_retransmit_synack")]
fn tcp_retransmit_synack(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the listening socket is an argument of the tracepoint, which the verifier trusts.
    unsafe { counters::retransmit(socket::cgroup::<Trusted>(ctx.arg(0)), RETRANSMIT_SYN, 1) };
    0
}

/// `TP_PROTO(const struct sock *sk, const struct sk_buff *skb)`, and a reason from Linux 6.10 on. No socket: nobody listened.
#[btf_tracepoint(function = "tcp_send_reset")]
fn tcp_send_reset(ctx: BtfTracePointContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: the socket is an argument of the tracepoint, which the verifier trusts where it is not zero.
    unsafe {
        if sk.is_null() || !socket::is_full::<Trusted>(sk) {
            counters::reset_sent(0);
        } else {
            counters::reset_sent(socket::cgroup::<Trusted>(sk));
            table::mark(sk, RESET_SENT);
        }
    }
    0
}

/// `TP_PROTO(struct sock *sk)`.
#[btf_tracepoint(function = "tcp_receive_reset")]
fn tcp_receive_reset(ctx: BtfTracePointContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: the socket is an argument of the tracepoint, which the verifier trusts.
    unsafe {
        counters::reset_received(socket::cgroup::<Trusted>(sk));
        table::mark(sk, RESET_RECEIVED);
    }
    0
}

/// Runs for segments to connections that are over, and for no others.
#[fexit(function = "tcp_timewait_state_process")]
fn tcp_timewait_state_process(ctx: FExitContext) -> i32 {
    late::on_segment(&ctx);
    0
}

/// In place of the program above where the kernel refuses it, from Linux 6.11 on.
#[btf_tracepoint(function = "kfree_skb")]
fn late_fin(ctx: BtfTracePointContext) -> i32 {
    late::on_freed(&ctx);
    0
}

/// Takes over a connection or a listening socket that is there already, once per socket of a network namespace.
///
/// Reads `struct bpf_iter__tcp`: meta, socket, user id, in 8 bytes each.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
fn take_over(ctx: *mut c_void) -> i32 {
    // SAFETY: the context has three words, the second of which is a socket or zero.
    let sk = unsafe { *ctx.cast::<*mut c_void>().add(1) };
    if sk.is_null() {
        return 0;
    }
    // SAFETY: the verifier trusts the socket. The helper answers null for what is not a whole one; a TCP socket begins with
    // its `struct sock`.
    unsafe {
        let sk: *const u8 = bpf_skc_to_tcp_sock(sk).cast_const().cast();
        if sk.is_null() {
            return 0;
        }
        let state = i32::from(socket::state::<Trusted>(sk));
        if state == state::LISTEN {
            listeners::take_over(sk);
        } else if state != state::CLOSE
            && state != state::SYN_RECV
            && let Some(mut connection) = table::describe::<Trusted>(sk)
        {
            connection.flags = TAKEN_OVER;
            // What it sent before is not counted.
            let health = ask::health_of::<Trusted>(sk);
            connection.segments_sent = health.segments_sent;
            connection.segments_retransmitted = health.retransmits;
            if state != state::SYN_SENT {
                connection.flags |= ESTABLISHED;
            }
            // What is not established yet is looked at when it is.
            if state == state::SYN_SENT || fate(&connection) == SEEN_COUNTED {
                table::insert(sk, &connection);
            }
        }
    }
    0
}

/// Finds the processes of sockets that were there before the programs, when user space runs it.
///
/// Reads `struct bpf_iter__task_file`: meta, task, descriptor, file, in 8 bytes each.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn holders(ctx: *mut c_void) -> i32 {
    // SAFETY: the context has four words, of which the second is a task or zero and the fourth a file or zero.
    unsafe {
        let words = ctx.cast::<*const u8>();
        let (task, file) = (*words.add(1), *words.add(3));
        if !task.is_null() && !file.is_null() {
            processes::on_file(task, file);
        }
    }
    0
}

/// `struct sock *inet_csk_accept(struct sock *sk, …)`.
#[fexit(function = "inet_csk_accept")]
fn inet_csk_accept(ctx: FExitContext) -> i32 {
    processes::on_accept(&ctx);
    0
}

/// What becomes of a connection, see [`narrow::fate`].
#[inline(always)]
fn fate(connection: &Connection) -> u32 {
    narrow::fate(|| Tuple {
        local: connection.local,
        remote: connection.remote,
        local_port: connection.local_port,
        remote_port: connection.remote_port,
        protocol: TCP,
        ip_version: connection.ip_version,
    })
}

/// Answers questions about sockets, when user space runs it. Attached to nothing.
#[raw_tracepoint(tracepoint = "ask")]
fn ask(ctx: RawTracePointContext) -> i32 {
    ask::answer(ctx.arg::<u64>(0) as u32);
    0
}

/// Counts what connections that go on have sent, when user space runs it. Attached to nothing. The first argument is 1 to count
/// their round-trip times too; the others are addresses of sockets, or 0.
#[raw_tracepoint(tracepoint = "ask_live")]
fn ask_live(ctx: RawTracePointContext) -> i32 {
    let with_round_trip = ctx.arg::<u64>(0) == 1;
    // The verifier takes no argument by an index that it does not know.
    macro_rules! count {
        ($($at:literal)*) => {
            $(
                let address: u64 = ctx.arg($at);
                if address == 0 {
                    return 0;
                }
                live::count(address, with_round_trip);
            )*
        };
    }
    count!(1 2 3 4 5 6 7 8);
    0
}

const _: () = assert!(LIVE_AT_ONCE == 8);

/// Counts what a listening socket has dropped, when user space runs it. Attached to nothing.
#[raw_tracepoint(tracepoint = "ask_listener")]
fn ask_listener(ctx: RawTracePointContext) -> i32 {
    listeners::ask(ctx.arg(0));
    0
}

const _: () = assert!(
    size_of::<Connection>() <= 128,
    "it is built on the stack of 512 bytes"
);
