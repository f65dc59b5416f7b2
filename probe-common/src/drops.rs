//! Keys of the `drops` probe.

/// Packets that the kernel freed as dropped. A buffer with several segments of one flow is as many packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct DropKey {
    /// Cgroup of the packet's socket, or 0 where it has none.
    pub cgroup: u64,
    /// The kernel's `enum skb_drop_reason`; its upper half numbers the subsystem.
    pub reason: u32,
    /// 1 if the kernel was done with them and had not dropped them; `cgroup` is 0 then.
    pub freed: u32,
}
const _: () = assert!(size_of::<DropKey>() == 16 && align_of::<DropKey>() == 8);

// SAFETY: `repr(C)`, integers only, no implicit padding, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for DropKey {}

/// Dropped packets by what their headers say, whichever side of them is on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowDropKey {
    /// Address of the sender: 4 bytes of IPv4 and zeroes, or 16 of IPv6.
    pub source: [u8; 16],
    /// Address of the receiver.
    pub destination: [u8; 16],
    /// Port of the sender in host order. For echo requests and replies the identifier.
    pub source_port: u16,
    /// Port of the receiver. For ICMP the type of the request, times 256, and the code.
    pub destination_port: u16,
    /// Internet protocol number.
    pub protocol: u8,
    /// 4 or 6.
    pub ip_version: u8,
    /// 1 if they are counted for the cgroup of a socket in [`DropKey`].
    pub has_cgroup: u16,
    /// As in [`DropKey`].
    pub reason: u32,
    /// Zero.
    pub pad2: u32,
}
const _: () = assert!(size_of::<FlowDropKey>() == 48 && align_of::<FlowDropKey>() == 4);

// SAFETY: as for `DropKey`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for FlowDropKey {}

/// How many of them, since they were last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct FlowDropStats {
    /// Packets of the transport.
    pub packets: u64,
    /// Monotonic time of the last in nanoseconds.
    pub last_ns: u64,
}
const _: () = assert!(size_of::<FlowDropStats>() == 16 && align_of::<FlowDropStats>() == 8);

// SAFETY: as for `DropKey`.
#[cfg(feature = "user")]
unsafe impl aya::Pod for FlowDropStats {}
