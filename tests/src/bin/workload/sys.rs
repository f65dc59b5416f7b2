//! The system calls that the workload makes, without a wrapper that could turn one into another.

use std::{
    ffi::{CStr, c_int, c_long, c_void},
    io,
    net::{SocketAddrV4, TcpListener, UdpSocket},
    os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd},
    ptr,
    time::Duration,
};

#[cfg(target_arch = "x86_64")]
#[path = "sys_x86_64.rs"]
pub(crate) mod nr;
#[cfg(target_arch = "aarch64")]
#[path = "sys_aarch64.rs"]
pub(crate) mod nr;

pub(crate) const SIGKILL: c_int = 9;
pub(crate) const SIGUSR1: c_int = 10;
pub(crate) const SIGUSR2: c_int = 12;
pub(crate) const SIGTERM: c_int = 15;
pub(crate) const SIGCONT: c_int = 18;
pub(crate) const SIGSTOP: c_int = 19;

pub(crate) const EAGAIN: i32 = 11;
pub(crate) const EINTR: i32 = 4;

const AF_INET: c_int = 2;
const AF_INET6: c_int = 10;
const SOCK_DGRAM: c_int = 2;
const SOCK_STREAM: c_int = 1;
const SOCK_RAW: c_int = 3;
const SOCK_CLOEXEC: c_int = 0o2_000_000;
const SOL_SOCKET: c_int = 1;
const SO_LINGER: c_int = 13;
const SO_REUSEPORT: c_int = 15;
/// A socket that only sends, with headers and all.
pub(crate) const IPPROTO_RAW: c_int = 255;
const IPPROTO_ICMP: c_int = 1;
const IPPROTO_ICMPV6: c_int = 58;

const SIG_BLOCK: usize = 0;
const PR_SET_NAME: usize = 15;
/// `which` of `ioprio_get`: `who` is a process, 0 the calling one.
pub(crate) const WHO_PROCESS: usize = 1;
/// `waitpid` also reports stopped children.
pub(crate) const WUNTRACED: c_int = 2;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    #[link_name = "bind"]
    fn c_bind(socket: c_int, name: *const c_void, length: u32) -> c_int;
    #[link_name = "listen"]
    fn c_listen(socket: c_int, backlog: c_int) -> c_int;
    fn setsockopt(
        socket: c_int,
        level: c_int,
        name: c_int,
        value: *const c_void,
        length: u32,
    ) -> c_int;
    fn signal(signum: c_int, handler: usize) -> usize;
}

