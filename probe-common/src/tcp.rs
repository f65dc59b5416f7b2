//! Keys, values and records of the `tcp` probe: connections, their health and their ends.

use crate::hist::Histogram;

/// The socket called `connect`.
pub const CLIENT: u32 = 1;
/// The socket came from a listening one.
pub const SERVER: u32 = 1 << 1;
/// The connection was there before the probe.
pub const TAKEN_OVER: u32 = 1 << 2;
/// The socket's side closed first.
pub const LOCAL_CLOSED: u32 = 1 << 3;
/// The other side closed first.
pub const REMOTE_CLOSED: u32 = 1 << 4;
/// The socket's side sent a reset.
pub const RESET_SENT: u32 = 1 << 5;
/// The other side sent a reset.
pub const RESET_RECEIVED: u32 = 1 << 6;
/// The connection was established at some time.
pub const ESTABLISHED: u32 = 1 << 7;
/// The connection found no room in the table: its start and its process are not known.
pub const UNTRACKED: u32 = 1 << 8;

/// Longest name of a process, without a terminating zero where it is that long.
pub const COMM_LEN: usize = 16;

/// What is known of a connection while it lasts, besides what its socket knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Connection {
    /// The socket's cookie; 0 where the kernel gives none to tracing programs (before Linux 5.12).
    pub cookie: u64,
    /// Cgroup of the socket.
    pub cgroup: u64,
    /// Monotonic time of the `connect`, the handshake's end at a server, or the take-over, in nanoseconds.
    pub start_ns: u64,
    /// How long the handshake took in nanoseconds: from `connect` to established at a client, from the answer to its
    /// acknowledgement at a server; 0 where not known.
    pub handshake_ns: u64,
    /// Address of the socket's side: 4 bytes of IPv4 and zeroes, or 16 of IPv6.
    pub local: [u8; 16],
    /// Address of the other side.
    pub remote: [u8; 16],
    /// Port of the socket's side in host order.
    pub local_port: u16,
    /// Port of the other side.
    pub remote_port: u16,
    /// 4 or 6.
    pub ip_version: u8,
    /// 1 if the process that connected or accepted was in another cgroup than the socket, which was handed over to it.
    pub handed_over: u8,
    /// Zero.
    pub pad: [u8; 2],
    /// [`CLIENT`] and so on.
    pub flags: u32,
    /// Inode number of the socket's network namespace.
    pub netns: u32,
    /// First byte of data of the initiator as a sequence number; with the next the same at both ends of a connection, whatever
    /// translates its addresses.
    pub initiator_sequence: u32,
    /// First byte of data of the other side.
    pub responder_sequence: u32,
    /// Thread group id of the process that called `connect`, or 0.
    pub tgid: u32,
    /// The last error number that the kernel gave the socket, or 0. The program may have read it from the socket since.
    pub error: u32,
    /// Segments sent that are counted in [`Totals::segments_sent`]. Wraps as the socket's own counter does.
    pub segments_sent: u32,
    /// Segments retransmitted that are counted in [`Totals::segments_retransmitted`], in the same way.
    pub segments_retransmitted: u32,
    /// Name of the thread that called `connect`.
    pub comm: [u8; COMM_LEN],
}
const _: () = assert!(size_of::<Connection>() == 120 && align_of::<Connection>() == 8);

// SAFETY: `repr(C)`, integers only, no implicit padding, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Connection {}

