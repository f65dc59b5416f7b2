//! Attempts to connect that end inside `connect`, before their socket enters a state: this host has no route, or forbids it.
//!
//! Seen where the kernel's own `connect` of TCP returns. Where no program can be attached to that, seen where the system call
//! returns, which finds the socket by its descriptor.

use aya_ebpf::{
    Global,
    helpers::{bpf_probe_read_kernel, bpf_probe_read_user, generated::bpf_skc_to_tcp_sock},
    programs::{BtfTracePointContext, FExitContext},
};
use probe_common::flows::TCP;
use probe_ebpf::{
    offsets::{ABSENT, Reader, Tried, Trusted},
    socket,
};

use super::{
    SOCK_PROTOCOL,
    ask::{self, Health},
    counters,
};

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[unsafe(no_mangle)] pub(crate) static $name: Global<u32> = Global::new(ABSENT);)*
    };
}

offsets! {
    /// Number of the system call `connect`.
    NR_CONNECT;
    /// Offset of the member of `pt_regs` that holds the system call's number.
    REGS_NR;
    /// Offset of the member that holds the first argument: the descriptor.
    REGS_FIRST;
    /// Offset of the member that holds the second argument: the address.
    REGS_SECOND;
    /// Offset of the member that holds the third argument: the address's length.
    REGS_THIRD;
    /// Offset of `task_struct.files`.
    TASK_FILES;
    /// Offset of `files_struct.fdt`.
    FILES_FDT;
    /// Offset of `fdtable.max_fds`.
    FDT_MAX_FDS;
    /// Offset of `fdtable.fd`.
    FDT_FD;
    /// Offset of `file.private_data`.
    FILE_PRIVATE_DATA;
    /// Offset of `socket.file`.
    SOCKET_FILE;
    /// Offset of `socket.sk`.
    SOCKET_SK;
}

/// Error numbers of include/uapi/asm-generic/errno.h.
const EINVAL: u32 = 22;

/// Whether `connect` fails with this because there is no way, or none that is allowed. Others are errors of the call itself, or
/// what an attempt came to that was counted when it began.
#[inline(always)]
fn is_refusal(error: u32) -> bool {
    // EPERM, EACCES, ENODEV, EINVAL of a black hole, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH
    matches!(error, 1 | 13 | 19 | EINVAL | 100 | 101 | 112 | 113)
}

/// Counts an attempt that this host refused. A socket that has chosen a sequence number has come further, and its states tell of it.
#[inline(always)]
fn count(cgroup: u64, health: &Health, error: u32) {
    if health.sequence_end == 0 {
        counters::attempt(cgroup);
        counters::failed(cgroup, error);
    }
}

/// `int tcp_v4_connect(struct sock *sk, struct sockaddr *uaddr, int addr_len)`, and the same for IPv6.
#[inline(always)]
pub(crate) fn on_exit(ctx: &FExitContext) {
    let sk: *const u8 = ctx.arg(0);
    let result = ctx.arg::<u64>(3) as i32;
    if result >= 0 || !is_refusal(result.unsigned_abs()) {
        return;
    }
    // SAFETY: the socket is an argument of the function, which the verifier trusts.
    unsafe {
        if bpf_skc_to_tcp_sock(sk.cast_mut().cast()).is_null() {
            return;
        }
        let cgroup = socket::cgroup::<Trusted>(sk);
        count(cgroup, &ask::health(sk), result.unsigned_abs());
    }
}

/// Whether the function for IPv6 has passed an address of IPv4 on to the one for that.
#[inline(always)]
pub(crate) fn is_passed_on(ctx: &FExitContext) -> bool {
    /// Offset of `sockaddr_in6.sin6_addr`, include/uapi/linux/in6.h.
    const ADDRESS: usize = 8;
    let address = ctx.arg::<*const u8>(1).wrapping_add(ADDRESS);
    // ::ffff:0:0/96 of RFC 4291.
    copy::<u64>(address) == 0
        && copy::<u32>(address.wrapping_add(8)) == u32::from_ne_bytes([0, 0, 0xff, 0xff])
}

/// `TP_PROTO(struct pt_regs *regs, long ret)` of `sys_exit`.
#[inline(always)]
pub(crate) fn on_return(ctx: &BtfTracePointContext) {
    let regs: *const u8 = ctx.arg(0);
    // SAFETY: the registers are an argument of the tracepoint, which the verifier trusts.
    let nr: u32 = unsafe { Trusted::field(regs, &REGS_NR) };
    if nr != NR_CONNECT.load() {
        return;
    }
    let result: i64 = ctx.arg(1);
    let error = result.unsigned_abs() as u32;
    if result >= 0 || !is_refusal(error) {
        return;
    }
    // SAFETY: as above; what the address points to is copied, and so is all that the descriptor leads to.
    unsafe {
        let length: u64 = Trusted::field(regs, &REGS_THIRD);
        let address: usize = Trusted::field(regs, &REGS_SECOND);
        if error == EINVAL && !is_address(address as *const u16, length) {
            return;
        }
        let descriptor: u64 = Trusted::field(regs, &REGS_FIRST);
        if let Some(sk) = socket_of(descriptor as u32) {
            let health = ask::health_of::<Tried>(sk);
            count(socket::cgroup::<Tried>(sk), &health, error);
        }
    }
}

/// Whether a program passed a whole address of IPv4 or IPv6.
#[inline(always)]
fn is_address(address: *const u16, length: u64) -> bool {
    /// `sizeof(struct sockaddr_in)`.
    const SHORTEST: u64 = 16;
    // SAFETY: the helper checks the address itself.
    let family = unsafe { bpf_probe_read_user(address) };
    length >= SHORTEST && matches!(family, Ok(2 | 10))
}

/// What stands at an address of the kernel; zeroes where nothing is mapped.
#[inline(always)]
fn copy<T: Default>(from: *const u8) -> T {
    // SAFETY: the helper checks the address itself.
    unsafe { bpf_probe_read_kernel(from.cast()) }.unwrap_or_default()
}

/// The TCP socket behind a descriptor of the current task.
///
/// # Safety
///
/// The offsets must be those of the running kernel.
#[inline(always)]
unsafe fn socket_of(descriptor: u32) -> Option<*const u8> {
    // SAFETY: the reader copies, which gives zeroes for what is not mapped; a socket points back at its file, which nothing else
    // does.
    unsafe {
        let task = Tried::current();
        let files: usize = Tried::field(task, &TASK_FILES);
        let table: usize = Tried::field(files as *const u8, &FILES_FDT);
        let length: u32 = Tried::field(table as *const u8, &FDT_MAX_FDS);
        if descriptor >= length {
            return None;
        }
        let entries: usize = Tried::field(table as *const u8, &FDT_FD);
        let entry = (entries as *const u8).wrapping_add(descriptor as usize * size_of::<usize>());
        let file: usize = copy(entry);
        let socket: usize = Tried::field(file as *const u8, &FILE_PRIVATE_DATA);
        let back: usize = Tried::field(socket as *const u8, &SOCKET_FILE);
        if file == 0 || back != file {
            return None;
        }
        let sk: usize = Tried::field(socket as *const u8, &SOCKET_SK);
        let sk = sk as *const u8;
        let protocol: u16 = Tried::field(sk, &SOCK_PROTOCOL);
        (protocol == u16::from(TCP)).then_some(sk)
    }
}
