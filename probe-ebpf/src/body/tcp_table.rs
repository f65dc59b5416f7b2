//! The table of connections, by the address of their socket.

use core::ptr;

use aya_ebpf::{
    Global,
    bindings::{
        BPF_NOEXIST, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RINGBUF_HDR_SZ,
    },
    btf_maps::{HashMap, RingBuf},
    helpers::{bpf_get_socket_cookie, bpf_ktime_get_ns, generated::bpf_ringbuf_query},
    macros::btf_map,
};
use probe_common::{
    loss::{CONNECTIONS_FULL, END_MISSED},
    tcp::{COMM_LEN, Connection, ConnectionEnd},
};
use probe_ebpf::{
    loss::count_loss,
    offsets::{ABSENT, Reader, Trusted},
    share::{self, Shares},
    socket,
};

/// 1 if tracing programs can make the cookie of a socket (Linux 5.12, c5dbb89fc2ac).
#[unsafe(no_mangle)]
static HAS_SOCKET_COOKIE: Global<u32> = Global::new(0);
/// Offset of `sock_common.skc_cookie`.
#[unsafe(no_mangle)]
pub(crate) static SKC_COOKIE: Global<u32> = Global::new(ABSENT);

/// Bytes of the ring. User space makes it as large as the machine needs.
const RING_BYTES: usize = 2 << 20;
/// Whoever waits for the ring is woken each time that so many bytes more lie in it. What is less waits for the next look.
const WAKE_AT: u64 = 256 << 10;

/// Connections that last.
#[btf_map]
pub(crate) static CONNECTIONS: HashMap<u64, Connection, 1> = HashMap::new();
/// Ends of connections for user space.
#[btf_map]
pub(crate) static ENDS: RingBuf<ConnectionEnd, RING_BYTES> = RingBuf::new();
/// What each cgroup has of that.
#[btf_map]
static END_SHARES: Shares = Shares::new();

/// What a socket says of its connection, which begins at this moment; without flags and process.
///
/// # Safety
///
/// `sk` must be a `struct sock` that `R` can read through and that the verifier trusts.
#[inline(always)]
pub(crate) unsafe fn describe<R: Reader>(sk: *const u8) -> Option<Connection> {
    // SAFETY: passed on to the caller.
    unsafe {
        let ends = socket::ends::<R>(sk)?;
        Some(Connection {
            cookie: cookie(sk),
            cgroup: socket::cgroup::<R>(sk),
            start_ns: bpf_ktime_get_ns(),
            handshake_ns: 0,
            local: ends.local,
            remote: ends.remote,
            local_port: ends.local_port,
            remote_port: ends.remote_port,
            ip_version: ends.ip_version,
            handed_over: 0,
            pad: [0; 2],
            flags: 0,
            netns: socket::netns::<R>(sk),
            initiator_sequence: 0,
            responder_sequence: 0,
            tgid: 0,
            error: 0,
            segments_sent: 0,
            segments_retransmitted: 0,
            comm: [0; COMM_LEN],
        })
    }
}

/// # Safety
///
/// As for [`describe`].
#[inline(always)]
pub(crate) unsafe fn cookie(sk: *const u8) -> u64 {
    // SAFETY: passed on to the caller.
    unsafe {
        if HAS_SOCKET_COOKIE.load() == 1 {
            bpf_get_socket_cookie(sk.cast_mut().cast())
        } else {
            Trusted::field(sk, &SKC_COOKIE)
        }
    }
}

/// What is known of a socket's connection.
///
/// One whose end was not seen leaves its entry behind, and the kernel gives its socket's memory to another one. That is no part
/// of it: the entry goes, and its end is counted as missed.
///
/// # Safety
///
/// `sk` must be a `struct sock` that the verifier trusts.
#[inline(always)]
pub(crate) unsafe fn find(sk: *const u8) -> Option<*mut Connection> {
    let known = CONNECTIONS.get_ptr_mut(sk as u64)?;
    // SAFETY: the pointer is that of a map value; the rest is passed on to the caller.
    unsafe {
        let noted = ptr::read(&raw const (*known).cookie);
        // One that had not been made then may have been made since.
        if noted != 0 && noted != cookie(sk) {
            count_loss(END_MISSED);
            remove(sk);
            return None;
        }
    }
    Some(known)
}

/// Whether the ring of ends takes another one of a cgroup.
#[inline(always)]
pub(crate) fn admits_end(cgroup: u64) -> bool {
    // SAFETY: the address of a map definition stands for the map.
    unsafe {
        share::admits(
            ptr::from_ref(&ENDS).cast_mut().cast(),
            &END_SHARES,
            cgroup,
            size_of::<ConnectionEnd>() as u64,
        )
    }
}

/// Whether to wake the reader for a record that has its place in the ring and is to be submitted: a wake-up costs many times what
/// the record does.
#[inline(always)]
pub(crate) fn wake_up() -> u64 {
    // Other CPUs may have taken their places since: some records from there on do it.
    const SOME: u64 = 8 * (size_of::<ConnectionEnd>() as u64 + BPF_RINGBUF_HDR_SZ as u64);
    // SAFETY: the address of a map definition stands for the map.
    let bytes = unsafe {
        bpf_ringbuf_query(
            ptr::from_ref(&ENDS).cast_mut().cast(),
            u64::from(BPF_RB_AVAIL_DATA),
        )
    };
    if bytes >= WAKE_AT && bytes % WAKE_AT < SOME {
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        u64::from(BPF_RB_NO_WAKEUP)
    }
}

/// Remembers a connection; one that is there already is left as it is, for it knows more.
#[inline(always)]
pub(crate) fn insert(sk: *const u8, connection: &Connection) {
    const EEXIST: i32 = -17;
    match CONNECTIONS.insert(sk as u64, connection, u64::from(BPF_NOEXIST)) {
        Ok(()) | Err(EEXIST) => {}
        Err(_) => count_loss(CONNECTIONS_FULL),
    }
}

#[inline(always)]
pub(crate) fn remove(sk: *const u8) {
    // One that found no room is not there.
    _ = CONNECTIONS.remove(sk as u64);
}

/// Notes an error that the kernel has given to the socket of a connection, if that is known.
///
/// # Safety
///
/// As for [`find`].
#[inline(always)]
pub(crate) unsafe fn note_error(sk: *const u8, error: u32) {
    // SAFETY: the pointer is that of a map value. The rest is passed on to the caller.
    unsafe {
        if let Some(connection) = find(sk) {
            ptr::write(&raw mut (*connection).error, error);
        }
    }
}

/// Sets flags of a connection, if it is known.
///
/// # Safety
///
/// As for [`find`].
#[inline(always)]
pub(crate) unsafe fn mark(sk: *const u8, flags: u32) {
    // SAFETY: the pointer is that of a map value. Hooks of one connection hold its socket's lock. The rest is passed on to the
    // caller.
    unsafe {
        if let Some(connection) = find(sk) {
            let word = &raw mut (*connection).flags;
            ptr::write(word, ptr::read(word) | flags);
        }
    }
}
