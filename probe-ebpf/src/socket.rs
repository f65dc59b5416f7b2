//! What the kernel knows of a socket: its addresses, its cgroup, its namespace.

use aya_ebpf::Global;

use crate::{
    offsets::{ABSENT, Copied, Reader},
    owner::cgroup_id,
};

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[unsafe(no_mangle)] static $name: Global<u32> = Global::new(ABSENT);)*
    };
}

offsets! {
    /// Offset of `sock_common.skc_family`.
    SKC_FAMILY;
    /// Offset of `sock_common.skc_state`.
    SKC_STATE;
    /// Offset of `sock_common.skc_num`, the local port in host order.
    SKC_NUM;
    /// Offset of `sock_common.skc_dport`, the remote port in network order.
    SKC_DPORT;
    /// Offset of `sock_common.skc_rcv_saddr`.
    SKC_RCV_SADDR;
    /// Offset of `sock_common.skc_daddr`.
    SKC_DADDR;
    /// Offset of `sock_common.skc_v6_rcv_saddr`; absent from kernels without IPv6.
    SKC_V6_RCV_SADDR;
    /// Offset of `sock_common.skc_v6_daddr`.
    SKC_V6_DADDR;
    /// Offset of `sock_common.skc_net`, which is a pointer in a struct.
    SKC_NET;
    /// Offset of `net.ns` plus that of `ns_common.inum`.
    NET_INUM;
    /// Offset of `sock.sk_cgrp_data` plus that of `sock_cgroup_data.cgroup`; absent before Linux 5.15.
    SOCK_CGROUP;
    /// Offset of `sock.sk_cgrp_data`, where the kernel keeps the pointer in a number, and the lowest bit says that it is none.
    SOCK_CGROUP_WORD;
}

/// `AF_INET` of include/linux/socket.h.
const AF_INET: u16 = 2;
/// `AF_INET6` of include/linux/socket.h.
const AF_INET6: u16 = 10;

/// Both ends of a socket.
#[derive(Clone, Copy)]
pub struct Ends {
    /// The socket's address: 4 bytes of IPv4 and zeroes, or 16 of IPv6.
    pub local: [u8; 16],
    /// The other side's address.
    pub remote: [u8; 16],
    /// The socket's port.
    pub local_port: u16,
    /// The other side's port.
    pub remote_port: u16,
    /// 4 or 6.
    pub ip_version: u8,
}

/// The addresses of a socket; `None` for what is no socket of the internet. IPv4 over an IPv6 socket is IPv4.
///
/// # Safety
///
/// `sk` must be a `struct sock` that `R` can read through.
#[inline(always)]
pub unsafe fn ends<R: Reader>(sk: *const u8) -> Option<Ends> {
    // SAFETY: the caller vouches for the socket.
    unsafe {
        let family: u16 = R::field(sk, &SKC_FAMILY);
        let remote_port: u16 = R::field(sk, &SKC_DPORT);
        let mut ends = Ends {
            local: [0; 16],
            remote: [0; 16],
            local_port: R::field(sk, &SKC_NUM),
            remote_port: u16::from_be(remote_port),
            ip_version: 4,
        };
        if family == AF_INET {
            ends.local = v4(R::field(sk, &SKC_RCV_SADDR));
            ends.remote = v4(R::field(sk, &SKC_DADDR));
            return Some(ends);
        }
        if family != AF_INET6 || SKC_V6_DADDR.load() == ABSENT {
            return None;
        }
        let (local, local_mapped) = v6::<R>(sk, &SKC_V6_RCV_SADDR);
        let (remote, remote_mapped) = v6::<R>(sk, &SKC_V6_DADDR);
        ends.local = local;
        ends.remote = remote;
        if !(local_mapped || remote_mapped) {
            ends.ip_version = 6;
        }
        Some(ends)
    }
}

#[inline(always)]
fn v4(address: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&address.to_ne_bytes());
    bytes
}

/// An IPv6 address, or the IPv4 address in one and `true`.
///
/// # Safety
///
/// As for [`ends`].
#[inline(always)]
unsafe fn v6<R: Reader>(sk: *const u8, offset: &Global<u32>) -> ([u8; 16], bool) {
    // SAFETY: the caller vouches for the socket; the address is 16 bytes inside it.
    let (high, low): (u64, u64) =
        unsafe { (R::field(sk, offset), R::field(sk.wrapping_add(8), offset)) };
    // ::ffff:0:0/96 of RFC 4291.
    if high == 0 && low as u32 == u32::from_ne_bytes([0, 0, 0xff, 0xff]) {
        return (v4((low >> 32) as u32), true);
    }
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_ne_bytes());
    bytes[8..].copy_from_slice(&low.to_ne_bytes());
    (bytes, false)
}

/// The socket's state, as the kernel numbers those of TCP.
///
/// # Safety
///
/// As for [`ends`].
#[inline(always)]
pub unsafe fn state<R: Reader>(sk: *const u8) -> u8 {
    // SAFETY: passed on to the caller.
    unsafe { R::field(sk, &SKC_STATE) }
}

/// Whether this is a whole `struct sock`, and none of the small ones that stand for handshakes and `TIME_WAIT`
/// (`sk_fullsock` of include/net/sock.h).
///
/// # Safety
///
/// As for [`ends`].
#[inline(always)]
pub unsafe fn is_full<R: Reader>(sk: *const u8) -> bool {
    const TIME_WAIT: u8 = 6;
    const NEW_SYN_RECV: u8 = 12;
    // SAFETY: passed on to the caller.
    let state = unsafe { state::<R>(sk) };
    state != TIME_WAIT && state != NEW_SYN_RECV
}

/// Inode number of the socket's network namespace.
///
/// # Safety
///
/// As for [`ends`].
#[inline(always)]
pub unsafe fn netns<R: Reader>(sk: *const u8) -> u32 {
    // SAFETY: the caller vouches for the socket, which holds its namespace.
    unsafe {
        let net: usize = R::field(sk, &SKC_NET);
        R::field(net as *const u8, &NET_INUM)
    }
}

/// The id of the cgroup v2 that the socket was made in; 0 where the kernel does not keep it.
///
/// # Safety
///
/// As for [`ends`].
#[inline(always)]
pub unsafe fn cgroup<R: Reader>(sk: *const u8) -> u64 {
    // SAFETY: the caller vouches for the socket, which holds its cgroup.
    unsafe {
        if SOCK_CGROUP.load() != ABSENT {
            let cgroup: usize = R::field(sk, &SOCK_CGROUP);
            return cgroup_id::<R>(cgroup as *const u8);
        }
        let word: u64 = R::field(sk, &SOCK_CGROUP_WORD);
        // `is_data` and `no_refcnt` of struct sock_cgroup_data; a number carries no type, so the rest is copied.
        if word & 1 != 0 || word == 0 {
            return 0;
        }
        cgroup_id::<Copied>((word & !3) as *const u8)
    }
}
