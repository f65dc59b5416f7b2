//! Keys and values of the `syscalls` probe.

use crate::hist::BUCKETS;

/// System call numbers from here on are folded into [`NR_OTHER`]: no ABI has that many.
pub const NR_LIMIT: u16 = 1024;
/// Any number that the kernel has no call for, and the detail of an owner whose details found no room. Always of
/// [`ABI_NATIVE`].
pub const NR_OTHER: u16 = u16::MAX;

/// Words of the bitmap of the calls that have a name: [`NR_LIMIT`] bits for each ABI, [`ABI_NATIVE`] first.
pub const NAMED_WORDS: usize = 2 * NR_LIMIT as usize / 64;

/// Where a call's bit is in that bitmap: the word and the bit in it. `nr` is below [`NR_LIMIT`].
#[inline(always)]
pub const fn named_bit(nr: u16, abi: u16) -> (u32, u64) {
    let index = (abi & 1) as u32 * NR_LIMIT as u32 + nr as u32;
    (index / 64, 1 << (index % 64))
}

/// The kernel's native ABI.
pub const ABI_NATIVE: u16 = 0;
/// 32-bit compatibility calls (`int 0x80`, `sysenter`, AArch32).
pub const ABI_COMPAT: u16 = 1;

/// One system call of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct SyscallKey {
    /// Cgroup id or thread group id.
    pub owner: u64,
    /// System call number, below [`NR_LIMIT`], or [`NR_OTHER`].
    pub nr: u16,
    /// [`ABI_NATIVE`] or [`ABI_COMPAT`].
    pub abi: u16,
    /// Always zero.
    pub pad: u32,
}
const _: () = assert!(size_of::<SyscallKey>() == 16 && align_of::<SyscallKey>() == 8);

/// Counters of one system call of one owner in one bank. Calls are `untimed` plus the sum of `buckets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SyscallStats {
    /// Calls whose duration is unknown: latency is off or sampled, or the call was in flight at attach.
    pub untimed: u64,
    /// Calls that returned an error, in `[-4095, -1]`.
    pub errors: u64,
    /// Sum of the durations of the timed calls in nanoseconds.
    pub sum_ns: u64,
    /// Timed calls by duration, see [`crate::hist`].
    pub buckets: [u64; BUCKETS],
}
const _: () = assert!(size_of::<SyscallStats>() == 256 && align_of::<SyscallStats>() == 8);

/// One errno of one system call of one owner; the value is a `u64` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct ErrnoKey {
    /// Cgroup id or thread group id.
    pub owner: u64,
    /// As in [`SyscallKey`].
    pub nr: u16,
    /// As in [`SyscallKey`].
    pub abi: u16,
    /// The positive errno, 1 to 4095. From 512 on these are the kernel's restart codes, which only a tracer sees.
    pub errno: u32,
}
const _: () = assert!(size_of::<ErrnoKey>() == 16 && align_of::<ErrnoKey>() == 8);

// SAFETY: `repr(C)`, integers only, no implicit padding, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for SyscallKey {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for SyscallStats {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for ErrnoKey {}
