//! Keys of the `drops` probe.

/// Packets that the kernel freed as dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct DropKey {
    /// Cgroup of the packet's socket, or 0 where it has none.
    pub cgroup: u64,
    /// The kernel's `enum skb_drop_reason`; its upper half numbers the subsystem.
    pub reason: u32,
    /// Zero.
    pub pad: u32,
}
const _: () = assert!(size_of::<DropKey>() == 16 && align_of::<DropKey>() == 8);

// SAFETY: `repr(C)`, integers only, no implicit padding, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for DropKey {}