/// Makes one system call.
///
/// # Safety
///
/// Arguments that are addresses must be valid for what the call does with them.
unsafe fn raw(number: c_long, args: [usize; 4]) -> io::Result<usize> {
    // SAFETY: the caller vouches for the arguments; further registers are ignored by these calls.
    let result = unsafe { syscall(number, args[0], args[1], args[2], args[3]) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A number that the kernel has no call for.
pub(crate) fn no_call(number: i64) -> io::Result<usize> {
    // SAFETY: a call that is not there does nothing.
    unsafe { raw(number, [0; 4]) }
}

/// The sixth argument of calls that [`answer_marked_calls`] is about.
const MARK: usize = 0x5eed_f00d;

/// Has the kernel answer the marked calls of this thread with the errno in their first argument, and leave all others alone.
pub(crate) fn answer_marked_calls() -> io::Result<()> {
    const PR_SET_SECCOMP: usize = 22;
    const PR_SET_NO_NEW_PRIVS: usize = 38;
    const SECCOMP_MODE_FILTER: usize = 2;
    const SECCOMP_RET_ERRNO: u32 = 0x0005_0000;
    const SECCOMP_RET_ALLOW: u32 = 0x7fff_0000;
    /// `struct sock_filter`: the code, two jumps, and a number.
    #[repr(C)]
    struct Filter(u16, u8, u8, u32);
    // Classic BPF on `struct seccomp_data`, in which the arguments begin at byte 16.
    let program = [
        Filter(0x20, 0, 0, 16 + 5 * 8),
        Filter(0x15, 0, 4, MARK as u32),
        Filter(0x20, 0, 0, 16),
        Filter(0x54, 0, 0, 0xfff),
        Filter(0x44, 0, 0, SECCOMP_RET_ERRNO),
        Filter(0x16, 0, 0, 0),
        Filter(0x06, 0, 0, SECCOMP_RET_ALLOW),
    ];
    // `struct sock_fprog`: the length in 8 bytes with their padding, and the address.
    let header = [program.len(), program.as_ptr().expose_provenance()];
    // SAFETY: the first call takes numbers; the header and the program that it points to outlive the second one.
    let results = unsafe {
        [
            // It refuses anything but zeroes in the rest of its arguments.
            syscall(
                nr::PRCTL,
                PR_SET_NO_NEW_PRIVS,
                1usize,
                0usize,
                0usize,
                0usize,
            ),
            syscall(
                nr::PRCTL,
                PR_SET_SECCOMP,
                SECCOMP_MODE_FILTER,
                header.as_ptr().expose_provenance(),
                0usize,
                0usize,
            ),
        ]
    };
    if results == [0, 0] {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A call that the filter of [`answer_marked_calls`] answers with `errno`.
pub(crate) fn marked_call(number: i64, errno: usize) -> io::Result<usize> {
    // SAFETY: the call never begins.
    let result = unsafe { syscall(number, errno, 0usize, 0usize, 0usize, 0usize, MARK) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// `ioprio_get(which, who)`: a rare call that fails at will, with EINVAL for an unknown `which`
/// and with ESRCH for an unknown `who`.
pub(crate) fn ioprio_get(which: usize, who: usize) -> io::Result<usize> {
    // SAFETY: the arguments are plain numbers.
    unsafe { raw(nr::IOPRIO_GET, [which, who, 0, 0]) }
}

/// `sched_get_priority_max(policy)`: another rare call.
pub(crate) fn sched_get_priority_max(policy: usize) -> io::Result<usize> {
    // SAFETY: the argument is a plain number.
    unsafe { raw(nr::SCHED_GET_PRIORITY_MAX, [policy, 0, 0, 0]) }
}

/// One `nanosleep`; the library's function would call `clock_nanosleep`.
pub(crate) fn nanosleep(time: Duration) -> io::Result<usize> {
    let spec = timespec(time);
    // SAFETY: `spec` has the layout of a timespec and outlives the call; a null remainder is
    // allowed.
    unsafe { raw(nr::NANOSLEEP, [spec.as_ptr().addr(), 0, 0, 0]) }
}

/// One `readv` of one byte: a blocking call that nothing else in this program makes.
pub(crate) fn readv(from: BorrowedFd<'_>) -> io::Result<usize> {
    let mut byte = 0u8;
    let iov = [(&raw mut byte).expose_provenance(), 1];
    let fd = usize::try_from(from.as_raw_fd()).map_err(io::Error::other)?;
    // SAFETY: `iov` has the layout of one iovec over `byte`; both outlive the call.
    unsafe { raw(nr::READV, [fd, iov.as_ptr().expose_provenance(), 1, 0]) }
}

/// Names the calling thread; at most 15 bytes.
pub(crate) fn set_name(name: &CStr) -> io::Result<()> {
    // SAFETY: the name is a zero-terminated string.
    unsafe {
        raw(
            nr::PRCTL,
            [PR_SET_NAME, name.as_ptr().expose_provenance(), 0, 0],
        )
    }
    .map(drop)
}

/// Binds the calling thread to one CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let mut mask = [0usize; 16];
    let bits = usize::BITS as usize;
    *mask
        .get_mut(cpu / bits)
        .ok_or(io::ErrorKind::InvalidInput)? = 1 << (cpu % bits);
    // SAFETY: the mask is as long as stated and outlives the call.
    unsafe {
        raw(
            nr::SCHED_SETAFFINITY,
            [0, size_of_val(&mask), mask.as_ptr().expose_provenance(), 0],
        )
    }
    .map(drop)
}

/// Blocks signals for the calling thread and the threads that it starts.
pub(crate) fn block(signals: &[c_int]) -> io::Result<()> {
    let set = set_of(signals);
    // SAFETY: `set` is a kernel signal set of eight bytes; a null old set is allowed.
    unsafe {
        raw(
            nr::RT_SIGPROCMASK,
            [SIG_BLOCK, (&raw const set).expose_provenance(), 0, 8],
        )
    }
    .map(drop)
}

/// Waits until a blocked signal arrives, or for some time.
pub(crate) fn wait_for(signal: c_int, limit: Option<Duration>) -> io::Result<()> {
    let set = set_of(&[signal]);
    let spec = limit.map(timespec);
    let spec = spec
        .as_ref()
        .map_or(0, |spec| spec.as_ptr().expose_provenance());
    loop {
        // SAFETY: `set` is a kernel signal set of eight bytes, `spec` null or a timespec; a null
        // siginfo is allowed.
        let got = unsafe {
            raw(
                nr::RT_SIGTIMEDWAIT,
                [(&raw const set).expose_provenance(), 0, spec, 8],
            )
        };
        match got {
            Err(error) if error.raw_os_error() == Some(EINTR) => {}
            Err(error) if error.raw_os_error() == Some(EAGAIN) => return Ok(()),
            other => return other.map(drop),
        }
    }
}

/// Ends the calling thread and leaves the rest of the process alone.
pub(crate) fn exit_thread() -> ! {
    // SAFETY: the call does not return; a thread that ends so leaks its stack, which is what is to
    // be tested.
    let _never = unsafe { raw(nr::EXIT, [0; 4]) };
    unreachable!("exit does not return")
}

/// Sends a signal to a process.
pub(crate) fn kill(pid: c_int, signal: c_int) -> io::Result<()> {
    // SAFETY: the arguments are plain numbers.
    unsafe { raw(nr::KILL, [pid as usize, signal as usize, 0, 0]) }.map(drop)
}

/// Runs `body` in a child process and returns its pid. The caller has no other thread.
pub(crate) fn child(body: impl FnOnce() -> i32) -> io::Result<c_int> {
    // SAFETY: with a single thread the child finds no lock held, and `exit` below keeps it out of
    // the caller's code.
    match unsafe { fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => std::process::exit(body()),
        pid => Ok(pid),
    }
}

/// Waits for a child to change its state and returns the wait status.
pub(crate) fn wait(pid: c_int, options: c_int) -> io::Result<c_int> {
    let mut status = 0;
    // SAFETY: `status` is writable and outlives the call.
    match unsafe { waitpid(pid, &raw mut status, options) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(status),
    }
}

/// Installs a handler that does nothing, with SA_RESTART.
pub(crate) fn handle_and_restart(signum: c_int) {
    extern "C" fn nothing(_signal: c_int) {}
    let handler: extern "C" fn(c_int) = nothing;
    // SAFETY: the handler touches nothing. The library's `signal` sets SA_RESTART.
    unsafe { signal(signum, handler as usize) };
}

/// A socket of `family` and `kind`, with the methods of one for datagrams, which fit others as well.
fn socket_of(family: c_int, kind: c_int, protocol: c_int) -> io::Result<UdpSocket> {
    // SAFETY: the arguments are plain numbers.
    match unsafe { socket(family, kind | SOCK_CLOEXEC, protocol) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the descriptor is new, and nobody else's.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into()),
    }
}

/// A socket for echo requests, which the kernel allows to groups in `net.ipv4.ping_group_range`.
pub(crate) fn ping_socket(v6: bool) -> io::Result<UdpSocket> {
    if v6 {
        socket_of(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6)
    } else {
        socket_of(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)
    }
}

/// A socket for packets with a header that the caller makes (`IPPROTO_RAW`), or that gets those of a protocol.
pub(crate) fn raw_socket(v6: bool, protocol: c_int) -> io::Result<UdpSocket> {
    socket_of(if v6 { AF_INET6 } else { AF_INET }, SOCK_RAW, protocol)
}

/// A listening socket at a port that others may share.
pub(crate) fn shared_listener(address: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = OwnedFd::from(socket_of(AF_INET, SOCK_STREAM, 0)?);
    let yes: c_int = 1;
    set_option(socket.as_fd(), SOL_SOCKET, SO_REUSEPORT, &yes)?;
    // `struct sockaddr_in`: family, port and address in network order, eight zeroes.
    let mut name = [0u8; 16];
    name[..2].copy_from_slice(&(AF_INET as u16).to_ne_bytes());
    name[2..4].copy_from_slice(&address.port().to_be_bytes());
    name[4..8].copy_from_slice(&address.ip().octets());
    // SAFETY: the name is as long as stated and outlives the call.
    let bound = unsafe { c_bind(socket.as_raw_fd(), name.as_ptr().cast(), name.len() as u32) };
    if bound == -1 {
        return Err(io::Error::last_os_error());
    }
    listen(socket.as_fd(), 128)?;
    Ok(socket.into())
}

/// Changes how many connections may wait to be accepted.
pub(crate) fn listen(socket: BorrowedFd<'_>, backlog: c_int) -> io::Result<()> {
    // SAFETY: the arguments are plain numbers.
    match unsafe { c_listen(socket.as_raw_fd(), backlog) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Has a connection end with a reset when it is closed: it lingers for no time.
pub(crate) fn close_by_reset(socket: BorrowedFd<'_>) -> io::Result<()> {
    let linger: [c_int; 2] = [1, 0];
    set_option(socket, SOL_SOCKET, SO_LINGER, &linger)
}

fn set_option<T>(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as u32;
    // SAFETY: the value is as long as stated and outlives the call.
    let result = unsafe {
        setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(value).cast(),
            length,
        )
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn timespec(time: Duration) -> [u64; 2] {
    [time.as_secs(), u64::from(time.subsec_nanos())]
}

fn set_of(signals: &[c_int]) -> u64 {
    signals
        .iter()
        .fold(0, |set, signal| set | 1 << (signal - 1))
}
