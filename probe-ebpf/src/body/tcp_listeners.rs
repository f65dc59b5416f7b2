//! The table of listening sockets, by their address, and the handshakes that they drop.

use aya_ebpf::{Global, bindings::BPF_NOEXIST, btf_maps::HashMap, macros::btf_map};
use probe_common::{
    loss::LISTENERS_FULL,
    tcp::{COMM_LEN, Listener},
};
use probe_ebpf::{
    loss::count_loss,
    offsets::{ABSENT, Copied, Reader, Trusted},
    socket,
};

use super::{
    counters, processes,
    table::{SKC_COOKIE, cookie},
};

/// Offset of `sock.sk_drops`.
#[unsafe(no_mangle)]
static SOCK_DROPS: Global<u32> = Global::new(ABSENT);

/// Sockets that listen.
#[btf_map]
pub(crate) static LISTENERS: HashMap<u64, Listener, 1> = HashMap::new();

/// Remembers a socket that begins to listen, and the current task as its process, which calls `listen`.
///
/// # Safety
///
/// `sk` must be a `struct sock` that the verifier trusts.
#[inline(always)]
pub(crate) unsafe fn add(sk: *const u8) {
    // SAFETY: passed on to the caller.
    let Some(mut listener) = (unsafe { describe(sk) }) else {
        return;
    };
    let process = processes::current();
    listener.tgid = process.tgid;
    listener.comm = process.comm;
    if LISTENERS.insert(sk as u64, listener, 0).is_err() {
        count_loss(LISTENERS_FULL);
    }
}

/// Remembers a socket that listens already, unless it is known. What it dropped before is not counted.
///
/// # Safety
///
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn take_over(sk: *const u8) {
    const EEXIST: i32 = -17;
    // SAFETY: passed on to the caller.
    let Some(listener) = (unsafe { describe(sk) }) else {
        return;
    };
    match LISTENERS.insert(sk as u64, listener, u64::from(BPF_NOEXIST)) {
        Ok(()) | Err(EEXIST) => {}
        Err(_) => count_loss(LISTENERS_FULL),
    }
}

/// Forgets a socket that no longer listens.
///
/// # Safety
///
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn remove(sk: *const u8) {
    // SAFETY: passed on to the caller.
    unsafe { count_drops::<Trusted>(sk) };
    // One that found no room is not there.
    _ = LISTENERS.remove(sk as u64);
}

/// Counts what a listening socket has dropped since the last time. One that is not known any more is left alone.
///
/// If a socket is closed by one CPU just while another counts, both may count the same drops.
///
/// # Safety
///
/// `sk` must be the address of a socket, now or earlier, that `R` can read through.
#[inline(always)]
unsafe fn count_drops<R: Reader>(sk: *const u8) {
    let Some(listener) = LISTENERS.get_ptr_mut(sk as u64) else {
        return;
    };
    // SAFETY: the pointer is that of a map value; the rest is passed on to the caller. The cookie tells whether the memory
    // still is that of the same socket.
    unsafe {
        let (known, cgroup, port) = ((*listener).cookie, (*listener).cgroup, (*listener).port);
        // Read before the cookie: what is another's by now is thrown away.
        let drops: u32 = R::field(sk, &SOCK_DROPS);
        if known != 0 && R::field::<u64>(sk, &SKC_COOKIE) != known {
            return;
        }
        let more = drops.wrapping_sub((*listener).drops);
        if more != 0 {
            (*listener).drops = drops;
            counters::listen_drops(cgroup, port, more);
        }
    }
}

/// Counts for a socket whose address user space read from the table.
#[inline(always)]
pub(crate) fn ask(address: u64) {
    // SAFETY: the reader copies, which fails for what is not mapped.
    unsafe { count_drops::<Copied>(address as *const u8) };
}

/// # Safety
///
/// As for [`add`].
#[inline(always)]
unsafe fn describe(sk: *const u8) -> Option<Listener> {
    // SAFETY: passed on to the caller.
    unsafe {
        let ends = socket::ends::<Trusted>(sk)?;
        Some(Listener {
            cookie: cookie(sk),
            cgroup: socket::cgroup::<Trusted>(sk),
            local: ends.local,
            port: ends.local_port,
            ip_version: ends.ip_version,
            pad: 0,
            netns: socket::netns::<Trusted>(sk),
            tgid: 0,
            drops: Trusted::field(sk, &SOCK_DROPS),
            comm: [0; COMM_LEN],
        })
    }
}