/// What the kernel's socket counts of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SocketStats {
    /// Payload bytes sent, each retransmission included.
    pub bytes_sent: u64,
    /// Payload bytes of that which were retransmissions.
    pub bytes_retransmitted: u64,
    /// Payload bytes received in order.
    pub bytes_received: u64,
    /// Sequence numbers that were sent, each once: one for each byte of payload, one for the SYN of a client and one for a FIN.
    pub bytes_sequenced: u64,
    /// Segments sent, as they are on the wire.
    pub segments_sent: u32,
    /// Segments received.
    pub segments_received: u32,
    /// Segments sent that carry data.
    pub data_segments_sent: u32,
    /// Segments received that carry data.
    pub data_segments_received: u32,
    /// Segments retransmitted.
    pub retransmits: u32,
    /// Smoothed round-trip time in microseconds.
    pub srtt_us: u32,
    /// Smallest round-trip time of the last minutes in microseconds; `u32::MAX` where not measured.
    pub min_rtt_us: u32,
    /// The socket's state, as the kernel numbers them.
    pub state: u8,
    /// 1 if the other side's FIN has come, and all that was before it.
    pub fin_received: u8,
    /// The socket's port in host order; 0 before it has one.
    pub local_port: u16,
    /// Sequence number of what is sent next. When the socket's side has closed, its FIN is the last of what there is to be sent.
    pub sequence_next: u32,
    /// Sequence number after all that there is to be sent.
    pub sequence_end: u32,
    /// What was acknowledged while this was read: unless 0, `bytes_sequenced` is not that of any one moment.
    pub acked_meanwhile: u32,
    /// Zero.
    pub pad: u32,
}
const _: () = assert!(size_of::<SocketStats>() == 80 && align_of::<SocketStats>() == 8);

// SAFETY: as for `Connection`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for SocketStats {}

/// Record of a connection's end.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ConnectionEnd {
    /// The key of the connection: the address of its socket.
    pub socket: u64,
    /// Monotonic time in nanoseconds.
    pub end_ns: u64,
    /// What was known of it.
    pub connection: Connection,
    /// Its last counters. `state` is the one before the end.
    pub stats: SocketStats,
    /// The socket's error number, or 0.
    pub error: u32,
    /// Zero.
    pub pad: u32,
}
const _: () = assert!(size_of::<ConnectionEnd>() == 224 && align_of::<ConnectionEnd>() == 8);

// SAFETY: as for `Connection`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for ConnectionEnd {}

/// Record of a FIN that came when the kernel had put a small socket in the place of the connection's: after its
/// [`ConnectionEnd`], in a ring of its own.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LateFin {
    /// The socket's cookie, which the small one has too.
    pub cookie: u64,
}

// SAFETY: as for `Connection`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for LateFin {}

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Listener {
    /// The socket's cookie, as in [`Connection`].
    pub cookie: u64,
    /// Cgroup of the socket.
    pub cgroup: u64,
    /// Address that it listens at; zeroes for any.
    pub local: [u8; 16],
    /// Port in host order.
    pub port: u16,
    /// 4, or 6 for sockets that may serve both.
    pub ip_version: u8,
    /// Zero.
    pub pad: u8,
    /// Inode number of the socket's network namespace.
    pub netns: u32,
    /// Thread group id of the process that called `listen`, or 0.
    pub tgid: u32,
    /// Handshakes that it dropped and that are counted in [`Totals::listen_drops`], or were before the probe. Wraps as the
    /// kernel's own counter does.
    pub drops: u32,
    /// Name of that process.
    pub comm: [u8; COMM_LEN],
}
impl Listener {
    /// Whether a connection came in through it: it listens at that port, and at that address or at any.
    pub fn accepts(&self, connection: &Connection) -> bool {
        const ANY: [u8; 16] = [0; 16];
        /// `::ffff:0:0/96` of RFC 4291, in front of an address of IPv4.
        const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        let is_mapped = self.ip_version == 6
            && connection.ip_version == 4
            && self.local[..12] == MAPPED
            && self.local[12..] == connection.local[..4];
        let is_there = self.local == ANY
            || is_mapped
            || (self.ip_version, self.local) == (connection.ip_version, connection.local);
        self.netns == connection.netns && self.port == connection.local_port && is_there
    }
}

const _: () = assert!(size_of::<Listener>() == 64 && align_of::<Listener>() == 8);

// SAFETY: as for `Connection`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Listener {}

