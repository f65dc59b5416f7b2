//! Whom a measurement belongs to, and the pool of counters that it is kept in.
//!
//! A measuring probe keeps its counters in one flat array, the pool. The array is cut into banks: CPU `n` writes
//! bank `n % banks`, so that CPUs do not share cache lines where memory allows a bank for each. A key (owner, detail)
//! is mapped to an index in the pool when it is first seen; the index is the same in every bank.

/// Index of the entry that takes what found no entry of its own.
pub const OVERFLOW: u32 = 0;

/// Measure by cgroup: the owner id is a cgroup id.
pub const BY_CGROUP: u32 = 0;
/// Measure by process: the owner id is a thread group id.
pub const BY_PROCESS: u32 = 1;

/// Marks the owner id of the processes of one cgroup that found no room of their own: this bit and the cgroup's id. Thread group
/// ids and cgroup ids do not have it.
pub const OTHER_PROCESSES: u64 = 1 << 63;

/// What a process is, for tools that measure by process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Process {
    /// Cgroup of the process when it was first seen.
    pub cgroup: u64,
    /// Name of its first thread, zero-padded.
    pub comm: [u8; 16],
}
const _: () = assert!(size_of::<Process>() == 24 && align_of::<Process>() == 8);

// SAFETY: `repr(C)`, integers only, no implicit padding, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Process {}
