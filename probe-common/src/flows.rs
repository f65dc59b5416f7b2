//! Keys and values of the `flows` probe: what a socket exchanges with one other address, TCP left out.
//!
//! Bytes are those of the transport's payload, packets those of the transport, as in the biflow elements 231, 232, 298 and
//! 299 of IPFIX. A datagram that the kernel fragments below the socket is one packet.

/// Internet protocol numbers that get a treatment of their own.
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// DCCP, which has its ports where UDP has them.
pub const DCCP: u8 = 33;
/// ICMP for IPv6.
pub const ICMPV6: u8 = 58;
/// SCTP, which has its ports where UDP has them.
pub const SCTP: u8 = 132;
/// UDP-Lite.
pub const UDP_LITE: u8 = 136;

/// One local socket and whom it talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey {
    /// The socket's cookie, which the kernel never uses twice until it reboots.
    pub cookie: u64,
    /// Address of the socket's side: 4 bytes of IPv4 and zeroes, or 16 of IPv6.
    pub local: [u8; 16],
    /// Address of the other side.
    pub remote: [u8; 16],
    /// Port of the socket's side in host order. For echo requests and replies the identifier.
    pub local_port: u16,
    /// Port of the other side. For ICMP the type of the request, times 256, and the code.
    pub remote_port: u16,
    /// Internet protocol number.
    pub protocol: u8,
    /// 4 or 6.
    pub ip_version: u8,
    /// Zero.
    pub pad: u16,
}
const _: () = assert!(size_of::<FlowKey>() == 48 && align_of::<FlowKey>() == 8);

// SAFETY: `repr(C)`, integers only, no implicit padding, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for FlowKey {}

/// The socket sent the first packet that was seen.
pub const FIRST_SENT: u32 = 1;
/// At least one packet was a fragment that shows no ports.
pub const FRAGMENTS: u32 = 2;

/// What was exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct FlowStats {
    /// Payload bytes sent by the socket.
    pub bytes_sent: u64,
    /// Payload bytes received by the socket.
    pub bytes_received: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Monotonic time of the first packet in nanoseconds.
    pub first_ns: u64,
    /// Monotonic time of the last packet, right within one tick of the kernel.
    pub last_ns: u64,
    /// Cgroup of the socket when the first packet was seen.
    pub cgroup: u64,
    /// [`FIRST_SENT`] and so on.
    pub flags: u32,
    /// Zero.
    pub pad: u32,
}
const _: () = assert!(size_of::<FlowStats>() == 64 && align_of::<FlowStats>() == 8);

// SAFETY: as for `FlowKey`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for FlowStats {}

/// What a cgroup exchanged in flows that found no room in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct UntrackedStats {
    /// Payload bytes sent.
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets received.
    pub packets_received: u64,
}
const _: () = assert!(size_of::<UntrackedStats>() == 32 && align_of::<UntrackedStats>() == 8);

// SAFETY: as for `FlowKey`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for UntrackedStats {}

/// Index in `SEEN_PACKETS` of packets that were counted in a flow or as untracked, and in `SEEN_CONNECTIONS` of connections
/// whose end was sent to user space or found no room in its ring.
pub const SEEN_COUNTED: u32 = 0;
/// Index of what sampling left out.
pub const SEEN_UNSAMPLED: u32 = 1;
/// Index of what a rule left out.
pub const SEEN_IGNORED: u32 = 2;
/// Index of packets whose headers make no sense.
pub const SEEN_MALFORMED: u32 = 3;
/// Number of such counters. Packets of TCP are in none: the kernel's sockets count them.
pub const SEEN: usize = 4;