/// Why a `connect` failed: index into [`Totals::failed`].
pub const FAILED_REFUSED: usize = 0;
/// Nobody answered in time.
pub const FAILED_TIMEOUT: usize = 1;
/// The network, or this host, says that there is no way.
pub const FAILED_UNREACHABLE: usize = 2;
/// A reset came that was no refusal.
pub const FAILED_RESET: usize = 3;
/// The socket was closed before an answer came.
pub const FAILED_ABORTED: usize = 4;
/// The network, or this host, forbids it.
pub const FAILED_PROHIBITED: usize = 5;
/// The socket's address has no free port.
pub const FAILED_NO_LOCAL_PORT: usize = 6;
/// Number of such reasons.
pub const FAILURES: usize = 7;

/// Handshakes that the listening sockets of a cgroup dropped, by port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct ListenDropKey {
    /// Cgroup of the socket.
    pub cgroup: u64,
    /// Its port in host order.
    pub port: u16,
    /// Zero.
    pub pad: u16,
    /// Zero.
    pub pad2: u32,
}
const _: () = assert!(size_of::<ListenDropKey>() == 16 && align_of::<ListenDropKey>() == 8);

// SAFETY: as for `Connection`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for ListenDropKey {}

/// Index into [`Totals::retransmits`]: handshakes.
pub const RETRANSMIT_SYN: usize = 0;
/// Data.
pub const RETRANSMIT_DATA: usize = 1;
/// Tail-loss probes that sent data again.
pub const RETRANSMIT_PROBE: usize = 2;
/// Number of kinds.
pub const RETRANSMITS: usize = 3;

/// What a cgroup's connections come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Totals {
    /// Handshakes of clients, from `connect` to established.
    pub connect: Histogram,
    /// Handshakes of servers, from the answer to its acknowledgement.
    pub accept: Histogram,
    /// Smoothed round-trip time of established connections: at their end, and whenever user space asks for it in between.
    pub rtt: Histogram,
    /// Attempts to connect, those that this host refused included.
    pub attempts: u64,
    /// Connections established as client.
    pub connected: u64,
    /// Connections established as server.
    pub accepted: u64,
    /// Connections ended that had been established.
    pub closed: u64,
    /// Attempts that failed, by reason.
    pub failed: [u64; FAILURES],
    /// Segments that were sent again, by kind.
    pub retransmits: [u64; RETRANSMITS],
    /// Segments that sockets sent, retransmissions included, as they are on the wire.
    pub segments_sent: u64,
    /// Of these, the ones that were retransmissions.
    pub segments_retransmitted: u64,
    /// Resets sent.
    pub resets_sent: u64,
    /// Resets received.
    pub resets_received: u64,
    /// Handshakes that listening sockets dropped, mostly because their accept queue was full.
    pub listen_drops: u64,
}
const _: () = assert!(size_of::<Totals>() == 3 * 240 + 19 * 8 && align_of::<Totals>() == 8);

impl Totals {
    /// Nothing yet.
    pub const ZERO: Self = Self {
        connect: Histogram::EMPTY,
        accept: Histogram::EMPTY,
        rtt: Histogram::EMPTY,
        attempts: 0,
        connected: 0,
        accepted: 0,
        closed: 0,
        failed: [0; FAILURES],
        retransmits: [0; RETRANSMITS],
        segments_sent: 0,
        segments_retransmitted: 0,
        resets_sent: 0,
        resets_received: 0,
        listen_drops: 0,
    };
}

// SAFETY: as for `Connection`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Totals {}

/// Connections that one run counts what they have sent of: what fits into the arguments of a run besides the first.
pub const LIVE_AT_ONCE: usize = 8;

/// Sockets that user space asks about at once, at most.
pub const ASKED: usize = 16;

/// A question about a socket, and its answer.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Question {
    /// Address of the socket. Never followed without a check.
    pub socket: u64,
    /// Its cookie, or 0 where not known.
    pub cookie: u64,
    /// 1 if the socket still is what it was, and `stats` are its own.
    pub answered: u32,
    /// Zero.
    pub pad: u32,
    /// Its counters.
    pub stats: SocketStats,
}
const _: () = assert!(size_of::<Question>() == 104 && align_of::<Question>() == 8);

// SAFETY: as for `Connection`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Question {}
